"""The console's list of subscriptions: how each stands, taken up again and turned off, and nothing of a patient or a secret on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from suture.server.admin import subscriptions as listed
from suture.server.admin.asked import CURSOR
from tests.notified import Hook, hook, let, searching
from tests.server.admin.console import Console, console
from tests.server.admin.test_glass import signed_in
from tests.server.people import patient

pytestmark = pytest.mark.asyncio(loop_scope="module")
MARKER = "Zquackson"


@dataclass
class There:
    here: Console
    hook: Hook

    async def ask(self, status: str = "active", **channel: Any) -> str:
        wanted = searching(self.hook.url, f"Patient?family={MARKER}", header=[f"X-Secret: {MARKER}"])
        wanted["channel"] = channel or wanted["channel"]
        made = await self.here.server.http.post("/fhir/Subscription", json=wanted)
        assert made.status_code == 201, made.text
        return await self.until(made.json()["id"], status)

    async def until(self, id: str, status: str, waiting: int | None = None) -> str:
        """What went out is noted a moment after the endpoint has it."""
        for _ in range(500):
            row = await self.row(id)
            if row["status"] == status and waiting in (None, row["waiting"]):
                return id
            await asyncio.sleep(0.02)
        raise AssertionError(await self.row(id))

    async def row(self, id: str) -> dict[str, Any]:
        rows = (await self.here.http.get("/api/subscriptions?show=all")).json()["subscriptions"]
        return next(one for one in rows if one["id"] == id)  # type: ignore[no-any-return]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[There]:
    async with hook() as hooked, console(tmp_path_factory.mktemp("list"), flows={}) as here:
        let(here.server.app.outbound, hooked)
        yield There(here, hooked)


async def test_one_that_broke_is_seen_and_taken_up_again(there: There) -> None:
    id = await there.ask()
    there.hook.status = 410
    await there.here.server.put(patient("p1", MARKER))
    await there.until(id, "error")
    page = await there.here.page("/subscriptions?show=error")
    assert "the endpoint answered 410" in page
    assert 'aria-current="page">In error</a>' in page
    assert "1 waiting" in page
    assert "to 127.0.0.1" in page
    row = await there.row(id)
    assert (row["about"], row["channel"], row["place"]) == ("A search of Patient", "rest-hook", "127.0.0.1")
    assert (row["events"], row["waiting"], row["error"]) == (1, 1, "the endpoint answered 410")
    there.hook.status = 200
    await there.here.post(f"/subscriptions/{id}/restart", 400)
    answer = await there.here.post(f"/subscriptions/{id}/restart", reason="the endpoint is mended")
    assert answer.headers["location"] == "/subscriptions?said=restart"
    await there.hook.until(lambda: len(there.hook.calls) == 1)
    await there.until(id, "active", waiting=0)
    assert (await there.row(id))["error"] == ""
    assert "Taken up again" in await there.here.page("/subscriptions?said=restart")
    (trail,) = [one for one in there.here.trail("restart") if one.outcome == 200]
    assert (trail.type, trail.id, trail.detail, trail.who[:5]) == (
        "Subscription", id, "the endpoint is mended", "user:",
    )  # fmt: skip


async def test_one_is_turned_off_and_its_owner_sees_it(there: There) -> None:
    id = await there.ask()
    done = await there.here.http.post(f"/api/subscriptions/{id}/off", json={"reason": "asked to by telephone"})
    assert (done.status_code, done.json()["status"]) == (200, "off")
    assert (await there.here.server.http.get(f"/fhir/Subscription/{id}")).json()["status"] == "off"
    again = await there.here.http.post(f"/api/subscriptions/{id}/off", json={"reason": "once more"})
    assert (again.status_code, "it is off" in again.text) == (409, True)
    unknown = await there.here.http.post("/api/subscriptions/nosuch/off", json={"reason": "once more"})
    assert unknown.status_code == 404
    assert id not in await there.here.page("/subscriptions")
    assert id in await there.here.page("/subscriptions?show=all")
    await there.here.server.put(patient("p2", MARKER))
    await there.here.post(f"/subscriptions/{id}/restart", reason="they want it after all")
    await there.until(id, "active")
    assert (await there.row(id))["events"] == 0  # what happened while it was off is no event


async def test_who_may_not_act_sees_and_who_may_not_see_is_refused(there: There) -> None:
    id = await there.ask(type="websocket")
    server = there.here.server
    async with signed_in(server, "vera", "viewer") as viewer:
        assert id in (await viewer.get("/api/subscriptions")).text
        refused = await viewer.post(f"/api/subscriptions/{id}/off", json={"reason": "because"})
        assert refused.status_code == 403
    async with signed_in(server, "carl", "clinician") as clinician:
        assert (await clinician.get("/api/subscriptions")).status_code == 403
    assert (await there.row(id))["status"] == "active"
    assert there.here.trail("list")[-1].type == "Subscription"


async def test_nothing_of_a_patient_or_a_secret_is_shown(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    await there.ask()
    for path in ("/subscriptions?show=all", "/api/subscriptions?show=all"):
        text = await there.here.page(path)
        assert "A search of Patient" in text
        assert MARKER not in text
        assert "/notify" not in text
    monkeypatch.setattr(listed, "PAGE", 1)
    first = (await there.here.http.get("/api/subscriptions?show=all")).json()
    second = (await there.here.http.get(f"/api/subscriptions?{CURSOR}={first['older']}")).json()
    assert first["subscriptions"][0]["id"] != second["subscriptions"][0]["id"]
    assert sum(first["counts"].values()) == 4
    assert (await there.here.http.get("/api/subscriptions?show=some")).status_code == 400
