"""The moment of evaluation, and the parts of dates and times (http://hl7.org/fhirpath/N1/#current-date-and-time-functions)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import Inapplicable
from suture.standards.fhir.fhirpath.code import Code, Compiler, Evaluation, Row, Scope, unfit
from suture.standards.fhir.fhirpath.functions.scalars import scalar, text
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time
from suture.standards.fhir.fhirpath.quantity import CALENDAR


def _moment(pick: Callable[[DateTime], Moment], kind: str) -> Row:
    def build(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        column, name = node.column, node.name

        def run(state: Evaluation, this: Any) -> list[Any]:
            now = state.environment.now
            if now is None:
                raise unfit(column, f"no clock is at hand for {name}()")
            return [pick(DateTime.of(now))]

        return Code(run, kind, possible=(kind,))

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


# --- intervals

_RANKS = {"year": 1, "month": 2, "week": 3, "day": 3, "hour": 4, "minute": 5, "second": 6, "millisecond": 6}
_NANOSECONDS = {"hour": 3600 * 10**9, "minute": 60 * 10**9, "second": 10**9, "millisecond": 10**6}


def _interval(measure: Callable[[Moment, Moment, str], int]) -> Callable[..., int | None]:
    """Between two values of the same sort that both know the precision that is asked for."""

    def between(left: Moment, right: Moment, precision: str) -> int | None:
        unit = CALENDAR.get(precision, ("", ""))[0]
        times = isinstance(left, Time)
        if not unit or times != isinstance(right, Time) or (times and unit not in _NANOSECONDS):
            raise Inapplicable(
                "the time between such values can't be counted in this unit", mend="Use 'year' … 'millisecond'."
            )
        least = _RANKS[unit] - (3 if times else 0)
        return measure(left, right, unit) if min(left.precision, right.precision) >= least else None

    return between


def _duration(left: Moment, right: Moment, unit: str) -> int:
    if unit in _NANOSECONDS:
        return int(Fraction(right.low - left.low, _NANOSECONDS[unit]))
    if _local(left) > _local(right):
        return -_duration(right, left, unit)
    if unit in ("week", "day"):
        return (_local(right) - _local(left)) // (86400 * 10**9 * (7 if unit == "week" else 1))
    months = _months(right) - _months(left) - (_rest(right) < _rest(left))
    return months // 12 if unit == "year" else months


def _difference(left: Moment, right: Moment, unit: str) -> int:
    if unit in _NANOSECONDS:
        return right.low // _NANOSECONDS[unit] - left.low // _NANOSECONDS[unit]
    if unit == "year":
        return right.parts[0] - left.parts[0]
    if unit == "month":
        return _months(right) - _months(left)
    days = [date(*one.parts[:3]).toordinal() for one in (left, right)]
    return days[1] // 7 - days[0] // 7 if unit == "week" else days[1] - days[0]


def _local(moment: Moment) -> int:
    return moment.low + (moment.offset or 0) * 60 * 10**9


def _months(moment: Moment) -> int:
    return moment.parts[0] * 12 + (moment.parts[1] if moment.precision > 1 else 1)


def _rest(moment: Moment) -> tuple[tuple[int, ...], str]:
    """What follows the month."""
    return moment.parts[2:], moment.fraction


_INTEGER = "System.Integer"
ROWS: dict[str, Row] = {
    "now": _moment(lambda now: now, "System.DateTime"),
    "today": _moment(lambda now: Date(now.parts[:3]), "System.Date"),
    "timeOfDay": _moment(lambda now: Time(now.parts[3:], now.fraction), "System.Time"),
    "duration": scalar(_interval(_duration), _moments, _moments, text, kind=_INTEGER),
    "difference": scalar(_interval(_difference), _moments, _moments, text, kind=_INTEGER),
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
