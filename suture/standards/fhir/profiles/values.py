"""Whether a value is the fixed one, fits a pattern, or is a code of a value set (https://hl7.org/fhir/R4/elementdefinition-definitions.html)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from suture.standards.fhir.patch_json import equal

MemberOf = Callable[[str | None, str, str], bool | None]  # system, code, value set: None when nobody can tell


def fits(value: Any, pattern: Any) -> bool:
    """What the pattern says is there; of a list each entry of the pattern, wherever it stands."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and fits(value[k], v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(v, p) for v in value) for p in pattern)
    return equal(value, pattern)


def order(one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None for what can't be compared: other kinds, other units, dates of other precision or zone."""
    if isinstance(one, dict) and isinstance(other, dict):
        alike = all(one.get(key) == other.get(key) for key in ("system", "code"))
        return order(one.get("value"), other.get("value")) if alike else None
    if isinstance(one, bool) or isinstance(other, bool):
        return None
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return (one > other) - (one < other)
    if isinstance(one, str) and isinstance(other, str) and len(one) == len(other) and one[19:] == other[19:]:
        return (one > other) - (one < other)
    return None


def member(value: Any, url: str, member_of: MemberOf) -> bool | None:
    """Whether a code, Coding, Quantity or CodeableConcept holds a code of the value set; None when nobody can tell."""
    if isinstance(value, str):
        return member_of(None, value, url)
    if not isinstance(value, dict):
        return None
    codings = value["coding"] if isinstance(value.get("coding"), list) else [value] if "code" in value else []
    found = [
        member_of(c.get("system", ""), c["code"], url)
        for c in codings
        if isinstance(c, dict) and isinstance(c.get("code"), str)
    ]
    if True in found:
        return True
    return None if None in found else False
