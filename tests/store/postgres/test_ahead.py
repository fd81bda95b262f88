"""Rows of accesses go to the server with the lock in one message: that was in vain when somebody else has written, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from suture.errors import Unavailable
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.postgres.connection import ServerTx
from tests import stores
from tests.store.postgres.conftest import Stranger

pytestmark = pytest.mark.slow


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What came of each group that was sent ahead."""
    found: list[bool] = []
    commit = ServerTx.commit_ahead

    def noted(tx: ServerTx) -> bool:
        found.append(commit(tx))
        return found[-1]

    monkeypatch.setattr(ServerTx, "commit_ahead", noted)
    return found


async def access(store: Database, *ids: str) -> None:
    rows = [AuditRow("client:one", "read", "Patient", id, f"Patient/{id}") for id in ids]
    await store.write(lambda tx: audit.append_all(tx, rows), lambda: None)


def seen(store: Database) -> list[str]:
    assert audit.verify(store.read) is None
    return [entry.row.id for entry, _ in audit.entries(store.read)]


async def test_after_the_first_group_one_message_is_enough(store: Database, sent: list[bool]) -> None:
    for number in range(5):
        await access(store, f"a{number}", f"b{number}")
    assert sent == [True] * 4  # the first one reads where the trail ends
    assert seen(store) == [f"{letter}{number}" for number in range(5) for letter in "ab"]


async def test_what_another_process_wrote_in_between_is_gone_on_from(
    store: Database, tmp_path: Path, sent: list[bool]
) -> None:
    other = stores.database(tmp_path)
    await access(store, "a")
    await access(store, "b")
    await access(other, "c")
    await access(store, "d")
    await access(store, "e")
    assert sent == [True, False, True]
    assert seen(store) == ["a", "b", "c", "d", "e"]
    other.close()


async def test_two_processes_at_once_make_one_trail(store: Database, tmp_path: Path) -> None:
    other = stores.database(tmp_path)
    wanted = [f"{name}{n}" for name in "xy" for n in range(60)]
    await asyncio.gather(*(access(store if id[0] == "x" else other, id) for id in wanted))
    assert sorted(seen(store)) == sorted(wanted)
    assert store.read.one("SELECT last_value FROM suture_time") == store.read.one("SELECT max(at) FROM audit")
    other.close()


async def test_the_lock_is_waited_for(store: Database, sent: list[bool], stranger: Stranger) -> None:
    await access(store, "a")
    beside = stranger()
    assert store._group is not None
    tx = store._group._tx
    assert isinstance(tx, ServerTx)
    beside.execute("BEGIN")
    beside.execute(f"SELECT pg_advisory_xact_lock({tx._lock})")
    waiting = asyncio.create_task(access(store, "b"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    beside.execute("COMMIT")
    await waiting
    assert sent == [False]
    assert seen(store) == ["a", "b"]


async def test_a_unit_that_raises_or_changes_something_goes_the_long_way_alone(
    store: Database, sent: list[bool]
) -> None:
    await access(store, "a")

    def broken(tx: Tx) -> None:
        audit.append(tx, AuditRow("client:one", "read", "Patient", "half"))
        raise ValueError("my affair")

    def changes(tx: Tx) -> None:
        tx.execute("UPDATE fact SET value = 'x' WHERE name = 'nothing'")
        audit.append(tx, AuditRow("client:one", "read", "Patient", "changed"))

    turns: list[str] = []
    results = await asyncio.gather(
        access(store, "b"),
        store.write(broken, lambda: turns.append("broken")),
        store.write(changes, lambda: turns.append("changes")),
        return_exceptions=True,
    )
    assert isinstance(results[1], ValueError)
    assert (results[0], results[2], set(turns)) == (None, None, {"broken", "changes"})
    await access(store, "c")
    assert seen(store) == ["a", "b", "changed", "c"]
    assert sent[-1:] == [True]


async def test_other_units_in_the_group_take_the_lock_first(store: Database, sent: list[bool]) -> None:
    await access(store, "a")
    await asyncio.gather(
        access(store, "b"), store.write(lambda tx: audit.append(tx, AuditRow("client:one", "read", "Patient", "c")))
    )
    assert sent == []
    assert seen(store) == ["a", "b", "c"]


async def test_a_session_that_was_ended_is_opened_anew_unnoticed(
    store: Database, sent: list[bool], stranger: Stranger
) -> None:
    await access(store, "a")
    assert store._group is not None
    pid = store._group._tx.raw.info.backend_pid
    beside = stranger()
    beside.execute("SELECT pg_terminate_backend($1::int)", (pid,))
    await asyncio.sleep(0.2)
    await access(store, "b")
    assert sent == []
    assert seen(store) == ["a", "b"]


async def test_a_session_that_ends_beneath_the_message_acknowledges_nothing(
    store: Database, monkeypatch: pytest.MonkeyPatch, stranger: Stranger
) -> None:
    """Whether it was kept nobody knows, so who waits hears that it was not said to be."""
    await access(store, "a")
    beside = stranger()
    commit = ServerTx.commit_ahead

    def cut(tx: ServerTx) -> bool:
        beside.execute("SELECT pg_terminate_backend($1::int, 5000)", (tx.raw.info.backend_pid,))
        return commit(tx)

    monkeypatch.setattr(ServerTx, "commit_ahead", cut)
    with pytest.raises(Unavailable):
        await access(store, "b")
    monkeypatch.setattr(ServerTx, "commit_ahead", commit)
    for _ in range(200):
        try:
            await access(store, "c")
            break
        except Unavailable:
            await asyncio.sleep(0.05)
    assert seen(store) == ["a", "c"]
