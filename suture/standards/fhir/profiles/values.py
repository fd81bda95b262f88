"""Whether a value is the fixed one, fits a pattern, or is a code of a value set (https://hl7.org/fhir/R4/elementdefinition-definitions.html)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from suture.standards import ucum
from suture.standards.fhir.patch_json import equal

UCUM = "http://unitsofmeasure.org"
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
        return order(one.get("value"), other.get("value")) if alike else _converted(one, other)
    if isinstance(one, bool) or isinstance(other, bool):
        return None
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return (one > other) - (one < other)
    if isinstance(one, str) and isinstance(other, str) and len(one) == len(other) and one[19:] == other[19:]:
        return (one > other) - (one < other)
    return None


def _converted(one: dict[str, Any], other: dict[str, Any]) -> int | None:
    """The order of two quantities of different UCUM units of one dimension."""
    if one.get("system") != UCUM or other.get("system") != UCUM:
        return None
    left, right = (_canonical(each.get("value"), each.get("code")) for each in (one, other))
    if left is None or right is None or left[1] != right[1]:
        return None
    return (left[0] > right[0]) - (left[0] < right[0])


def _canonical(value: Any, code: Any) -> tuple[Fraction, object] | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not isinstance(code, str):
        return None
    return ucum.canonical(Decimal(value), code)


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
