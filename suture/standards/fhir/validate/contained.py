"""Contained resources and the references to them: https://hl7.org/fhir/R4/references.html#contained"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.standards.fhir.definitions import RESOURCE_TYPES, TypeDefinition, type_definition

URIS = {"uri", "url", "canonical", "oid", "uuid"}


def contained_ids(resource: dict[str, Any]) -> dict[str, str]:
    """id -> type of the resources that a resource contains."""
    inside = resource.get("contained")
    found = (
        [(c.get("id"), c.get("resourceType")) for c in inside if isinstance(c, dict)]
        if isinstance(inside, list)
        else []
    )
    return {id: kind for id, kind in found if isinstance(id, str) and isinstance(kind, str)}


def broken_rules(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, place) of every rule dom-2 to dom-5 that does not hold for a resource with sound contained ones."""
    used = _local(resource)
    for n, inner in enumerate(resource["contained"]):
        place, meta = f".contained[{n}]", inner.get("meta", {})
        if "contained" in inner:
            yield "dom-2", place
        if "id" in inner and f"#{inner['id']}" not in used and not _tied(resource, inner):
            yield "dom-3", place
        if any(key in meta for key in ("versionId", "_versionId", "lastUpdated", "_lastUpdated")):
            yield "dom-4", place
        if "security" in meta:
            yield "dom-5", place


def _tied(resource: dict[str, Any], inner: dict[str, Any]) -> bool:
    """It points to its container itself, or a narrative shows or links it (which R4's FHIRPath does not see)."""
    return "#" in _local(inner) or any(f'"#{inner["id"]}"' in div for div in _narratives(resource))


def _narratives(value: Any) -> Iterator[str]:
    for key, inner in value.items() if type(value) is dict else (("", one) for one in value):
        if key == "div" and type(inner) is str:
            yield inner
        elif type(inner) is dict or type(inner) is list:
            yield from _narratives(inner)


def _local(resource: dict[str, Any]) -> set[str]:
    """Every uri and every reference in it that begins with #, those of what it contains too."""
    found = set(_candidates(resource))
    if all(key == "reference" for key, _ in found):  # a text under this key is always a reference or a uri
        return {text for _, text in found}
    return set(_typed(resource))


def _candidates(value: Any) -> Iterator[tuple[str, str]]:
    rest = [value]
    while rest:
        one = rest.pop()
        pairs = one.items() if type(one) is dict else (("", inner) for inner in one)
        for key, inner in pairs:
            kind = type(inner)
            if kind is str:
                if inner[:1] == "#":
                    yield key, inner
            elif kind is dict or kind is list:
                rest.append(inner)


def _typed(resource: dict[str, Any]) -> Iterator[str]:
    kind = resource.get("resourceType")
    definition = type_definition(kind) if kind in RESOURCE_TYPES else None
    return _fragments(resource, definition) if definition else iter(())


def _fragments(value: dict[str, Any], definition: TypeDefinition) -> Iterator[str]:
    for key, inner in value.items():
        if key.startswith("_"):
            yield from _each(inner, "Element", "")
        elif key in definition.keys:
            element, kind = definition.keys[key]
            yield from _each(inner, kind, element.path)


def _each(value: Any, kind: str, path: str) -> Iterator[str]:
    for inner in value if isinstance(value, list) else (value,):
        if isinstance(inner, str):
            if inner.startswith("#") and (kind in URIS or path == "Reference.reference"):
                yield inner
        elif isinstance(inner, dict):
            definition = type_definition(kind)
            if kind == "Resource":
                yield from _typed(inner)
            elif definition is not None:
                yield from _fragments(inner, definition)
