"""$validate over HTTP: R4 itself, profiles that are stored, modes; it tells and never writes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.people import patient
from tests.server.running import Running, outcome_of
from tests.standards.fhir.profiles.made import PULSE, mark_profile, profile, pulse, pulse_profile


def issues(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(i["severity"], i["details"]["text"].partition(" (")[0]) for i in answer.json()["issue"]]


FINE = [("information", "No issues were found.")]


async def store(server: Running) -> None:
    for id, definition in (("pulse", pulse_profile), ("mark", mark_profile)):
        made = await server.http.put(f"/fhir/StructureDefinition/{id}", json={**definition, "id": id})
        assert made.status_code == 201, made.text


async def test_r4_itself(server: Running) -> None:
    assert issues(await server.http.post("/fhir/Patient/$validate", json=patient("p1"))) == FINE
    broken = await server.http.post("/fhir/Patient/$validate", json={**patient("p1"), "gender": "frob"})
    assert issues(broken)[0][0] == "error"
    assert (await server.http.get("/fhir/Patient?_summary=count")).json()["total"] == 0


async def test_a_bundle_is_looked_at_closely_and_written_all_the_same(server: Running) -> None:
    entry = {"fullUrl": "Patient/1", "resource": {**patient("1"), "id": "1"}}
    bundle = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [entry]}
    found = await server.http.post("/fhir/Bundle/$validate", json=bundle)
    assert issues(found) == [("error", "A fullUrl is an absolute address.")]
    assert (await server.http.put("/fhir/Bundle/b", json=bundle)).status_code == 201


async def test_a_stored_profile_by_name_and_by_claim(server: Running) -> None:
    await store(server)
    place = "/fhir/Observation/$validate"
    assert issues(await server.http.post(f"{place}?profile={PULSE}", json=pulse())) == FINE
    wrong = pulse(subject=None)
    assert issues(await server.http.post(f"{place}?profile={PULSE}", json=wrong)) == [
        ("error", "The element is missing.")
    ]
    claimed = await server.http.post(place, json={**wrong, "meta": {"profile": [f"{PULSE}|1"]}})
    assert issues(claimed) == [("error", "The element is missing.")]
    rows = [{"name": "resource", "resource": wrong}, {"name": "profile", "valueCanonical": PULSE}]
    posted = await server.http.post(place, json={"resourceType": "Parameters", "parameter": rows})
    assert issues(posted) == [("error", "The element is missing.")]


async def test_what_entries_and_contained_resources_claim(server: Running) -> None:
    await store(server)
    claims = {"meta": {"profile": [PULSE]}}
    entries = [
        pulse(**claims),
        pulse(subject=None, **claims),
        {"resourceType": "Patient", "contained": [claims | pulse(id="x", subject=None)]},
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"resource": one, "request": {"method": "POST", "url": "x"}} for one in entries],
    }
    answer = await server.http.post("/fhir/Bundle/$validate", json=bundle)
    missing = [
        i["expression"] for i in answer.json()["issue"] if i["details"]["text"].startswith("The element is missing.")
    ]
    assert missing == [["Bundle.entry[1].resource.subject"], ["Bundle.entry[2].resource.contained[0].subject"]]


async def test_a_profile_that_changes_counts_at_once(server: Running) -> None:
    await store(server)
    place = f"/fhir/Observation/$validate?profile={PULSE}"
    assert issues(await server.http.post(place, json=pulse())) == FINE
    stricter = profile(PULSE, "Observation", {"id": "Observation.note", "path": "Observation.note", "min": 1})
    await server.http.put("/fhir/StructureDefinition/pulse", json={**stricter, "id": "pulse"})
    assert issues(await server.http.post(place, json=pulse())) == [("error", "The element is missing.")]


async def test_a_profile_that_is_not_here(server: Running) -> None:
    named = await server.http.post("/fhir/Patient/$validate?profile=urn:none", json=patient("p1"))
    assert issues(named) == [("error", "the profile urn:none is not here")]
    claimed = {**patient("p1"), "meta": {"profile": ["urn:none"]}}
    assert issues(await server.http.post("/fhir/Patient/$validate", json=claimed)) == [
        ("information", "the profile urn:none is not here")
    ]


async def test_what_is_stored(server: Running) -> None:
    await store(server)
    await server.put(pulse())
    assert issues(await server.http.get(f"/fhir/Observation/o1/$validate?profile={PULSE}")) == FINE
    assert (await server.http.get("/fhir/Observation/none/$validate")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/fhir/Patient/$validate?mode=frob", {}, 400, "no such mode"),
        ("/fhir/Patient/$validate", None, 400, "nothing to validate"),
        ("/fhir/Frob/$validate", {}, 404, "R4 has no such resource type"),
    ],
)
async def test_what_is_refused(server: Running, path: str, body: Any, status: int, text: str) -> None:
    answer = await server.http.post(path, json=patient("p1") if body is not None else None)
    assert (answer.status_code, outcome_of(answer)[2]) == (status, text)


async def test_type_and_id_are_those_of_the_address(server: Running) -> None:
    answer = await server.http.post("/fhir/Observation/$validate", json=patient("p1"))
    assert ("error", "the resource is no Observation") in issues(answer)
    answer = await server.http.post("/fhir/Patient/p2/$validate?mode=update", json=patient("p1"))
    assert ("error", "the id is not the id of the address") in issues(answer)
    assert issues(await server.http.post("/fhir/Patient/p2/$validate?mode=delete", json=patient("p1"))) == FINE


async def test_who_has_nothing_to_do_with_the_type(server: Running) -> None:
    few = server.key("user/Slot.rs")
    answer = await server.http.post("/fhir/Patient/$validate", json=patient("p1"), headers=few)
    assert answer.status_code == 403
    writer = server.key("user/Patient.c")
    assert issues(await server.http.post("/fhir/Patient/$validate", json=patient("p1"), headers=writer)) == FINE


US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"


async def test_us_core_is_known_without_being_stored(server: Running) -> None:
    bare, place = {"resourceType": "Patient", "gender": "male"}, "/fhir/Patient/$validate"
    missing = [("error", "The element is missing.")] * 2
    for url in (US_CORE, f"{US_CORE}|6.1.0", f"{US_CORE}|8.0.0"):
        answer = await server.http.post(place, params={"profile": url}, json=bare)
        assert issues(answer) == missing
        assert url.partition("|")[2] in answer.json()["issue"][0]["details"]["text"]
        assert issues(await server.http.post(place, json={**bare, "meta": {"profile": [url]}})) == missing
    gone = await server.http.post(place, params={"profile": f"{US_CORE}|9"}, json=bare)
    assert issues(gone) == [("error", f"the profile {US_CORE}|9 is not here")]


async def test_what_is_stored_goes_before_us_core_inside(server: Running) -> None:
    own = profile(US_CORE, "Patient", {"id": "Patient.photo", "path": "Patient.photo", "min": 1})
    await server.http.put("/fhir/StructureDefinition/own", json={**own, "id": "own"})
    answer = await server.http.post("/fhir/Patient/$validate", params={"profile": US_CORE}, json=patient("p1"))
    assert [i["expression"] for i in answer.json()["issue"]] == [["Patient.photo"]]
