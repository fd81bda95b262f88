"""Compares FHIR dates and times of different precision, and says when they can't be compared.

https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date

DAY = 86_400


def after(first: str, second: str) -> bool:
    """True only when `first` is surely later than `second`, whatever their missing parts are."""
    if first[19:] == second[19:] and len(first) > 19:  # the same zone: the texts are in order
        return first[:19] > second[:19]
    if len(first) <= 10 and len(second) <= 10:
        shared = min(len(first), len(second))
        return first[:shared] > second[:shared]
    return _low(first) > _high(second)


def _low(text: str) -> float:
    """The earliest second it can mean, counted from year 1 in UTC."""
    year, month, day = int(text[:4]), int(text[5:7] or 1), int(text[8:10] or 1)
    seconds = date(year, month, day).toordinal() * DAY
    return seconds - 14 * 3600 if len(text) <= 10 else seconds + _clock(text)


def _high(text: str) -> float:
    """The latest second it can mean."""
    year, month = int(text[:4]), int(text[5:7] or 12)
    day = int(text[8:10] or monthrange(year, month)[1])
    seconds = date(year, month, day).toordinal() * DAY
    return seconds + DAY + 12 * 3600 if len(text) <= 10 else seconds + _clock(text)


def _clock(text: str) -> float:
    """Seconds of the day, moved to UTC: `T08:30:00.5+02:00`."""
    zone = 0
    digits = text[11:].rstrip("Z")
    for sign in "+-":
        head, found, tail = digits.partition(sign)
        if found:
            digits = head
            zone = (int(tail[:2]) * 3600 + int(tail[3:5]) * 60) * (1 if sign == "+" else -1)
    return int(digits[:2]) * 3600 + int(digits[3:5]) * 60 + float(digits[6:] or 0) - zone
