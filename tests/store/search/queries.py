"""Makes queries from the values that resources have, so that they find something: every kind, modifier, prefix, chain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from suture.standards.fhir.definitions import search_parameter, search_parameters
from suture.standards.fhir.index import extract, values
from suture.standards.fhir.index_atoms import plan
from suture.standards.fhir.index_time import EARLIEST, LATEST
from suture.standards.fhir.index_walk import reached
from suture.standards.fhir.search_tables import component_parameters, searchable
from suture.standards.fhir.search_values import escaped

Resource = dict[str, Any]
PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


class Maker:
    """Makes parameters for resources of a world."""

    def __init__(self, random: Random, world: dict[tuple[str, str], Resource]) -> None:
        self.random = random
        self.world = world

    def query(self, resource: Resource) -> list[tuple[str, str]]:
        """One to three parameters; most are made from this very resource."""
        pairs = [self.pair(resource) for _ in range(self.random.choice((1, 1, 2, 3)))]
        found = [pair for pair in pairs if pair is not None]
        if self.random.random() < 0.3:
            found.append(("_sort", self.sort(resource["resourceType"])))
        return found

    def sort(self, type: str) -> str:
        names = [code for code, kind in searchable(type).items() if kind not in ("composite", "special")]
        return ",".join(
            self.random.choice(("", "-")) + self.random.choice(names) for _ in range(self.random.choice((1, 2)))
        )

    def pair(self, resource: Resource, depth: int = 1) -> tuple[str, str] | None:
        roll = self.random.random()
        if depth and roll < 0.12:
            return self.chain(resource, depth)
        if depth and roll < 0.18:
            return self.has(resource, depth)
        codes = [code for code in searchable(resource["resourceType"]) if self.rows(resource, code)]
        if not codes or roll > 0.97:
            return self.missing(resource["resourceType"])
        return self.plain(resource, self.random.choice(codes))

    def rows(self, resource: Resource, code: str) -> list[tuple[str, tuple[Any, ...]]]:
        if code == "_id":
            return [("words", (0, resource["id"]))]
        if code == "_lastUpdated":
            return [("dates", (0, 1_577_836_800_000_000, 1_577_836_801_000_000))]
        return list(values(extract(resource), code))

    def plain(self, resource: Resource, code: str) -> tuple[str, str] | None:
        parameter = search_parameter(resource["resourceType"], code)
        assert parameter is not None
        if self.random.random() < 0.04 and code not in ("_id", "_lastUpdated") and parameter.type != "composite":
            return f"{code}:missing", self.random.choice(("true", "false"))
        if parameter.type == "composite":
            return self.composite(resource, code)
        modifier, text = self.value(resource, code, parameter.type)
        if self.random.random() < 0.2 and not modifier:
            other = self.random.choice(list(self.world.values()))
            if other["resourceType"] == resource["resourceType"] and self.rows(other, code):
                modifier, more = self.value(other, code, parameter.type)
                text = text if modifier else f"{text},{more}"
                modifier = ""
        return (f"{code}:{modifier}" if modifier else code), text

    def value(self, resource: Resource, code: str, kind: str) -> tuple[str, str]:
        """(modifier, text) that fits, or nearly, one value of the resource."""
        name, row = self.random.choice(self.rows(resource, code))
        return _MAKERS[kind](self, resource, code, name, row)

    def token(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        modifier = self.random.choice(("", "", "", "not")) if code != "_id" else ""
        if self.random.random() < 0.1 and code != "_id":
            return "text", self.random.choice("abcdefs")
        if name == "typed":
            return "of-type", "|".join(escaped(p) or "x" for p in row[1:])
        if name == "words":
            return modifier, escaped(row[1]) or "x"
        system, text = escaped(row[1]), escaped(row[2]) or "x"
        forms = [text, f"{system}|{text}", f"|{text}", text.upper()]
        return modifier, self.random.choice(forms + ([f"{system}|"] if system else []))

    def string(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        text, type = row[1], resource["resourceType"]
        start = self.random.randrange(max(1, len(text) - 2))
        roll = self.random.random()
        if roll < 0.3:
            return "contains", escaped(text[start : start + 4].strip() or text)
        if roll < 0.5:
            atom = plan(type).atoms[row[0]]
            exact = [str(v) for v, _ in reached(resource, type, atom.path) if len(str(v)) < 200]
            return "exact", escaped(self.random.choice(exact)) if exact else "x"
        return "", escaped(self.random.choice((text[:40], text[:2].strip() or text, text[:40].upper())))

    def date(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        bound = self.random.choice([v for v in row[1:] if EARLIEST < v < LATEST] or [0])
        moment = datetime.fromtimestamp(bound // 1_000_000 + self.random.choice((0, 0, 0, 86_400, -86_400)), UTC)
        form = self.random.choice(("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ"))
        return "", self.random.choice(PREFIXES) + moment.strftime(form)

    def near(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        latitude = min(90, max(-90, row[-2] + self.random.choice((0, 0.01, -1))))
        return "", f"{latitude:.4f}|{row[-1]:.4f}" + self.random.choice(("", "|5", "|150|km", "|100|m", "|0"))

    def number(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        *units, low, high = row[1:]
        bound = self.random.choice([v for v in (low, high) if abs(v) < 1e15] or [1.0])
        value = bound + self.random.choice((0, 0, 0, 1, -1, 0.04))
        text = self.random.choice(PREFIXES) + self.random.choice(
            (f"{value:.1f}", f"{value:.0f}", f"{value:.3f}", repr(value))
        )
        parameter = search_parameter(resource["resourceType"], code)
        assert parameter is not None
        if parameter.type == "number":
            return "", text
        system, unit, human = (escaped(u) for u in units)
        return "", text + self.random.choice(("", f"|{system}|{unit}", f"||{unit}", f"||{human}", f"|{system}|"))

    def reference(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        if name == "references":
            forms = [("", row[2]), ("", f"{row[1]}/{row[2]}"), (row[1], row[2])]
            parameter = search_parameter(resource["resourceType"], code)
            assert parameter is not None
            return self.random.choice(forms if not parameter.targets or row[1] in parameter.targets else forms[:2])
        if name == "identifiers":
            return "identifier", f"{escaped(row[1])}|{escaped(row[2]) or 'x'}"
        return "", escaped(row[1]) if ":" in row[1] else "urn:x"

    def uri(self, resource: Resource, code: str, name: str, row: tuple[Any, ...]) -> tuple[str, str]:
        text, modifier = escaped(row[1]), self.random.choice(("", "below", "above"))
        return modifier, {"below": text.rpartition("/")[0] or text, "above": text + "/more"}.get(modifier, text)

    def composite(self, resource: Resource, code: str) -> tuple[str, str] | None:
        type = resource["resourceType"]
        parameter = search_parameter(type, code)
        assert parameter is not None
        parts = []
        for component in component_parameters(type, parameter):
            if not self.rows(resource, component.code):
                return None
            modifier, text = self.value(resource, component.code, component.type)
            parts.append("x" if modifier else text)
        return code, "$".join(parts)

    def missing(self, type: str) -> tuple[str, str]:
        names = [c for c, kind in searchable(type).items() if kind != "composite" and c not in ("_id", "_lastUpdated")]
        return f"{self.random.choice(names)}:missing", self.random.choice(("true", "false"))

    def chain(self, resource: Resource, depth: int) -> tuple[str, str] | None:
        """Through a reference of the resource to what it leads to."""
        type = resource["resourceType"]
        links = [
            (code, row)
            for code, p in search_parameters(type).items()
            if p.type == "reference"
            for name, row in values(extract(resource), code)
            if name == "references" and (row[1], row[2]) in self.world and (not p.targets or row[1] in p.targets)
        ]
        if not links:
            return None
        code, row = self.random.choice(links)
        inner = self.pair(self.world[row[1], row[2]], depth - 1)
        return None if inner is None else (f"{code}:{row[1]}.{inner[0]}", inner[1])

    def has(self, resource: Resource, depth: int) -> tuple[str, str] | None:
        """Back along a reference that leads to the resource."""
        here = (resource["resourceType"], resource["id"])
        others = list(self.world.values())
        for other in self.random.sample(others, min(60, len(others))):
            rows = extract(other)
            for code, p in search_parameters(other["resourceType"]).items():
                if p.type == "reference" and any(n == "references" and r[1:] == here for n, r in values(rows, code)):
                    inner = self.pair(other, depth - 1)
                    return None if inner is None else (f"_has:{other['resourceType']}:{code}:{inner[0]}", inner[1])
        return None


_MAKERS: dict[str, Callable[..., tuple[str, str]]] = {
    "token": Maker.token,
    "string": Maker.string,
    "date": Maker.date,
    "number": Maker.number,
    "quantity": Maker.number,
    "reference": Maker.reference,
    "uri": Maker.uri,
    "special": Maker.near,
}


def readable(type: str, pairs: list[tuple[str, str]]) -> bool:
    """Is this a query? A few made ones are not: a `:missing` within a chain of a composite, a type that can't be led to."""
    try:
        search.parse(type, pairs)
    except InvalidSearch:
        return False
    return True
