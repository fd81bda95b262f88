"""HL7 v2 dates and times as FHIR's: precision kept, offset of the source's time zone added (https://hl7.org/fhir/R4/datatypes.html#dateTime)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HL7 = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?)?)?\s*([+-]\d{4})?(?:\^.*)?",
    re.DOTALL,
)
ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?)?)?"
)
TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?(?:[+-]\d{4})?")
FURTHEST = 14 * 60  # minutes that an offset may be away from UTC
Parts = tuple[str, str, str, str, str, str, str, str]  # year, month, day, hour, minute, second, fraction, offset


@lru_cache(16384)
def day(text: str) -> str | None:
    """A date of its precision: `1980`, `1980-01`, `1980-01-31`; a time of day is left away. None: not a date."""
    parts = _parts(text)
    if parts is None:
        return None
    return "-".join(part for part in parts[:3] if part)


def moment(text: str, zone: str) -> str | None:
    """A dateTime of its precision; a time gets the offset it has or that of the zone. None: not one."""
    if len(text) == 14 and text.isdigit() and text.isascii():
        return _second(text, zone)
    parts = _parts(text)
    if parts is None:
        return None
    if not parts[3]:
        return "-".join(part for part in parts[:3] if part)
    return _written(parts, zone)


def instant(text: str, zone: str) -> str | None:
    """An instant; None when the text is not at least precise to the minute."""
    parts = _parts(text)
    if parts is None or not parts[4]:
        return None
    return _written(parts, zone)


def clock_time(text: str) -> str | None:
    """A time of day `HH:MM:SS`; None: not one."""
    found = TIME.fullmatch(text.strip())
    if not found:
        return None
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = f".{found[4]}" if found[4] else ""
    return f"{hour:02d}:{minute:02d}:{second:02d}{fraction}"


def known_zone(name: str) -> bool:
    """Whether the time zone is known here."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _parts(text: str) -> Parts | None:
    """The parts of a date or time as written; None when it is none or the day does not exist."""
    text = text.strip()
    if not text.isascii():
        return None
    found = HL7.fullmatch(text) or ISO.fullmatch(text)
    if not found:
        return None
    year, month, day_, hour, minute, second, fraction, offset = (part or "" for part in found.groups())
    if "00" in (month, day_) and not (hour.strip("0") or minute.strip("0")):  # 19840000: only the year is known
        month, day_ = ("", "") if month == "00" else (month, "")
        hour = minute = second = fraction = offset = ""
    try:
        date(int(year), int(month or 1), int(day_ or 1))
    except ValueError:
        return None
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 59 or not _sound(offset):
        return None
    return year, month, day_, hour, minute, second, fraction, offset


def _sound(offset: str) -> bool:
    if len(offset) < 5:
        return True
    digits = offset.replace(":", "")
    return int(digits[3:5]) < 60 and int(digits[1:3]) * 60 + int(digits[3:5]) <= FURTHEST


def _written(parts: Parts, zone: str) -> str:
    year, month, day_, hour, minute, second, fraction, offset = parts
    head = f"{year}-{month}-{day_}T{hour}:{minute or '00'}:{second or '00'}"
    if fraction:
        head += f".{fraction}"
    if not offset:
        return head + _offset(zone, year + month + day_ + hour + (minute or "00"))
    if offset == "Z":
        return head + "Z"
    digits = offset.replace(":", "")
    return f"{head}{digits[:3]}:{digits[3:]}"


@lru_cache(16384)
def _second(text: str, zone: str) -> str | None:
    """The everyday form, YYYYMMDDHHMMSS."""
    parts = _parts(text)
    return None if parts is None else _written(parts, zone)


@lru_cache(4096)
def _offset(zone: str, minute: str) -> str:
    """The offset of a zone at YYYYMMDDHHMM of its clocks; UTC for a zone nobody knows (it is checked where it is set)."""
    try:
        moment = datetime.strptime(minute, "%Y%m%d%H%M").replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "+00:00"
    away = moment.utcoffset() or timedelta()
    minutes = round(away.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
