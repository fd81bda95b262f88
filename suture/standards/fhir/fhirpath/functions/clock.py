"""The moment of evaluation, and the parts of dates and times (http://hl7.org/fhirpath/N1/#current-date-and-time-functions)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import Code, Compiler, Evaluation, Row, Scope, unfit
from suture.standards.fhir.fhirpath.functions.scalars import scalar
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time


def _moment(pick: Callable[[DateTime], Moment], kind: str) -> Row:
    def build(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        column, name = node.column, node.name

        def run(state: Evaluation, this: Any) -> list[Any]:
            now = state.environment.now
            if now is None:
                raise unfit(column, f"no clock is at hand for {name}()")
            return [pick(DateTime.of(now))]

        return Code(run, kind, possible=(kind,), single=True)

    return Row(build, 0, 0)


def _calendar(value: Any) -> Any:
    return value if isinstance(value, Date | DateTime) else None


def _clocked(value: Any) -> Any:
    return value if isinstance(value, DateTime | Time) else None


def _moments(value: Any) -> Any:
    return value if isinstance(value, Moment) else None


def _part(at: int) -> Callable[[Any], Any]:
    def part(value: Moment) -> int | None:
        place = at - 3 if isinstance(value, Time) else at
        return value.parts[place] if place < len(value.parts) else None

    return part


def _millisecond(value: Moment) -> int | None:
    return int(value.fraction[:3].ljust(3, "0")) if value.fraction else None


def _offset(value: Moment) -> Decimal | None:
    return None if value.offset is None else Decimal(value.offset) / 60


def _time_of(value: Moment) -> Time | None:
    return Time(value.parts[3:], value.fraction) if isinstance(value, DateTime) and len(value.parts) > 3 else None


_INTEGER = "System.Integer"
ROWS: dict[str, Row] = {
    "now": _moment(lambda now: now, "System.DateTime"),
    "today": _moment(lambda now: Date(now.parts[:3]), "System.Date"),
    "timeOfDay": _moment(lambda now: Time(now.parts[3:], now.fraction), "System.Time"),
    "yearOf": scalar(_part(0), _calendar, kind=_INTEGER),
    "monthOf": scalar(_part(1), _calendar, kind=_INTEGER),
    "dayOf": scalar(_part(2), _calendar, kind=_INTEGER),
    "hourOf": scalar(_part(3), _clocked, kind=_INTEGER),
    "minuteOf": scalar(_part(4), _clocked, kind=_INTEGER),
    "secondOf": scalar(_part(5), _clocked, kind=_INTEGER),
    "millisecondOf": scalar(_millisecond, _clocked, kind=_INTEGER),
    "timezoneOffsetOf": scalar(_offset, _moments, kind="System.Decimal"),
    "dateOf": scalar(lambda value: Date(value.parts[:3]), _calendar, kind="System.Date"),
    "timeOf": scalar(_time_of, _clocked, kind="System.Time"),
}
