"""HL7 v2 dates and times to FHIR's and back; precision is kept, the source says its time zone (HL7 v2.9 section 2A.2.22, https://hl7.org/fhir/R4/datatypes.html#dateTime)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from suture.errors import InvalidMessage

FORM = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?)?)?)?)?"
    r"(?P<offset>[+-][0-9]{4}|Z)?"
)
TIME = re.compile(
    r"(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?)?"
)
FHIR = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
MEND = "Write it as YYYY[MM[DD[HHMM[SS[.S]]]]][+/-ZZZZ]."


class Stamp(NamedTuple):
    """The parts of a time stamp as written; an empty string is a part it does not state."""

    year: str
    month: str
    day: str
    hour: str
    minute: str
    second: str
    fraction: str
    offset: str


def date(text: str, where: str = "") -> str:
    """A FHIR date: `1961`, `1961-06`, `1961-06-15`; a time of day in the field is left out."""
    return _date(read(text, where))


def date_time(text: str, zone: tzinfo, where: str = "") -> str:
    """A FHIR dateTime; a time without an offset is taken in the source's time zone, missing seconds become 00."""
    stamp = read(text, where)
    if not stamp.hour:
        return _date(stamp)
    fraction = f".{stamp.fraction}" if stamp.fraction else ""
    clock = f"{stamp.hour}:{stamp.minute or '00'}:{stamp.second or '00'}{fraction}"
    return f"{_date(stamp)}T{clock}{_offset(stamp, zone)}"


def instant(text: str, zone: tzinfo, where: str = "") -> str:
    """A FHIR instant; raises InvalidMessage where the stamp has no time of day."""
    if not read(text, where).hour:
        raise _wrong("the time stamp has no time of day, which an instant needs", where)
    return date_time(text, zone, where)


def time(text: str, where: str = "") -> str:
    """A FHIR time from an HL7 TM: `1015` is `10:15:00`; an offset has no place in it and is left out."""
    found = TIME.fullmatch(re.sub(r"[+-][0-9]{4}$", "", text.strip()))
    if not found or not _clock(found["hour"], found["minute"] or "00", found["second"] or "00"):
        raise _wrong("not an HL7 time", where, "Write it as HHMM[SS[.S]].")
    fraction = f".{found['fraction']}" if found["fraction"] else ""
    return f"{found['hour']}:{found['minute'] or '00'}:{found['second'] or '00'}{fraction}"


def moment(text: str, zone: tzinfo, where: str = "") -> datetime:
    """The stamp as an aware datetime, for comparing; parts it does not state are their lowest."""
    stamp = read(text, where)
    micros = int(stamp.fraction.ljust(6, "0")) if stamp.fraction else 0
    second = min(int(stamp.second or 0), 59)
    day = (int(stamp.year), int(stamp.month or 1), int(stamp.day or 1))
    naive = datetime(*day, int(stamp.hour or 0), int(stamp.minute or 0), second, micros)
    return datetime.fromisoformat(f"{naive.isoformat()}{_offset(stamp, zone)}")


def to_hl7(text: str, where: str = "") -> str:
    """A FHIR date, dateTime or instant as an HL7 DTM with the same precision and offset."""
    found = FHIR.fullmatch(text)
    if not found:
        raise _wrong("not a FHIR date or dateTime", where, "Write it as YYYY[-MM[-DD[Thh:mm:ss[.s]Z]]].")
    *parts, fraction, offset = (part or "" for part in found.groups())
    offset = "+0000" if offset == "Z" else offset.replace(":", "")
    return "".join(parts) + fraction[:5] + offset


def read(text: str, where: str = "") -> Stamp:
    """The parts of a DTM, DT or TS; unknown parts sent as zeros are taken as not stated. Raises InvalidMessage."""
    found = FORM.fullmatch(text.strip())
    if not found:
        raise _wrong("not an HL7 date or time", where)
    stamp = Stamp(*(part or "" for part in found.groups()))
    if stamp.month == "00" or stamp.day == "00":
        stamp = _known(stamp, where)
    try:
        datetime(int(stamp.year), int(stamp.month or 1), int(stamp.day or 1))
    except ValueError:
        raise _wrong("no such day in the calendar", where) from None
    if stamp.hour and not _clock(stamp.hour, stamp.minute or "00", stamp.second or "00"):
        raise _wrong("no such time of day", where)
    if len(stamp.offset) == 5 and (int(stamp.offset[1:3]) > 14 or int(stamp.offset[3:]) > 59):
        raise _wrong("no such offset from UTC", where)
    return stamp


def _known(stamp: Stamp, where: str) -> Stamp:
    """`19610000` says 1961: what follows the first zero part must be zero too."""
    rest = stamp[2:7] if stamp.month == "00" else stamp[3:7]
    if any(part.strip("0") for part in rest):
        raise _wrong("no such day in the calendar", where)
    month = "" if stamp.month == "00" else stamp.month
    return Stamp(stamp.year, month, "", "", "", "", "", "")


def _date(stamp: Stamp) -> str:
    return "-".join(part for part in stamp[:3] if part)


def _offset(stamp: Stamp, zone: tzinfo) -> str:
    if stamp.offset:
        return stamp.offset if stamp.offset == "Z" else f"{stamp.offset[:3]}:{stamp.offset[3:]}"
    day = (int(stamp.year), int(stamp.month or 1), int(stamp.day or 1))
    local = datetime(*day, int(stamp.hour or 0), int(stamp.minute or 0), tzinfo=zone)
    minutes = round((local.utcoffset() or timedelta()).total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _clock(hour: str, minute: str, second: str) -> bool:
    return int(hour) < 24 and int(minute) < 60 and int(second) < 61


def _wrong(text: str, where: str, mend: str = MEND) -> InvalidMessage:
    return InvalidMessage(text, where=where, mend=mend, error_code="102")
