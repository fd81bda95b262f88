"""`_filter` over our small world: answers written by hand, made filters against brute force, and rules written once more, plainly."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from suture.standards.fhir.definitions import search_parameter, search_parameters
from suture.standards.fhir.index import extract, values
from suture.standards.fhir.search_filter import OPERATORS
from suture.store import search as store_search
from tests.standards.fhir.test_index_against_fhirpath import expected, span
from tests.store.search.queries import Maker
from tests.store.search.worlds import Resource, World
from tests.stores import database

EXPECTED = [
    # strings
    ("Patient", "family eq stone", "bob"),
    ("Patient", 'family eq "müller stone"', "ann"),
    ("Patient", "family ne stone", "ann cyd"),
    ("Patient", "given ne zoe", "ann bob cyd"),  # ann has another given name, too
    ("Patient", 'name co "hill"', "cyd"),
    ("Patient", "name sw stone", "bob cyd"),
    ("Patient", "family ew stone", "ann bob"),
    ("Patient", "family gt stone", "cyd"),
    ("Patient", "family ge stone and family le stone", "bob"),
    ("Patient", "family lt n", "ann"),
    ("Patient", "name pr false", "nobody"),
    # tokens
    ("Patient", "gender eq MALE", "bob cyd"),
    ("Patient", "gender ne male", "ann"),  # nobody has no gender that could be another one
    ("Patient", "not (gender eq male)", "ann nobody"),
    ("Patient", "identifier ne urn:mrn|AbC1", "ann bob"),  # ann has a second one
    ("Patient", "identifier eq urn:mrn|AbC1", "ann"),
    ("Patient", "_id ne ann and birthdate pr true", "bob cyd"),
    ("Patient", "deceased eq true", "cyd"),
    ("Patient", "gender in http://hl7.org/fhir/ValueSet/administrative-gender", "ann bob cyd"),
    ("Patient", "gender ni http://hl7.org/fhir/ValueSet/administrative-gender", "nobody"),
    ("Condition", "code pr false", "span"),
    ("Condition", "code ne 6142004", "old"),
    ("Condition", "clinical-status sb http://terminology.hl7.org/CodeSystem/condition-clinical|recurrence", "flu"),
    ("Condition", "clinical-status ss http://terminology.hl7.org/CodeSystem/condition-clinical|active", "flu"),
    ("Condition", "clinical-status ss http://terminology.hl7.org/CodeSystem/condition-clinical|recurrence", ""),
    # dates: what a date leaves open holds the moment (co), or meets it (po)
    ("Patient", "birthdate eq 1980", "ann bob"),
    ("Patient", "birthdate co 1980-02-03", "ann bob"),
    ("Patient", "birthdate co 1980-02", "bob"),
    ("Patient", "birthdate po 1980-02", "ann bob"),
    ("Patient", "birthdate ne 1980", "cyd"),
    ("Encounter", "date co 2019-03", "stay"),
    ("Encounter", "date po 2020-03", "visit"),
    ("Encounter", "date po 2019-06", "stay"),
    ("Encounter", "date sa 2019-02", "visit"),
    ("Encounter", "date eb 2019-07-01", "stay"),
    # numbers and quantities
    ("RiskAssessment", "probability co 0.254", "risk"),
    ("RiskAssessment", "probability co 0.26", ""),
    ("RiskAssessment", "probability co 0.15", "risk"),  # in the Range from 10 % to 20 %
    ("Observation", "value-quantity eq 72500|ucum|g", "w1"),
    ("Observation", "value-quantity gt 72.9|ucum|kg and status eq final", "w2"),
    ("Observation", "code-value-quantity eq loinc|29463-7$72.5", "w1"),
    # references, chains, brackets
    ("Observation", "subject re Patient/bob and code eq 8302-2", "h1"),
    ("Observation", "derived-from pr true", "d1"),
    ("Observation", "encounter.status eq finished", "w1"),
    ("Observation", "subject:Patient.name co stone and date ge 2021", "w3 h1"),
    ("Observation", "subject[gender eq male].birthdate ge 1990", "n1 s1"),
    ("Observation", "subject:Patient[birthdate ge 1990 or gender eq female].identifier eq urn:mrn|AbC1 and date ge 2020-06", "p1"),
    ("Encounter", "location re Location/reef and service-provider.partof re Organization/group", "stay"),
    ("Patient", "_has:Observation:patient:code eq loinc|8302-2", "bob"),
    ("Patient", "_has:Observation:patient:_has:Provenance:target:agent re Practitioner/dora", "ann"),
    ("Patient", "_has:Observation:patient:encounter.status eq finished", "ann"),
    ("DocumentReference", "relatesTo[code eq replaces].target re DocumentReference/doc1", "doc2"),
    ("DocumentReference", "relatesTo[code eq appends].target re DocumentReference/doc1", ""),
    ("Group", "characteristic[code eq urn:c|b].value eq urn:v|x", "cohort"),
    ("Group", "characteristic[code eq urn:c|a].value eq urn:v|x", ""),
    # from left to right
    ("Patient", "gender eq male and family eq stone or gender eq female", "ann bob"),
    ("Patient", "gender eq female or gender eq male and family eq stone", "bob"),
    ("Patient", "gender eq female or (gender eq male and family eq stone)", "ann bob"),
    ("Patient", "not (gender eq male or name co ann) and not (name pr true)", "nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "text", "ids"), EXPECTED)
def test_expected(people: World, type: str, text: str, ids: str) -> None:
    found = people.check(type, [("_filter", text)])
    assert sorted(one.partition("/")[2] for one in found) == sorted(ids.split())


def test_a_filter_beside_other_parameters_sorted_in_chains_and_over_types(people: World) -> None:
    assert people.check("Patient", [("_filter", "name sw stone"), ("gender", "male"), ("_sort", "-birthdate")]) == [
        "Patient/cyd",
        "Patient/bob",
    ]
    assert people.check("Observation", [("subject:Patient._filter", "family eq stone"), ("code", "8302-2")]) == [
        "Observation/h1"
    ]
    both = [("_type", "Condition,Encounter"), ("_filter", "patient re Patient/bob and not (_id eq old)")]
    assert sorted(people.check("", both)) == ["Condition/span", "Encounter/visit"]
    assert people.check("", [("_filter", "_id eq ann and _lastUpdated po 2020 or _id eq bob")]) == ["Patient/bob"]


def test_values_of_two_codings_are_one(tmp_path: Any, backend: str) -> None:
    """An observation with LOINC and a local code is not another one than either; a second category is."""
    loinc, local = {"system": "http://loinc.org", "code": "1"}, {"system": "urn:local", "code": "L1"}
    made = [
        {"resourceType": "Observation", "id": "both", "status": "final", "code": {"coding": [loinc, local]}},
        {"resourceType": "Observation", "id": "local", "status": "final", "code": {"coding": [local]}},
        {"resourceType": "Observation", "id": "words", "status": "final", "code": {"text": "weight"}},
        {
            "resourceType": "Observation", "id": "two", "status": "final", "code": {"coding": [loinc]},
            "category": [{"coding": [loinc, local]}, {"coding": [{"system": "urn:other", "code": "o"}]}],
        },
        {
            "resourceType": "Observation", "id": "one", "status": "final", "code": {"coding": [loinc]},
            "category": [{"coding": [loinc, local]}],
        },
    ]  # fmt: skip
    store = database(tmp_path)
    world = World(store, made)
    for text, ids in (("code ne loinc|1", "local words"), ("category ne loinc|1", "two"), ("category ne x", "one two")):
        found = world.check("Observation", [("_filter", text)])
        assert sorted(one.partition("/")[2] for one in found) == ids.split(), text
    store.close()


# --- made filters


class Filters:
    """Filters made from the values that resources have."""

    def __init__(self, seed: int, world: World) -> None:
        self.maker = Maker(Random(seed), world.by_key)
        self.random, self.world = self.maker.random, world

    def made(self, resource: Resource, depth: int = 2) -> str:
        roll = self.random.random()
        if depth and roll < 0.35:
            words = self.random.choice((" and ", " or "))
            return words.join(self._closed(resource, depth - 1) for _ in range(self.random.choice((2, 2, 3))))
        if depth and roll < 0.5:
            return f"not ({self.made(resource, depth - 1)})"
        if depth and roll < 0.65:
            return self.chain(resource, depth) or self.test(resource)
        return self.test(resource)

    def _closed(self, resource: Resource, depth: int) -> str:
        inner = self.made(resource, depth)
        return f"({inner})" if self.random.random() < 0.5 else inner

    def chain(self, resource: Resource, depth: int) -> str | None:
        links = [
            (code, row)
            for code, p in search_parameters(resource["resourceType"]).items()
            if p.type == "reference"
            for name, row in values(extract(resource), code)
            if name == "references" and (row[1], row[2]) in self.world.by_key and (not p.targets or row[1] in p.targets)
        ]
        if not links:
            return None
        code, row = self.random.choice(links)
        there = self.world.by_key[row[1], row[2]]
        inner = f"[{self.made(there, depth - 1)}]" if self.random.random() < 0.3 else ""
        return f"{code}:{row[1]}{inner}.{self.test(there)}"

    def test(self, resource: Resource) -> str:
        kinds = search.searchable(resource["resourceType"])
        codes = [code for code, kind in kinds.items() if kind != "special" and self.maker.rows(resource, code)]
        code = self.random.choice(codes)
        operator = self.random.choice(sorted(OPERATORS[kinds[code]]))
        return f"{code} {operator} {self.value(resource, code, kinds[code], operator)}"

    def value(self, resource: Resource, code: str, kind: str, operator: str) -> str:
        if operator == "pr":
            return self.random.choice(("true", "false"))
        if operator in ("in", "ni"):
            return "http://hl7.org/fhir/ValueSet/" + self.random.choice(("administrative-gender", "observation-status"))
        if kind == "composite":
            made = self.maker.composite(resource, code)
            return json.dumps(made[1] if made else "x$x")
        _, text = self.maker.value(resource, code, kind)
        prefixes = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
        text = text[2:] if kind in ("date", "number", "quantity") and text[:2] in prefixes else text
        return json.dumps(text)


def readable(type: str, text: str) -> bool:
    try:
        search.parse(type, [("_filter", text)])
    except InvalidSearch:
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_made_filters_find_what_brute_force_finds(people: World, seed: int) -> None:
    filters = Filters(seed, people)
    members, asked, fruitful = list(people.by_key.values()), 0, 0
    for _ in range(90):
        resource = filters.random.choice(members)
        text = filters.made(resource)
        if readable(resource["resourceType"], text):
            fruitful += bool(people.check(resource["resourceType"], [("_filter", text)], 3))
            asked += 1
    assert asked > 40
    assert fruitful > 20


PLAIN: dict[str, dict[str, Any]] = {
    "string": {
        "eq": lambda v, a: v == a, "ne": lambda v, a: v != a, "co": lambda v, a: a in v, "sw": lambda v, a: v.startswith(a),
        "ew": lambda v, a: v.endswith(a), "gt": lambda v, a: v > a, "lt": lambda v, a: v < a, "ge": lambda v, a: v >= a, "le": lambda v, a: v <= a,
    },
    "date": {
        "co": lambda v, a: v[0] <= span(a)[0] and span(a)[1] <= v[1], "po": lambda v, a: v[0] < span(a)[1] and span(a)[0] < v[1],
        "eq": lambda v, a: span(a)[0] <= v[0] and v[1] <= span(a)[1], "ne": lambda v, a: not (span(a)[0] <= v[0] and v[1] <= span(a)[1]),
        "gt": lambda v, a: v[1] > span(a)[1], "sa": lambda v, a: v[0] >= span(a)[1],
    },
}  # fmt: skip
ASKED = {
    "string": ["stone", "s", "muller", "zoe", "ospital"],
    "date": ["1980", "1980-02-03", "2020-01", "2019-03-04", "2021"],
}


def test_store_memory_and_fhirpath_agree(people: World) -> None:
    for type in ("Patient", "Practitioner", "Organization", "Encounter", "Observation"):
        codes = {code: kind for code, kind in search.searchable(type).items() if kind in PLAIN and code[0] != "_"}
        for code, kind in codes.items():
            parameter = search_parameter(type, code)
            assert parameter is not None
            there = {f"{type}/{one['id']}": expected(parameter, one) for one in people.all(type)}
            for operator, fits in PLAIN[kind].items():
                for value in ASKED[kind]:
                    query = search.parse(type, [("_filter", f"{code} {operator} {value}"), ("_count", "100")])
                    stored = {f"{row.type}/{row.id}" for row in store_search.find(people.store.read, query).rows}
                    plainly = {id for id, found in there.items() if any(fits(one, value) for one in found)}
                    assert stored == plainly == people.brute(query), (type, code, operator, value)


def test_the_longest_filters_run(people: World) -> None:
    """As many tests, brackets and links as are read, in the shapes that make the deepest SQL."""
    turning = "code eq a" + "".join(f" {word} status eq final" for word in ("or", "and") * 15)
    nested = "(" * 7 + "code eq a" + " or status eq final)" * 7
    chained = " or ".join(["subject.general-practitioner.name co a and not (code eq b)"] * 8)
    deep = "has-member:Observation.has-member:Observation.has-member:Observation.subject:Patient.name eq a"
    for text in (turning, nested, chained, f"not (not ({deep})) or {deep}"):
        people.check("Observation", [("_filter", text)], 50)
