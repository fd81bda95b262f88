"""SIGKILL while people register twice and are compared: every pair that was acknowledged waits, each once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from suture import settings as settings_of
from suture.store import matches
from suture.store.database import Database
from tests.journeys.test_kill_subscriptions import Victim
from tests.server.people import patient

EACH = 10  # persons between two kills


def person(n: int, time: str) -> dict[str, object]:
    letter = chr(ord("a") + n)
    return patient(f"{time}{n}", f"Quim{letter * 3}ton", birthDate=f"19{50 + n}-0{n % 9 + 1}-1{n % 8}")


async def register(victim: Victim, numbers: range) -> None:
    for n in numbers:
        for time in ("first", "again"):
            found = await victim.http.put(f"/fhir/Patient/{time}{n}", json=person(n, time))
            assert found.status_code == 201, found.text


async def waiting(victim: Victim) -> int:
    """As /metrics counts them."""
    text = (await victim.http.get("/metrics")).text
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("suture_matches_open "))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_no_pair_is_lost_or_doubled_when_the_process_is_killed(tmp_path: Path) -> None:
    victim = Victim(tmp_path / "project", "")
    victim.environment["SUTURE_MATCHING_LOAD"] = "100"
    try:
        for kill in range(2):
            await victim.start()
            await register(victim, range(kill * EACH, (kill + 1) * EACH))
            await asyncio.sleep(kill * 0.9)  # the first time nothing was looked at yet, the second time it is under way
            await victim.kill()
        await victim.start()
        for _ in range(1200):
            if await waiting(victim) == 2 * EACH:
                break
            await asyncio.sleep(0.05)
        await victim.kill()
    except httpx.TransportError:
        raise AssertionError((victim.folder / "log").read_text()[-2000:]) from None
    finally:
        await victim.http.aclose()
        if victim.process.returncode is None:
            await victim.kill()
    database = Database.open(settings_of.read(victim.folder, victim.environment))
    try:
        rows = database.read.all("SELECT low, high, state FROM match_pair", ())
        assert sorted(rows) == [(2 * n + 1, 2 * n + 2, matches.OPEN) for n in range(2 * EACH)]
    finally:
        database.close()
