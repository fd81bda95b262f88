"""What was open when a subscription was asked for, and is closed when something happens, is not sent: grants, roles, consents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from suture.store import accounts, apps, grants, subscriptions
from suture.store.connection import Tx
from tests.attacks.test_once_open import add
from tests.attacks.world import consent, put
from tests.notified import Hook, happened, searching, subscription
from tests.server.people import observation, patient
from tests.server.running import Running, serving

SCOPES = ("user/Subscription.cruds", "user/Observation.rs", "user/Patient.rs")


@pytest_asyncio.fixture
async def server(tmp_path: Path, hooked: Hook) -> AsyncIterator[Running]:
    async with serving(tmp_path, outbound__allow=f"http://127.0.0.1:{hooked.port}") as running:
        await put(running, [patient("p1"), patient("p2")])
        yield running


def granted(server: Running, user: str = "", scopes: tuple[str, ...] = SCOPES) -> tuple[str, dict[str, str]]:
    """A grant of an app that is approved, with its token's header."""

    def unit(tx: Tx) -> str:
        apps.add(tx, apps.OAuthClient("board", "Board", "public", status="approved", scopes=scopes))
        wanted = grants.Wanted("board", scopes, f"{server.url}/fhir", user)
        grant = grants.create(tx, wanted, 3600)
        grants.issue(tx, grant.id, grants.ACCESS, "token-of-board", 3600, scopes)
        return grant.id

    return server.app.database.write_now(unit), {"Authorization": "Bearer token-of-board"}


async def asked(server: Running, hooked: Hook, headers: dict[str, str], content: str = "full-resource") -> str:
    wanted = subscription(hooked.url, "observation-changed", content)
    made = await server.http.post("/fhir/Subscription", json=wanted, headers=headers)
    assert made.status_code == 201, made.text
    return await until(server, made.json()["id"], "active")


async def until(server: Running, id: str, status: str) -> str:
    for _ in range(600):
        found = (await server.http.get(f"/fhir/Subscription/{id}")).json()
        if found["status"] == status:
            return id
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_a_grant_that_is_taken_back_sends_nothing_more(server: Running, hooked: Hook) -> None:
    user = add(server, "nora", "clinician")
    grant, headers = granted(server, user.id)
    id = await asked(server, hooked, headers)
    await server.put(observation("o1", "p1"))
    await hooked.until(lambda: hooked.numbers() == [1])
    server.app.database.write_now(lambda tx: grants.revoke(tx, grant, "user"))
    await server.put(observation("o2", "p1"))
    await until(server, id, "error")
    assert "o2" not in str(hooked.bundles)


async def test_a_person_who_left_is_told_nothing_more(server: Running, hooked: Hook) -> None:
    user = add(server, "nora", "clinician")
    _, headers = granted(server, user.id)
    id = await asked(server, hooked, headers)
    server.app.database.write_now(lambda tx: accounts.change_user(tx, user.id, active=False))
    await server.put(observation("o1", "p1"))
    await until(server, id, "error")
    assert "o1" not in str(hooked.bundles)


async def test_an_app_that_may_do_less_now_is_told_less(server: Running, hooked: Hook) -> None:
    """Its registration was narrowed: the subscription lives, observations do not go out."""
    user = add(server, "nora", "clinician")
    _, headers = granted(server, user.id)
    await asked(server, hooked, headers)
    client = apps.get(server.app.database.read, "board")
    assert client is not None
    server.app.database.write_now(lambda tx: apps.change(tx, replace(client, scopes=("user/Subscription.cruds",))))
    await asked(server, hooked, dict(server.http.headers), "empty")
    await server.put(observation("o1", "p1"))
    await hooked.until(lambda: hooked.numbers() == [1])
    assert "o1" not in str(hooked.bundles)


async def test_a_consent_that_came_between_keeps_what_waits(server: Running, hooked: Hook) -> None:
    """An event that was numbered before the patient said no goes out as a number alone."""
    id = await asked(server, hooked, dict(server.http.headers))
    other = server.key("system/*.cruds")
    seen = await asked(server, hooked, other)
    made = await server.http.post(
        "/fhir/Subscription", json=searching(hooked.url, "Observation", "application/fhir+json")
    )
    searched = await until(server, made.json()["id"], "active")
    hooked.status = 503
    await server.put(observation("o1", "p1"))
    for _ in range(600):
        status = (await server.http.get(f"/fhir/Subscription/{seen}/$status")).text
        if '"valueString":"1"' in status.replace(" ", ""):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(status)
    no = consent() | {"id": "c1", "patient": {"reference": "Patient/p1"}, "provision": {"type": "deny"}}
    await server.put(no)
    hooked.status = 200
    await hooked.until(lambda: hooked.numbers().count(1) == 2)
    assert "o1" not in str(hooked.bundles)
    assert all("focus" not in event for b in hooked.of("event-notification") for event in happened(b))
    assert id != seen
    for _ in range(600):
        kept = next(one for one in subscriptions.every(server.app.database.read) if one.id == searched)
        if kept.sent == 1:
            break
        await asyncio.sleep(0.05)
    assert (kept.events, kept.sent, hooked.calls) == (1, 1, [])


async def test_a_programs_grant_lasts_longer_than_its_token(server: Running, hooked: Hook) -> None:
    scopes = ("system/Subscription.cruds", "system/Observation.rs")
    grant, headers = granted(server, scopes=scopes)
    await asked(server, hooked, headers)
    server.app.database.write_now(lambda tx: tx.execute("UPDATE oauth_grant SET expires = 1 WHERE gid = ?", (grant,)))
    await server.put(observation("o1", "p1"))
    await hooked.until(lambda: hooked.numbers() == [1])
    assert "o1" in str(hooked.bundles)
