"""What walks through an expression: plain JSON values, or `Item`s where the type or an extension must travel along."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import suture.standards.fhir.fhirpath.model as model
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time
from suture.standards.fhir.fhirpath.quantity import Quantity


class Item:
    """A FHIR element whose type travels along; `more` is the JSON sibling `_name` of a primitive (id, extension)."""

    __slots__ = ("more", "type", "value")

    def __init__(self, value: Any, kind: str, more: dict[str, Any] | None = None) -> None:
        self.value = value
        self.type = kind
        self.more = more

    def __repr__(self) -> str:
        return f"Item({self.type})"


class Many(list[Any]):
    """A focus of none or several items."""


_UCUM = "http://unitsofmeasure.org"
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity")


def _date(value: Any) -> Any:
    return (Date.parse(value) or value) if isinstance(value, str) else value


def _date_time(value: Any) -> Any:
    return (DateTime.parse(value) or value) if isinstance(value, str) else value


def _time(value: Any) -> Any:
    return (Time.parse(value) or value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return Decimal(value)
    return Decimal(repr(value)) if kind is float else value


def _quantity(value: Any) -> Any:
    """A FHIR Quantity as a number with a unit; None when it has no exact number (a comparator, no value)."""
    if not isinstance(value, dict):
        return value
    number, code, system = _number(value.get("value")), value.get("code"), value.get("system")
    if not isinstance(number, Decimal) or value.get("comparator"):
        return None
    if not isinstance(code, str):
        code, system = value.get("unit"), None
    if not isinstance(code, str):
        return Quantity(number)
    return Quantity(number, code if system in (None, _UCUM) else f"{system}|{code}")


# FHIR type -> its value as a System type; types that are not here are already what they should be
CONVERT: dict[str, Callable[[Any], Any]] = {
    "date": _date, "dateTime": _date_time, "instant": _date_time, "time": _time, "decimal": _number,
    **dict.fromkeys(_QUANTITIES, _quantity),
}  # fmt: skip


def system(item: Any) -> Any:
    """The System value of an item whose type is not known to the compiler; None when it has no value."""
    if type(item) is Item:
        convert = CONVERT.get(item.type)
        return convert(item.value) if convert else item.value
    return Decimal(repr(item)) if type(item) is float else item


def systems(items: Iterable[Any]) -> list[Any]:
    """System values; items without a value are left out."""
    return [value for item in items if (value := system(item)) is not None]


def converter(static: str | None) -> Callable[[list[Any]], list[Any]]:
    """How items of a static type become System values."""
    if static is None:
        return systems
    convert = CONVERT.get(static)
    if convert is None:
        return _bare if model.primitive(static) else _same
    return lambda items: [
        value for item in items if (value := convert(item.value if type(item) is Item else item)) is not None
    ]


def _same(items: list[Any]) -> list[Any]:
    return items


def _bare(items: list[Any]) -> list[Any]:
    for item in items:
        if type(item) is Item:
            return [i for item in items if (i := item.value if type(item) is Item else item) is not None]
    return items


def plain(items: list[Any]) -> list[Any]:
    """What evaluate() hands out: JSON values for elements; elements without a value are left out."""
    return [value for item in items if (value := item.value if type(item) is Item else item) is not None]


def boxed(static: str) -> Callable[[list[Any]], list[Any]]:
    """Items of a static type as items that know their type themselves."""
    return lambda items: [item if type(item) is Item else Item(item, static) for item in items]


# --- children


def with_more(parent: dict[str, Any], key: str, kind: str) -> list[Any]:
    """A primitive that has a sibling `_key`: items carry it along, values without one stay bare."""
    value, more = parent.get(key), parent.get("_" + key)
    values = value if isinstance(value, list) else [value]
    mores = more if isinstance(more, list) else [more]
    found: list[Any] = []
    for at in range(max(len(values), len(mores))):
        one = values[at] if at < len(values) else None
        extra = mores[at] if at < len(mores) else None
        if isinstance(extra, dict):
            found.append(Item(one, kind, extra))
        elif one is not None:
            found.append(one)
    return found


def typed_children(parent: dict[str, Any], key: str, kind: str) -> list[Any]:
    """The values under one JSON key as items that know their type."""
    if model.primitive(kind):
        return [item if type(item) is Item else Item(item, kind) for item in with_more(parent, key, kind)]
    value = parent.get(key)
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    if model.resource(kind):
        return [one for one in values if one is not None]
    return [Item(one, kind) for one in values if one is not None]


def type_of(item: Any) -> str | None:
    """The FHIR type of an item that knows it; None for System values and plain structures."""
    if type(item) is Item:
        return item.type
    if isinstance(item, dict):
        name = item.get("resourceType")
        return name if isinstance(name, str) and model.resource(name) else None
    return None


def child(item: Any, name: str) -> list[Any]:
    """The children of that name, whatever the item is."""
    kind = type_of(item)
    value = item.value if type(item) is Item else item
    if kind is None:
        return _untyped_child(value, name) if isinstance(value, dict) else []
    if not isinstance(value, dict) or model.primitive(kind):
        return _primitive_child(item, name)
    found = model.children(kind).get(name)
    if found is None:
        return []
    return [one for key, type_ in found.keys for one in typed_children(value, key, type_)]


def _primitive_child(item: Any, name: str) -> list[Any]:
    more = item.more if type(item) is Item else None
    return (
        typed_children(more, name, {"extension": "Extension", "id": "string"}[name]) if more and name in _MORE else []
    )


_MORE = ("extension", "id")
_CHOICE = re.compile(r"[A-Z]")


def _untyped_child(parent: dict[str, Any], name: str) -> list[Any]:
    value = parent.get(name)
    if value is None:
        return _untyped_choice(parent, name)
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


def _untyped_choice(parent: dict[str, Any], name: str) -> list[Any]:
    size = len(name)
    for key in parent:
        if key.startswith(name) and _CHOICE.match(key, size):
            suffix = key[size:]
            kind = suffix if model.known(suffix) else suffix[0].lower() + suffix[1:]
            if model.known(kind):
                return typed_children(parent, key, kind)
    return []


def all_children(item: Any) -> list[Any]:
    """Every child in the order of the content."""
    kind = type_of(item)
    value = item.value if type(item) is Item else item
    if kind is None:
        return [one for name in value for one in _untyped_child(value, name)] if isinstance(value, dict) else []
    if not isinstance(value, dict) or model.primitive(kind):
        return [one for name in _MORE for one in _primitive_child(item, name)]
    return _all_typed(value, model.keys(kind))


def _all_typed(value: dict[str, Any], keys: dict[str, model.Key]) -> list[Any]:
    found: list[Any] = []
    for key, one in value.items():
        row = keys.get(key)
        if row is None or one is None or (key[0] == "_" and value.get(key[1:]) is not None):
            continue
        if row.primitive and type(one) is not list and "_" + key not in value and key[0] != "_":
            found.append(Item(one, row.type))
        elif row.primitive:
            found += typed_children(value, key.removeprefix("_"), row.type)
        elif type(one) is list:
            found += [x if row.resource else Item(x, row.type) for x in one if x is not None]
        elif one is not None:
            found.append(one if row.resource else Item(one, row.type))
    return found


# --- names of System types

_SYSTEM_NAMES: dict[type, str] = {
    bool: "Boolean", int: "Integer", Decimal: "Decimal", float: "Decimal", str: "String", Date: "Date",
    DateTime: "DateTime", Time: "Time", Quantity: "Quantity",
}  # fmt: skip


def system_name(value: Any) -> str | None:
    """`Boolean` … `Quantity`; None for structures."""
    return _SYSTEM_NAMES.get(type(value))


__all__ = [
    "CONVERT", "Date", "DateTime", "Decimal", "Item", "Many", "Moment", "Quantity", "Time", "all_children", "boxed", "child",
    "converter", "plain", "system", "system_name", "systems", "type_of", "typed_children", "with_more",
]  # fmt: skip
