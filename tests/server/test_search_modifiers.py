"""One parameter of each kind with every modifier, asked over HTTP: what R4 allows is answered, all else is a 400 that names both."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from suture.standards.fhir import search
from tests.attacks.fuzzed import Fuzzed, issue_of, opened
from tests.standards.fhir.test_search_modifiers import OTHERS, R4, taken, value

PARAMETERS = (
    "Patient.name", "Patient.identifier", "Patient.birthdate", "Patient.telecom", "Patient._id", "Patient._tag",
    "Patient._lastUpdated", "Patient._profile", "Observation.code", "Observation.subject", "Observation.value-quantity",
    "Observation.code-value-quantity", "Encounter.location", "RiskAssessment.probability", "Location.near",
)  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with opened(tmp_path_factory.mktemp("modifiers"), ("Patient",)) as found:
        yield found


@pytest.mark.parametrize("place", PARAMETERS)
def test_with_every_modifier(fuzzed: Fuzzed, place: str) -> None:
    type, code = place.split(".")
    kind = search.searchable(type)[code]
    fits = taken(type, code, kind)
    for modifier in (*R4, *OTHERS[:2]):
        name = f"{code}:{modifier}"
        answer = fuzzed.ask("GET", f"/fhir/{type}?{name}={quote(value(type, code, kind, modifier), safe='')}")
        if modifier in fits:
            assert (answer.status_code, answer.json()["type"]) == (200, "searchset"), (name, answer.text)
        else:
            assert (answer.status_code, issue_of(answer)["expression"]) == (400, [name]), (name, answer.text)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?name:exact=Example", {"p1"}),
        ("Patient?name:exact=example", set()),
        ("Patient?name:contains=XAMP", {"p1"}),
        ("Patient?gender:missing=false", {"p1"}),
        ("Patient?gender:missing=true", {"a"}),
        ("Patient?gender:not=male", {"a", "p1"}),
        ("Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", {"p1"}),
        ("Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", {"a"}),
        ("Patient?_id:not=a", {"p1"}),
        ("Observation?subject:Patient=p1", {"o1"}),
        ("Observation?subject:Patient=a", set()),
    ],
)
def test_what_they_find(fuzzed: Fuzzed, query: str, found: set[str]) -> None:
    answer = fuzzed.ask("GET", f"/fhir/{query}").json()
    assert {entry["resource"]["id"] for entry in answer.get("entry", [])} == found
