"""The audit trail: who did what to whose record, each row chained to the one before (45 CFR 164.312(b), NIST SP 800-92).

All rows of a database form one chain: a row is only ever written under the write lock, whichever process holds it.
An anchor outside the database (see anchor.py) keeps count and head, so that a cut-off end is seen too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from suture.store import names
from suture.store.connection import Connection, Tx

GENESIS = bytes(32)


class AuditRow(NamedTuple):
    """One access. `query` names search parameters without their values; nothing here is more than an identifier."""

    who: str  # caller: kind and id, `user:…`, `client:…`, `flow:…`, `system`
    what: str  # interaction: read, search, create, login, export, …
    type: str = ""
    id: str = ""
    patient: str = ""  # whose record, as Patient/ID
    query: str = ""
    outcome: int = 200  # HTTP status, or the status its error would have
    purpose: str = ""  # purpose of use
    address: str = ""  # of the client
    detail: str = ""


class Entry(NamedTuple):
    """A row as it stands in the trail."""

    n: int
    at: int
    row: AuditRow


class Head(NamedTuple):
    """Where the trail ends."""

    n: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the trail is not what was written."""

    n: int
    kind: str  # edited | missing | reordered | truncated
    text: str


def append(tx: Tx, row: AuditRow) -> int:
    """Adds a row in this unit; returns its number."""
    before = tx.chain or head(tx)
    n = before.n + 1
    hash = _hash(before.hash, n, tx.now, row)
    number = names.number
    tx.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            n, tx.now, number(tx, row.who), number(tx, row.what), number(tx, row.type), row.id or None,
            row.patient or None, row.query or None, row.outcome, number(tx, row.purpose), number(tx, row.address),
            row.detail or None, hash,
        ),
    )  # fmt: skip
    tx.chain = Head(n, hash)
    return n


def head(connection: Connection) -> Head:
    """The last row's number and hash."""
    row = connection.one("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1")
    return Head(*row) if row else Head(0, GENESIS)


def _hash(before: bytes, n: int, at: int, row: AuditRow) -> bytes:
    return hashlib.sha256(before + orjson.dumps((n, at, *row))).digest()


_COLUMNS = "n, at, who, what, type, id, patient, query, outcome, purpose, address, detail"


def _entry(connection: Connection, row: tuple[object, ...]) -> Entry:
    n, at, who, what, type, id, patient, query, outcome, purpose, address, detail = row

    def text(number: object) -> str:
        return names.text(connection, int(str(number)))

    return Entry(
        int(str(n)), int(str(at)),
        AuditRow(
            text(who), text(what), text(type), str(id or ""), str(patient or ""), str(query or ""), int(str(outcome)),
            text(purpose), text(address), str(detail or ""),
        ),
    )  # fmt: skip


def find(
    connection: Connection,
    *,
    who: str = "",
    patient: str = "",
    what: str = "",
    since: int = 0,
    until: int = 1 << 62,
    before: int = 1 << 62,
    count: int = 50,
) -> list[Entry]:
    """Rows newest first; `before` is the number the last page ended at, `since`/`until` are microseconds."""
    low, high = _first_at(connection, since), min(before, _first_at(connection, until))
    conditions, values = ["n >= ?", "n < ?"], [low, high]
    parts: list[int | str] = [*values]
    if patient:
        conditions.append("patient = ?")
        parts.append(patient)
    for column, text in (("who", who), ("what", what)):
        if text:
            conditions.append(f"{column} = ?" if not (patient and column == "who") else "+who = ?")
            parts.append(names.find(connection, text))
    sql = f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(conditions)} ORDER BY n DESC LIMIT ?"
    return [_entry(connection, row) for row in connection.all(sql, [*parts, count])]


def _first_at(connection: Connection, at: int) -> int:
    """The number of the first row at or after a time: times rise with the numbers, so halve the span."""
    low, high = 1, head(connection).n + 1
    if at > 1 << 61:
        return high
    while low < high:
        middle = (low + high) // 2
        row = connection.one("SELECT at FROM audit WHERE n = ?", (middle,))
        if row is None or row[0] < at:
            low = middle + 1
        else:
            high = middle
    return low


def entries(connection: Connection) -> Iterator[tuple[Entry, bytes]]:
    """Every row with its hash, in order."""
    for *row, hash in connection.execute(f"SELECT {_COLUMNS}, hash FROM audit ORDER BY n"):
        yield _entry(connection, tuple(row)), hash


def verify(connection: Connection, anchor: Head | None = None) -> Break | None:
    """Walks the whole trail; the first break, or None when it is what was written (and reaches the anchor)."""
    before, last = Head(0, GENESIS), 0
    for entry, hash in entries(connection):
        if entry.n != before.n + 1:
            return Break(before.n + 1, "missing", f"rows {before.n + 1} to {entry.n - 1} were deleted")
        if _hash(before.hash, entry.n, entry.at, entry.row) != hash:
            return Break(entry.n, "edited", f"row {entry.n} was edited, exchanged, or put there later")
        if anchor and entry.n == anchor.n and hash != anchor.hash:
            return Break(entry.n, "rewritten", f"row {entry.n} is not the one the anchor has seen")
        before, last = Head(entry.n, hash), entry.n
    if anchor and last < anchor.n:
        return Break(last + 1, "truncated", f"the anchor has seen {anchor.n} rows, {last} are there")
    return None
