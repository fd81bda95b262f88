"""Follows a search parameter's path value by value; slower than the compiled functions, for the few that need the values themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.index_atoms import step_keys
from suture.standards.fhir.index_paths import Path, Step


def reached(value: dict[str, Any], type: str, path: Path) -> Iterator[tuple[Any, str]]:
    """(value, type) of everything the path leads to."""
    places: list[tuple[Any, str]] = [(value, type)]
    for number, step in enumerate(path.steps):
        casts = path.casts if number == len(path.steps) - 1 else ()
        places = [place for v, t in places for place in _step(v, t, step, casts)]
    yield from places


def _step(value: Any, type: str, step: Step, casts: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
    definition = type_definition(type)
    if definition is None or not isinstance(value, dict):
        return
    found = [(item, kind) for key, kind, _ in step_keys(definition, step, casts) for item in _listed(value.get(key))]
    for item, kind in found[:1] if step.first else found:
        if step.where is None or item.get(step.where[0]) == step.where[1]:
            yield item, kind


def _listed(value: Any) -> list[Any]:
    return [v for v in (value if isinstance(value, list) else [value]) if v is not None]
