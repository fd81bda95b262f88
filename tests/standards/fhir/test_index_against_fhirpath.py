"""The compiled index against the FHIRPath engine: for every resource and every parameter, the same values."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest

from suture.standards.fhir import fhirpath, json
from suture.standards.fhir.definitions import RESOURCE_TYPES, SearchParameter, search_parameters
from suture.standards.fhir.index import extract, plan, values
from suture.standards.fhir.index_atoms import leaf_types
from suture.standards.fhir.index_paths import paths
from suture.standards.fhir.index_taken import TAKEN, UNCOMPARABLE
from suture.standards.fhir.index_time import EARLIEST, LATEST
from suture.standards.fhir.index_values import fold
from tests import public, synthea
from tests.store.search.people import WORLD

Resource = dict[str, Any]
PARTS = ("family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country", "text")


def resolve(reference: str) -> Resource | None:
    """What a reference leads to, as far as its type goes."""
    parts = reference.partition("/_history/")[0].rsplit("/", 2)
    return {"resourceType": parts[-2]} if len(parts) > 1 and parts[-2] in RESOURCE_TYPES else None


ENVIRONMENT = fhirpath.Environment(resolve=resolve)


@cache
def compiled(expression: str, type: str) -> fhirpath.Expression:
    return fhirpath.compile(expression, type=type)


# --- what the engine finds, as comparable values


def expected(parameter: SearchParameter, resource: Resource) -> set[Any]:
    type = resource["resourceType"]
    kinds = {k for path in paths(parameter.expression, type) for k in leaf_types(type, path)}
    found = compiled(parameter.expression, type).evaluate(resource, ENVIRONMENT)
    return {c for v in found for c in COMPARABLE[parameter.type](v, kinds)}


def tokens(value: Any, kinds: set[str]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, str):
        yield value.lower()
    elif "coding" in value:
        yield from (c for v in value["coding"] if (c := (v.get("system", ""), v.get("code", "").lower())) != ("", ""))
    elif "ContactPoint" in kinds:
        yield value.get("value", "").lower()
    elif "Identifier" in kinds:
        yield value.get("system", ""), value.get("value", "")
    elif "Coding" in kinds:
        yield value.get("system", ""), value.get("code", "").lower()


def strings(value: Any, kinds: set[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield fold(value)[:200]
        return
    for part in PARTS:
        found = value.get(part, [])
        yield from (fold(t)[:200] for t in ([found] if isinstance(found, str) else found) if t is not None)


def dates(value: Any, kinds: set[str]) -> Iterator[tuple[int, int]]:
    if isinstance(value, str):
        if not (kinds & {"string"} and not value[:4].isdigit()):
            yield span(value)
    elif "event" in value or "repeat" in value:
        spans = [span(e) for e in value.get("event", [])]
        if spans:
            yield min(s[0] for s in spans), max(s[1] for s in spans)
        elif "boundsPeriod" in value.get("repeat", {}):
            yield from dates(value["repeat"]["boundsPeriod"], kinds)
    elif "start" in value or "end" in value:
        low = span(value["start"])[0] if "start" in value else EARLIEST
        yield low, max(span(value["end"])[1], low + 1) if "end" in value else LATEST


def span(text: str) -> tuple[int, int]:
    """[low, high) by way of the datetime module."""
    if len(text) == 4:
        return micros(datetime(int(text), 1, 1)), micros(datetime(int(text) + 1, 1, 1))
    if len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        return micros(datetime(year, month, 1)), micros(datetime(year + month // 12, month % 12 + 1, 1))
    start = datetime.fromisoformat(text)
    if len(text) == 10:
        return micros(start), micros(start + timedelta(days=1))
    digits = len(text.partition(".")[2].partition("Z")[0].partition("+")[0].partition("-")[0])
    return micros(start), micros(start) + 10 ** (6 - min(digits, 6))


def micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def quantities(value: Any, kinds: set[str]) -> Iterator[Any]:
    if not isinstance(value, dict):
        yield "", "", "", float(value), float(value)
    elif "currency" in value:
        yield "urn:iso:std:iso:4217", value["currency"], value["currency"], float(value["value"]), float(value["value"])
    elif "low" in value or "high" in value:
        ends = [value.get("low", {}), value.get("high", {})]
        scale = 100 if any(e.get("unit") == "%" for e in ends) else 1
        yield "range", *(float(e.get("value", none)) / scale for e, none in zip(ends, ("-inf", "inf"), strict=True))
    elif "data" in value:
        yield "sampled"
    elif "value" in value:
        number, sign = float(value["value"]), value.get("comparator", "=")
        low, high = (float("-inf") if sign[0] == "<" else number), (float("inf") if sign[0] == ">" else number)
        yield value.get("system", ""), value.get("code", ""), value.get("unit", ""), low, high


def references(value: Any, kinds: set[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield from {value, value.partition("|")[0]}
    elif "reference" in value and not value["reference"].startswith("#"):
        reference = value["reference"]
        local = reference.partition("/")[0] in RESOURCE_TYPES
        yield reference.partition("/_history/")[0] if local else reference


COMPARABLE: dict[str, Any] = {
    "token": tokens,
    "string": strings,
    "date": dates,
    "number": quantities,
    "quantity": quantities,
    "reference": references,
    "uri": references,
}

# --- what the index has, in the same form


def indexed(parameter: SearchParameter, resource: Resource) -> set[Any]:
    type = resource["resourceType"]
    return {
        c
        for name, row in values(extract(resource), parameter.code)
        for c in INDEXED[name](row, {*leaf_types(type, plan(type).atoms[row[0]].path)})
        if name != "identifiers" or parameter.type == "token"
    }


def index_tokens(row: Any, kinds: set[str]) -> Iterator[Any]:
    if kinds <= {"code", "boolean", "dateTime"} or (
        kinds == {"boolean", "CodeableConcept"} and row[2] in ("true", "false")
    ):
        yield row[2]  # the system is implied
    elif row[1:] != ("", ""):
        yield row[1:]


INDEXED: dict[str, Any] = {
    "tokens": index_tokens,
    "words": lambda row, kinds: [row[1]],
    "identifiers": lambda row, kinds: [row[1:]],
    "typed": lambda row, kinds: [],
    "references": lambda row, kinds: [f"{row[1]}/{row[2]}"],
    "urls": lambda row, kinds: [row[1]] if row[1].rstrip("|") == row[1] != "" else [],
    "strings": lambda row, kinds: [row[1]],
    "dates": lambda row, kinds: [row[1:]],
    "quantities": lambda row, kinds: [row[1:]],
}


def loosened(found: set[Any], wanted: set[Any]) -> set[Any]:
    """Ranges are compared by their ends, sampled data by being there: their units are tested elsewhere."""
    ends = {v[1:] for v in wanted if isinstance(v, tuple) and v[0] == "range"}
    return {("range", *v[3:]) if isinstance(v, tuple) and len(v) == 5 and v[3:] in ends else v for v in found}


def compare(resources: Iterable[Resource]) -> Counter[str]:
    """Compares all; returns how many values were seen of each kind."""
    seen: Counter[str] = Counter()
    for resource in resources:
        for parameter in search_parameters(resource["resourceType"]).values():
            if parameter.expression and parameter.type in COMPARABLE and parameter.code not in ("_id", "_lastUpdated"):
                wanted, found = expected(parameter, resource), indexed(parameter, resource)
                if "sampled" in wanted:
                    wanted, found = wanted - {"sampled"}, {f for f in found if f in wanted}
                assert loosened(found, wanted) == wanted, (resource["resourceType"], resource.get("id"), parameter.code)
                seen[parameter.type] += len(wanted)
    return seen


def test_our_own_resources() -> None:
    seen = compare(json.read(orjson.dumps(r)) for r in WORLD)
    assert all(seen[kind] for kind in COMPARABLE)


@pytest.mark.slow
def test_the_examples_of_the_specification() -> None:
    seen = compare(examples())
    assert all(seen[kind] for kind in COMPARABLE)


@pytest.mark.slow
def test_synthetic_people() -> None:
    assert sum(compare(json.read(orjson.dumps(r)) for r in synthea.resources(3)).values()) > 3_000


def examples() -> Iterator[Resource]:
    """One example for most types, and those of guides that build on R4."""
    for file in sorted(public.path("fhir-test-cases/r4/examples").glob("*.json")):
        yield json.read(file.read_bytes())
    for package in ("us_core_610.tgz", "us_core_800.tgz", "davinci_pas_2.0.1.tgz"):
        with tarfile.open(public.path(f"fhir/{package}")) as archive:
            for member in archive:
                if member.name.startswith("package/example/") and member.size < 200_000:
                    file = archive.extractfile(member)
                    resource = json.read(file.read() if file else b"{}")
                    if resource.get("resourceType") in RESOURCE_TYPES:
                        yield resource


def test_every_value_that_an_expression_reaches_is_taken_or_known_to_be_incomparable() -> None:
    reached = {
        (p.type, kind)
        for type in RESOURCE_TYPES
        for p in search_parameters(type).values()
        if p.expression and p.type in COMPARABLE
        for path in paths(p.expression, type)
        if not path.exists
        for kind in leaf_types(type, path)
        if (p.type, kind) not in {("string", "HumanName"), ("string", "Address")}  # taken part by part
    }
    assert reached - set(TAKEN) == UNCOMPARABLE


# --- composites


def composites(resource: Resource) -> Iterator[tuple[str, set[Any], set[Any]]]:
    """(parameter, pairs by FHIRPath, pairs in the index) of composites of a token and a token or quantity."""
    type, rows = resource["resourceType"], extract(resource)
    for parameter in search_parameters(type).values():
        lists = {"token_pairs", "token_quantities"}
        if parameter.type == "composite" and plan(type).parameters[parameter.code]:
            found = {row[1:] for name, row in values(rows, parameter.code) if name in lists}
            yield parameter.code, set(pairs(parameter, resource)), found


def pairs(parameter: SearchParameter, resource: Resource) -> Iterator[Any]:
    for branch in parameter.expression.split(" | "):
        for element in compiled(branch, resource["resourceType"]).evaluate(resource, ENVIRONMENT):
            for code in element.get("code", {}).get("coding", []):
                for second in seconds(element):
                    yield code.get("system", ""), code.get("code", "").lower(), *second


def seconds(element: Any) -> Iterator[Any]:
    yield from (
        (c.get("system", ""), c.get("code", "").lower())
        for c in element.get("valueCodeableConcept", {}).get("coding", [])
    )
    yield from quantities(element.get("valueQuantity", {}), set())


def test_composites_of_observations_stand_together() -> None:
    seen = 0
    for resource in (r for r in WORLD if r["resourceType"] == "Observation"):
        for code, wanted, found in composites(resource):
            quantity = code.endswith("quantity")
            assert found == {w for w in wanted if (len(w) > 4) == quantity}, (resource["id"], code)
            seen += len(found)
    assert seen > 10
