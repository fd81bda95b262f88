"""As many rows in the trail as accesses, each committed before its answer."""

from __future__ import annotations

import httpx

from suture.store import audit
from tests.server.people import observation, patient
from tests.server.running import Running


async def test_every_access_leaves_exactly_one_row(server: Running) -> None:
    http = server.http
    asked = [
        ("PUT", "/fhir/Patient/p1", patient("p1"), 201),
        ("PUT", "/fhir/Patient/p1", patient("p1"), 200),
        ("POST", "/fhir/Observation", observation("o1", "p1"), 201),
        ("POST", "/fhir/Observation", {"resourceType": "Observation"}, 422),
        ("POST", "/fhir/Observation", {"resourceType": "Patient"}, 400),
        ("GET", "/fhir/Patient/p1", None, 200),
        ("GET", "/fhir/Patient/none", None, 404),
        ("GET", "/fhir/Patient/p1/_history/1", None, 200),
        ("GET", "/fhir/Patient/p1/_history", None, 200),
        ("GET", "/fhir/Patient/_history", None, 200),
        ("GET", "/fhir/_history", None, 200),
        ("GET", "/fhir/Patient?name=ex&gender=female", None, 200),
        ("GET", "/fhir?_type=Patient", None, 200),
        ("GET", "/fhir/Patient?wrong=1", None, 400),
        ("DELETE", "/fhir/Patient/p1", None, 204),
        ("GET", "/fhir/Patient/p1", None, 410),
    ]
    for method, path, body, status in asked:
        before = len(server.trail())
        answer = await http.request(method, path, json=body) if body else await http.request(method, path)
        assert answer.status_code == status, (path, answer.text)
        rows = server.trail()
        assert len(rows) == before + 1, path
        assert rows[-1].outcome == status, path
    assert audit.verify(server.app.database.read) is None


async def test_a_row_says_who_what_whose_and_from_where(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(observation("o1", "p1"))
    await server.http.get("/fhir/Observation/o1")
    await server.http.get("/fhir/Observation?patient=p1&code=8867-4")
    read, search = server.trail()[-2:]
    assert read.who.startswith("client:")
    assert (read.what, read.type, read.id, read.patient, read.address) == (
        "read", "Observation", "o1", "Patient/p1", "127.0.0.1"
    )  # fmt: skip
    assert (search.what, search.type, search.query) == ("search-type", "Observation", "patient&code")
    assert "8867-4" not in str(search)


async def test_what_is_turned_away_is_in_the_trail_too(server: Running) -> None:
    narrow = server.key("user/Patient.r")
    before = len(server.trail())
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/fhir/Patient/p1")).status_code == 401
        assert (await http.get("/fhir/Patient/p1", headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await http.get("/fhir/Observation/o1", headers=narrow)).status_code == 403
        assert (await http.get("/fhir/Patient?name=x", headers=narrow)).status_code == 403
        assert (await http.delete("/fhir/Patient/p1", headers=narrow)).status_code == 403
    rows = server.trail()[before:]
    assert [(row.what, row.outcome) for row in rows] == [
        ("denied", 401), ("read", 403), ("search-type", 403), ("delete", 403)
    ]  # fmt: skip
    await server.app.people.denials.close()  # equal refusals of strangers are counted, and told when the minute is over
    assert [(row.what, row.outcome, row.detail) for row in server.trail()[before + 4 :]] == [
        ("denied", 401, "1 more in the same minute")
    ]


async def test_the_open_addresses_leave_no_row(server: Running) -> None:
    before = len(server.trail())
    for path in ("/fhir/metadata", "/health/live", "/health/ready", "/nothing"):
        await server.http.get(path)
    assert len(server.trail()) == before


async def test_a_batch_has_a_row_for_itself_and_one_for_each_entry(server: Running) -> None:
    await server.put(patient("p1"))
    before = len(server.trail())
    entries = [
        {"request": {"method": "GET", "url": "Patient/p1"}},
        {"request": {"method": "GET", "url": "Patient/none"}},
        {"request": {"method": "PUT", "url": "Patient/p2"}, "resource": patient("p2")},
    ]
    await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    rows = server.trail()[before:]
    assert sorted((row.what, row.id, row.outcome) for row in rows) == [
        ("batch", "", 200), ("read", "none", 404), ("read", "p1", 200), ("update", "p2", 201)
    ]  # fmt: skip


async def test_a_transaction_has_one_row_that_names_all_it_touched(server: Running) -> None:
    before = len(server.trail())
    entries = [
        {"request": {"method": "PUT", "url": "Patient/p1"}, "resource": patient("p1")},
        {"request": {"method": "PUT", "url": "Observation/o1"}, "resource": observation("o1", "p1")},
    ]
    made = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert made.status_code == 200, made.text
    (row,) = server.trail()[before:]
    assert (row.what, row.detail) == ("transaction", "PUT Patient/p1 · PUT Observation/o1")


async def test_every_record_that_a_page_or_transaction_touched_is_found_by_its_patient(server: Running) -> None:
    for name in ("p1", "p2", "p3"):
        await server.put(patient(name))
        await server.put(observation(f"o-{name}", name))
    looks = [
        ("GET", "/fhir/Patient?name=ex", {"p1", "p2", "p3"}),
        ("GET", "/fhir/Patient?_count=2", None),
        ("GET", "/fhir/Observation?patient=p1", {"p1"}),
        ("GET", "/fhir/Observation?_id=o-p2&_include=Observation:subject", {"p2"}),
        ("GET", "/fhir/Patient?_id=p3&_revinclude=Observation:subject", {"p3"}),
        ("GET", "/fhir/Observation/_history", {"p1", "p2", "p3"}),
        ("GET", "/fhir/Observation/o-p1/_history/1", {"p1"}),
        ("GET", "/fhir/Observation/o-p1?_elements=status", {"p1"}),
        ("GET", "/fhir/Observation/o-p1/_history/1?_summary=text", {"p1"}),
        ("GET", "/fhir/Observation/o-p1/_history", {"p1"}),
        ("GET", "/fhir?_type=Patient,Observation", {"p1", "p2", "p3"}),
        ("DELETE", "/fhir/Observation/o-p3", {"p3"}),
    ]
    for method, path, wanted in looks:
        await server.http.request(method, path)
        row = server.trail()[-1]
        seen = {text.removeprefix("Patient/") for text in (row.patients or (row.patient,))}
        assert seen == wanted if wanted is not None else len(seen) == 2, path
    moved = await server.http.put("/fhir/Observation/o-p1", json=observation("o-p1", "p2"))
    assert moved.status_code == 200
    assert set(server.trail()[-1].patients) == {"Patient/p1", "Patient/p2"}
    for name in ("p1", "p2", "p3"):
        assert len(audit.find(server.app.database.read, patient=f"Patient/{name}")) >= 7


async def test_who_reads_a_part_of_a_record_is_seen_by_all_whose_it_is(server: Running) -> None:
    who = [{"reference": f"Patient/{p}"} for p in ("p1", "p2")]
    await server.put({"resourceType": "Account", "id": "a1", "status": "active", "subject": who})
    for place in ("Account/a1", "Account/a1/_history/1"):
        for cut in ("", "?_elements=status", "?_summary=text"):
            answer = await server.http.get(f"/fhir/{place}{cut}")
            assert (answer.status_code, "subject" in answer.json()) == (200, not cut)
            assert set(server.trail()[-1].patients) == {"Patient/p1", "Patient/p2"}, cut
            entry = {"request": {"method": "GET", "url": f"{place}{cut}"}}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            answer = await server.http.post("/fhir", json=bundle)
            assert "subject" not in answer.text or not cut
            assert set(server.trail()[-1].patients) == {"Patient/p1", "Patient/p2"}, cut


async def test_entries_of_bundles_are_found_by_their_patients(server: Running) -> None:
    for name in ("p1", "p2", "p3"):
        await server.put(patient(name))
        await server.put(observation(f"o-{name}", name))
    gets = [
        {"request": {"method": "GET", "url": url}}
        for url in ("Observation?patient=p1", "Patient/p2/_history", "Observation/o-p3")
    ]
    writes = [
        {"request": {"method": "DELETE", "url": "Observation/o-p1"}},
        {"request": {"method": "PUT", "url": "Observation/o-p2"}, "resource": observation("o-p2", "p3")},
    ]
    for kind in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": gets + (writes if kind == "transaction" else [])}
        before = len(server.trail())
        assert (await server.http.post("/fhir", json=bundle)).status_code == 200
        rows = server.trail()[before:]
        touched = {patient for row in rows for patient in (*row.patients, row.patient) if patient}
        assert touched == {"Patient/p1", "Patient/p2", "Patient/p3"}, kind
