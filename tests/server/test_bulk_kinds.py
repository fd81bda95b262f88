"""The statements of imports and exports on each kind of database: one server, walked from the first file to the last."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from suture.access.policy import SYSTEM
from suture.server import bulk
from suture.services.bulk import arriving, faults
from suture.services.bulk.folder import Folder
from suture.services.bulk.request import read
from suture.store import audit
from suture.store.database import Database
from tests.server.people import observation, patient
from tests.server.running import serving
from tests.server.test_bulk import ALL, exported, fill, kicked, lines, manifest
from tests.server.test_bulk_whose import told
from tests.server.test_import import caller, done, file, sent, stop
from tests.server.test_import import told as faults_of


async def test_bulk_work_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "PART", 400)
    monkeypatch.setattr(bulk, "NAMED", 0)
    async with serving(tmp_path, bulk__look=0.05) as server:
        await fill(server)
        assert await exported(server) == ALL
        first = await manifest(server, await kicked(server, "/fhir/Group/g1/$export?_type=Observation"))
        await lines(server, first["output"][0])
        assert told(server, "p1") == {"Observation", "Patient", "Encounter", "Provenance", "Group"}
        worker = await stop(server)
        more = [observation(f"new{n}", f"p{n % 3 + 1}") for n in range(6)]
        place = await sent(server, file(patient("p1", family="Changed"), *more, b"{"))
        found = worker.find(await caller(server), place.rpartition("/")[2])
        await worker._part(found)
        await worker.start()
        made = await done(server, place)
        assert made["extension"]["imported"] == {"created": 6, "updated": 1, "unchanged": 0, "failed": 1}
        assert [one["issue"][0]["location"][0] for one in await faults_of(server, made)] == ["line 8"]
        assert (await server.http.delete(place)).status_code == 202
        await server.http.delete("/fhir/Observation/o2")
        since = f"/fhir/Patient/$export?_since={first['transactionTime']}&_type=Observation,Patient"
        place = await kicked(server, since)
        made = await manifest(server, place)
        assert {f["type"]: f["count"] for f in made["output"]} == {"Patient": 1, "Observation": 6}
        assert [f["count"] for f in made["deleted"]] == [1]
        damage = "UPDATE res SET zd = 0, body = ? WHERE fid = ?"
        server.app.database.write_now(lambda tx: tx.execute(damage, (b"x" * 90, "new0")))
        for _ in range(2):
            await lines(server, next(f for f in made["output"] if f["type"] == "Observation"))
        assert [f["count"] for f in (await manifest(server, place))["error"]] == [1]
        await asyncio.to_thread(of_command, server.app.database, tmp_path / "out")
        assert {f.name for f in (tmp_path / "out").iterdir()} == {"Observation.ndjson", "Observation.errors.txt"}
        again = f"UPDATE export_job SET state = 'running', lease = 0, tries = {faults.TRIES}"
        server.app.database.write_now(lambda tx: tx.execute(again))
        while (answer := await server.http.get(place)).status_code != 500:
            assert answer.status_code in (202, 429), answer.text
        server.app.database.write_now(lambda tx: tx.execute("UPDATE export_job SET expires = 1"))
        await kicked(server, "/fhir/$export?_type=Patient")
        assert (await server.http.get(place)).status_code == 404
        assert audit.verify(server.app.database.read) is None


def of_command(database: Database, out: Path) -> None:
    wanted = read("", SYSTEM, "system", "", [("_type", "Observation")], lenient=False)
    Folder(out, database, wanted).run(("all",))
