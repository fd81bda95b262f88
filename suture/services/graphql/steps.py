"""What a field of a query leads to from a type: an element, a resource, a search (https://hl7.org/fhir/R4/graphql.html)."""

from __future__ import annotations

from dataclasses import dataclass

from suture.errors import Invalid
from suture.standards.fhir.definitions import RESOURCE_TYPES, type_definition
from suture.standards.graphql.tree import Field

ROOT, CONNECTION, EDGE, UNKNOWN = "(root)", "(connection)", "(edge)", ""
_SEARCHES = {"List": "list", "Connection": "connection"}
_PAGE = {"count", "offset", "pagesize", "first", "previous", "next", "last"}


@dataclass(frozen=True, slots=True)
class Step:
    """Where a field leads. `way`: element, resource, one, list, connection, type; `type`: of what is there."""

    way: str
    type: str = "string"
    many: bool = False

    @property
    def leaf(self) -> bool:
        """Whether it has no fields of its own."""
        return self.type not in (CONNECTION, EDGE, UNKNOWN, "Resource") and not is_object(self.type)


def is_object(type: str) -> bool:
    """Whether a type of R4 has fields."""
    found = type_definition(type)
    return found is not None and found.kind != "primitive"


def step(type: str, field: Field) -> Step:
    """Where the field leads; raises Invalid when the type has none of that name."""
    found = _step(type, field.name)
    if found is None:
        here = "the system" if type == ROOT else f"'{type.strip('()')}'"
        raise Invalid(
            f"{here} has no field '{field.name[:100]}'",
            where=f"query {field.place}",
            mend="Write the names of R4's JSON, such as valueQuantity.",
        )
    return found


def _step(type: str, name: str) -> Step | None:
    if name == "__typename":
        return Step("type")
    if type == CONNECTION:
        return Step("element", EDGE, True) if name == "edges" else Step("element") if name in _PAGE else None
    if type == EDGE:
        return {"mode": Step("element"), "score": Step("element"), "resource": Step("element", "Resource")}.get(name)
    if type == ROOT:
        return Step("one", name) if name in RESOURCE_TYPES else _searched(name)
    if type in (UNKNOWN, "Resource"):
        return _searched(name) or Step("element", UNKNOWN)
    return _element(type, name)


def _element(type: str, name: str) -> Step | None:
    definition = type_definition(type)
    assert definition is not None
    found = definition.keys.get(name.removeprefix("_"))
    if found is not None:
        element, kind = found
        if not name.startswith("_"):
            return Step("element", kind, element.many)
        return None if is_object(kind) else Step("element", "Element", element.many)
    if definition.kind == "resource":
        return Step("type") if name == "resourceType" else _searched(name)
    return Step("resource", "Resource") if type == "Reference" and name == "resource" else None


def _searched(name: str) -> Step | None:
    for end, way in _SEARCHES.items():
        type = name.removesuffix(end)
        if type != name and type in RESOURCE_TYPES:
            return Step(way, type, True) if way == "list" else Step(way, CONNECTION)
    return None


def searched_type(field: Field) -> str:
    """The resource type of a …List or …Connection."""
    return next(field.name.removesuffix(end) for end in _SEARCHES if field.name.endswith(end))


def fits(type: str, condition: str) -> bool:
    """Whether `... on condition` means this type."""
    while type:
        if type == condition:
            return True
        found = type_definition(type)
        type = found.parent if found else ""
    return False
