"""The whole record over the web: streamed to who may have it, described to anybody, audited before the first byte."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import httpx
import pytest

from suture.access.passwords import hashed
from suture.services.ehi.archive import description
from suture.store import accounts, resources
from tests.server.admin.console import MARKERS, PASSWORD, SAME, adt, console


async def test_the_whole_record_is_handed_out_by_number(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        (row,) = resources.history(here.read, "Patient")
        for path in ("/ehi", "/api/ehi"):
            answer = await here.http.post(path, data={"patient": "88114477"})
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
            with zipfile.ZipFile(io.BytesIO(answer.content)) as zip:
                assert zip.testzip() is None
                manifest = json.loads(zip.read("manifest.json"))
            assert (manifest["patient"], manifest["counts"]["messages"]) == (row.id, 1)
            assert manifest["description"] == f"{here.server.url}/ehi-export"
        rows = here.trail("ehi-export")
        assert [(one.id, one.patient, one.outcome) for one in rows] == [(row.id, f"Patient/{row.id}", 200)] * 2
        report = (await here.http.post("/api/audit/patient", data={"patient": row.id})).json()
        assert sum(one["what"] == "the whole record, as a file" for one in report["left"]) == 2
        await here.post("/ehi", 404, patient="0")
        await here.post("/ehi", 400, patient="")
        assert "not encrypted" in await here.page("/ehi")


async def test_anybody_reads_how_the_file_is_made(tmp_path: Path) -> None:
    async with console(tmp_path) as here, httpx.AsyncClient(base_url=here.server.url) as nobody:
        answer = await nobody.get("/ehi-export")
        assert (answer.status_code, answer.content) == (200, description())
        assert (await nobody.post("/api/ehi", data={"patient": "x"})).status_code == 401


async def test_only_who_may_gets_it_and_patients_their_own(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt("M1"), adt("M2", "99", "Other", "Otto"))
        ids = [row.id for row in resources.history(here.read, "Patient")]
        for role, path, status in (
            ("clinician", "/api/ehi", 403), ("infrastructure", "/api/ehi", 403), ("viewer", "/api/ehi", 403),
            ("compliance", "/api/ehi", 200), ("compliance", "/own/record.zip", 403), ("patient", "/api/ehi", 403),
            ("patient", "/own/record.zip", 200),
        ):  # fmt: skip
            name, mine = f"{role}-{path[1:4]}", ids[0] if role == "patient" else ""
            here.server.app.database.write_now(
                lambda tx, n=name, p=mine, r=role: accounts.create_user(
                    tx, n, n, hashed(PASSWORD), roles=[r], patient=p
                )
            )
            token = await here.server.app.people.sign_in(name, PASSWORD, "")
            headers = {"Cookie": f"suture_session={token}", **SAME}
            answer = await here.http.post(
                path, data={"patient": ids[1]} if path == "/api/ehi" else None, headers=headers
            )
            assert answer.status_code == status, (role, path, answer.text[:300] if status != 200 else "")
            if path == "/own/record.zip" and status == 200:
                with zipfile.ZipFile(io.BytesIO(answer.content)) as zip:
                    assert json.loads(zip.read("manifest.json"))["patient"] == ids[0]
                    assert ids[1].encode() not in b"".join(zip.read(name) for name in zip.namelist())


async def test_nothing_of_the_person_is_left_in_files_or_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    async with console(tmp_path / "house") as here:
        await here.send(adt())
        answer = await here.http.post("/api/ehi", data={"patient": "88114477"})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as zip:
            told = b"".join(zip.read(name) for name in zip.namelist())
        assert all(marker.encode() in told for marker in ("Zquackson", "88114477"))
        await here.http.get("/api/audit/export?format=csv")
        await here.http.post("/api/audit/patient", data={"patient": "88114477"})
        if checkpoints := here.server.app.database.upkeep.checkpoints:
            checkpoints.run()
        for file in filter(Path.is_file, tmp_path.rglob("*")):  # noqa: ASYNC240
            content = file.read_bytes()
            assert [marker for marker in MARKERS if marker.encode() in content] == [], file
        assert list(elsewhere.iterdir()) == []
        assert [marker for marker in MARKERS if marker in here.server.log.getvalue()] == []
        assert [
            marker for marker in MARKERS for row in here.trail("ehi-export", "disclosures") if marker in str(row)
        ] == []
