"""Who got a patient's data by an export: found for each patient of a downloaded file, for nobody else, when the file is long gone."""

from __future__ import annotations

import asyncio

import pytest

from suture.server import bulk
from suture.services.audit import disclosures
from suture.services.audit.disclosures import Period
from tests.server.people import observation, patient
from tests.server.running import FHIR, Running
from tests.server.test_bulk import fill, kicked, lines, manifest
from tests.server.test_own import add, signed_in

ASK = {"Prefer": "respond-async", "Accept": FHIR}


def told(server: Running, id: str) -> set[str]:
    """What of this patient's left the house by exports."""
    report = disclosures.report(server.app.database.read, id, Period())
    return {one.what.rpartition(" ")[2] for one in report.left if "export" in one.what or "chart" in one.what}


@pytest.mark.parametrize("named", [0, 50])  # how many patients a row names one by one
async def test_each_patient_of_a_downloaded_file_is_told(
    server: Running, monkeypatch: pytest.MonkeyPatch, named: int
) -> None:
    monkeypatch.setattr(bulk, "NAMED", named)
    await fill(server)
    await server.put(observation("moves", "p1"))
    await server.put(patient("apart"))
    place = await kicked(server, "/fhir/$export?_type=Observation,Provenance,Organization,Group")
    made = await manifest(server, place)
    await server.put(observation("moves", "later"))  # the file shows it as it was
    for file in made["output"]:
        await lines(server, file)
    assert told(server, "p1") == {"Observation", "Provenance", "Group"}
    assert told(server, "p3") == {"Observation", "Group"}
    assert told(server, "apart") == told(server, "later") == set()
    assert (await server.http.delete(place)).status_code == 202
    assert told(server, "p3") == {"Observation", "Group"}
    events = (await server.http.get("/fhir/AuditEvent?patient=Patient/p3&subtype=export")).json()
    assert len(events["entry"]) == 2
    shown = str((await server.http.get("/fhir/AuditEvent?patient=Patient/p3&subtype=export")).json())
    assert named or "Patient/p1" not in shown
    add(server, "pat", "p3", "patient")
    async with signed_in(server, "pat") as http:
        assert "exported" in (await http.get("/own/seen")).text


async def test_a_file_that_nobody_fetched_is_no_disclosure(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?_type=Patient,Organization"))
    organizations = next(f for f in made["output"] if f["type"] == "Organization")
    await lines(server, organizations)
    assert told(server, "p1") == set()
    row = server.trail()[-1]
    assert (row.what, row.detail, row.patient) == ("export", "file 0, 2 resources of 0 patients", "")


async def test_deletions_and_blocks_tell_whose_they_are(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "NAMED", 0)
    await fill(server)
    first = await manifest(server, await kicked(server))
    await asyncio.sleep(0.01)
    await server.http.delete("/fhir/Observation/o2")
    made = await manifest(server, await kicked(server, f"/fhir/$export?_since={first['transactionTime']}"))
    assert (await server.http.get(made["deleted"][0]["url"])).status_code == 200
    assert (told(server, "p2"), told(server, "p1")) == ({"Bundle"}, set())
    blocks = await manifest(server, await kicked(server, "/fhir/Group/g1/$export?organizeOutputBy=Patient"))
    assert (await server.http.get(blocks["output"][0]["url"])).status_code == 200
    assert (told(server, "p1"), told(server, "p3")) == ({"records"}, set())
