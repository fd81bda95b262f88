"""FHIR dates as ranges of microseconds since 1970 in UTC: a date without a time is its whole day. https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from __future__ import annotations

import re
from datetime import date

DAY = 86_400_000_000
SECOND = 1_000_000
EARLIEST = -62_135_596_800_000_000  # year 1, and the open start of a period
LATEST = 253_402_300_800_000_000  # year 10000, and the open end of a period
EPOCH = date(1970, 1, 1).toordinal()

_SHAPE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_days: dict[str, int] = {}  # 'YYYY-MM-DD' -> microseconds; filled by days_of, bounded
_KEPT_DAYS = 60_000


_ZONES = {20: (19, "Z"), 25: (19, "+-"), 24: (23, "Z"), 29: (23, "+-")}  # length -> place and form of the zone


def day_of(text: str) -> int:
    """The first microsecond of a `YYYY-MM-DD` day; ValueError when there is no such day."""
    found = _days.get(text)
    if found is None:
        found = (date.fromisoformat(text).toordinal() - EPOCH) * DAY
        if len(_days) < _KEPT_DAYS:
            _days[text] = found
    return found


def moment_range(text: str) -> tuple[int, int]:
    """[low, high) of a date, dateTime or instant of a resource that was checked; ValueError when it is none.

    The common shapes (a day; seconds with a zone, maybe milliseconds) are read by position, the others by `written_range`.
    """
    if len(text) == 10 and text[4] == "-" and text[7] == "-":
        low = day_of(text)
        return low, low + DAY
    zone, signs = _ZONES.get(len(text), (0, ""))
    if zone and text[10] == "T" and text[13] == text[16] == ":" and text[zone] in signs:
        return _clocked(text, zone)
    return written_range(text)


def _clocked(text: str, zone: int) -> tuple[int, int]:
    """A time with seconds, maybe milliseconds, and the zone at place `zone`."""
    hours, minutes, seconds = int(text[11:13]), int(text[14:16]), int(text[17:19])
    if hours > 23 or minutes > 59 or seconds > 60:
        raise ValueError("no such time")
    low = day_of(text[:10]) + (hours * 3600 + minutes * 60 + seconds) * SECOND
    if text[zone:] != "Z":
        low -= _offset(text[zone:])
    if zone == 19:
        return low, low + SECOND
    if text[19] != ".":
        raise ValueError("no such time")
    low += int(text[20:23]) * 1000
    return low, low + 1000


def written_range(text: str) -> tuple[int, int]:
    """[low, high) of what anybody may have written; ValueError when it is no date in FHIR's form."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError("not a date")
    year, month, day, hour, minute, second, fraction, zone = shape.groups()
    if day is None:
        return _whole_month_or_year(int(year), month)
    low = day_of(f"{year}-{month}-{day}")
    if hour is None:
        return low, low + DAY
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        raise ValueError("no such time")
    low += (int(hour) * 3600 + int(minute) * 60 + int(second or 0)) * SECOND - _offset(zone)
    if second is None:
        return low, low + 60 * SECOND
    return _with_fraction(low, fraction)


def _with_fraction(low: int, fraction: str | None) -> tuple[int, int]:
    if not fraction:
        return low, low + SECOND
    digits = fraction[:6]
    width: int = 10 ** (6 - len(digits))
    low += int(digits) * width
    return low, low + width


def _whole_month_or_year(year: int, month: str | None) -> tuple[int, int]:
    first = date(year, int(month or 1), 1)
    months = 1 if month else 12
    count = first.year * 12 + first.month - 1 + months
    if count // 12 > 9999:
        return (first.toordinal() - EPOCH) * DAY, LATEST
    after = date(count // 12, count % 12 + 1, 1)
    return (first.toordinal() - EPOCH) * DAY, (after.toordinal() - EPOCH) * DAY


def _offset(zone: str | None) -> int:
    """Microseconds that a zone is ahead of UTC."""
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if zone[0] not in "+-" or zone[3] != ":" or hours > 14 or minutes > 59:
        raise ValueError("no such zone")
    ahead = (hours * 60 + minutes) * 60 * SECOND
    return -ahead if zone[0] == "-" else ahead
