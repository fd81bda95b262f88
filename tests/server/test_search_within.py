"""Searches inside compartments over HTTP, and `_list`: what is found, what is not, and that policy holds there too."""

from __future__ import annotations

from typing import Any

from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running, outcome_of
from tests.server.test_search import bundle_of, places

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def fill(server: Running) -> None:
    for id in ("p1", "p2"):
        await server.put(patient(id))
        await server.put(encounter(f"e-{id}", id, participant=[{"individual": {"reference": "Practitioner/d1"}}]))
        await server.put(observation(f"o-{id}", id, encounter={"reference": f"Encounter/e-{id}"}))
    await server.put(practitioner("d1"))
    await server.put({"resourceType": "Device", "id": "v1", "patient": {"reference": "Patient/p1"}})
    await server.put(observation("by-v1", "p2", device={"reference": "Device/v1"}))


FOUND = [
    ("Patient/p1/Observation", "Observation/o-p1"),
    ("Patient/p1/Observation?code=8867-4", "Observation/o-p1"),
    ("Patient/p1/Observation?code=1-1", ""),
    ("Patient/nobody/Observation", ""),
    ("Patient/p1/*", "Patient/p1 Encounter/e-p1 Observation/o-p1"),
    ("Patient/p1/*?_type=Encounter", "Encounter/e-p1"),
    ("Patient/p1/*?_id=o-p1,o-p2", "Observation/o-p1"),
    ("Patient/p1/Patient", "Patient/p1"),
    ("Encounter/e-p2/Observation", "Observation/o-p2"),
    ("Encounter/e-p2/*", "Encounter/e-p2 Observation/o-p2"),
    ("Practitioner/d1/Encounter?patient=p1", "Encounter/e-p1"),
    ("Device/v1/Observation", "Observation/by-v1"),
    ("RelatedPerson/r/Observation", ""),
]


async def test_in_a_compartment(server: Running) -> None:
    await fill(server)
    told = (await server.http.get("/fhir/metadata")).json()["rest"][0]["compartment"]
    assert [url.rpartition("/")[2] for url in told] == [
        "device",
        "encounter",
        "patient",
        "practitioner",
        "relatedPerson",
    ]
    for path, expected in FOUND:
        wanted = sorted(f"match {p}" for p in expected.split())
        assert sorted(places(await bundle_of(server, f"/fhir/{path}"))) == wanted, path
        address, _, query = path.partition("?")
        posted = await server.http.post(f"/fhir/{address.removesuffix('/*')}/_search", content=query, headers=FORM)
        assert sorted(places(posted.json())) == wanted, "POST finds the same"


REFUSED = [
    ("Observation/o1/Patient", 404, "nothing at this address"),
    ("Patient/p1/Nonsense", 404, "nothing at this address"),
    ("Patient/p1/Medication", 404, "no Medication is ever in the compartment of a Patient"),
    ("Patient/p1/*?_type=Medication", 400, "not types of the compartment of a Patient"),
    ("Patient/p1/Observation?nonsense=1", 400, "Observation has no such search parameter"),
    ("Patient/p 1/Observation", 400, "not an id"),
    ("Encounter/e/AuditEvent", 404, "no AuditEvent is ever in the compartment of an Encounter"),
]


async def test_what_is_refused(server: Running) -> None:
    for path, status, text in REFUSED:
        answer = await server.http.get(f"/fhir/{path}")
        assert (answer.status_code, outcome_of(answer)[2]) == (status, text), path


async def test_the_trail_of_a_patient(server: Running) -> None:
    await fill(server)
    await server.http.get("/fhir/Patient/p1")
    bundle = await bundle_of(server, "/fhir/Patient/p1/AuditEvent?_count=50")
    assert bundle["entry"], "the read of p1"
    told = [str(entry["resource"]["entity"]) for entry in bundle["entry"]]
    assert all("Patient/p1" in entity for entity in told)
    mine = server.key("patient/Observation.rs", patient="p1")
    assert (await server.http.get("/fhir/Patient/p1/AuditEvent", headers=mine)).status_code == 403


async def test_pages_of_a_compartment_and_its_links(server: Running) -> None:
    await fill(server)
    seen: list[str] = []
    path = "/fhir/Patient/p1/*?_count=1"
    for _ in range(10):
        bundle = await bundle_of(server, path)
        seen += places(bundle)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{server.url}/fhir/Patient/p1/*")
        if "next" not in links:
            break
        path = links["next"]
        other = path.replace("/p1/", "/p2/")
        assert (await server.http.get(other)).status_code == 400, "a cursor is good for its own compartment only"
    assert len(seen) == len(set(seen)) == 3


async def test_policy_narrows_a_compartment(server: Running) -> None:
    await fill(server)
    mine = server.key("patient/*.rs", patient="p1")
    other = await server.http.get("/fhir/Patient/p2/*", headers=mine)
    assert other.status_code == 200
    assert "entry" not in other.json()
    assert "p2" not in other.text.replace("/fhir/Patient/p2/", "")
    narrow = server.key("user/Encounter.rs")
    assert (await server.http.get("/fhir/Patient/p1/Observation", headers=narrow)).status_code == 403
    bundle: dict[str, Any] = (await server.http.get("/fhir/Patient/p1/*?_type=Encounter", headers=narrow)).json()
    assert places(bundle) == ["match Encounter/e-p1"]
    assert [(row.what, row.outcome) for row in server.trail()[-3:]] == [
        ("search-system", 200), ("search-type", 403), ("search-system", 200)
    ]  # fmt: skip


async def test_in_a_batch(server: Running) -> None:
    await fill(server)
    for kind in ("batch", "transaction"):
        entry = [{"request": {"method": "GET", "url": "Patient/p1/Observation?code=8867-4"}}]
        answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": kind, "entry": entry})
        assert places(answer.json()["entry"][0]["resource"]) == ["match Observation/o-p1"]


async def test_what_stands_in_a_list(server: Running) -> None:
    await fill(server)
    entries = [
        {"item": {"reference": "Patient/p1"}},
        {"item": {"reference": "Observation/o-p2/_history/1"}},
        {"item": {"reference": "Patient/p2"}, "deleted": True},
    ]
    await server.put({"resourceType": "List", "id": "l1", "status": "current", "mode": "changes", "entry": entries})
    assert places(await bundle_of(server, "/fhir/Patient?_list=l1")) == ["match Patient/p1"]
    assert places(await bundle_of(server, "/fhir/Observation?_list=List/l1")) == ["match Observation/o-p2"]
    assert places(await bundle_of(server, "/fhir/Patient?_list=other")) == []
    assert places(await bundle_of(server, "/fhir/Observation?subject:Patient._list=l1")) == ["match Observation/o-p1"]
    assert len(places(await bundle_of(server, "/fhir?_list=l1"))) == 2
    narrow = server.key("user/Patient.rs")
    assert (await server.http.get("/fhir/Patient?_list=l1", headers=narrow)).status_code == 403
    answer = await server.http.get("/fhir/Patient?_list=$current-problems")
    assert outcome_of(answer) == (400, "invalid", "functional lists are not kept here")


async def test_includes_of_everything(server: Running) -> None:
    await fill(server)
    found = await bundle_of(server, "/fhir/Observation?_id=o-p1&_include=*&_include:iterate=*")
    assert sorted(places(found)) == [
        "include Encounter/e-p1", "include Patient/p1", "include Practitioner/d1", "match Observation/o-p1"
    ]  # fmt: skip
    back = await bundle_of(server, "/fhir/Practitioner?_revinclude=*")
    assert sorted(places(back)) == ["include Encounter/e-p1", "include Encounter/e-p2", "match Practitioner/d1"]
    mine = server.key("patient/*.rs", patient="p1")
    seen = (await server.http.get("/fhir/Practitioner?_revinclude=*", headers=mine)).json()
    assert sorted(places(seen)) == ["include Encounter/e-p1", "match Practitioner/d1"]
