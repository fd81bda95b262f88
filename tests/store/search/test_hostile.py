"""No query that can be written breaks the store: it finds, or it is refused as invalid or too costly."""

from __future__ import annotations

from random import Random

import pytest

from suture.errors import InvalidSearch, TooCostly
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameters
from suture.store import search as store_search
from tests.store.search.worlds import World

TYPES = sorted(RESOURCE_TYPES)
TEXTS = [
    "x", "1", "0", "-1", "1e999", "1e-999", "9" * 40, "0.000000000000000000001", "true", "2020", "9999-12-31", "0001", "ap9999-12-31",
    "ne0001-01-01", "a|b", "|b", "a|", "Patient/x", "urn:uuid:1", "http://x/y|1", "a$b", "a$1", "a$b$c", "1$2$3", "gt5|http://unitsofmeasure.org|mg",
    "5||mg", "le5||", "é́", "\u200b", "𝔘", "\t", "a,b,c", r"a\,b", "%", "'", '"', "NULL", "ap0", "ap1e308", "ne1e308", "2020-02-30", "2024-02-29T23:59:60Z",
    "http://hl7.org/fhir/ValueSet/administrative-gender", "http://loinc.org|8480-6", "ann", "*",
]  # fmt: skip
BY_KIND = {
    "date": ["2020", "ap9999-12-31", "ne0001-01-01", "0001", "2024-02-29T23:59:60Z", "ge2020-01", "le9999"],
    "number": ["1", "1e999", "ap0", "ap1e308", "ne1e308", "9" * 40, "gt-1e-999"],
    "quantity": [
        "1e308|http://unitsofmeasure.org|kg",
        "1e999|http://unitsofmeasure.org|mg",
        "5||mg",
        "le5||",
        "gt5|http://unitsofmeasure.org|mg",
        "ap1e308",
        "-1||",
        "9" * 40,
    ],
    "reference": ["x", "Patient/x", "ann", "urn:uuid:1", "http://x/y|1", "http://x/fhir/Patient/1"],
}
PLAIN = [""] * 12
MODIFIERS = [
    ":not", ":exact", ":contains", ":missing", ":in", ":not-in", ":above", ":below", ":of-type", ":identifier", ":Patient",
    ":text",
]  # fmt: skip


def pair(random: Random, type: str, depth: int = 2) -> tuple[str, str]:
    code = random.choice(list(search.searchable(type)))
    found = search_parameters(type or "Resource")[code]
    roll = random.random()
    if depth and roll < 0.3 and found.type == "reference":
        far = random.choice([t for t in found.targets if t in RESOURCE_TYPES] or TYPES)
        inner = pair(random, far, depth - 1)
        return f"{code}{random.choice(('', ':' + far))}.{inner[0]}", inner[1]
    if depth and roll < 0.35:
        far = random.choice(TYPES)
        references = [c for c, p in search_parameters(far).items() if p.type == "reference"] or ["x"]
        inner = pair(random, far, depth - 1)
        return f"_has:{far}:{random.choice(references)}:{inner[0]}", inner[1]
    modifier = random.choice(PLAIN + MODIFIERS)
    text = random.choice(BY_KIND.get(found.type, TEXTS) if random.random() < 0.8 else TEXTS)
    return code + modifier, random.choice(("true", "false")) if modifier == ":missing" else text


@pytest.mark.parametrize("seed", range(6))
def test_no_query_breaks_the_store(people: World, seed: int) -> None:
    random = Random(seed)
    ran = 0
    for _ in range(250):
        type = random.choice([*TYPES, "Patient", "Observation", "Observation", ""])
        pairs = [pair(random, type) for _ in range(random.choice((1, 1, 2)))]
        sorts = list(search.searchable(type)) if type else ["_id", "_lastUpdated"]
        if random.random() < 0.3:
            pairs.append(("_sort", random.choice(("", "-")) + random.choice(sorts)))
        try:
            query = search.parse(type, pairs)
            page = store_search.find(people.store.read, query)
        except (InvalidSearch, TooCostly):
            continue
        ran += 1
        assert search.parse(type, list(search.pairs(query))) == query
        assert {f"{r.type}/{r.id}" for r in page.rows} == people.brute(query), pairs
    assert ran > 30


@pytest.mark.slow
def test_every_parameter_of_every_type_can_be_searched_and_sorted_by(people: World) -> None:
    for type in TYPES:
        for code, kind in search.searchable(type).items():
            text = {
                "date": "2020",
                "number": "1",
                "quantity": "1",
                "reference": "x",
                "special": "1|2",
                "composite": "",
            }.get(kind, "x")
            pairs = [(code, text)] if text else []
            if kind not in ("composite", "special"):
                pairs.append(("_sort", f"-{code}"))
            store_search.find(people.store.read, search.parse(type, pairs))


def test_lists_of_hundreds_of_values(people: World) -> None:
    """Long lists are looked up in another way than short ones; both find the same."""
    codes = ",".join(f"http://loinc.org|{n}-{n % 10}" for n in range(400))
    some = ",".join(f"Patient/p{n}" for n in range(400))
    for few, many in (
        ([("code", "29463-7"), ("patient", "ann,bob")], [("code", f"29463-7,{codes}"), ("patient", f"{some},ann,bob")]),
        ([("code:not", "29463-7")], [("code:not", f"{codes},29463-7")]),
        ([("subject:Patient.gender", "male")], [("subject:Patient.gender", f"male,{codes}")]),
        ([("status", "final"), ("_sort", "code")], [("status", f"{codes},final"), ("_sort", "code")]),
    ):
        assert people.check("Observation", few) == people.check("Observation", many)
    ids = ",".join(f"p{n}" for n in range(400))
    found = people.check("Patient", [("_has:Observation:patient:code", f"{codes},8302-2"), ("_id", f"{ids},bob,ann")])
    assert found == ["Patient/bob"]
