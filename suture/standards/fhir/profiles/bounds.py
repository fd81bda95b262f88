"""Not less, not more, not longer, not shorter than a profile allows (https://hl7.org/fhir/R4/elementdefinition-definitions.html).

A bound that is a duration counts from today for dates. What can't be compared is let through.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import suture.standards.fhir.profiles.values as values
from suture.standards.fhir.profiles.rules import Rule

_MONTHS = {"a": 12, "mo": 1}
_DAYS = {"wk": 7, "d": 1}
Broken = tuple[str, str, str]  # code, text, mend


def broken(rule: Rule, value: Any, today: str) -> Iterator[Broken]:
    """Every bound that the value does not keep."""
    least, most = _bound(rule.least, value, today, -1), _bound(rule.most, value, today, 1)
    if least is not None and values.order(value, least) == -1:
        yield "value", f"The value is less than {_short(rule.least)}.", "The profile allows no less."
    if most is not None and values.order(value, most) == 1:
        yield "value", f"The value is more than {_short(rule.most)}.", "The profile allows no more."
    if isinstance(value, str) and rule.longest is not None and len(value) > rule.longest:
        yield "too-long", f"The text has more than {rule.longest} characters.", "Shorten it."
    if isinstance(value, str) and len(value) < rule.shortest:
        yield "value", f"The text has less than {rule.shortest} characters.", "The profile asks for more."


def _bound(bound: Any, value: Any, today: str, way: int) -> Any:
    """The bound itself; for a date that is held against a duration, the day so far from today, as exact as the date."""
    if not (isinstance(bound, dict) and isinstance(value, str)):
        return bound
    there = _moved(today, bound, way) if today else None
    return there[: len(value)] if there is not None and len(value) in (4, 7, 10) else None


def _moved(today: str, duration: dict[str, Any], way: int) -> str | None:
    code, number = duration.get("code"), duration.get("value")
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    try:
        return _shifted(date.fromisoformat(today), str(code), way * int(min(max(number, -10000), 10000)))
    except (ValueError, OverflowError):
        return None


def _shifted(day: date, code: str, number: int) -> str | None:
    if code in _DAYS:
        return (day + timedelta(days=_DAYS[code] * number)).isoformat()
    if code not in _MONTHS:
        return None
    months = day.year * 12 + day.month - 1 + _MONTHS[code] * number
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1])).isoformat()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "…"
