"""Dates, date-times and times that may be partial (http://hl7.org/fhirpath/N1/#date-time): compared by what is known."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar, Final, TypeVar

YEAR, MONTH, DAY, HOUR, MINUTE, SECOND = 1, 2, 3, 4, 5, 6

_SECOND: Final = 1_000_000_000  # everything is counted in nanoseconds
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_WEST: Final = 14 * _HOUR  # an unknown zone lies between UTC-12 and UTC+14
_EAST: Final = 12 * _HOUR

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
_CLOCK = r"(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?"
_DATETIME = re.compile(rf"(\d{{4}})(?:-(\d\d)(?:-(\d\d)(?:T(?:{_CLOCK}(Z|[+-]\d\d:\d\d)?)?)?)?)?T?")
_TIME = re.compile(_CLOCK)

M = TypeVar("M", bound="Moment")


class Moment:
    """A point in time known to some precision: its text, and the first and last nanosecond it may mean."""

    __slots__ = ("fraction", "high", "low", "offset", "parts", "precision", "text")
    kind: ClassVar[str] = ""

    def __init__(self, parts: tuple[int, ...], fraction: str = "", offset: int | None = None) -> None:
        self.parts = parts  # year, month, day, hour, minute, second as far as known; a time begins with its hour
        self.fraction = fraction  # digits after the second
        self.offset = offset  # minutes east of UTC
        self.precision = len(parts)
        self.text = self._text()
        self.low, self.high = self._bounds()

    def _text(self) -> str:
        raise NotImplementedError

    def _bounds(self) -> tuple[int, int]:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and self.kind == other.kind and self.text == other.text

    def __hash__(self) -> int:
        return hash((self.kind, self.text))


def _days(parts: tuple[int, ...]) -> tuple[int, int]:
    """First and last day of a year, month or day."""
    year, month, day = parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1
    first = date(year, month, day).toordinal()
    if len(parts) > 2:
        return first, first
    if len(parts) == 2:
        return first, first + days_in_month(year, month) - 1
    return first, date(year, 12, 31).toordinal()


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _clock(parts: tuple[int, ...], fraction: str) -> tuple[int, int]:
    """First and last nanosecond of an hour, minute or second inside its day."""
    low = parts[0] * _HOUR
    if len(parts) == 1:
        return low, low + _HOUR - 1
    low += parts[1] * _MINUTE
    if len(parts) == 2:
        return low, low + _MINUTE - 1
    low += parts[2] * _SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    return low, low


def _clock_text(parts: tuple[int, ...], fraction: str) -> str:
    return ":".join(f"{part:02}" for part in parts) + (f".{fraction}" if fraction else "")


def _sound_clock(parts: tuple[int, ...]) -> bool:
    limits = (23, 59, 60)
    return all(part <= limit for part, limit in zip(parts, limits, strict=False))


def _sound_days(parts: tuple[int, ...]) -> bool:
    if not 1 <= parts[0] <= 9999 or (len(parts) > 1 and not 1 <= parts[1] <= 12):
        return False
    return len(parts) < 3 or 1 <= parts[2] <= days_in_month(parts[0], parts[1])


class Date(Moment):
    """`1974`, `1974-12`, `1974-12-25`."""

    __slots__ = ()
    kind = "Date"

    @staticmethod
    @lru_cache(4096)
    def parse(text: str) -> Date | None:
        """None when the text is no date."""
        match = _DATE.fullmatch(text)
        parts = tuple(int(part) for part in match.groups() if part) if match else ()
        return Date(parts) if parts and _sound_days(parts) else None

    def _text(self) -> str:
        return "-".join([f"{self.parts[0]:04}", *(f"{part:02}" for part in self.parts[1:])])

    def _bounds(self) -> tuple[int, int]:
        first, last = _days(self.parts)
        return first * _DAY, (last + 1) * _DAY - 1


class DateTime(Moment):
    """`1974`, …, `1974-12-25T14:35:45.123+02:00`; the zone may be unknown."""

    __slots__ = ()
    kind = "DateTime"

    @staticmethod
    @lru_cache(4096)
    def parse(text: str) -> DateTime | None:
        """None when the text is no date-time."""
        match = _DATETIME.fullmatch(text)
        if match is None:
            return None
        numbers, fraction, zone = match.groups()[:6], match[7] or "", match[8]
        parts = tuple(int(part) for part in numbers if part)
        offset = zone_offset(zone)
        sound = _sound_days(parts[:3]) and _sound_clock(parts[3:]) and (offset is None or abs(offset) <= 14 * 60)
        return DateTime(parts, fraction, offset) if sound else None

    @classmethod
    def of(cls, moment: datetime) -> DateTime:
        """A Python datetime with milliseconds."""
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        shift = moment.utcoffset()
        offset = None if shift is None else int(shift.total_seconds()) // 60
        return cls(parts, f"{moment.microsecond // 1000:03}", offset)

    def _text(self) -> str:
        day = Date(self.parts[:3]).text
        if len(self.parts) < 4:
            return day
        return f"{day}T{_clock_text(self.parts[3:], self.fraction)}{zone_text(self.offset)}"

    def _bounds(self) -> tuple[int, int]:
        first, last = _days(self.parts[:3])
        shift = (self.offset or 0) * _MINUTE
        if len(self.parts) < 4:
            return first * _DAY - shift, (last + 1) * _DAY - 1 - shift
        low, high = _clock(self.parts[3:], self.fraction)
        return first * _DAY + low - shift, first * _DAY + high - shift


class Time(Moment):
    """`14`, `14:35`, `14:35:45.123`."""

    __slots__ = ()
    kind = "Time"

    @staticmethod
    @lru_cache(4096)
    def parse(text: str) -> Time | None:
        """None when the text is no time."""
        match = _TIME.fullmatch(text.removeprefix("T"))
        parts = tuple(int(part) for part in match.groups()[:3] if part) if match else ()
        return Time(parts, match[4] or "") if match and parts and _sound_clock(parts) else None

    def _text(self) -> str:
        return _clock_text(self.parts, self.fraction)

    def _bounds(self) -> tuple[int, int]:
        return _clock(self.parts, self.fraction)


def zone_offset(zone: str | None) -> int | None:
    """Minutes east of UTC of `Z` or `+02:00`."""
    if not zone:
        return None
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def zone_text(offset: int | None) -> str:
    """`Z`, `+02:00`, or nothing."""
    if offset is None:
        return ""
    sign, minutes = ("-" if offset < 0 else "+"), abs(offset)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" if offset else "Z"


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0, 1; None when what is known does not decide (another precision, a zone on one side only)."""
    low, high = right.low, right.high
    known = (left.offset is None) == (right.offset is None)
    if not known:
        low, high = (low - _WEST, high + _EAST) if right.offset is None else (low - _EAST, high + _WEST)
    if left.high < low:
        return -1
    if left.low > high:
        return 1
    return 0 if known and left.precision == right.precision else None


# --- arithmetic

_NANOSECONDS = {
    "week": 7 * _DAY,
    "day": _DAY,
    "hour": _HOUR,
    "minute": _MINUTE,
    "second": _SECOND,
    "millisecond": 10**6,
}


def add(moment: M, amount: Decimal, unit: str) -> M | None:
    """The moment plus so many calendar units ('year' … 'millisecond'); None when it leaves the calendar."""
    if isinstance(moment, Time):
        return _spin(moment, amount, unit)  # type: ignore[return-value]
    try:
        if unit in ("year", "month"):
            return _add_months(moment, amount, unit)
        return _add_days(moment, amount, unit)
    except (ValueError, OverflowError):
        return None


def fits(moment: Moment, unit: str) -> bool:
    """Whether the unit may be added to such a value: no days to a time."""
    return not isinstance(moment, Time) or unit in ("hour", "minute", "second", "millisecond")


def _whole(amount: Decimal, unit: str) -> Decimal:
    return amount if unit in ("second", "millisecond") else Decimal(int(amount))


def _add_months(moment: M, amount: Decimal, unit: str) -> M:
    months = int(amount) * (12 if unit == "year" else 1)
    if moment.precision == YEAR:
        months = int(months / 12) * 12
    year, month = moment.parts[0], moment.parts[1] if moment.precision > 1 else 1
    total = year * 12 + month - 1 + months
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= 9999:
        raise OverflowError
    parts = (year, month, *moment.parts[2:])[: moment.precision]
    if len(parts) > 2:
        parts = (year, month, min(parts[2], days_in_month(year, month)), *parts[3:])
    return type(moment)(parts, moment.fraction, moment.offset)


def _add_days(moment: M, amount: Decimal, unit: str) -> M:
    amount = _whole(amount, unit)
    if moment.precision < DAY:
        days = int(amount * _NANOSECONDS[unit]) // _DAY if amount >= 0 else -(int(-amount * _NANOSECONDS[unit]) // _DAY)
        return _add_months(moment, *_in_months(moment, days))
    step = _NANOSECONDS[unit]
    smallest = {DAY: _DAY, HOUR: _HOUR, MINUTE: _MINUTE}.get(moment.precision, 1)
    total = int(amount * step / smallest) * smallest
    return _shifted(moment, total)


def _in_months(moment: Moment, days: int) -> tuple[Decimal, str]:
    if moment.precision == YEAR:
        return Decimal(int(days / 365)), "year"
    return Decimal(int(days / 30)), "month"


def _shifted(moment: M, nanoseconds: int) -> M:
    clock = _clock(moment.parts[3:], moment.fraction)[0] if moment.precision > DAY else 0
    total = date(*moment.parts[:3]).toordinal() * _DAY + clock + nanoseconds
    day = date.fromordinal(total // _DAY)
    parts, fraction = _split(total % _DAY, moment.fraction)
    whole = (day.year, day.month, day.day, *parts)[: moment.precision]
    return type(moment)(whole, fraction if moment.precision == SECOND else "", moment.offset)


def _split(nanoseconds: int, fraction: str) -> tuple[tuple[int, int, int], str]:
    seconds, rest = divmod(nanoseconds, _SECOND)
    digits = f"{rest:09}"
    kept = max(len(fraction), len(digits.rstrip("0")))
    if kept and kept < 3:
        kept = 3
    return (seconds // 3600, seconds // 60 % 60, seconds % 60), digits.ljust(kept, "0")[:kept]


def _spin(moment: Time, amount: Decimal, unit: str) -> Time:
    smallest = {1: _HOUR, 2: _MINUTE}.get(moment.precision, 1)
    total = int(_whole(amount, unit) * _NANOSECONDS[unit] / smallest) * smallest
    parts, fraction = _split((moment.low + total) % _DAY, moment.fraction)
    return Time(parts[: moment.precision], fraction if moment.precision == 3 else "")
