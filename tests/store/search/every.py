"""Makes, for every search parameter of every type, a resource that has a value for it, and queries that find it or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suture.standards.fhir.definitions import RESOURCE_TYPES, SearchParameter, search_parameters, type_definition
from suture.standards.fhir.index_atoms import PARTS, leaf_types, step_keys
from suture.standards.fhir.index_paths import Path, Step, paths
from suture.standards.fhir.index_taken import TAKEN
from suture.standards.fhir.search_tables import component_parameters, searchable

Resource = dict[str, Any]
PLAIN = ("_id", "_lastUpdated")

# leaf type -> a value, what finds it, what does not
CODED = ("urn:s|Code", "urn:s|other")
DATED = ("2020-05", "2021")
MEASURED = ("7|http://unitsofmeasure.org|mg", "8|http://unitsofmeasure.org|mg")
QUANTITY = {"value": 7, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
VALUES: dict[tuple[str, str], tuple[Any, str, str]] = {
    ("token", "Coding"): ({"system": "urn:s", "code": "Code"}, *CODED),
    ("token", "CodeableConcept"): ({"coding": [{"system": "urn:s", "code": "Code"}]}, *CODED),
    ("token", "Identifier"): ({"system": "urn:s", "value": "Code"}, *CODED),
    ("token", "ContactPoint"): ({"system": "phone", "value": "555"}, "555", "556"),
    ("token", "boolean"): (True, "true", "false"),
    ("token", "code"): ("abc", "ABC", "abd"),
    ("token", "string"): ("abc", "abc", "abd"),
    ("token", "id"): ("abc", "abc", "abd"),
    ("token", "uri"): ("urn:u:1", "urn:u:1", "urn:u:2"),
    ("string", "string"): ("Überall", "uber", "all"),
    ("string", "markdown"): ("Überall", "uber", "all"),
    ("string", "HumanName"): ({"family": "Ågren"}, "agr", "gren"),
    ("string", "Address"): ({"city": "São Paulo"}, "sao p", "paulo"),
    ("reference", "canonical"): ("http://x/c|1", "http://x/c", "http://x/d"),
    ("reference", "uri"): ("http://x/c", "http://x/c", "http://x/d"),
    ("uri", "canonical"): ("http://x/c|1", "http://x/c", "http://x"),
    ("uri", "uri"): ("http://x/c", "http://x/c", "http://x"),
    ("uri", "url"): ("http://x/c", "http://x/c", "http://x"),
    ("date", "date"): ("2020-05-06", *DATED),
    ("date", "dateTime"): ("2020-05-06T10:00:00+02:00", *DATED),
    ("date", "instant"): ("2020-05-06T10:00:00.5Z", *DATED),
    ("date", "Period"): ({"start": "2020-05-06", "end": "2020-05-07"}, *DATED),
    ("date", "Timing"): ({"event": ["2020-05-06"]}, *DATED),
    ("number", "integer"): (7, "7", "8"),
    ("number", "positiveInt"): (7, "7", "8"),
    ("number", "unsignedInt"): (7, "7", "8"),
    ("number", "decimal"): (0.5, "0.5", "0.7"),
    ("number", "Range"): ({"low": {"value": 7}, "high": {"value": 9}}, "ge8", "gt9"),
    ("quantity", "Money"): ({"value": 7, "currency": "EUR"}, "7|urn:iso:std:iso:4217|EUR", "7|urn:iso:std:iso:4217|USD"),
    ("quantity", "Range"): ({"low": QUANTITY}, "ge7||mg", "lt7||mg"),
    ("quantity", "SampledData"): ({"origin": {**QUANTITY, "value": 0}, "period": 1, "dimensions": 1, "data": "6 8"}, "gt7||mg", "gt9||mg"),
    ("special", "Location.position"): ({"latitude": 48.1, "longitude": 11.5}, "48.1|11.5|1", "49|11.5|1"),
} | {("quantity", kind): (QUANTITY, *MEASURED) for kind in ("Quantity", "Age", "Duration", "Distance", "Count")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A parameter, a resource that has a value for it, a query that finds it and one that does not."""

    parameter: SearchParameter
    resource: Resource
    finds: str
    misses: str

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])


def cases() -> Iterator[Case]:
    """One for each parameter and each type of value it can have."""
    number = 0
    for type in sorted(RESOURCE_TYPES - {"AuditEvent"}):
        for code in searchable(type):
            parameter = search_parameters(type)[code]
            made = (
                ()
                if code in PLAIN
                else _composite(type, parameter)
                if parameter.components
                else _plain(type, parameter)
            )
            for content, finds, misses in made:
                number += 1
                yield Case(parameter, {"resourceType": type, "id": f"n{number}"} | content, finds, misses)


def _plain(type: str, parameter: SearchParameter) -> Iterator[tuple[Resource, str, str]]:
    for path in paths(parameter.expression, type):
        for leaf in ["boolean"] if path.exists else leaf_types(type, path):
            found = value(type, parameter, path, leaf)
            if found is not None:
                content: Resource = {}
                put(content, type, path, leaf, found[0])
                yield content, found[1], found[2]


def value(type: str, parameter: SearchParameter, path: Path, leaf: str) -> tuple[Any, str, str] | None:
    """A value of the leaf type; None when values of that type can't be compared."""
    if leaf == "Reference":
        far = path.resolves or next((t for t in parameter.targets if t in RESOURCE_TYPES), "Patient")
        return {"reference": f"{far}/there"}, f"{far}/there", f"{far}/elsewhere"
    if (parameter.type, leaf) not in TAKEN and not (parameter.type == "string" and leaf in PARTS):
        return None
    return VALUES[parameter.type, leaf]


def put(into: Resource, type: str, path: Path, leaf: str, content: Any) -> None:
    """Writes the content where the path leads to."""
    for number, step in enumerate(path.steps):
        last = number == len(path.steps) - 1
        wanted = leaf if last else ""
        key, kind, many = _way(type, step, wanted)
        inner: Any = content if last else {}
        if step.where:
            inner = {**inner, step.where[0]: step.where[1]} if isinstance(inner, dict) else inner
        there = into.get(key)
        if there is None:
            into[key] = [inner] if many else inner
        elif last:
            raise AssertionError(f"{path} is there already")
        found = into[key][0] if many else into[key]
        into, type = found, kind


def _way(type: str, step: Step, leaf: str) -> tuple[str, str, bool]:
    definition = type_definition(type)
    assert definition is not None
    ways = list(step_keys(definition, step, ()))
    return next(way for way in ways if not leaf or way[1] == leaf)


def _composite(type: str, parameter: SearchParameter) -> Iterator[tuple[Resource, str, str]]:
    """An element with all components; the query that misses asks for another last one."""
    parts = component_parameters(type, parameter)
    for path in paths(parameter.expression, type):
        content, element, kind = _element(type, path)
        finds, misses = [], []
        for part, (_, expression) in zip(parts, parameter.components, strict=True):
            way = paths(expression, type)[0]
            root = way.root
            of = type if root else kind
            leaf = next(k for k in leaf_types(of, way) if value(of, part, way, k))
            made = value(of, part, way, leaf)
            assert made is not None
            put(content if root else element, of, way, leaf, made[0])
            finds.append(made[1].replace("$", "\\$"))
            misses.append(made[2])
        yield content, "$".join(finds), "$".join([*finds[:-1], misses[-1]])


def _element(type: str, path: Path) -> tuple[Resource, Resource, str]:
    """A resource with one empty element where the path leads to."""
    content: Resource = {}
    element, kind = content, type
    for step in path.steps:
        key, kind, many = _way(kind, step, "")
        fresh: Resource = {}
        element[key] = [fresh] if many else fresh
        element = fresh
    return content, element, kind
