"""Two worlds, one with patient b and one where b never was: no answer tells them apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from suture.access import compartment
from suture.standards.fhir import search
from tests.attacks.made import made
from tests.attacks.world import SECRET, WAYS, Ask, b, scene

TYPES = [
    "Patient",
    "Observation",
    "Encounter",
    "Condition",
    "Device",
    "Provenance",
    "Appointment",
    "Coverage",
    "Procedure",
]
CHANGING = (  # what differs between two answers to the same question anyway
    (re.compile(r'"(lastUpdated|lastModified|timestamp|date)":"[^"]*"'), r'"\1":""'),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://here"),
    (re.compile(r"_cursor=[\w-]+"), "_cursor=x"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "new-id"),
)
HEADS = ("content-type", "etag", "location", "www-authenticate", "allow", "retry-after")


def asks() -> Iterator[Ask]:
    """Ways to learn of b without naming a record: predicates, order, counts, pages, links, conditions, existence."""
    for type in TYPES:
        yield from (Ask("search-type", "GET", f"/fhir/{type}?{query}") for query in _of_type(type))
        yield from (
            Ask("read", "GET", f"/fhir/{type}/{b(type)}{tail}")
            for tail in ("", "/_history", "/_history/1", "?_summary=true")
        )
        yield Ask("read", "GET", f"/fhir/{type}/{b(type)}", {"If-None-Match": 'W/"1"'})
        yield Ask("read", "GET", f"/fhir/{type}/{b(type)}", {"If-Modified-Since": "Wed, 01 Jan 2098 00:00:00 GMT"})
        yield from (Ask("history-type", "GET", f"/fhir/{type}/_history?_count={count}") for count in (1, 2, 3, 50))
        yield Ask("history-type", "GET", f"/fhir/{type}/_history?_since=2020-01-01T00:00:00Z&_count=1")
    yield from (Ask("search-type", "GET", f"/fhir/{query}") for query in LINKS)
    yield from (Ask("search-system", "GET", f"/fhir?{query}") for query in SYSTEM)
    yield from _conditions()


def _of_type(type: str) -> Iterator[str]:
    yield from (
        "",
        "_total=accurate",
        "_total=estimate",
        "_summary=count",
        "_count=0",
        "_count=1",
        "_count=2&_total=accurate",
    )
    yield from (
        f"_id={b(type)}",
        f"_id=a,a-{type},{b(type)}",
        f"_id:not={b(type)}" if type == "x" else "_sort=_id&_count=2",
    )
    yield from (f"_sort={way}{code}&_count=3" for way in ("", "-") for code in _sortable(type))
    code = "_id" if type == "Patient" else compartment.parameters(type)[0]
    if type != "Patient":
        yield from (
            f"{code}=Patient/bsecret",
            f"{code}:missing=false&_total=accurate",
            f"{code}:missing=true&_total=accurate",
        )
    if "identifier" in search.searchable(type):
        yield from (
            f"identifier={SECRET}",
            f"identifier:not={SECRET}&_total=accurate",
            "identifier:missing=false&_summary=count",
        )
    yield from ("_include=*&_count=50", "_revinclude=Provenance:target", "_lastUpdated=gt2020-01-01&_summary=count")


def _sortable(type: str) -> list[str]:
    kinds = search.searchable(type)
    return [code for code, kind in kinds.items() if kind in ("date", "string", "token") and code != "_lastUpdated"][:4]


LINKS = [
    f"Observation?subject:Patient.name={SECRET}", f"Observation?patient.identifier={SECRET}", "Observation?encounter.reason-code:missing=false",
    f"Observation?value-string={SECRET}", f"Observation?value-string={SECRET.lower()}&_summary=count", "Observation?code=9999-9&_total=accurate",
    "Observation?code:not=9999-9&_total=accurate", "Observation?derived-from:missing=false", "Observation?encounter:Encounter.service-provider=Organization/org",
    f"Practitioner?_has:Observation:performer:value-string={SECRET}", "Practitioner?_has:Observation:performer:code=9999-9",
    "Practitioner?_has:Observation:performer:patient=Patient/bsecret", "Practitioner?_has:Observation:performer:code:not=8867-4",
    "Practitioner?_has:Observation:performer:_id=bsecret-1", f"Practitioner?_has:Observation:performer:subject:Patient.name={SECRET}",
    "Organization?_has:Encounter:service-provider:subject=Patient/bsecret", "Organization?_has:Encounter:service-provider:_id=bsecret-visit",
    "Organization?_has:Encounter:service-provider:status=finished", "Organization?_revinclude=Encounter:service-provider",
    "Organization?_revinclude=Encounter:service-provider&_revinclude:iterate=Observation:encounter", "Practitioner?_revinclude=Observation:performer&_count=1",
    "Observation?_has:Observation:derived-from:code=8867-4", f"Observation?_has:Observation:derived-from:value-string={SECRET}",
    "Observation?_id=a-1&_revinclude=Observation:derived-from", "Patient?_has:Observation:patient:code=9999-9", "Patient?_has:Encounter:subject:status=finished",
    f"Patient?name={SECRET}", "Patient?name:missing=false&_total=accurate", f"Patient?name:exact={SECRET}&_summary=count", f"Patient?name:contains={SECRET[1:4]}",
    f"Patient?_filter=name co {SECRET} or not (name pr true)&_total=accurate", f"Observation?_filter=not (subject.name eq {SECRET})&_total=accurate",
    f"Observation?_filter=subject[name ne {SECRET}].identifier pr true", f"Practitioner?_filter=_has:Observation:performer:value-string co {SECRET}",
    "Practitioner?_filter=not (_has:Observation:performer:code eq 9999-9)&_total=accurate", "Observation?_filter=code ne 8867-4&_summary=count",
    "Patient?_has:Provenance:target:_id=bsecret-Provenance", "Medication?_has:MedicationRequest:medication:patient=Patient/bsecret", "Patient?_sort=name&_count=1",
    "Patient?_sort=-name&_count=1", "Patient?_sort=-birthdate,name&_count=1", "Observation?_sort=-date&_count=1", "Observation?_sort=value-string&_count=2",
    "Provenance?target=Patient/bsecret", "Provenance?patient=Patient/bsecret", "Device?patient=Patient/bsecret", "Device?patient:missing=false&_total=accurate",
    "Appointment?actor=Patient/bsecret", "Appointment?patient:Patient.name:missing=false&_total=accurate", "Encounter?reason-code:missing=true&_total=accurate",
]  # fmt: skip
SYSTEM = ["_type=Patient,Observation&_total=accurate", "_id=bsecret", "_type=Observation&_count=1", "_type=Encounter,Condition&_summary=count",
          "_type=Patient&_sort=_id", "_type=Device,Provenance&_total=accurate"]  # fmt: skip


def _conditions() -> Iterator[Ask]:
    """Conditions of writes. Both worlds are written alike, so that what follows still compares."""
    for type in TYPES[1:]:
        fresh = {k: v for k, v in made(type, "x", "a", "Amark").items() if k != "id"}
        for condition in (
            f"_id={b(type)}",
            f"identifier={SECRET}" if "identifier" in search.searchable(type) else f"_id={b(type)},zz",
        ):
            yield Ask("create", "POST", f"/fhir/{type}", {"If-None-Exist": condition}, {"json": fresh})
            yield Ask("delete", "DELETE", f"/fhir/{type}?{condition}")
        yield Ask("delete", "DELETE", f"/fhir/{type}/{b(type)}")
        reference = {
            **fresh,
            "extension": [{"url": "urn:x", "valueReference": {"reference": f"Patient?identifier={SECRET}"}}],
        }
        entry = {"request": {"method": "POST", "url": type}, "resource": reference}
        yield Ask(
            "transaction",
            "POST",
            "/fhir",
            {},
            {"json": {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}},
        )


def told(answer: httpx.Response) -> str:
    text = "\n".join([str(answer.status_code), *(f"{h}: {answer.headers.get(h)}" for h in HEADS), answer.text])
    for pattern, instead in CHANGING:
        text = pattern.sub(instead, text)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
async def test_no_answer_tells_the_worlds_apart(tmp_path: Path, way: str) -> None:
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(scene(tmp_path / "with", way, TYPES))
        never = await stack.enter_async_context(scene(tmp_path / "without", way, TYPES, with_b=False))
        different = []
        for ask in asks():
            one, other = told(await there.ask(ask)), told(await never.ask(ask))
            if one != other:
                different.append(f"{ask.method} {ask.path} {ask.headers}\n{one[:600]}\n--\n{other[:600]}")
        assert different == []
        assert there.asked >= 300


async def test_the_comparison_can_see_a_difference(tmp_path: Path) -> None:
    """Who is cleared for b gets answers that differ: the questions do ask about b."""
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(scene(tmp_path / "with", "label", TYPES))
        never = await stack.enter_async_context(scene(tmp_path / "without", "label", TYPES, with_b=False))
        there.server.attribute(clearance="R")
        questions = [ask for ask in asks() if ask.method == "GET"]
        different = [ask for ask in questions if told(await there.ask(ask)) != told(await never.ask(ask))]
        assert len(different) > len(questions) / 2
