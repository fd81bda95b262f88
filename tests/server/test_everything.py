"""$everything, $lastn, $docref and $meta over HTTP: whole, paged, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.world import LABEL
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import FHIR, Running, outcome_of
from tests.server.test_binary import document, put

DOCTOR = {"reference": "Practitioner/d1"}


async def fill(server: Running) -> None:
    for person in ("p1", "p2"):
        await server.put(patient(person))
    await server.put(practitioner("d1"))
    await server.put(practitioner("d2"))
    await server.put({"resourceType": "Organization", "id": "org", "name": "House"})
    await server.put(
        encounter("e1", "p1", serviceProvider={"reference": "Organization/org"}, period={"start": "2020-01-01"})
    )
    await server.put(encounter("e2", "p2"))
    for n in range(5):
        await server.put(
            observation(
                f"o{n}",
                "p1",
                performer=[DOCTOR],
                effectiveDateTime=f"202{n}-05-06",
                encounter={"reference": "Encounter/e1"},
            )
        )
    await server.put(observation("other", "p2", performer=[{"reference": "Practitioner/d2"}]))
    await put(server, "scan")
    await server.put(document("doc", "p1", "scan"))


def ids(bundle: dict[str, Any]) -> list[str]:
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", [])]


MINE = {"Patient/p1", "Encounter/e1", *(f"Observation/o{n}" for n in range(5)), "DocumentReference/doc"}
REFERRED = {"Practitioner/d1", "Organization/org", "Binary/scan"}


async def test_a_patients_record_with_what_it_refers_to(server: Running) -> None:
    await fill(server)
    answer = await server.http.get("/fhir/Patient/p1/$everything")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["type"], set(ids(answer.json()))) == ("searchset", MINE | REFERRED)
    modes = {
        e["search"]["mode"]
        for e in answer.json()["entry"]
        if e["resource"]["resourceType"] in ("Practitioner", "Binary")
    }
    assert modes == {"include"}
    last = server.trail()[-1]
    assert (last.what, last.patient) == ("$everything", "Patient/p1")


async def test_page_by_page_each_member_once(server: Running) -> None:
    await fill(server)
    seen: list[str] = []
    url: str | None = "/fhir/Patient/p1/$everything?_count=2"
    while url:
        page = (await server.http.get(url)).json()
        seen += [
            name for name, e in zip(ids(page), page.get("entry", []), strict=True) if e["search"]["mode"] == "match"
        ]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert sorted(seen) == sorted(MINE)


async def test_what_narrows_it(server: Running) -> None:
    await fill(server)
    some = (await server.http.get("/fhir/Patient/p1/$everything?start=2022-01-01&end=2023")).json()
    assert {i for i in ids(some) if i.startswith("Observation")} == {"Observation/o2", "Observation/o3"}
    assert "Patient/p1" in ids(some)
    typed = (await server.http.get("/fhir/Patient/p1/$everything?_type=Observation,Practitioner")).json()
    assert {i.partition("/")[0] for i in ids(typed)} == {"Observation", "Practitioner"}
    later = (await server.http.get("/fhir/Patient/p1/$everything?_since=2999-01-01T00:00:00Z")).json()
    assert ids(later) == []
    posted = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Encounter"}]}
    assert ids((await server.http.post("/fhir/Patient/p1/$everything", json=posted)).json()) == ["Encounter/e1"]


async def test_an_encounter_with_its_patient(server: Running) -> None:
    await fill(server)
    found = set(ids((await server.http.get("/fhir/Encounter/e1/$everything")).json()))
    assert {"Encounter/e1", "Patient/p1", "Observation/o1", "Practitioner/d1", "Organization/org"} <= found
    assert not {"Patient/p2", "Encounter/e2", "Observation/other", "Practitioner/d2"} & found


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/fhir/Patient/none/$everything", 404, "no such Patient"),
        ("/fhir/Patient/$everything", 400, "which patient is meant?"),
        ("/fhir/Patient/p1/$everything?_type=Frob", 400, "R4 has no such resource type"),
        ("/fhir/Patient/p1/$everything?start=soon", 400, "not a date"),
        ("/fhir/Patient/p1/$everything?frob=1", 400, "$everything has no such parameter"),
        ("/fhir/Patient/p1/$everything?_cursor=x", 400, "not a cursor that was given to this caller here"),
        ("/fhir/Observation/$lastn", 400, "whose observations?"),
        ("/fhir/Observation/$lastn?patient=p1&_sort=code", 400, "$lastn has no such parameter"),
        ("/fhir/DocumentReference/$docref", 400, "$docref needs patient"),
        ("/fhir/DocumentReference/$docref?patient=p1&type=a$b", 200, None),
    ],
)
async def test_what_is_refused(server: Running, path: str, status: int, text: str | None) -> None:
    await server.put(patient("p1"))
    answer = await server.http.get(path)
    assert answer.status_code == status, answer.text
    assert text is None or outcome_of(answer)[2] == text


async def test_a_patients_token_gets_its_own_and_nothing_of_others(server: Running) -> None:
    await fill(server)
    own = server.key("patient/*.rs", patient="p1")
    found = await server.http.get("/fhir/Patient/$everything", headers=own)
    assert set(ids(found.json())) == MINE | REFERRED
    other = await server.http.get("/fhir/Patient/p2/$everything", headers=own)
    assert outcome_of(other) == (404, "not-found", "no such Patient")
    assert "p2" not in found.text
    few = server.key("patient/Patient.rs patient/Observation.rs", patient="p1")
    kinds = {
        i.partition("/")[0] for i in ids((await server.http.get("/fhir/Patient/p1/$everything", headers=few)).json())
    }
    assert kinds == {"Patient", "Observation"}
    cursor = (await server.http.get("/fhir/Patient/p1/$everything?_count=1", headers=own)).json()["link"][1]["url"]
    assert (await server.http.get(cursor)).status_code == 400


async def test_the_newest_of_each_kind(server: Running) -> None:
    await server.put(patient("p1"))
    for n, code in enumerate(("a", "a", "b", "b", "b", "c")):
        await server.put(observation(f"o{n}", "p1", code=code, effectiveDateTime=f"2020-01-0{n + 1}"))
    one = (await server.http.get("/fhir/Observation/$lastn?patient=p1")).json()
    assert ids(one) == ["Observation/o5", "Observation/o4", "Observation/o1"]
    two = (await server.http.get("/fhir/Observation/$lastn?patient=Patient/p1&max=2&code=b,c")).json()
    assert ids(two) == ["Observation/o5", "Observation/o4", "Observation/o3"]
    elsewhere = server.key("patient/*.rs", patient="p9")
    hidden = await server.http.get("/fhir/Observation/$lastn?patient=p1", headers=elsewhere)
    assert ids(hidden.json()) == []


async def test_documents_by_type_and_date(server: Running) -> None:
    await server.put(patient("p1"))
    for n, code in enumerate(("34133-9", "34133-9", "11506-3")):
        kind = {"coding": [{"system": "http://loinc.org", "code": code}]}
        await server.put({**document(f"d{n}", "p1", "b"), "type": kind, "date": f"202{n}-01-01T00:00:00Z"})
    place = "/fhir/DocumentReference/$docref"
    assert ids((await server.http.get(f"{place}?patient=p1")).json()) == ["DocumentReference/d1"]
    some = (await server.http.get(f"{place}?patient=p1&start=2021-06-01T00:00:00Z")).json()
    assert ids(some) == ["DocumentReference/d2"]
    concept = {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]}
    rows = [{"name": "patient", "valueId": "p1"}, {"name": "type", "valueCodeableConcept": concept}]
    posted = (await server.http.post(place, json={"resourceType": "Parameters", "parameter": rows})).json()
    assert ids(posted) == ["DocumentReference/d1", "DocumentReference/d0"]


async def test_tags_come_and_go(server: Running) -> None:
    await server.put(patient("p1"))
    tag = {"system": "urn:x", "code": "red"}
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [tag], "profile": ["urn:p"]}}],
    }
    added = await server.http.post("/fhir/Patient/p1/$meta-add", json=asked)
    assert added.status_code == 200, added.text
    again = await server.http.post("/fhir/Patient/p1/$meta-add", json=asked)
    found = (await server.http.get("/fhir/Patient/p1/$meta")).json()["parameter"][0]["valueMeta"]
    assert (found["tag"], found["profile"], found["versionId"]) == ([tag], ["urn:p"], "2")
    assert again.json()["parameter"][0]["valueMeta"]["versionId"] == "2"
    assert ids((await server.http.get("/fhir/Patient?_tag=red")).json()) == ["Patient/p1"]
    gone = await server.http.post("/fhir/Patient/p1/$meta-delete", json=asked)
    assert "tag" not in gone.json()["parameter"][0]["valueMeta"]
    assert (await server.http.get("/fhir/Patient/p1/$meta-add")).status_code == 405
    reader = server.key("user/*.rs")
    assert (await server.http.post("/fhir/Patient/p1/$meta-add", json=asked, headers=reader)).status_code == 403


async def test_in_a_batch(server: Running) -> None:
    await fill(server)
    entries = [{"request": {"method": "GET", "url": "Patient/p1/$everything?_type=Encounter"}}]
    answer = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert ids(answer.json()["entry"][0]["resource"]) == ["Encounter/e1"], answer.text


async def test_metadata_lists_them(server: Running) -> None:
    statement = (await server.http.get("/fhir/metadata", headers={"Accept": FHIR})).json()["rest"][0]
    kinds = {r["type"]: {o["name"] for o in r.get("operation", [])} for r in statement["resource"]}
    assert {"everything", "meta"} <= kinds["Patient"]
    assert "lastn" in kinds["Observation"]
    assert "docref" in kinds["DocumentReference"]


def tied(id: str, other: str, kind: str, **more: Any) -> dict[str, Any]:
    return patient(id, link=[{"other": {"reference": f"Patient/{other}"}, "type": kind}], **more)


async def test_the_record_that_stands_takes_the_linked_ones_along(server: Running) -> None:
    await fill(server)
    await server.put(tied("p1", "p2", "replaces"))
    one_sided = set(ids((await server.http.get("/fhir/Patient/p1/$everything")).json()))
    assert one_sided == MINE | REFERRED  # the other one does not say so
    both = [
        {"other": {"reference": f"Patient/{id}"}, "type": kind}
        for id, kind in (("p1", "replaced-by"), ("p3", "seealso"))
    ]
    await server.put(patient("p2", link=both))
    await server.put(tied("p3", "p2", "seealso"))
    await server.put(observation("third", "p3"))
    whole = await server.http.get("/fhir/Patient/p1/$everything")
    theirs = {"Patient/p2", "Patient/p3", "Encounter/e2", "Observation/other", "Observation/third"}
    assert set(ids(whole.json())) == MINE | REFERRED | theirs | {"Practitioner/d2"}
    assert set(server.trail()[-1].patients) == {"Patient/p1", "Patient/p2", "Patient/p3"}
    seen: list[str] = []
    url: str | None = "/fhir/Patient/p1/$everything?_count=3"
    while url:
        page = (await server.http.get(url)).json()
        seen += [n for n, e in zip(ids(page), page["entry"], strict=True) if e["search"]["mode"] == "match"]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert sorted(seen) == sorted(MINE | theirs)
    replaced = set(ids((await server.http.get("/fhir/Patient/p2/$everything")).json()))
    assert replaced == {
        "Patient/p1",  # its link puts it into the compartment
        "Patient/p2",
        "Patient/p3",
        "Encounter/e2",
        "Observation/other",
        "Observation/third",
        "Practitioner/d2",
    }


async def test_a_linked_record_is_left_out_for_who_may_not_see_it(server: Running) -> None:
    await fill(server)
    await server.put(tied("p1", "p2", "replaces"))
    await server.put(tied("p2", "p1", "replaced-by"))
    own = server.key("patient/*.rs", patient="p1")
    bound = await server.http.get("/fhir/Patient/p1/$everything", headers=own)
    assert set(ids(bound.json())) >= MINE
    await server.put(tied("p2", "p1", "replaced-by", meta={"security": [LABEL]}))
    key = server.key("system/*.rs")
    hidden = await server.http.get("/fhir/Patient/p1/$everything", headers=key)
    for answer in (bound, hidden):
        found = ids(answer.json())
        assert not [
            name for name in found if name in ("Patient/p2", "Encounter/e2", "Observation/other", "Practitioner/d2")
        ]
    assert "Patient/p2" not in bound.text.replace('"reference":"Patient/p2"', "")
