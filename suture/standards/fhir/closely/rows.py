"""Reads lists out of resources that may hold anything (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def rows(value: Any, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, with their numbers; nothing when it is no list."""
    found = value.get(name) if isinstance(value, Mapping) else None
    for number, row in enumerate(found if isinstance(found, list) else ()):
        if isinstance(row, dict):
            yield number, row


def texts(value: Any, name: str) -> list[str]:
    """The texts of a list."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def text(value: Any, name: str) -> str:
    """A text; empty when there is none."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


def extensions(value: Any, url: str) -> Iterator[Any]:
    """The values of the simple extensions of this kind."""
    for _, row in rows(value, "extension"):
        if row.get("url") == url:
            yield next((v for k, v in row.items() if k.startswith("value")), None)
