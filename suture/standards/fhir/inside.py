"""Follows references inside one resource: to what it contains, or to an entry of the same Bundle.

https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from typing import Any


def resolved(resource: dict[str, Any], reference: str) -> dict[str, Any] | None:
    """What a reference leads to; None when it leads outside."""
    for one in _list(resource, "contained") if reference.startswith("#") else ():
        if isinstance(one, dict) and one.get("id") == reference[1:]:
            return one
    for entry in _list(resource, "entry") if resource.get("resourceType") == "Bundle" else ():
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and _called(entry, inner, reference):
            return inner
    return None


def _list(resource: dict[str, Any], name: str) -> list[Any]:
    found = resource.get(name)
    return found if isinstance(found, list) else []


def _called(entry: dict[str, Any], inner: dict[str, Any], reference: str) -> bool:
    return reference in (entry.get("fullUrl"), f"{inner.get('resourceType')}/{inner.get('id')}")
