"""The compliance officer's pages: the trail, who saw a patient, what left; sorted, filtered, printed and taken along."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from suture.access import people
from suture.services.audit import table
from suture.store import audit, resources
from suture.store.audit import AuditRow
from tests.server.admin.console import MARKERS, PASSWORD, SAME, Console, adt, console


def patient_id(here: Console) -> str:
    (row,) = resources.history(here.read, "Patient")
    return row.id


async def report(here: Console, **fields: str) -> dict[str, Any]:
    answer = await here.http.post("/api/audit/patient", data=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_one_look_at_a_patient_tells_who_saw_and_what_left(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        id = patient_id(here)
        app = here.server.key("system/Patient.rs")
        await here.server.http.get("/fhir/Patient?gender=female", headers=app)
        await here.server.http.get(f"/fhir/Patient/{id}", headers=app)
        await here.server.http.get("/fhir/Patient/none", headers=app)
        found = await report(here, patient=id)
        assert found == await report(here, patient="88114477") | {"seen": found["seen"]}
        sent = [one for one in found["left"] if one["connection"]]
        assert [(one["connection"], one["what"], one["how"], one["purpose"]) for one in sent] == [
            ("registry", "a message to a web service", "arrived", "flow admissions")
        ]
        given = [one["what"] for one in found["left"] if not one["connection"]]
        assert sorted(given) == ["read Patient", "searched Patient"]
        names = {one["name"]: one["times"] for one in found["seen"]}
        assert names["flow admissions"] == 1
        assert names["c1"] == 2
        assert (await here.http.post("/api/audit/patient", data={"patient": "nobody"})).status_code == 404
        rows = here.trail("disclosures")
        assert [row.outcome for row in rows] == [200, 200, 404]
        assert rows[0].patient == f"Patient/{id}"


async def test_the_page_is_reached_by_number_without_naming_anybody_in_an_address(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        asked = await here.post("/audit/patient", patient="88114477")
        place = asked.headers["location"]
        assert "88114477" not in place
        shown = await here.page(place)
        assert "a message to a web service" in shown
        assert "What left the house" in shown
        assert not any(marker in shown for marker in MARKERS)
        cursor = parse_qs(urlsplit(place).query)["_cursor"][0]
        for name, first in (("disclosures", "date and time (UTC)"), ("seen", "name")):
            answer = await here.http.get(f"/audit/patient/{name}.csv?_cursor={cursor}")
            lines = list(csv.reader(io.StringIO(answer.text)))
            assert (answer.status_code, lines[0][0]) == (200, first)
            assert len(lines) > 1
        assert (await here.http.get("/audit/patient?patient=88114477")).status_code == 400
        assert "no patient" in await here.page(
            (await here.post("/audit/patient", patient="000")).headers["location"], 404
        )


async def test_the_trail_is_filtered_sorted_and_paged(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        for n in range(250):
            row = AuditRow(
                f"user:{n % 3}", "read" if n % 2 else "delete", "Patient", str(n), outcome=403 if n % 5 == 0 else 200
            )
            here.server.app.database.write_now(lambda tx, row=row: audit.append(tx, row))

        async def rows(query: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            path = f"/api/audit?{query}"
            while path:
                body = (await here.http.get(path)).json()
                found += body["rows"]
                path = body["older"] and f"/api/audit?_cursor={body['older']}"
            return found

        assert [row["id"] for row in await rows("who=user:1&order=asc")] == [str(n) for n in range(250) if n % 3 == 1]
        assert len(await rows("outcome=refused")) == 50
        assert len(await rows("what=delete&outcome=403")) == 25
        by_who = [row["who"] for row in await rows("sort=who&order=asc&what=read")]
        assert by_who == sorted(by_who)
        assert len(by_who) == 125
        page = await here.page("/audit?what=read")
        assert page.count("<tr>") == 101
        for wrong in ("sort=x", "outcome=x", "wrong=1"):
            assert (await here.http.get(f"/api/audit?{wrong}")).status_code == 400
            await here.page(f"/audit?{wrong}", 400)


async def test_the_trail_is_taken_along_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        starts = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'a"b,c')
        for text in starts:
            row = AuditRow("user:9", "list", detail=text)
            here.server.app.database.write_now(lambda tx, row=row: audit.append(tx, row))
        answer = await here.http.get("/api/audit/export?who=user:9&format=csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        cells = [row["detail"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))]
        assert cells == [f"'{text}" for text in starts[:-1]] + [starts[-1]]
        answer = await here.http.get("/api/audit/export?format=ndjson")
        lines = [json.loads(line) for line in answer.text.splitlines()]
        kept = [(entry.n, hash.hex()) for entry, hash in audit.entries(here.read)]
        assert [(line["n"], line["hash"]) for line in lines] == kept[: len(lines)]
        assert lines[-1]["what"] == "export-audit"
        assert (await here.http.get("/api/audit/export?format=xls")).status_code == 400


@pytest.mark.parametrize("cell", [None, 7, "plain", "x=1", ""])
def test_other_cells_stay(cell: object) -> None:
    assert table.harmless(cell) == ("" if cell is None else str(cell))


async def test_pages_open_by_permission_only(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        places = ("/audit", "/audit/patient", "/audit/export", "/api/audit", "/api/audit/export")
        for role, allowed in (("viewer", 0), ("clinician", 0), ("infrastructure", 0), ("compliance", 5)):
            people.add_user(here.server.app.database, role, role, PASSWORD, [role])
            token = await here.server.app.people.sign_in(role, PASSWORD, "")
            cookies = {"Cookie": f"suture_session={token}", **SAME, "Authorization": ""}
            del cookies["Authorization"]
            got = [(await here.http.get(place, headers=cookies)).status_code for place in places]
            assert got.count(200) == allowed, (role, got)
            assert set(got) <= {200, 403}
