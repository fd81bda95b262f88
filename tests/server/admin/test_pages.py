"""The pages as a browser asks for them: who gets in, what is listed, what is found."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from suture.access import people
from tests.server.admin.console import FORM, PASSWORD, SAME, adt, console
from tests.server.running import Running, serving

PAGES = ("/", "/deadletters", "/waiting", "/losses")


@pytest.mark.parametrize("path", [*PAGES, "/messages/x", "/runs/x"])
async def test_without_a_session_a_browser_is_led_to_sign_in(server: Running, path: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.get(path, headers={"Accept": "text/html"})
        to = "" if path == "/" else f"?to={quote(path, safe='')}"
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in{to}")
        plain = await http.get(path)
        assert (plain.status_code, plain.json()["error"]) == (401, "unauthenticated")


async def test_sign_in_says_how_the_first_administrator_is_made(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert "one-time link" in (await http.get("/sign-in")).text
        people.add_user(server.app.database, "ada", "", PASSWORD, ["reader"])
        assert "one-time link" not in (await http.get("/sign-in")).text


async def test_only_an_administrator_gets_in(server: Running) -> None:
    people.add_user(server.app.database, "rea", "", PASSWORD, ["reader"])
    token = await server.app.people.sign_in("rea", PASSWORD, "")
    async with httpx.AsyncClient(base_url=server.url, cookies={"suture_session": token}, headers=SAME) as http:
        for path in PAGES[1:]:
            answer = await http.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == 403
            assert "lacks the permission" in answer.text
        answer = await http.get("/", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/launch")
        assert (await http.get("/")).json()["error"] == "forbidden"
    assert (
        await server.http.get("/api/messages")
    ).status_code == 403  # a program's key opens the chart, not the console


async def test_a_page_lets_nothing_run_but_our_own_files(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        for path in (*PAGES, "/sign-in"):
            answer = await here.http.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert " style=" not in answer.text
            assert "<style" not in answer.text
            assert "<script>" not in answer.text


async def test_messages_are_listed_and_found(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt("A"), adt("B", mrn="2"), adt("C").replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12"))
        everything = await here.page("/")
        assert everything.index(">C<") < everything.index(">B<") < everything.index(">A<")
        assert ">C<" in await here.page("/?state=unrouted")
        only = await here.page("/?control_id=A&since=1h")
        assert ">A<" in only
        assert ">B<" not in only
        assert "No message fits" in await here.page("/?since=2099-01-01")
        assert "no state of this name" in await here.page("/?state=lost", 400)
        assert "this is not a time" in await here.page("/?since=yesterday", 400)
        assert "no filter of this name" in await here.page("/?color=red", 400)


async def test_a_patients_identifier_never_stands_in_an_address(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt("A"), adt("B", mrn="2"))
        found = await here.post("/", patient="88114477")
        place = found.headers["location"]
        assert "88114477" not in place
        page = await here.page(place)
        assert ">A<" in page
        assert ">B<" not in page
        assert "88114477" not in page
        assert "may not stand in an address" in await here.page("/?patient=88114477", 400)
        assert (await here.post("/", state="done", patient="")).headers["location"] == "/?state=done"
        assert (await here.http.get(place[:-4])).status_code == 400
        assert here.trail("list")[0].query == "patient"


async def test_older_messages_are_a_page_further(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(
            *[adt(f"M{n:03d}", mrn=str(n)).replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12") for n in range(120)]
        )
        seen, cursor = [], ""
        while True:
            page = (await here.http.get("/api/messages" + (f"?_cursor={cursor}" if cursor else ""))).json()
            seen += [one["control_id"] for one in page["messages"]]
            cursor = page["older"]
            if not cursor:
                break
        assert seen == [f"M{n:03d}" for n in reversed(range(120))]


async def test_the_live_part_is_sent_only_when_something_changed(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt("A"))
        first = await here.http.get("/live")
        assert first.status_code == 200
        looks = len(here.trail("list"))
        known = {"If-None-Match": first.headers["etag"]}
        assert (await here.http.get("/live", headers=known)).status_code == 304
        assert len(here.trail("list")) == looks
        await here.send(adt("B"))
        again = await here.http.get("/live", headers=known)
        assert again.status_code == 200
        assert ">B<" in again.text
        assert len(here.trail("list")) == looks + 1


async def test_a_page_left_open_does_not_keep_its_session_awake(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.page("/")
        here.server.app.people.sessions._settings = here.server.app.settings.with_values(session__idle=0.4)
        for _ in range(100):
            await asyncio.sleep(0.15)
            last = await here.http.get("/live")
            if last.status_code == 303:
                break
        assert (last.status_code, last.headers["location"]) == (303, "/sign-in?to=%2Flive")


async def test_a_messages_page_shows_its_runs_answer_and_namesakes(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        first, second = await here.send(adt("A"), adt("A", given="Otherwise"))
        page = await here.page(f"/messages/{second.id}")
        assert "MSA|AA|A" in page
        assert "another body" in page
        assert f'href="/messages/{first.id}"' in page
        assert "admissions" in page
        assert "no message with this id" in await here.page("/messages/none", 404)
        assert "no run with this id" in await here.page("/runs/none", 404)


async def test_a_run_shows_steps_lineage_loss_and_deliveries(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        (message,) = await here.send(adt("A"))
        run = (await here.http.get(f"/api/messages/{message.id}")).json()["message"]["runs"][0]
        told = (await here.http.get(f"/api/runs/{run['id']}")).json()
        assert [(s["step"], s["state"], s["input_of"]) for s in told["steps"]] == [
            ("chart", "done", "original"), ("check", "done", "chart"), ("save", "done", "chart"), ("tell", "done", "chart")
        ]  # fmt: skip
        chart = told["steps"][0]
        assert any(row["source"].startswith("PID-5") and ".name[0].family" in row["target"] for row in chart["lineage"])
        assert "ZZZ" in chart["loss"]
        (delivery,) = told["deliveries"]
        assert [a["outcome"] for a in delivery["attempts"]] == ["delivered"]
        page = await here.page(f"/runs/{run['id']}")
        for text in ("Lineage", "Loss", "Exact bytes", "delivered", "hl7v2/ADT_A01"):
            assert text in page


async def test_losses_are_counted_per_flow(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt("A"), adt("B", mrn="2"), adt("C", mrn="3").replace(b"ZZZ|", b"ZZY|"))
        (feed,) = (await here.http.get("/api/losses")).json()["feeds"]
        lost = {row["field"]: row["count"] for row in feed["fields"]}
        assert (feed["flow"], feed["looked"], lost["ZZZ"], lost["ZZY"]) == ("admissions", 3, 2, 1)
        assert "ZZY" in await here.page("/losses")


async def test_a_form_from_a_webhook_has_its_run_too(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.engine.accept("hooks:intake", json.dumps(FORM).encode(), {})
        await here.settled()
        (row,) = (await here.http.get("/api/messages")).json()["messages"]
        assert (row["type"], row["runs"][0]["flow"]) == ("form", "intake")


async def test_pages_work_with_a_server_without_flows(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        people.add_user(server.app.database, "ada", "", PASSWORD, ["administrator"])
        token = await server.app.people.sign_in("ada", PASSWORD, "")
        async with httpx.AsyncClient(base_url=server.url, cookies={"suture_session": token}) as http:
            for path in PAGES:
                assert (await http.get(path)).status_code == 200
            assert "No message yet" in (await http.get("/")).text
            assert "No flow maps anything" in (await http.get("/losses")).text
