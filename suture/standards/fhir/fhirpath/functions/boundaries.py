"""lowBoundary(), highBoundary(), precision(), comparable(): what a value of limited precision may mean (https://hl7.org/fhir/R4/fhirpath.html)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.quantity as quantity
from suture.standards.fhir.fhirpath.code import Row
from suture.standards.fhir.fhirpath.functions.scalars import scalar, whole
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time, days_in_month
from suture.standards.fhir.fhirpath.quantity import Quantity

_MOST = 28  # digits after the point
_DIGITS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 7}  # digits of a date-time -> parts; 7: with milliseconds
_WEST, _EAST = 14 * 60, -12 * 60  # the zones where a local time comes first and last


def _bounded(value: Any) -> Any:
    if isinstance(value, Moment | Quantity):
        return value
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _boundary(high: bool) -> Callable[..., Any]:
    def boundary(value: Any, digits: int | None = None) -> Any:
        if isinstance(value, Quantity):
            edge = _number(value.value, 8 if digits is None else digits, high)
            return None if edge is None else replace(value, value=edge)
        if isinstance(value, Time):
            return _time(value, 9 if digits is None else digits, high)
        if isinstance(value, Date):
            return _date(value, 8 if digits is None else digits, high)
        if isinstance(value, DateTime):
            return _date_time(value, 17 if digits is None else digits, high)
        return _number(Decimal(value), 8 if digits is None else digits, high)

    return boundary


def _number(value: Decimal, digits: int, high: bool) -> Decimal | None:
    """Half of the last digit up or down; cut towards zero, rounded away from it."""
    if not 0 <= digits <= _MOST:
        return None
    half = Decimal(5).scaleb(-_places(value) - 1)
    edge = value + half if high else value - half
    outward = (edge > 0) == high
    return edge.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP if outward else ROUND_DOWN)


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _filled(parts: tuple[int, ...], count: int, high: bool) -> tuple[int, ...]:
    """Year … second, filled up with the first or last of each."""
    whole_ = list(parts)
    while len(whole_) < count:
        at = len(whole_)
        last = (9999, 12, days_in_month(whole_[0], whole_[1]) if at == 2 else 31, 23, 59, 59)[at]
        whole_.append(last if high else (1, 1, 1, 0, 0, 0)[at])
    return tuple(whole_[:count])


def _date(value: Date, digits: int, high: bool) -> Date | None:
    count = _DIGITS.get(digits, 0)
    return Date(_filled(value.parts, count, high)) if 1 <= count <= 3 else None


def _date_time(value: DateTime, digits: int, high: bool) -> DateTime | None:
    count = _DIGITS.get(digits, 0)
    if not count:
        return None
    parts = _filled(value.parts, min(count, 6), high)
    if count <= 3:
        return DateTime(parts)
    zone = value.offset if value.offset is not None else (_EAST if high else _WEST)
    return DateTime(parts, _fraction(value, 6, high) if count == 7 else "", zone)


def _time(value: Time, digits: int, high: bool) -> Time | None:
    count = {2: 1, 4: 2, 6: 3, 9: 3}.get(digits, 0)
    if not count:
        return None
    parts = _filled((1, 1, 1, *value.parts), 3 + count, high)[3:]
    return Time(parts, _fraction(value, 3, high) if digits == 9 else "")


def _fraction(value: Moment, seconds: int, high: bool) -> str:
    known = value.fraction if len(value.parts) == seconds else ""
    return known[:3].ljust(3, "9" if high else "0")


def _precision(value: Any) -> int | None:
    if isinstance(value, Quantity):
        return _places(value.value)
    if not isinstance(value, Moment):
        return _places(Decimal(value))
    if value.fraction:
        return 9 if isinstance(value, Time) else 17
    return 2 * len(value.parts) + (0 if isinstance(value, Time) else 2)


def _comparable(left: Quantity, right: Quantity) -> bool:
    return quantity.compare(left, right) is not None


ROWS: dict[str, Row] = {
    "lowBoundary": scalar(_boundary(high=False), _bounded, whole, optional=1),
    "highBoundary": scalar(_boundary(high=True), _bounded, whole, optional=1),
    "precision": scalar(_precision, _bounded, kind="System.Integer"),
    "comparable": scalar(_comparable, equality.as_quantity, equality.as_quantity, kind="System.Boolean"),
}
