"""What a compiled path must know of R4: children by type, ancestors, names of types (https://hl7.org/fhir/R4/fhirpath.html)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from suture.standards.fhir import definitions

SYSTEM = {
    "Any", "Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time", "Quantity", "SimpleTypeInfo", "ClassInfo",
}  # fmt: skip
ABSTRACT = frozenset({"Resource", "DomainResource"})


class Child(NamedTuple):
    """A child element: its JSON keys with their types; more than one only for a choice."""

    name: str
    keys: tuple[tuple[str, str], ...]
    many: bool


def known(name: str) -> bool:
    """Whether R4 has a type of this name."""
    return definitions.type_definition(name) is not None


@cache
def _children(name: str) -> dict[str, Child]:
    definition = definitions.type_definition(name)
    if definition is None:
        return {}
    keys: dict[str, list[tuple[str, str]]] = {}
    for key, (element, kind) in definition.keys.items():
        keys.setdefault(element.name, []).append((key, kind))
    return {child: Child(child, tuple(found), definition.elements[child].many) for child, found in keys.items()}


def children(name: str) -> dict[str, Child]:
    """Element name -> child of a type; empty for what R4 does not have."""
    return _children(name) if known(name) else {}


@cache
def _child_names(name: str) -> dict[str, str]:
    return {key: child.name for child in _children(name).values() for key, _ in child.keys}


def child_names(name: str) -> dict[str, str]:
    """JSON key -> element name of a type."""
    return _child_names(name) if known(name) else {}


@cache
def _kind(name: str) -> str:
    definition = definitions.type_definition(name)
    return definition.kind if definition else ""


def primitive(name: str) -> bool:
    """Whether values of the type are strings, numbers or booleans in JSON."""
    return known(name) and _kind(name) == "primitive"


def resource(name: str) -> bool:
    """Whether the type is a resource type (abstract ones too)."""
    return known(name) and _kind(name) == "resource"


@cache
def _ancestors(name: str) -> tuple[str, ...]:
    found: list[str] = []
    while definition := definitions.type_definition(name):
        found.append(name)
        name = definition.parent
    return tuple(found)


def ancestors(name: str) -> tuple[str, ...]:
    """The type and everything it specializes; empty for what R4 does not have."""
    return _ancestors(name) if known(name) else ()


def derives(name: str, above: str) -> bool:
    """Whether a type is another one or specializes it."""
    return name == above or above in ancestors(name)


def static(name: str) -> str | None:
    """The type as the compiler may rely on it: None where the real one stands in the content."""
    return None if name in ABSTRACT or not known(name) else name
