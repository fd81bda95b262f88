"""SIGKILL while patients are written and notifications go out: every acknowledged change is told, the numbers have no gap."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from suture import settings as settings_of
from suture.access.people import add_client
from suture.store.database import Database
from tests.notified import Hook, happened, hook, subscription
from tests.server.people import patient

ROOT = Path(__file__).parents[2]
KILLS = 3
EACH = 20  # patients between two kills, at least


class Victim:
    """`suture serve` as its own process."""

    def __init__(self, folder: Path, allow: str) -> None:
        self.folder = folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.environment = {
            **os.environ, "SUTURE_KEY_FILE": str(folder / "key"), "PYTHONPATH": str(ROOT), "SUTURE_OUTBOUND_ALLOW": allow,
        }  # fmt: skip
        folder.mkdir(parents=True)
        database = Database.open(settings_of.read(folder, self.environment))
        _, key = add_client(database, "tests", "system/*.cruds", "", 0)
        database.close()
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {key}"}, timeout=20
        )

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "suture", "serve", "--port", str(self.port), "--project", str(self.folder),
                env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(1200):
            try:
                await self.http.get("/health/live")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def write(victim: Victim, written: list[str], number: int) -> None:
    """Puts patients until the process is gone; those that were acknowledged are noted."""
    for n in range(10_000):
        id = f"k{number}-{n}"
        try:
            found = await victim.http.put(f"/fhir/Patient/{id}", json=patient(id))
        except httpx.TransportError:
            return
        assert found.status_code == 201, found.text
        written.append(id)


async def enough(written: list[str], count: int) -> None:
    for _ in range(3000):
        if len(written) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"only {len(written)} patients were written")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_missed_when_the_process_is_killed(tmp_path: Path) -> None:
    written: list[str] = []
    chance = random.Random(7)
    async with hook() as hooked:
        victim = Victim(tmp_path / "project", f"http://127.0.0.1:{hooked.port}")
        await victim.start()
        try:
            made = await victim.http.post(
                "/fhir/Subscription", json=subscription(hooked.url, "patient-created", most=5)
            )
            assert made.status_code == 201, made.text
            await hooked.until(lambda: bool(hooked.came))
            id = made.json()["id"]
            for _ in range(200):
                if (await victim.http.get(f"/fhir/Subscription/{id}")).json()["status"] == "active":
                    break
                await asyncio.sleep(0.05)
            for number in range(KILLS):
                writing = asyncio.create_task(write(victim, written, number))
                await asyncio.sleep(chance.random() / 2)
                await enough(written, EACH * (number + 1))
                await victim.kill()
                await writing
                await victim.start()
            await hooked.until(lambda: told_of(hooked) >= set(written), 60)
        finally:
            await victim.http.aclose()
            await victim.kill()
    judge(hooked)
    assert len(written) >= EACH * KILLS


def told_of(hooked: Hook) -> set[str]:
    return {focus for _, focus in events(hooked)}


def events(hooked: Hook) -> list[tuple[int, str]]:
    """(number, patient) in the order in which they came."""
    return [
        (int(event["event-number"][0]), event["focus"][0]["reference"].rpartition("/")[2])
        for bundle in hooked.of("event-notification")
        for event in happened(bundle)
    ]


def judge(hooked: Hook) -> None:
    """One number a patient, one patient a number, no gap; what came twice came as it was."""
    found = events(hooked)
    assert len(set(found)) == len({number for number, _ in found}) == len({focus for _, focus in found})
    assert {number for number, _ in found} == set(range(1, max(number for number, _ in found) + 1))
    firsts = [number for at, (number, _) in enumerate(found) if number not in {n for n, _ in found[:at]}]
    assert firsts == sorted(firsts)
