"""The queue of records that may be of one person, over HTTP: who sees it, what is decided, what stands in the trail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from suture.server.admin.asked import CURSOR
from suture.services.matches.watch import Watch
from suture.store import matches
from tests.attacks.world import LABEL
from tests.server.admin.test_glass import signed_in
from tests.server.people import observation
from tests.server.running import Running
from tests.services.matches.house import ANN, BEA

HIDDEN = {**BEA, "meta": {"security": [LABEL]}}


async def fill(server: Running, **people: dict[str, Any]) -> None:
    for id, person in (people or {"a": ANN, "b": {**ANN, "telecom": []}}).items():
        await server.put({name: value for name, value in {**person, "id": id}.items() if value != []})
    watch = Watch(server.app.interactions.chart)
    while await watch.once():
        pass


@asynccontextmanager
async def registrar(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(server, "reg", "registrar") as reg:
        yield reg


async def test_two_registrations_become_one_record(server: Running) -> None:
    await fill(server)
    await server.put(observation("o1", "a"))
    await server.put(observation("o2", "b"))
    async with registrar(server) as reg:
        listed = (await reg.get("/api/matches")).json()
        (row,) = listed["matches"]
        assert [(r["id"], r["name"]) for r in row["records"]] == [
            ("a", "Quimbleton, Annabella"),
            ("b", "Quimbleton, Annabella"),
        ]
        assert (row["state"], row["grade"], row["score"] > 0.99, listed["older"]) == ("open", "certain", True, "")
        assert "birth date: the same" in row["agree"]
        assert (server.trail()[-1].what, server.trail()[-1].patients) == ("list", ("Patient/a", "Patient/b"))
        seen = (await reg.get(f"/api/matches/{row['id']}")).json()
        assert {line["name"]: line["how"] for line in seen["lines"]} == {
            "Name": "same", "Birth date": "same", "Gender": "same", "Contact": "one", "Address": "same"
        }  # fmt: skip
        assert (server.trail()[-1].what, server.trail()[-1].patients) == ("read", ("Patient/a", "Patient/b"))
        done = await reg.post(f"/api/matches/{row['id']}/link", json={"survivor": "a"})
        assert (done.status_code, done.json()["state"], done.json()["decided_by"]) == (200, "linked", "reg")
        assert (await reg.get("/api/matches")).json()["matches"] == []
        assert len((await reg.get("/api/matches?show=linked")).json()["matches"]) == 1
        assert (await reg.get(f"/api/matches/{row['id']}")).json()["linked"] is True
        again = await reg.post(f"/api/matches/{row['id']}/link", json={"survivor": "a"})
        assert (again.status_code, "the pair is linked already" in again.text) == (409, True)
        apart = await reg.post(f"/api/matches/{row['id']}/unlink")
        assert (apart.status_code, apart.json()["state"]) == (200, "apart")
    assert "link" not in (await server.http.get("/fhir/Patient/a")).json()


async def test_a_pair_is_shown_only_to_who_may_see_both(server: Running) -> None:
    await fill(server, a=BEA, b=HIDDEN)
    assert "suture_matches_open 1" in (await server.http.get("/metrics")).text
    async with registrar(server) as reg:
        assert (await reg.get("/api/matches")).json()["matches"] == []
        assert server.trail()[-1].patients == ()
        unknown = await reg.get("/api/matches/99")
        for way in ("dismiss", "later", "unlink", "link"):
            answer = await reg.post(f"/api/matches/1/{way}", json={"survivor": "a"} if way == "link" else {})
            assert (answer.status_code, "Zed" in answer.text) == (404, False)
        hidden = await reg.get("/api/matches/1")
        assert (hidden.status_code, hidden.json()) == (404, unknown.json())
    assert matches.count(server.app.database.read, "open") == 1


@pytest.mark.parametrize("role", ["clinician", "operator", "compliance"])
async def test_other_roles_may_not(server: Running, role: str) -> None:
    await fill(server)
    async with signed_in(server, role, role) as person:
        for method, path in (("GET", ""), ("GET", "/1"), ("POST", "/1/link"), ("POST", "/1/dismiss")):
            answer = await person.request(method, f"/api/matches{path}")
            assert (answer.status_code, "Quimbleton" in answer.text) == (403, False)
    assert (await server.http.get("/api/matches")).status_code == 403


async def test_page_by_page_the_likeliest_first(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suture.server.admin.matches.PAGE", 2)
    slip = {**ANN, "name": [{"family": "Quimbelton", "given": ["Annabella"]}]}
    await fill(server, a=ANN, b=ANN, c=slip)
    async with registrar(server) as reg:
        first = (await reg.get("/api/matches")).json()
        second = (await reg.get("/api/matches", params={CURSOR: first["older"]})).json()
        pairs = [tuple(r["id"] for r in row["records"]) for row in first["matches"] + second["matches"]]
        assert pairs[0] == ("a", "b")
        assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
        assert len(first["matches"]) == 2


async def test_what_is_asked_wrongly_is_told(server: Running) -> None:
    await fill(server)
    async with registrar(server) as reg:
        for method, path, body, status, text in (
            ("GET", "?show=all", None, 400, "not one of the choices"),
            ("GET", "?who=a", None, 400, "no filter of this name"),
            ("GET", "/x", None, 404, "no such pair"),
            ("GET", "/" + "9" * 30, None, 404, "no such pair"),
            ("POST", "/1/link", {}, 400, "not one of both records"),
            ("POST", "/1/link", {"survivor": "a", "kind": "refer"}, 400, "not a kind of link"),
            ("POST", "/1/dismiss", {"survivor": "a"}, 400, "no text field of this name"),
        ):
            answer = await reg.request(method, f"/api/matches{path}", json=body)
            assert (answer.status_code, text in answer.text) == (status, True), answer.text


async def test_the_page_shows_both_side_by_side_and_decides(server: Running) -> None:
    await fill(
        server,
        a=ANN,
        b={**ANN, "name": [{"family": "<i>Quimbleton", "given": ["Annabella"]}], "birthDate": "1980-03-02"},
    )
    async with registrar(server) as reg:
        reg.headers["accept"] = "text/html"
        listed = await reg.get("/matches")
        assert (listed.status_code, 'href="/matches/1"' in listed.text) == (200, True)
        assert ("<i>Quimbleton" in listed.text, "&lt;i&gt;Quimbleton" in listed.text) == (False, True)
        page = (await reg.get("/matches/1")).text
        assert '<tr class="differs"><th scope="row">Birth date</th>' in page
        assert '<tr class="same"><th scope="row">Address</th>' in page
        assert (page.count("This record stands"), "<i>Quimbleton" in page) == (2, False)
        later = await reg.post("/matches/1/later")
        assert (later.status_code, later.headers["location"]) == (303, "/matches?said=later")
        assert "Nobody seems to be here twice." in (await reg.get("/matches?said=later")).text
        assert "Compare" in (await reg.get("/matches?show=later")).text
        linked = await reg.post("/matches/1/link", data={"survivor": "a", "kind": "seealso"})
        assert linked.headers["location"] == "/matches?said=link"
        page = (await reg.get("/matches/1")).text
        assert ("take apart" in page, "This record stands" in page) == (True, False)
        assert (await reg.post("/matches/1/unlink")).status_code == 303
        assert "Two persons" in (await reg.get("/matches/1")).text
        again = await reg.post("/matches/1/link", data={"survivor": "a"})
        assert (again.status_code, "the pair is apart already" in again.text) == (409, True)


async def test_the_page_shows_nobody_whom_one_may_not_see(server: Running) -> None:
    await fill(server, a=BEA, b=HIDDEN)
    async with registrar(server) as reg:
        reg.headers["accept"] = "text/html"
        for path, status in (("/matches", 200), ("/matches/1", 404)):
            answer = await reg.get(path)
            assert (answer.status_code, "Zed" in answer.text) == (status, False)
    async with signed_in(server, "doc", "clinician") as doctor:
        answer = await doctor.get("/matches", headers={"accept": "text/html"})
        assert (answer.status_code, "/matches" in (await doctor.get("/account")).text) == (403, False)
