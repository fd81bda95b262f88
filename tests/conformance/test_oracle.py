"""The tests' own rules of search: they find what matches, and a client that uses them notices a server that is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.us_core_guide import Group, Guide, Parameter, Search, Type
from tests.conformance.us_core_oracle import PREFIXES, matches, span, values
from tests.conformance.us_core_walk import Failed, Walk

CODE = {"coding": [{"system": "http://loinc.org", "code": "LP-1"}]}


@pytest.mark.parametrize(
    ("kind", "value", "asked", "holds"),
    [
        ("token", CODE, "lp-1", True),
        ("token", CODE, "http://loinc.org|LP-1", True),
        ("token", CODE, "http://snomed.info/sct|LP-1", False),
        ("token", CODE, "LP", False),
        ("token", "final", "amended,final", True),
        ("string", {"family": "Example", "given": ["Ann"]}, "an", True),
        ("string", {"family": "Example", "given": ["Ann"]}, "nn", False),
        ("string", {"city": "Lakeside", "state": "IL"}, "il", True),
        ("reference", {"reference": "Patient/1"}, "1", True),
        ("reference", {"reference": "Patient/1"}, "Patient/1", True),
        ("reference", {"reference": "Patient/1"}, "http://here/fhir/Patient/1", True),
        ("reference", {"reference": "Patient/1"}, "Patient/11", False),
        ("date", "2024-03-05T23:30:00-06:00", "2024-03-06", True),
        ("date", "2024-03-05", "gt2024-03-05", False),
        ("date", "2024-03-05", "ge2024-03-05", True),
        ("date", {"start": "2024-03-05"}, "gt2030", True),
        ("date", {"start": "2024-03-05", "end": "2024-03-07"}, "2024-03-05", False),
        ("date", {"end": "2024-03-07"}, "lt2000", True),
        ("date", "2024-02", "sa2024-01", True),
        ("date", "2024-02", "eb2024-02-20", False),
    ],
)
def test_what_matches(kind: str, value: Any, asked: str, holds: bool) -> None:
    assert matches(kind, [value], asked) is holds


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("Condition.onset.as(dateTime)|Condition.onset.as(Period)", ["2020"]),
        ("Condition.subject.where(resolve() is Patient)", [{"reference": "Patient/1"}]),
        ("(Condition.abatement as dateTime)", []),
        ("Condition.extension.where(url = 'urn:asserted').value", ["2021"]),
        ("Resource.meta.lastUpdated", ["2022-01-01T00:00:00Z"]),
    ],
)
def test_what_expressions_find(expression: str, found: list[Any]) -> None:
    one = {
        "meta": {"lastUpdated": "2022-01-01T00:00:00Z"},
        "extension": [{"url": "urn:asserted", "valueDateTime": "2021"}, {"url": "urn:x", "valueDateTime": "1999"}],
        "subject": {"reference": "Patient/1"},
        "onsetDateTime": "2020",
        "abatementString": "long ago",
    }
    assert values(one, expression) == found


moments = st.dates().map(str) | st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z")


@given(moments, moments)
def test_every_moment_is_at_earlier_or_later(own: str, asked: str) -> None:
    held = {name for name, test in PREFIXES.items() if test(span(own), span(asked))}
    assert ("eq" in held) is not ("ne" in held)
    assert held & {"ge", "le"}
    assert "sa" not in held or "gt" in held
    assert "eb" not in held or "lt" in held


PATIENT = Parameter("patient", "reference", "Goal.subject", (), False, {})
GOAL = Type("Goal", {"patient": PATIENT}, [Search(("patient",), "SHALL")], {}, {}, {}, {}, [])
MINE, OTHERS = ({"resourceType": "Goal", "id": id, "subject": {"reference": f"Patient/{id}"}} for id in "12")


@pytest.mark.parametrize(
    ("shown", "status", "why"),
    [
        ([MINE, OTHERS], 200, r"\['2'\] do not match"),
        ([], 200, r"\['1'\] are not found"),
        ([MINE, {"resourceType": "Patient", "id": "1"}], 200, r"\['Patient'\] are in the answer"),
        ([MINE], 500, "500"),
    ],
)
def test_a_client_notices_a_server_that_is_wrong(shown: list[dict[str, Any]], status: int, why: str) -> None:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in shown]
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    headers = {"content-type": "application/fhir+json"}
    answers = httpx.MockTransport(lambda request: httpx.Response(status, headers=headers, json=bundle))
    guide = Guide("8.0.0", {}, {"Goal": GOAL}, [Group({"id": "goal"}, GOAL, [])], {}, {}, {})
    kit = Walk(guide, httpx.AsyncClient(transport=answers, base_url="http://here"), {"Goal": {"1": MINE, "2": OTHERS}})
    with pytest.raises(Failed, match=why):
        asyncio.run(kit.search("Goal", (("patient", "1"),)))
