"""Quantities with UCUM units or calendar durations (http://hl7.org/fhirpath/N1/#quantity)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, DecimalException
from fractions import Fraction

from suture.standards import ucum

# calendar word -> (one word for it, its UCUM twin)
CALENDAR: dict[str, tuple[str, str]] = {
    word: (one, twin)
    for one, twin in {
        "year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s",
        "millisecond": "ms",
    }.items()
    for word in (one, one + "s")
}  # fmt: skip
_FROM_UCUM = {twin: one for one, twin in CALENDAR.values()}
_UNSAFE = frozenset({"a", "mo"})  # not the same as a calendar year or month
_MONTHS = {"year": 12, "month": 1}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a UCUM unit, or with a calendar word as it was written (`4 days`)."""

    value: Decimal
    unit: str = "1"
    calendar: bool = False

    def __str__(self) -> str:
        return f"{self.value} {self.unit}" if self.calendar else f"{self.value} '{self.unit}'"

    @property
    def code(self) -> str:
        """The UCUM code, a calendar word's twin."""
        return CALENDAR[self.unit][1] if self.calendar else self.unit

    @property
    def inexact(self) -> bool:
        """A calendar year or month, of which nobody knows how long it is."""
        return self.calendar and self.code in _UNSAFE


def calendar_unit(quantity: Quantity) -> str | None:
    """`year` … `millisecond` for what may be added to a date; None for everything else."""
    if quantity.unit in CALENDAR:
        return CALENDAR[quantity.unit][0]
    return None if quantity.unit in _UNSAFE else _FROM_UCUM.get(quantity.unit)


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0, 1; None when the units are unknown or of another dimension."""
    if left.unit == right.unit:
        return _order(left.value, right.value)
    if left.calendar and right.calendar and (left.inexact or right.inexact):
        return _compare_calendar(left, right)
    if _apart(left, right):
        return None
    one, other = ucum.canonical(left.value, left.code), ucum.canonical(right.value, right.code)
    if one is None or other is None or one[1] != other[1]:
        return None
    return _order(one[0], other[0])


def _compare_calendar(left: Quantity, right: Quantity) -> int:
    """Calendar words in the coarser of both: 12 months or 365 days a year, 30 days a month."""
    years = "year" in (CALENDAR[left.unit][0], CALENDAR[right.unit][0])
    return _order(_calendar_amount(left, years), _calendar_amount(right, years))


def _calendar_amount(quantity: Quantity, years: bool) -> Fraction:
    one = CALENDAR[quantity.unit][0]
    if one in _MONTHS:
        return Fraction(quantity.value) * _MONTHS[one] / (12 if years else 1)
    days = ucum.canonical(quantity.value, quantity.code)
    return (days[0] if days else Fraction(0)) / 86400 / (365 if years else 30)


def _apart(left: Quantity, right: Quantity) -> bool:
    """A calendar year or month against a definite duration."""
    return left.inexact != right.inexact and not (left.calendar and right.calendar)


def _order(left: Decimal | Fraction, right: Decimal | Fraction) -> int:
    return (left > right) - (left < right)


def equivalent(left: Quantity, right: Quantity) -> bool | None:
    """Equal after conversion to the coarser unit and rounding to the less precise number; None: another dimension."""
    one, other = left.value, right.value
    if left.code != right.code:
        finer = ucum.finer(left.code, right.code)
        if finer is None:
            return None
        if finer == left.code:
            one = ucum.convert(one, left.code, right.code) or Decimal(0)
        else:
            other = ucum.convert(other, right.code, left.code) or Decimal(0)
    return alike(one, other, min(places(left.value), places(right.value)))


def places(value: Decimal) -> int:
    """Digits after the point, trailing zeroes left aside."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def alike(left: Decimal, right: Decimal, digits: int) -> bool:
    """Equal after rounding to so many digits."""
    step = Decimal(1).scaleb(-digits)
    try:
        return left.quantize(step) == right.quantize(step)
    except DecimalException:
        return left == right


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Sum or difference in the finer unit; None when the units don't fit."""
    if left.code == right.code and left.calendar == right.calendar:
        return replace(left, value=left.value + sign * right.value)
    if left.inexact or right.inexact:
        return None
    finer = ucum.finer(left.code, right.code)
    target = left if finer == left.code else right
    one, other = ucum.convert(left.value, left.code, target.code), ucum.convert(right.value, right.code, target.code)
    if one is None or other is None:
        return None
    total = replace(target, value=one + sign * other)
    return _as_calendar(total) if left.calendar != right.calendar else total


def _as_calendar(quantity: Quantity) -> Quantity:
    """A UCUM duration as its calendar word: what comes of both is a calendar duration."""
    word = _FROM_UCUM.get(quantity.unit)
    return Quantity(quantity.value, word, calendar=True) if word else quantity


def multiply(left: Quantity, right: Quantity) -> Quantity | None:
    """Product; its unit is the product of the units."""
    return _combined(left, right, left.value * right.value, ucum.multiply)


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    """Quotient; its unit is the quotient of the units. None for a division by zero."""
    if not right.value:
        return None
    return _combined(left, right, left.value / right.value, ucum.divide)


def _combined(
    left: Quantity, right: Quantity, value: Decimal, units: Callable[[str, str], str | None]
) -> Quantity | None:
    if right.unit == "1":
        return replace(left, value=value)
    unit = units(left.code, right.code)
    return None if unit is None else Quantity(value, unit)
