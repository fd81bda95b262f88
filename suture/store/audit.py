"""The audit trail: who did what to whose record, each row chained to the one before (45 CFR 164.312(b), NIST SP 800-92).

All rows of a database form one chain: a row is only ever written under the write lock, whichever process holds it.
An anchor outside the database (see anchor.py) keeps count and head, so that a cut-off end is seen too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from suture.store import audit_listed, crowds, names
from suture.store.audit_listed import BETWEEN, PATIENT, whose_key
from suture.store.connection import Connection, Tx

ALL = 1 << 62  # rows
GENESIS = bytes(32)
AT_ONCE = 500  # names of sets that one question names


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
    client: str = ""  # the program through which a person came
    grant: str = ""  # what its token belongs to
    patients: tuple[str, ...] = ()  # all whose records a page, a transaction or a send touched, when they are several


class Entry(NamedTuple):
    """A row as it stands in the trail."""

    n: int
    at: int
    row: AuditRow


def persons(row: AuditRow) -> tuple[str, ...]:
    """The patients a row names; of a set only the one that was asked for."""
    return tuple(one for one in row.patients or (row.patient,) if one and not crowds.is_crowd(one))


class Head(NamedTuple):
    """Where the trail ends."""

    n: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the trail is not what was written."""

    n: int
    kind: str  # edited | missing | inserted | reordered | rewritten | truncated | unlisted
    text: str


def append(tx: Tx, row: AuditRow) -> int:
    """Adds a row in this unit; returns its number."""
    return append_all(tx, (row,))


_INSERT = "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def append_all(tx: Tx, rows: Sequence[AuditRow]) -> int:
    """Adds rows in this unit, in their order; returns the number of the last."""
    n, hash = tx.chain or head(tx)
    added = []
    for row in map(_storable, rows):
        n += 1
        hash = _hash(hash, n, tx.now, row)
        added.append(_columns(tx, n, hash, row))
    if len(added) == 1:
        tx.execute(_INSERT, added[0])
    else:
        tx.many(_INSERT, added)
    tx.chain = Head(n, hash)
    tx.shared.unlisted += len(added)
    return n


def _storable(row: AuditRow) -> AuditRow:
    """A text without NUL, which PostgreSQL keeps as another character: what is hashed must be what stands there."""
    if "\0" not in "".join((row.who, row.what, row.type, row.id, row.patient, row.query, row.purpose, row.address,
                            row.detail, row.client, row.grant, *row.patients)):  # fmt: skip
        return row
    return AuditRow(*(_without_nul(one) for one in row))


def _without_nul(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_nul, value))
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _columns(tx: Tx, n: int, hash: bytes, row: AuditRow) -> tuple[Any, ...]:
    number = names.number
    return (
        n, tx.now, number(tx, row.who), number(tx, row.what), number(tx, row.type), row.id or None,
        row.patient or None, row.query or None, row.outcome, number(tx, row.purpose), number(tx, row.address),
        row.detail or None, hash, number(tx, row.client) if row.client else None, row.grant or None,
        BETWEEN.join(row.patients) or None,
    )  # fmt: skip


def head(connection: Connection) -> Head:
    """The last row's number and hash."""
    row = connection.one("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1")
    return Head(*row) if row else Head(0, GENESIS)


def _hash(before: bytes, n: int, at: int, row: AuditRow) -> bytes:
    """Rows that came in no program's name and touched one record at most hash as they did before there were others."""
    said = row if row.client or row.grant or row.patients else row[:10]
    return hashlib.sha256(before + orjson.dumps((n, at, *said))).digest()


COLUMNS = 'n, at, who, what, type, id, patient, query, outcome, purpose, address, detail, client, "grant", whose'


def entry_of(connection: Connection, row: tuple[object, ...]) -> Entry:
    """A row of COLUMNS in words."""
    n, at, who, what, type, id, patient, query, outcome, purpose, address, detail, client, grant, whose = row

    def text(number: object) -> str:
        return names.text(connection, int(str(number)))

    return Entry(
        int(str(n)), int(str(at)),
        AuditRow(
            text(who), text(what), text(type), str(id or ""), str(patient or ""), str(query or ""), int(str(outcome)),
            text(purpose), text(address), str(detail or ""), text(client) if client is not None else "",
            str(grant or ""), tuple(str(whose).split(BETWEEN)) if whose else (),
        ),
    )  # fmt: skip


def entries(connection: Connection, after: int = 0, count: int = -1) -> Iterator[tuple[Entry, bytes]]:
    """Every row behind the number `after` with its hash, in order; at most `count`."""
    sql = f"SELECT {COLUMNS}, hash FROM audit WHERE n > ? ORDER BY n LIMIT ?"
    for *row, hash in connection.stream(sql, (after, count if count >= 0 else ALL)):
        yield entry_of(connection, tuple(row)), hash


def hashes(connection: Connection, first: int, last: int) -> dict[int, bytes]:
    """The hashes of rows by their numbers, both ends included."""
    return dict(connection.all("SELECT n, hash FROM audit WHERE n BETWEEN ? AND ?", (first, last)))


@dataclass(frozen=True, slots=True)
class Filter:
    """What rows of the trail are asked for; what is empty asks for nothing. Times are microseconds."""

    who: str = ""
    patients: tuple[str, ...] = ()  # rows that touched any of them
    what: tuple[str, ...] = ()
    type: str = ""
    outcome: int = 0
    refused: bool = False  # outcomes from 400 on
    client: str = ""
    since: int = 0
    until: int = 1 << 62
    after: int = 0  # rows behind this number
    before: int = 1 << 62  # rows ahead of this number
    ascending: bool = False
    sort: str = ""  # who | what | type | patient | outcome; else by time
    skip: int = 0  # rows passed over
    count: int = 50


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
    patients, whats = (patient,) if patient else (), (what,) if what else ()
    return search(connection, Filter(who, patients, whats, since=since, until=until, before=before, count=count))


SORTS = {
    "who": "(SELECT text FROM name WHERE nid = who)",
    "what": "(SELECT text FROM name WHERE nid = what)",
    "type": "(SELECT text FROM name WHERE nid = type)",
    "patient": "coalesce(patient, '')",
    "outcome": "outcome",
}


def search(connection: Connection, wanted: Filter) -> list[Entry]:
    """A page of rows, in the order that is wanted."""
    low = max(_first_at(connection, wanted.since), wanted.after + 1)
    high = min(wanted.before, _first_at(connection, wanted.until))
    conditions, more = _conditions(connection, wanted)
    direction = "ASC" if wanted.ascending else "DESC"
    alone = not conditions and not wanted.sort  # nothing else is asked, so few are enough
    most = f" ORDER BY n {direction} LIMIT {wanted.skip + wanted.count}" if alone else ""
    sets = _crowds(connection, wanted.patients)
    held = _held(connection, wanted.patients, list(sets), low, high)
    source, values = _source(wanted, held, low, high, most)
    order = f"{SORTS[wanted.sort]} {direction}, n {direction}" if wanted.sort else f"n {direction}"
    sql = f"SELECT {COLUMNS} FROM {source} WHERE {' AND '.join(['n >= ?', 'n < ?', *conditions])} ORDER BY {order} LIMIT ? OFFSET ?"
    rows = connection.all(sql, [*values, low, high, *more, wanted.count, wanted.skip])
    return [_naming(entry_of(connection, row), sets) for row in rows]


def _crowds(connection: Connection, patients: tuple[str, ...]) -> dict[str, str]:
    """The sets that hold one of the patients, each with that patient."""
    asked = (patient for patient in patients if patient.startswith(PATIENT))
    return {
        name: patient for patient in asked for name in crowds.with_patient(connection, patient.removeprefix(PATIENT))
    }


def _naming(entry: Entry, sets: dict[str, str]) -> Entry:
    """A row that was found by a set names the patient that was asked for, beside the set."""
    row = entry.row
    return entry._replace(row=row._replace(patients=(sets[row.patient], row.patient))) if row.patient in sets else entry


def _source(wanted: Filter, held: Sequence[int], low: int, high: int, most: str) -> tuple[str, list[object]]:
    """The trail, or the rows of it that touched the patients. `held`: rows that are known to beforehand."""
    if not wanted.patients:
        return "audit", []
    parts = [f"SELECT n AS m FROM audit WHERE n IN ({','.join(map(str, held))})"] if held else []
    values: list[object] = []
    for patient in wanted.patients:
        parts.append(f"SELECT n AS m FROM (SELECT n FROM audit_whose WHERE patient = ? AND n >= ? AND n < ?{most})")
        values += [whose_key(patient), low, high]
    return f"({' UNION '.join(parts)}) CROSS JOIN audit ON n = m", values


def _held(connection: Connection, patients: tuple[str, ...], sets: Sequence[str], low: int, high: int) -> list[int]:
    """The numbers of the rows that name one of these sets, and of those that touched a patient and are not listed yet."""
    found = audit_listed.tail(connection, (*patients, *sets), low, high) if patients else []
    for at in range(0, len(sets), AT_ONCE):
        some = [whose_key(name) for name in sets[at : at + AT_ONCE]]
        sql = f"SELECT n FROM audit_whose WHERE patient IN ({','.join('?' * len(some))}) AND n >= ? AND n < ?"
        found += [n for (n,) in connection.all(sql, [*some, low, high])]
    return found


def _conditions(connection: Connection, wanted: Filter) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    by_who = "+who" if wanted.patients else "who"
    for column, text in ((by_who, wanted.who), ("type", wanted.type), ("client", wanted.client)):
        if text:
            conditions.append(f"{column} = ?")
            values.append(names.find(connection, text))
    if wanted.what:
        conditions.append(f"what IN ({','.join('?' * len(wanted.what))})")
        values += [names.find(connection, text) for text in wanted.what]
    if wanted.outcome:
        conditions.append("outcome = ?")
        values.append(wanted.outcome)
    if wanted.refused:
        conditions.append("outcome >= 400")
    return conditions, values


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


def verify(connection: Connection, anchor: Head | None = None) -> Break | None:
    """Walks the whole trail; the first break, or None when it is what was written (and reaches the anchor)."""
    before, at, rows = Head(0, GENESIS), 0, entries(connection, -1 << 62)
    while True:
        try:
            found = next(rows, None)
        except ValueError:  # a text that is no text, a number that is none
            return Break(before.n + 1, "edited", f"row {before.n + 1} can't even be read")
        if found is None:
            break
        entry, hash = found
        broken = _broken(connection, before, at, entry, hash)
        if broken:
            return broken
        if anchor and entry.n == anchor.n and hash != anchor.hash:
            return Break(
                entry.n, "rewritten", f"row {entry.n} is not the one the anchor has seen: an older copy went on"
            )
        before, at = Head(entry.n, hash), entry.at
    if anchor and before.n < anchor.n:
        said = f"the anchor has seen {anchor.n} rows, {before.n} are there"
        return Break(before.n + 1, "truncated", f"{said}: the end was cut off, or an older copy put in place")
    unlisted = audit_listed.unlisted(connection)
    return Break(unlisted[0], "unlisted", unlisted[1]) if unlisted else _without_crowd(connection)


def _broken(connection: Connection, before: Head, at: int, entry: Entry, hash: bytes) -> Break | None:
    """What is wrong with a row, seen from the one before it."""
    n = entry.n
    if n <= before.n:
        return Break(n, "inserted", f"row {n} was put before the first")
    if n != before.n + 1:
        return Break(before.n + 1, "missing", f"rows {before.n + 1} to {n - 1} were deleted")
    if _hash(before.hash, n, entry.at, entry.row) == hash:
        return None
    following = connection.one("SELECT at FROM audit WHERE n = ?", (n + 1,))
    if entry.at < at or (following and following[0] < entry.at):
        return Break(n, "reordered", f"row {n} does not stand in its time: it was moved, or its time was edited")
    return Break(n, "edited", f"row {n} was edited, exchanged, or put there later")


def _without_crowd(connection: Connection) -> Break | None:
    """The first row that names a set of patients that is gone or not what it was."""
    first = dict(
        connection.all("SELECT patient, min(n) FROM audit WHERE patient >= '=' AND patient < '>' GROUP BY patient")
    )
    bad = crowds.broken(connection, first) if first else ""
    if not bad or bad not in first:
        return None
    return Break(first[bad], "unlisted", f"the patients of row {first[bad]} are no longer those it was written for")
