"""A small made-up code system with a hierarchy, and a library of what a test puts in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.standards.terminology import core, membership
from suture.standards.terminology.code_system import CodeSystem, of_resource

ANIMALS = "http://example.org/animals"
RESOURCE: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": ANIMALS,
    "version": "2",
    "name": "Animals",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "property": [{"code": "legs", "type": "integer"}, {"code": "inactive", "type": "boolean"}],
    "concept": [
        {
            "code": "animal",
            "display": "Animal",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "bird",
                    "display": "Bird",
                    "property": [{"code": "legs", "valueInteger": 2}],
                    "designation": [{"language": "de", "value": "Vogel"}],
                    "concept": [
                        {"code": "hen", "display": "Hen"},
                        {"code": "dodo", "display": "Dodo", "property": [{"code": "inactive", "valueBoolean": True}]},
                    ],
                },
                {
                    "code": "mammal",
                    "display": "Mammal",
                    "property": [{"code": "legs", "valueInteger": 4}],
                    "concept": [{"code": "bat", "display": "Bat, small"}, {"code": "cat", "display": "Cat"}],
                },
                {"code": "flyer", "display": "Flyer"},
            ],
        },
        {"code": "swift", "display": "Swift", "property": [{"code": "parent", "valueCode": "bird"}, {"code": "parent", "valueCode": "flyer"}]},
        {"code": "old", "display": "Old one", "property": [{"code": "deprecationDate", "valueDateTime": "1999"}]},
    ],
}  # fmt: skip
CODES = ("animal", "bird", "hen", "dodo", "mammal", "bat", "cat", "flyer", "swift", "old")


@dataclass
class Books:
    """A Library."""

    systems: dict[str, CodeSystem] = field(default_factory=lambda: {ANIMALS: of_resource(RESOURCE)})
    sets: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        found = self.systems.get(url)
        return found if found is not None and version in ("", found.version) else None

    def value_set(self, url: str, version: str = "") -> Mapping[str, Any] | None:
        return self.sets.get(url)


def rule(property: str, op: str, value: str) -> dict[str, Any]:
    return {"system": ANIMALS, "filter": [{"property": property, "op": op, "value": value}]}


def a_set(*include: dict[str, Any], exclude: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    compose = {"include": list(include), **({"exclude": list(exclude)} if exclude else {}), **more}
    return {"resourceType": "ValueSet", "url": "http://example.org/set", "status": "active", "compose": compose}


class Core:
    """A Library of R4 alone."""

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        return core.code_system(url)

    def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        return core.value_set(url)


def member_of(system: str | None, code: str, url: str) -> bool | None:
    """Whether a value set of R4 holds a code."""
    value_set = core.value_set(url.partition("|")[0])
    if value_set is None:
        return None
    library = Core()
    if system is None:
        return membership.member_anywhere(library, value_set, code)
    return membership.member_of(library, value_set, system, code)
