"""A disk that fails under the engine: nothing is acknowledged, nothing is lost, nothing is sent twice, and it goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from suture.clock import SystemClock
from suture.connectors.mllp_sender import Sender
from suture.errors import SendUnavailable
from suture.message import MessageState, RunState
from suture.store import commit, connection
from tests.connectors.site import Got, Say, Site
from tests.engine.rig import FORWARD, Rig, adt, other
from tests.engine.test_chart import FEED
from tests.store.disk import Disk


@asynccontextmanager
async def on_a_bad_disk(rig: Rig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Disk]:
    after = folder / "after"
    after.mkdir(parents=True)
    disk = Disk(after)
    monkeypatch.setattr(connection, "VFS", f"multipleciphers-{disk.name}")
    monkeypatch.setattr(commit, "PROBE_SECONDS", 0.02)
    await rig.start()
    try:
        yield disk
    finally:
        disk.full = disk.fail_sync = False
        await rig.stop()


@pytest.mark.parametrize("fault", ["full", "fail_sync"])
async def test_no_message_is_acknowledged_while_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async with Site(lambda got: Say()) as site:
        rig = Rig(tmp_path, {"f": FORWARD}, other(site.url))
        async with on_a_bad_disk(rig, tmp_path, monkeypatch) as disk:
            assert await rig.send(adt("M1")) == ["AA"]
            await rig.settled(1)
            setattr(disk, fault, True)
            sender = Sender("127.0.0.1", rig.engine.listeners[0].port)
            for _ in range(3):
                with pytest.raises(SendUnavailable, match="answered AE"):
                    await sender.send(adt("M2"))
            setattr(disk, fault, False)
            await rig.until(lambda: not rig.rooms.database.fenced)
            assert (await sender.send(adt("M2"))).code == "AA"
            await sender.close()
            await rig.settled(2)
            assert [got.json["id"] for got in site.got] == ["M1", "M2"]


@pytest.mark.slow
async def test_a_delivery_is_not_repeated_because_our_own_disk_failed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(got: Got) -> Say:
        asked.set()
        await answer.wait()
        return Say()

    async with Site(slow) as site:
        rig = Rig(tmp_path, {"f": FORWARD}, other(site.url))
        async with on_a_bad_disk(rig, tmp_path, monkeypatch) as disk:
            await rig.accept(adt("M1"))
            await asked.wait()
            disk.full = True
            answer.set()
            await rig.until(lambda: rig.rooms.database.fenced)
            await asyncio.sleep(0.2)
            disk.full = False
            await rig.settled(1)
            assert len(site.got) == 1
            assert [m.state for m in rig.messages()] == [MessageState.DONE]


@pytest.mark.slow
async def test_a_run_whose_commit_fails_is_walked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, {"f": FEED})
    async with on_a_bad_disk(rig, tmp_path, monkeypatch) as disk:
        once = rig.engine.runner._transaction

        def then_fail(*given: object) -> object:
            disk.full = True
            return once(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(rig.engine.runner, "_transaction", then_fail)
        await rig.accept(adt("M1"))
        await rig.until(lambda: rig.rooms.database.fenced)
        monkeypatch.setattr(rig.engine.runner, "_transaction", once)
        await asyncio.sleep(0.2)
        disk.full = False
        await rig.settled(1, 20)
        assert [(r.state, r.error) for r in rig.runs()] == [(RunState.DONE, "")]
        assert rig.letters(open=None) == []


class Jumping(SystemClock):
    """The machine's clock, set by somebody while we run."""

    def __init__(self) -> None:
        self.hours = 0

    def micros(self) -> int:
        return super().micros() + self.hours * 3_600_000_000

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_clock_that_jumps_stops_no_retry_and_hurries_none(tmp_path: Path, hours: int) -> None:
    clock, down = Jumping(), True
    flow = FORWARD.replace("attempts: 3, backoff: 20ms..50ms", "attempts: 8, backoff: 200ms..200ms")
    async with (
        Site(lambda got: Say(503 if down else 200)) as site,
        Rig(tmp_path, {"f": flow}, other(site.url), clock=clock) as rig,
    ):
        await rig.accept(adt("M1"))
        await rig.until(lambda: site.got)
        clock.hours = hours
        await rig.until(lambda: len(site.got) == 3)
        clock.hours = 0
        await rig.accept(adt("M2"))
        await rig.until(lambda: len(site.got) == 4)
        down = False
        await rig.settled(2)
        assert [r.state for r in rig.runs()] == [RunState.DONE] * 2
        assert len(site.got) <= 7
