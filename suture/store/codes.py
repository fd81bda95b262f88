"""Interned codes: one number for each (system, code), so that index rows are small integers."""

from __future__ import annotations

from collections.abc import Iterable

from suture.errors import TooLarge
from suture.store.connection import Connection, Tx

REMEMBERED = 100_000  # beyond that (codes as unique as identifiers) the cache starts anew
MOST_BYTES = 2_600  # of a system with its code: a third of a page of PostgreSQL's index
LONGEST = 300  # characters of a system with its code; what is longer is looked up each time


def number(tx: Tx, system: str, code: str) -> int:
    """The number of a code, given now if it has none yet."""
    key = (system, code)
    known = tx.shared.codes.get(key)
    return known if known is not None else given(tx, system, code)[0]


def given(tx: Tx, system: str, code: str) -> tuple[int, bool]:
    """The number of a code, and whether it was given just now."""
    key = (system, code)
    known = tx.shared.codes.get(key)
    if known is not None:
        return known, False
    row = tx.one("SELECT tid FROM tok WHERE code = ? AND sys = ?", (code, system))
    if row is None:
        _require_short(tx, system, code)
        tx.execute("INSERT INTO tok (sys, code) VALUES (?, ?)", key)
    tid = tx.last_rowid if row is None else int(row[0])
    if len(system) + len(code) <= LONGEST:
        tx.remember(tx.shared.codes, key, tid, REMEMBERED)
    return tid, row is None


def _require_short(tx: Tx, system: str, code: str) -> None:
    """Raises TooLarge here, in the unit that brings the code: the server would refuse the rows of the whole group."""
    if tx.far and len(system.encode()) + len(code.encode()) > MOST_BYTES:
        raise TooLarge(
            f"a code or URL of more than {MOST_BYTES} bytes, longer than the index of PostgreSQL takes",
            where="resource",
            mend="Shorten the longest value that is searched by.",
        )


def find(connection: Connection, system: str | None, code: str) -> list[int]:
    """The numbers of a code; without a system (None) those of every system that has it."""
    if system is None:
        return [tid for (tid,) in connection.all("SELECT tid FROM tok WHERE code = ?", (code,))]
    known = connection.shared.codes.get((system, code))
    if known is not None and _settled(connection, known):
        return [known]
    return [tid for (tid,) in connection.all("SELECT tid FROM tok WHERE code = ? AND sys = ?", (code, system))]


def _settled(connection: Connection, number: int) -> bool:
    """Whether a number that was given can't be taken back and given to another code while a reader works with it."""
    return isinstance(connection, Tx) or (connection.outset is not None and number <= connection.outset.codes)


def texts(connection: Connection, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
    """(system, code) of each number."""
    found: dict[int, tuple[str, str]] = {}
    for tid in numbers:
        row = connection.one("SELECT sys, code FROM tok WHERE tid = ?", (tid,))
        if row:
            found[tid] = (row[0], row[1])
    return found
