"""Nobody is told whose message it is before a reason is given; every look is in the trail; no other site can cause one."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from suture.store import audit
from suture.store.queue import runs
from tests.connectors.site import Say
from tests.server.admin.console import FORM, MARKERS, Console, adt, console


async def _addresses(here: Console) -> list[str]:
    """Every page and view there is, of everything there is."""
    listed = (await here.http.get("/api/messages")).json()["messages"]
    ids = [f"/messages/{one['id']}" for one in listed] + [f"/runs/{run.id}" for run in runs.find(here.read)]
    fixed = ["/messages", "/deadletters", "/deadletters?show=all", "/waiting", "/losses", "/figures", "/openapi.json"]
    pages = ["/", "/live", *fixed[1:5], *ids]
    return pages + [f"/api{path}" for path in (*fixed, *ids)]


async def test_no_marker_stands_on_any_page_that_was_not_revealed(tmp_path: Path) -> None:
    refusing = False
    async with console(tmp_path, lambda got: Say(400 if refusing else 200, {"said": got.body.decode()})) as here:
        await here.send(adt("A"), adt("B").replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12"))
        await here.engine.accept("hooks:intake", json.dumps(FORM).encode(), {})
        await here.engine.accept("mllp:0", b"MSH|^~\\&|A|B\rZquackson|88114477\rMSH|^~\\&|Wilhelmira", {})
        refusing = True
        await here.send(adt("C"), adt("D", mrn="88114477", given="Wilhelmira\nKwarkburg"))
        found = [(path, (await here.http.get(path)).text) for path in await _addresses(here)]
        assert len(found) > 25
        assert [(path, marker) for path, text in found for marker in MARKERS if marker in text] == []
        assert not any(marker in here.server.log.getvalue() for marker in MARKERS)
        assert not any(marker in str(row) for marker in MARKERS for row in here.trail("list", "read", "reveal"))


async def test_revealing_needs_a_reason_and_is_in_the_trail(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        (message,) = await here.send(adt())
        (run,) = runs.find(here.read)
        for place, kind in ((f"/messages/{message.id}", "Message"), (f"/runs/{run.id}", "Run")):
            refused = await here.post(f"{place}/reveal", 400, reason=" ")
            assert "a reason is needed" in refused.text
            assert "Zquackson" not in refused.text
            shown = await here.post(f"{place}/reveal", 200, reason="the lab asked about a unit")
            assert all(marker in shown.text for marker in ("Zquackson", "Wilhelmira", "88114477", "19630214"))
            wrong, right = here.trail("reveal")[-2:]
            assert (wrong.type, wrong.id, wrong.outcome) == (kind, place.rpartition("/")[2], 400)
            assert (right.type, right.outcome, right.detail) == (kind, 200, "the lab asked about a unit")
            assert right.who.startswith("user:")
            assert "Zquackson" not in await here.page(place)
        assert audit.verify(here.read) is None


async def test_a_runs_row_in_the_trail_says_whose_chart_it_wrote(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        (run,) = runs.find(here.read)
        await here.page(f"/runs/{run.id}")
        row = here.trail("read")[-1]
        assert row.type == "Run"
        chart = next(patient for patient in row.patients if patient.startswith("Patient/"))
        assert (await here.server.http.get(f"/fhir/{chart}")).json()["resourceType"] == "Patient"


async def test_every_view_leaves_one_row(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        (message,) = await here.send(adt())
        (run,) = runs.find(here.read)
        for path in ("/", "/deadletters", "/waiting", "/losses", f"/messages/{message.id}", f"/runs/{run.id}"):
            for prefix in ("", "/api"):
                before = len(here.trail("list", "read"))
                await here.page("/api/messages" if path == "/" and prefix else prefix + path)
                assert len(here.trail("list", "read")) == before + 1, prefix + path
        before = len(here.trail("read"))
        await here.page("/runs/none", 404)
        assert here.trail("read")[before].outcome == 404


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_another_site_can_neither_reveal_nor_replay(tmp_path: Path, headers: dict[str, str]) -> None:
    async with console(tmp_path, lambda got: Say(400)) as here:
        (message,) = await here.send(adt())
        (letter,) = here.letters()
        (run,) = runs.find(here.read)
        paths = (
            f"/messages/{message.id}/reveal", f"/runs/{run.id}/reveal", f"/deadletters/{letter.id}/replay", "/",
            f"/deadletters/{letter.id}/discard", "/deadletters/replay", f"/api/runs/{run.id}/reveal", "/sign-out",
        )  # fmt: skip
        async with httpx.AsyncClient(base_url=here.server.url, cookies=here.http.cookies, headers=headers) as other:
            for path in paths:
                answer = await other.post(path, data={"reason": "because", "flow": "admissions"})
                assert answer.status_code == 403, path
                assert "Zquackson" not in answer.text
                assert (await other.get(path)).status_code in (404, 405, 200), path
        assert len(runs.find(here.read)) == 1
        assert here.letters() == [letter]
        assert here.trail("reveal", "replay", "discard") == []


async def test_a_flow_that_shows_in_full_needs_no_reason(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        flow = here.engine.versions.active["admissions"].flow
        object.__setattr__(flow, "show", "full")
        await here.send(adt())
        (run,) = runs.find(here.read)
        assert "Zquackson" in await here.page(f"/runs/{run.id}")
