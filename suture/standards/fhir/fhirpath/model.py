"""What a compiled path must know of R4: children by type, ancestors, names of types (https://hl7.org/fhir/R4/fhirpath.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from suture.standards.fhir import definitions

T = TypeVar("T")

SYSTEM = {
    "Any", "Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time", "Quantity", "SimpleTypeInfo", "ClassInfo",
}  # fmt: skip
ABSTRACT = frozenset({"Resource", "DomainResource"})


class Child(NamedTuple):
    """A child element: its JSON keys with their types; more than one only for a choice."""

    name: str
    keys: tuple[tuple[str, str], ...]


def known(name: str) -> bool:
    """Whether R4 has a type of this name."""
    return definitions.type_definition(name) is not None


class Key(NamedTuple):
    """A JSON key of a type: the element it belongs to, its type, and how its values are made."""

    name: str
    type: str
    primitive: bool
    resource: bool


def _kept(read: Callable[[str], T]) -> Callable[[str], T]:
    """Remembers the answer for names that R4 has; others are answered and forgotten."""
    found: dict[str, T] = {}

    def get(name: str) -> T:
        try:
            return found[name]
        except KeyError:
            value = read(name)
            if known(name):
                found[name] = value
            return value

    return get


@_kept
def children(name: str) -> dict[str, Child]:
    """Element name -> child of a type; empty for what R4 does not have."""
    definition = definitions.type_definition(name)
    if definition is None:
        return {}
    found: dict[str, list[tuple[str, str]]] = {}
    for key, (element, kind) in definition.keys.items():
        found.setdefault(element.name, []).append((key, kind))
    return {child: Child(child, tuple(rows)) for child, rows in found.items()}


@_kept
def keys(name: str) -> dict[str, Key]:
    """JSON key -> what stands there; a primitive's sibling `_key` leads to the same."""
    rows = [(key, child.name, kind) for child in children(name).values() for key, kind in child.keys]
    found = {key: Key(child, kind, primitive(kind), resource(kind)) for key, child, kind in rows}
    return found | {"_" + key: row for key, row in found.items() if row.primitive}


@_kept
def _kind(name: str) -> str:
    definition = definitions.type_definition(name)
    return definition.kind if definition else ""


def primitive(name: str) -> bool:
    """Whether values of the type are strings, numbers or booleans in JSON."""
    return _kind(name) == "primitive"


def resource(name: str) -> bool:
    """Whether the type is a resource type (abstract ones too)."""
    return _kind(name) == "resource"


@_kept
def ancestors(name: str) -> tuple[str, ...]:
    """The type and everything it specializes; empty for what R4 does not have."""
    found: list[str] = []
    while definition := definitions.type_definition(name):
        found.append(name)
        name = definition.parent
    return tuple(found)


def derives(name: str, above: str) -> bool:
    """Whether a type is another one or specializes it."""
    return name == above or above in ancestors(name)


def static(name: str) -> str | None:
    """The type as the compiler may rely on it: None where the real one stands in the content."""
    return None if name in ABSTRACT or not known(name) else name
