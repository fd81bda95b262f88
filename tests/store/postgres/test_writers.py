"""Several writers of one process and of several: what fails or is given up by one is nobody else's affair."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import string
import threading
from pathlib import Path
from typing import Any

import pytest

from suture.errors import TooCostly, TooLarge, Unavailable
from suture.store import audit, codes, names, resources
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from tests import stores
from tests.store.postgres.conftest import Stranger

pytestmark = pytest.mark.slow
BODY = b'{"resourceType":"Basic","code":{"coding":[{"system":"urn:s","code":"c"}]}}'


def cut(raw: Any) -> None:
    """The connection is gone without a word."""
    beneath = socket.socket(fileno=os.dup(raw.pgconn.socket))
    beneath.shutdown(socket.SHUT_RDWR)
    beneath.close()


async def test_names_that_accesses_bring_are_never_another_writer_s_numbers(store: Database) -> None:
    """Rows of accesses are made beside the loop while a large write of the same process numbers names of its own."""
    given: dict[int, tuple[int, int]] = {}
    for turn in range(60):

        def large(tx: Tx, turn: int = turn) -> tuple[int, int]:
            tx.one("SELECT max(rid) FROM res")
            found = names.number(tx, f"T{turn}"), names.number(tx, f"N{turn}")
            audit.append(tx, AuditRow("system", "transaction", f"T{turn}"))
            return found

        async def reads(turn: int = turn) -> None:
            for _ in range(3):
                row = AuditRow("system", "search", f"T{turn}")
                await store.write(lambda tx: audit.append(tx, row), lambda: None)

        given[turn], _ = await asyncio.gather(asyncio.to_thread(store.write_now, large), reads())
    have = dict(store.read.all("SELECT text, nid FROM name"))
    assert given == {turn: (have[f"T{turn}"], have[f"N{turn}"]) for turn in given}
    assert audit.verify(store.read) is None


async def test_what_a_failed_commit_has_numbered_is_forgotten_before_another_writes(store: Database) -> None:
    """The server lets its lock go when a statement fails: a thread that waits has it before the loop hears of it."""
    after: dict[str, Any] = {}
    await store.write(lambda tx: audit.append(tx, AuditRow("system", "search", "Patient")))

    def other() -> None:
        store.write_now(lambda tx: after.update(row=resources.put(tx, "Basic", "b1", BODY)))

    def bad(tx: Tx) -> None:
        resources.put(tx, "Basic", "z", BODY)
        tx.execute("INSERT INTO name (nid, text) VALUES (?, ?)", (1, "twice"))  # found out when the group is written
        after["thread"] = threading.Thread(target=other)
        after["thread"].start()
        asyncio.get_running_loop().call_soon(threading.Event().wait, 0.3)  # the loop has other work

    (heard,) = await asyncio.gather(store.write(bad), return_exceptions=True)
    assert heard is not None
    await asyncio.to_thread(after["thread"].join)
    store.shared.names.clear()
    found = resources.read(store.read, "Basic", "b1")
    assert found is not None
    assert found.body == after["row"].body


async def test_a_write_that_was_given_up_while_it_waited_turns_no_time_back(store: Database, tmp_path: Path) -> None:
    other = stores.database(tmp_path)
    await store.write(lambda tx: audit.append(tx, AuditRow("system", "one")))
    goes_on, inside = threading.Event(), threading.Event()

    def slow(tx: Tx) -> int:
        inside.set()
        goes_on.wait(10)
        audit.append(tx, AuditRow("system", "b"))
        return tx.now

    writing = asyncio.create_task(asyncio.to_thread(other.write_now, slow))
    await asyncio.to_thread(inside.wait)
    given_up = asyncio.create_task(store.write(lambda tx: tx.now))
    await asyncio.sleep(0.05)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    goes_on.set()
    wrote = await writing
    later = await store.write(lambda tx: (audit.append(tx, AuditRow("system", "x")), tx.now))
    assert later[1] > wrote
    assert audit.verify(store.read) is None
    other.close()


async def test_a_question_that_is_cut_off_spoils_nobody_else_s_unit(store: Database) -> None:
    def good(n: int) -> Any:
        return lambda tx: (
            tx.one("SELECT 1 FROM fact WHERE name = ?", (f"{n}",)),
            audit.append(tx, AuditRow("s", f"g{n}")),
        )

    def costly(tx: Tx) -> None:
        with tx.budget(0.05):
            tx.all("SELECT pg_sleep(?)", (5.0,))

    await store.write(lambda tx: audit.append(tx, AuditRow("system", "one")))
    done = await asyncio.gather(store.write(good(1)), store.write(costly), store.write(good(2)), return_exceptions=True)
    assert isinstance(done[1], TooCostly)
    assert [isinstance(one, tuple) for one in done] == [True, False, True]
    assert not store.fenced


async def test_a_code_that_no_index_takes_is_refused_alone(store: Database) -> None:
    chance = random.Random(1)
    long = "".join(chance.choices(string.ascii_letters + string.digits, k=9_000))
    done = await asyncio.gather(
        *(store.write(lambda tx, code=code: codes.number(tx, "urn:s", code)) for code in ("a", long, "b")),
        return_exceptions=True,
    )
    assert isinstance(done[1], TooLarge)
    assert "longer than the index of PostgreSQL takes" in str(done[1])
    assert [isinstance(one, int) for one in done] == [True, False, True]


async def test_a_session_that_is_cut_off_is_unavailable_and_ends_its_snapshot(store: Database) -> None:
    cut(store.read.raw)
    assert store.read.one("SELECT 1 + ?", (1,)) == (2,)
    with store.read.snapshot():
        store.read.one("SELECT 1")
        cut(store.read.raw)
        with pytest.raises(Unavailable, match="cannot be reached"):
            store.read.one("SELECT 1")
    assert store.read.one("SELECT 1 + ?", (1,)) == (2,)

    def broken(tx: Tx) -> None:
        cut(tx.raw)
        tx.one("SELECT 1")

    with pytest.raises(Unavailable, match="cannot be reached"):
        store.write_now(broken)
    assert store.write_now(lambda tx: tx.one("SELECT 1")) == (1,)


def test_a_database_s_own_isolation_is_not_taken_on(store: Database, stranger: Stranger) -> None:
    """A writer that waited for the lock would write on a snapshot from before it."""
    administrator = stranger()
    (name,) = administrator.execute("SELECT current_database()").fetchone() or ("",)
    administrator.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'".encode())
    row = stranger().execute("SELECT current_setting('transaction_isolation')").fetchone()
    assert row == ("read committed",)
