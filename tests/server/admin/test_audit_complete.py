"""A seeded walk over every address of the table: what was shown or done, and what was refused, has its row before the answer."""

from __future__ import annotations

import random
import re
from pathlib import Path

import httpx
import pytest

from suture.access.passwords import hashed
from suture.server.route import Route
from suture.server.routes import TABLE
from suture.store import accounts, audit, resources
from suture.store.queue import runs
from tests.server.admin.console import PASSWORD, SAME, Console, adt, console

# What a signed-in person gets without a row: nothing of a patient and nothing that is changed stands there.
NOTHING_SHOWN = {
    ("GET", "/api/figures"): "counts",
    ("GET", "/api/openapi.json"): "the description of the addresses",
    ("GET", "/metrics"): "counts",
    ("GET", "/audit/patient"): "an empty form",
    ("GET", "/ehi"): "an empty form",
    ("GET", "/confirm"): "an empty form",
    ("POST", "/confirm"): "a form with its mistake, or a row of its own",
    ("GET", "/account"): "one's own account",
    ("GET", "/account/second-factor"): "one's own account",
    ("POST", "/account/second-factor/app"): "the beginning of a form",
    ("GET", "/launch"): "apps that may be opened",
    ("POST", "/launch"): "the same, or a search with its own row",
    ("GET", "/break-glass"): "one's own openings",
    ("GET", "/api/break-glass"): "one's own openings",
    ("GET", "/own/choose"): "whose record may be chosen",
    ("GET", "/own"): "a choice, or reads with their own rows",
    ("GET", "/own/proxies"): "who stands in for oneself",
    ("GET", "/own/apps"): "one's own apps",
}
ENDING = ("/sign-out", "/account/sessions")  # would end the walker's own session


def walked() -> list[Route]:
    return [route for route in TABLE if route.access != "anonymous" and not route.pattern.startswith(ENDING)]


def address(route: Route, here: Console, chance: random.Random) -> str:
    """The route's address with ids of what is there, or now and then of what is not."""
    (message, *_), (run, *_) = here.messages(), runs.find(here.read)
    (patient, *_) = resources.history(here.read, "Patient")
    known = {
        "/messages": message.id,
        "/api/messages": message.id,
        "/runs": run.id,
        "/api/runs": run.id,
        "/fhir": patient.id,
    }
    found = next((id for start, id in known.items() if route.pattern.startswith(start)), "nothing")
    id = found if chance.random() < 0.8 else "nothing"
    path = route.pattern.replace("{type}", "Patient").replace("{version}", "1").replace("{id}", id)
    return re.sub(r"\{\w+(\.\.\.)?\}", "nothing", path)


async def ask(here: Console, route: Route, path: str, headers: dict[str, str]) -> tuple[int, int]:
    """The status, and how many rows people left meanwhile; what was replayed goes on by itself and leaves others."""
    before = audit.head(here.read).n
    more = {} if route.method in ("GET", "DELETE") else {"data": {"reason": "the walk", "patient": "88114477"}}
    fhir = path.startswith("/fhir")
    if fhir:
        more = {"json": {"resourceType": "Patient"}} if route.method in ("POST", "PUT") else {}
        more = {"data": {"name": "x"}} if path.endswith("_search") else more
        headers = {**headers, "Accept": "application/fhir+json"}
    answer = await here.http.request(route.method, path, headers=headers, **more)  # type: ignore[arg-type]
    left = audit.search(here.read, audit.Filter(after=before, count=1000))
    return answer.status_code, sum(entry.row.who.startswith("user:") for entry in left)


async def session(here: Console, role: str) -> dict[str, str]:
    def unit(tx: object) -> None:
        accounts.create_user(tx, role, role, hashed(PASSWORD), roles=[role])  # type: ignore[arg-type]

    here.server.app.database.write_now(unit)
    token = await here.server.app.people.sign_in(role, PASSWORD, "")
    return {"Cookie": f"suture_session={token}", **SAME}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_what_is_shown_and_what_is_refused_has_its_row(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with console(tmp_path) as here:
        await here.send(adt())
        routes = walked()
        chance.shuffle(routes)
        shown = refused = 0
        for route in routes:
            path = address(route, here, chance)
            status, rows = await ask(here, route, path, {})
            shown += status < 400 and rows > 0
            silent = (route.method, route.pattern) in NOTHING_SHOWN
            if (status < 400 and not silent) or status in (401, 403):
                assert rows >= 1, (route.method, path, status)
        nobody_special = await session(here, "infrastructure")
        chance.shuffle(routes)
        for route in routes:
            status, rows = await ask(here, route, address(route, here, chance), nobody_special)
            if status in (401, 403):
                assert rows == 1, (route.method, route.pattern, status, rows)
                refused += 1
        assert shown > 35
        assert refused > 100
        assert audit.verify(here.read) is None


async def test_each_kind_of_stranger_leaves_a_row(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt())
        before = audit.head(here.read).n
        async with httpx.AsyncClient(base_url=here.server.url) as nobody:
            for _ in range(5):
                assert (await nobody.get("/fhir/Patient")).status_code == 401
        await here.server.app.people.denials.close()
        rows = [entry.row for entry in audit.search(here.read, audit.Filter(after=before, ascending=True))]
        assert [(row.who, row.outcome, row.detail) for row in rows] == [
            ("anonymous", 401, ""), ("anonymous", 401, "4 more in the same minute")
        ]  # fmt: skip
