"""Group commit: order, isolation of units, failure of all or of one, a disk that fails, another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from suture.clock import SetClock
from suture.errors import Conflict, Unavailable
from suture.store import checkpoints, commit, connection
from suture.store.connection import Tx
from suture.store.database import Database
from tests.store.disk import Disk
from tests.stores import database


def add(value: str):  # type: ignore[no-untyped-def]
    def unit(tx: Tx) -> int:
        tx.execute("INSERT INTO fact VALUES (?, 1)", (value,))
        return tx.now

    return unit


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    pytest.fail("never came true")


def facts(store: Database) -> set[str]:
    return {name for (name,) in store.read.execute("SELECT name FROM fact WHERE name NOT IN ('probe', 'index.rules')")}


async def test_units_run_in_order_and_share_commits(store: Database) -> None:
    order: list[int] = []
    await asyncio.gather(*(store.write(lambda tx, n=n: order.append(n)) for n in range(200)))
    assert order == list(range(200))
    assert store._group is not None
    assert store._group.groups < 20


async def test_a_unit_s_turn_is_told_before_it_runs(store: Database) -> None:
    told: list[str] = []
    for count in (1, 1, 3):  # alone, alone again, with others
        units = [store.write(lambda tx: told.append("unit"), lambda: told.append("turn")) for _ in range(count)]
        await asyncio.gather(*units)
        assert told.index("turn") == 0
        assert told.count("turn") == told.count("unit") == count
        told.clear()


async def test_a_unit_that_raises_is_undone_alone_and_its_caller_hears_it(store: Database) -> None:
    def broken(tx: Tx) -> None:
        add("half")(tx)
        raise ValueError("my affair")

    results = await asyncio.gather(
        store.write(add("a")), store.write(broken), store.write(add("b")), store.write(add("a")), return_exceptions=True
    )
    assert facts(store) == {"a", "b"}
    assert isinstance(results[1], ValueError)
    assert isinstance(results[3], Conflict)


async def test_a_unit_that_is_alone_is_undone_too_and_the_next_goes_on(store: Database) -> None:
    def broken(tx: Tx) -> None:
        add("half")(tx)
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.write(broken)
    await store.write(add("next"))
    assert facts(store) == {"next"}


async def test_what_was_to_follow_a_commit_follows_only_a_commit(store: Database) -> None:
    heard: list[str] = []

    def unit(tx: Tx, name: str, fail: bool) -> None:
        tx.after_commit(lambda: heard.append(name))
        tx.on_rollback(lambda: heard.append(f"not {name}"))
        if fail:
            raise ValueError

    await asyncio.gather(
        store.write(lambda tx: unit(tx, "a", False)),
        store.write(lambda tx: unit(tx, "b", True)),
        return_exceptions=True,
    )
    assert heard == ["not b", "a"]


async def test_reads_go_on_while_a_commit_is_under_way_and_see_only_what_is_committed(store: Database) -> None:
    writing = asyncio.ensure_future(store.write(add("a")))
    await asyncio.sleep(0)
    seen = facts(store)
    await writing
    assert seen <= {"a"}
    assert facts(store) == {"a"}


async def test_a_caller_that_gave_up_before_its_turn_writes_nothing(store: Database) -> None:
    gone = asyncio.ensure_future(store.write(add("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    await store.write(add("kept"))
    assert facts(store) == {"kept"}


async def test_a_snapshot_sees_one_state(store: Database) -> None:
    await store.write(add("a"))
    with store.snapshot() as snapshot:
        first = snapshot.one("SELECT count(*) FROM fact")
        store.write_now(add("b"))
        assert snapshot.one("SELECT count(*) FROM fact") == first
    assert facts(store) == {"a", "b"}


async def test_time_rises_with_every_transaction_even_when_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = SetClock(datetime(2026, 11, 25, tzinfo=UTC))
    store = database(tmp_path, clock)
    times = [await store.write(add("a"))]
    clock.advance(-3600)
    times += [await store.write(add("b")), store.write_now(add("c"))]
    clock.advance(7200)
    times.append(await store.write(add("d")))
    assert times == sorted(set(times))
    store.close()


CHILD = """
import sys
from pathlib import Path
from tests.stores import database
store = database(Path(sys.argv[1]))
for number in range(100):
    store.write_now(lambda tx: tx.execute("INSERT INTO fact VALUES (?, 2)", (f"child {number}",)).fetchall())
store.close()
"""


async def test_another_process_writes_at_the_same_time(store: Database, tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(tmp_path), stderr=subprocess.PIPE)
    number = 0
    while child.returncode is None:
        await store.write(add(f"own {number}"))
        number += 1
        await asyncio.sleep(0.001)
    assert child.returncode == 0
    assert len(facts(store)) == 100 + number


@pytest.fixture
async def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Disk, Database]]:
    after = tmp_path / "after"
    after.mkdir()
    disk = Disk(after)
    monkeypatch.setattr(connection, "VFS", f"multipleciphers-{disk.name}")
    monkeypatch.setattr(commit, "PROBE_SECONDS", 0.02)
    store = database(tmp_path)
    disk.sync_folder()  # as opening does, past SQLite
    yield disk, store
    disk.fail_sync = disk.full = False
    store.close()
    disk.unregister()


@pytest.mark.parametrize("fault", ["fail_sync", "full"])
async def test_a_disk_that_fails_acknowledges_nothing_fences_and_recovers(
    faulty: tuple[Disk, Database], fault: str
) -> None:
    disk, store = faulty
    await store.write(add("before"))
    setattr(disk, fault, True)
    results = await asyncio.gather(*(store.write(add(f"lost {n}")) for n in range(5)), return_exceptions=True)
    assert [type(r) for r in results] == [Unavailable] * 5
    assert store.fenced
    with pytest.raises(Unavailable):
        await store.write(add("fenced"))
    assert facts(store) == {"before"}
    await asyncio.sleep(0.1)
    assert store.fenced  # a probe that fails opens nothing
    setattr(disk, fault, False)
    await asyncio.wait_for(until(lambda: not store.fenced), 30)
    await store.write(add("after"))
    assert facts(store) == {"before", "after"}


async def test_a_statement_that_finds_the_disk_full_loses_its_group_only(faulty: tuple[Disk, Database]) -> None:
    disk, store = faulty

    def large(tx: Tx) -> None:
        for number in range(40):  # more than the page cache holds, so that SQLite spills to the disk
            tx.execute("INSERT INTO fact VALUES (?, zeroblob(1048576))", (f"large {number}",))

    disk.full = True
    results = await asyncio.gather(store.write(add("a")), store.write(large), return_exceptions=True)
    assert [type(r) for r in results] == [Unavailable] * 2
    disk.full = False
    await asyncio.wait_for(until(lambda: not store.fenced), 30)
    assert facts(store) == set()


async def test_a_unit_that_hides_a_full_disk_commits_nothing_on_its_own(faulty: tuple[Disk, Database]) -> None:
    disk, store = faulty

    def stubborn(tx: Tx) -> None:
        for number in range(60):
            with suppress(Unavailable):
                tx.execute("INSERT INTO fact VALUES (?, zeroblob(1048576))", (f"large {number}",))
            if number == 50:
                disk.full = False

    disk.full = True
    with pytest.raises(Unavailable):
        await store.write(stubborn)
    await asyncio.wait_for(until(lambda: not store.fenced), 30)
    assert facts(store) == set()


async def test_a_power_cut_keeps_every_acknowledged_unit(faulty: tuple[Disk, Database], tmp_path: Path) -> None:
    disk, store = faulty
    acknowledged: set[str] = set()

    async def client(number: int) -> None:
        for turn in range(12):
            name = f"{number}.{turn}"
            await store.write(add(name))
            acknowledged.add(name)

    clients = asyncio.gather(*(client(n) for n in range(8)))
    await until(lambda: len(acknowledged) >= 40)
    promised = set(acknowledged)
    survivor = apsw.Connection(str(disk.durable(str(store.path))), vfs="multipleciphers-unix")
    survivor.pragma("cipher", "aegis")
    survivor.pragma("key", "raw:" + store.shared.envelope.key.hex())
    assert survivor.pragma("integrity_check") == "ok"
    kept = {name for (name,) in survivor.execute("SELECT name FROM fact")}
    assert promised <= kept
    survivor.close()
    await clients


@pytest.fixture
def short_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PASSIVE_PAGES", 20)
    monkeypatch.setattr(checkpoints, "RESTART_PAGES", 100)


@pytest.mark.usefixtures("short_wal")
async def test_the_wal_starts_anew_under_load_and_grows_only_while_a_long_reader_stays(store: Database) -> None:
    async def load(prefix: str, most: int) -> int:
        """Writes until the WAL starts anew, at most so often; returns how often it wrote."""
        before = 0
        for number in range(most):
            name = f"{prefix} {number}"
            await store.write(lambda tx, n=name: tx.execute("INSERT INTO fact VALUES (?, zeroblob(9000))", (n,)))
            if store.upkeep.checkpoints.pages < before:
                return number
            before = store.upkeep.checkpoints.pages
        return most

    assert await load("free", 5000) < 5000
    reader = store.reader()
    reader.execute("BEGIN")
    seen = reader.one("SELECT count(*) FROM fact")
    assert await load("held", 300) == 300
    assert reader.one("SELECT count(*) FROM fact") == seen
    reader.close()
    assert await load("after", 5000) < 5000
    assert store.upkeep.trouble == ""
