"""Equal, equivalent and ordered, as FHIRPath means them (http://hl7.org/fhirpath/N1/#equality)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from decimal import Decimal
from typing import Any

import suture.standards.fhir.fhirpath.moments as moments
import suture.standards.fhir.fhirpath.quantity as quantity
from suture.standards import ucum
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment
from suture.standards.fhir.fhirpath.quantity import Quantity
from suture.standards.fhir.fhirpath.values import Item, system

_DATES = (Date, DateTime)


def equal(left: list[Any], right: list[Any]) -> bool | None:
    """Collections of System values: None when one is empty or a comparison is undecided."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    verdict: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal_items(one, other)
        if same is False:
            return False
        verdict = verdict and same
    return verdict


def equal_items(left: Any, right: Any) -> bool | None:
    """Two System values or structures."""
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return type(left) is type(right) and left == right
    if isinstance(left, Moment) and isinstance(right, Moment):
        return _equal_moments(left, right)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        return _equal_quantities(as_quantity(left), as_quantity(right))
    return bool(left == right)


def _equal_moments(left: Moment, right: Moment) -> bool | None:
    if type(left) is not type(right) and not (isinstance(left, _DATES) and isinstance(right, _DATES)):
        return False
    order = moments.compare(left, right)
    return None if order is None else order == 0


def _equal_quantities(left: Quantity | None, right: Quantity | None) -> bool | None:
    if left is None or right is None:
        return False
    order = quantity.compare(left, right)
    return None if order is None else order == 0


def as_quantity(value: Any) -> Quantity | None:
    """A quantity, or a number as a quantity of unit 1."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Quantity(Decimal(value))
    return None


# --- equivalence


def equivalent(left: list[Any], right: list[Any]) -> bool:
    """The same items in any order, small differences aside."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return equivalent_items(left[0], right[0])
    return _matched(left, right)


def _matched(left: list[Any], right: list[Any]) -> bool:
    rest = list(right)
    for one in left:
        at = next((i for i, other in enumerate(rest) if equivalent_items(one, other)), None)
        if at is None:
            return False
        del rest[at]
    return True


def equivalent_items(left: Any, right: Any) -> bool:
    """Two System values or structures, small differences aside."""
    if isinstance(left, str) and isinstance(right, str):
        return folded(left) == folded(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        one, other = as_quantity(left), as_quantity(right)
        return one is not None and other is not None and quantity.equivalent(one, other) is True
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return _alike(Decimal(left), Decimal(right))
    return _equivalent_structures(left, right)


def _alike(left: Decimal, right: Decimal) -> bool:
    return quantity.alike(left, right, min(quantity.places(left), quantity.places(right)))


def _equivalent_structures(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equivalent_items(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return equivalent(left, right)
    return equal_items(left, right) is True


def folded(text: str) -> str:
    """A string without case; every white space is a blank."""
    return "".join(" " if letter.isspace() else letter for letter in text).casefold()


# --- order


def compare(left: Any, right: Any) -> int | None:
    """-1, 0, 1; None when undecided. Raises TypeError when such values have no order."""
    if isinstance(left, Moment) and isinstance(right, Moment):
        if isinstance(left, _DATES) != isinstance(right, _DATES):
            raise TypeError
        return moments.compare(left, right)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        one, other = as_quantity(left), as_quantity(right)
        if one is None or other is None:
            raise TypeError
        return quantity.compare(one, other)
    if not _ordered(left, right):
        raise TypeError
    return int(left > right) - int(left < right)


def _ordered(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return True
    numbers = isinstance(left, int | Decimal) and isinstance(right, int | Decimal)
    return numbers and not isinstance(left, bool) and not isinstance(right, bool)


# --- sets


def key(item: Any) -> Hashable:
    """Equal items have equal keys; undecided ones differ."""
    value = system(item)
    if value is None:
        return ("more", freeze(item.value), freeze(item.more)) if type(item) is Item else ("nothing",)
    return _key(value)


def _key(value: Any) -> Hashable:
    if isinstance(value, str | bool):
        return type(value), value
    if isinstance(value, int | Decimal):
        return "number", value
    if isinstance(value, Moment):
        kind = "Time" if value.kind == "Time" else "Date"
        return kind, value.low, value.high, value.offset is None, value.precision
    if isinstance(value, Quantity):
        return _quantity_key(value)
    return "structure", freeze(value)


def _quantity_key(value: Quantity) -> Hashable:
    canonical = None if value.inexact else ucum.canonical(value.value, value.code)
    return canonical or ("quantity", value.value, value.unit)


def freeze(value: Any) -> Hashable:
    """A structure as something that can be a key."""
    if isinstance(value, dict):
        return frozenset((name, freeze(one)) for name, one in value.items())
    if isinstance(value, list):
        return tuple(freeze(one) for one in value)
    if isinstance(value, bool):
        return bool, value
    return value if isinstance(value, Hashable) else repr(value)


def distinct(items: Iterable[Any]) -> list[Any]:
    """The first of all items that are equal."""
    seen: set[Hashable] = set()
    found = []
    for item in items:
        one = key(item)
        if one not in seen:
            seen.add(one)
            found.append(item)
    return found


def subset(left: Iterable[Any], right: Iterable[Any]) -> bool:
    """Whether every item of the left is in the right."""
    return {key(item) for item in left} <= {key(item) for item in right}


def repeated(items: Iterable[Any]) -> bool:
    """Whether an item stands there twice."""
    return any(times > 1 for times in Counter(key(item) for item in items).values())
