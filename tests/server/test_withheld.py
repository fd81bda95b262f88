"""Labels and Consents keep rows back from whom they mean, on every path; bounds and encounters narrow whom they are given to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from suture.access.people import add_client
from tests import stores
from tests.attacks.world import LABEL, consent, put
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running, serving

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def denying(**provision: Any) -> dict[str, Any]:
    return consent() | {"id": "c1", "patient": {"reference": "Patient/p1"}, "provision": {"type": "deny", **provision}}


def names(reference: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": {"text": "x"}, "reference": reference}]


async def seen(server: Running, headers: dict[str, str], path: str = "Observation?_count=100") -> set[str]:
    """What a search gives; that reads, totals and old versions agree is checked with it."""
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        bundle = (await http.get(f"/fhir/{path}&_total=accurate")).json()
        found = {entry["resource"]["id"] for entry in bundle.get("entry", [])}
        assert bundle.get("total") == len(found), bundle
        for id in ("o1", "o2", "o3", "s1"):
            for tail in ("", "/_history", "/_history/1"):
                status = (await http.get(f"/fhir/Observation/{id}{tail}")).status_code
                assert (status == 200) is (id in found), (id, tail)
        return found


async def fill(server: Running) -> None:
    await put(
        server,
        [
            patient("p1"), patient("p2"), practitioner("d1"), encounter("e1", "p1"),
            observation("o1", "p1", performer=[{"reference": "Practitioner/d1"}], encounter={"reference": "Encounter/e1"}),
            observation("o2", "p1", code="1234-5"),
            observation("o3", "p2"),
            observation("s1", "p2") | {"meta": {"security": [{"system": ACT, "code": "PSY"}]}},
        ],
    )  # fmt: skip


EVERYBODY = {"o1", "o2", "o3"}


@pytest.mark.parametrize(
    ("provision", "expected"),
    [
        ({}, {"o3"}),
        ({"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}, {"o3"}),
        ({"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]}, EVERYBODY),
        ({"code": [{"coding": [{"system": "http://loinc.org", "code": "1234-5"}]}]}, {"o1", "o3"}),
        ({"actor": names({"identifier": {"system": "urn:suture:client", "value": "lab"}})}, {"o3"}),
        ({"actor": names({"identifier": {"system": "urn:suture:client", "value": "other"}})}, EVERYBODY),
        ({"actor": names({"reference": "Organization/acme"})}, {"o3"}),
        ({"actor": names({"reference": "Organization/else"})}, EVERYBODY),
        ({"actor": names({"reference": "Practitioner/d9"})}, {"o3"}),
        ({"purpose": [{"code": "HRESCH"}]}, {"o3"}),
        ({"period": {"end": "2001-01-01"}}, EVERYBODY),
        ({"data": [{"meaning": "instance", "reference": {"reference": "Observation/o2"}}]}, {"o1", "o3"}),
    ],
)
async def test_a_deny_holds_on_every_path(server: Running, provision: dict[str, Any], expected: set[str]) -> None:
    await fill(server)
    _, key = add_client(server.app.database, "lab", "user/*.rs", "", 0)
    server.made.append("lab")
    server.attribute(organization="acme", fhir_user="Practitioner/d9")
    headers = {"Authorization": f"Bearer {key}"}
    assert await seen(server, headers) == EVERYBODY
    await put(server, [denying(**provision)])
    assert await seen(server, headers) == expected
    await put(server, [denying(**provision) | {"status": "inactive"}])
    assert await seen(server, headers) == EVERYBODY


async def test_a_purpose_decides_when_it_is_named(server: Running) -> None:
    await fill(server)
    await put(server, [denying(purpose=[{"code": "HRESCH"}])])
    headers = server.key("user/*.rs")
    assert await seen(server, headers | {"X-Purpose-Of-Use": "TREAT"}) == EVERYBODY
    assert await seen(server, headers | {"X-Purpose-Of-Use": "HRESCH"}) == {"o3"}


async def test_a_deleted_consent_no_longer_holds(server: Running) -> None:
    await fill(server)
    await put(server, [denying()])
    headers = server.key("user/*.cruds")
    assert await seen(server, headers) == {"o3"}
    server.attribute(clearance="*")  # a clearance lifts labels, never a Consent
    assert await seen(server, headers) == {"o3", "s1"}
    assert (await server.http.delete("/fhir/Consent/c1", headers=headers)).status_code == 204
    assert await seen(server, headers) == EVERYBODY | {"s1"}


@pytest.mark.parametrize(
    ("clearance", "expected"),
    [
        ("", EVERYBODY),
        ("PSY", EVERYBODY | {"s1"}),
        ("R", EVERYBODY),
        ("HIV,PSY", EVERYBODY | {"s1"}),
        ("*", EVERYBODY | {"s1"}),
    ],
)
async def test_labels_hide_from_who_has_no_clearance(server: Running, clearance: str, expected: set[str]) -> None:
    await fill(server)
    headers = server.key("user/*.rs")
    server.attribute(clearance=clearance)
    assert await seen(server, headers) == expected


async def test_a_label_may_be_set_but_not_taken_away_without_a_clearance(server: Running) -> None:
    await fill(server)
    headers = server.key("user/*.cruds")
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        marked = observation("o1", "p1") | {"meta": {"security": [LABEL]}}
        assert (await http.put("/fhir/Observation/o1", json=marked)).status_code == 200
        assert (await http.get("/fhir/Observation/o1")).status_code == 404
        assert (await http.put("/fhir/Observation/o1", json=observation("o1", "p1"))).status_code == 404
        assert (await http.delete("/fhir/Observation/o1")).status_code == 204
        assert (await http.get("/fhir/Observation/o1/_history/1")).status_code == 404
    server.attribute(clearance="R")
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        assert (await http.get("/fhir/Observation/o1")).status_code == 200
        assert (await http.put("/fhir/Observation/o1", json=observation("o1", "p1"))).status_code == 200


@pytest.mark.parametrize("spelled", ['"\\u0073ecurity"', '"security"'])
async def test_a_label_holds_however_its_name_is_spelled(server: Running, spelled: str) -> None:
    raw = (
        '{"resourceType":"Basic","id":"b1","code":{"text":"x"},"meta":{SPELLED:[{"system":'
        '"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}'
    ).replace("SPELLED", spelled)
    headers = {"Content-Type": "application/fhir+json"}
    assert (await server.http.put("/fhir/Basic/b1", content=raw, headers=headers)).status_code == 201
    assert (await server.http.get("/fhir/Basic/b1")).status_code == 404
    assert (await server.http.get("/fhir/Basic?_total=accurate")).json()["total"] == 0


async def test_a_count_that_looks_into_bodies_leaves_nothing_open(server: Running) -> None:
    """What stays open keeps the reading connection at an old state: a change of rights would not be seen."""
    await fill(server)
    await put(server, [denying()])
    headers = server.key("user/*.rs")
    for query in ("_total=accurate", "_summary=count", "code:text=x&_total=accurate"):
        assert (await server.http.get(f"/fhir/Observation?{query}", headers=headers)).status_code == 200
        assert stores.idle(server.app.database.read)


async def test_a_practitioner_may_be_held_to_the_own_compartment(server: Running) -> None:
    await fill(server)
    headers = server.key("user/*.cruds")
    server.attribute(restrict="practitioner", fhir_user="Practitioner/d1")
    assert await seen(server, headers) == {"o1"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        assert (await http.get("/fhir/Patient/p1")).status_code == 404
        assert (await http.get("/fhir/Practitioner/d1")).status_code == 200
        assert (await http.post("/fhir/Observation", json=observation("x", "p1"))).status_code == 403
        mine = observation("x", "p1", performer=[{"reference": "Practitioner/d1"}])
        assert (await http.post("/fhir/Observation", json=mine)).status_code == 201
    server.attribute(fhir_user="")
    assert (await server.http.get("/fhir/Observation", headers=headers)).status_code == 403


async def test_an_encounter_is_context_unless_it_is_made_a_bound(server: Running) -> None:
    await fill(server)
    headers = server.key("patient/*.rs", "p1")
    assert await seen(server, headers) == {"o1", "o2"}
    server.attribute(restrict="encounter")  # and its token was launched in none
    assert (await server.http.get("/fhir/Observation", headers=headers)).status_code == 403
    assert (await server.http.get("/fhir/Observation/o1", headers=headers)).status_code == 403
    assert (await server.http.get("/fhir/Practitioner/d1", headers=headers)).status_code == 200


async def test_a_wrong_attribute_opens_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        headers = server.key("user/*.rs")
        for wrong in ({"restrict": "hospital"}, {"restrict": "", "clearance": "SECRET"}):
            server.attribute(**wrong)
            assert (await server.http.get("/fhir/Patient", headers=headers)).status_code == 400
