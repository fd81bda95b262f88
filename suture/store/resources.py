"""Resources and their versions, byte for byte (https://hl7.org/fhir/R4/http.html#history)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from heapq import merge
from itertools import chain, islice
from typing import Any, NamedTuple

from suture.clock import instant
from suture.errors import Conflict, PreconditionFailed
from suture.standards.fhir import json
from suture.standards.fhir.definitions import own_of
from suture.standards.fhir.index import Rows, extract
from suture.standards.fhir.index_time import EARLIEST
from suture.store import fulltext, index, names, parameters, restrictions
from suture.store.bodies import Damaged, DamagedPage
from suture.store.connection import Connection, Tx
from suture.store.identities import MOST, Identities, Key, Named
from suture.store.ids import id_of as id_of
from suture.store.ids import key_of as key_of
from suture.store.rids import claim
from suture.store.row import Row as Row
from suture.store.splice import splice

METHODS = {"POST": 1, "PUT": 2, "DELETE": 3, "PATCH": 4}
METHOD_OF = {number: method for method, number in METHODS.items()}
DELETE = METHODS["DELETE"]
VERSION_BITS = 24
KEPT = ("rid", "rt", "fid", "ver", "upd", "op", "zd", "body", "pat")  # columns of res that make a row

CREATED, UPDATED, UNCHANGED, DELETED = "created", "updated", "unchanged", "deleted"


def row_of(
    connection: Connection,
    type: str,
    id: str,
    rid: int,
    ver: int,
    upd: int,
    op: int,
    zd: int,
    body: bytes | None,
) -> Row:
    plain = b"" if body is None else connection.bodies.unpack(zd, body)
    return Row(rid, type, id, ver, upd, METHOD_OF[op], plain)


Made = Callable[..., Row]  # what makes a row of its columns, as `row_of` does


def read(connection: Connection, type: str, id: str, made: Made = row_of) -> Row | None:
    """The current version, a deletion included; None when the id was never used."""
    row = connection.one(
        "SELECT rid, ver, upd, op, zd, body, pat FROM res WHERE fid = ? AND rt = ?",
        (key_of(id), names.find(connection, type)),
    )
    if row is None:
        return None
    *version, pat = row
    return made(connection, type, id, *version)._replace(patient=pat or index.NO_PATIENT)


def newest(connection: Connection, type: str) -> Row | None:
    """Some row of a type, of late."""
    row = connection.one(
        "SELECT rid, fid, ver, upd, op, zd, body FROM res WHERE rt = ? ORDER BY upd DESC LIMIT 1",
        (names.find(connection, type),),
    )
    return None if row is None else row_of(connection, type, id_of(row[1]), row[0], *row[2:])


def read_rid(connection: Connection, rid: int) -> Row | None:
    """The current version by its row number, as index rows name it."""
    row = connection.one("SELECT rt, fid, ver, upd, op, zd, body FROM res WHERE rid = ?", (rid,))
    if row is None:
        return None
    return row_of(connection, names.text(connection, row[0]), id_of(row[1]), rid, *row[2:])


def read_rids(connection: Connection, rids: Sequence[int]) -> list[Row]:
    """The current versions of these rows, in this order; rows that are not there, or deleted, are left out."""
    there = connection.carried or {}
    asked = [rid for rid in rids if rid not in there]
    marks = ",".join("?" * len(asked))
    sql = f"SELECT {', '.join(KEPT)} FROM res WHERE rid IN ({marks}) AND op <> {DELETE}"
    unpack, texts = connection.bodies.unpack, connection.shared.texts
    rows = {}
    kept = [there[rid] for rid in rids if rid in there]
    for rid, rt, fid, ver, upd, op, zd, body, pat in kept + (connection.all(sql, asked) if asked else []):
        type = texts.get(rt) or names.text(connection, rt)
        rows[rid] = Row(rid, type, id_of(fid), ver, upd, METHOD_OF[op], unpack(zd, body), "", pat)
    return [rows[rid] for rid in rids if rid in rows]


def clinical_dates(connection: Connection, rids: Sequence[int]) -> dict[int, str]:
    """Row number -> the day by which the row is sorted (YYYY-MM-DD); those without one are left out."""
    marks = ",".join("?" * len(rids))
    rows = (
        connection.all(f"SELECT rid, sd FROM res WHERE rid IN ({marks}) AND sd > ?", (*rids, EARLIEST)) if rids else []
    )
    return {rid: instant(sd)[:10] for rid, sd in rows}


def version_of(connection: Connection, rid: int) -> int:
    """The current version of a row; 0 when it is not there or deleted."""
    row = connection.one(f"SELECT ver FROM res WHERE rid = ? AND op <> {DELETE}", (rid,))
    return row[0] if row else 0


class Committed(Identities):
    """Of a process that only reads: what an identifier named counts while its row is still at that version."""

    def __init__(self, connection: Connection, most: int = MOST) -> None:
        super().__init__(most)
        self._connection = connection

    def get(self, key: Key) -> Named | None:
        found = super().get(key)
        if found is None or version_of(self._connection, found.row.rid) == found.row.version:
            return found
        self.forget(found.row.rid)
        return None

    def keep(self, key: Key, named: Named) -> None:
        if super().get(key) is not named:
            super().keep(key, named)


def vread(connection: Connection, type: str, id: str, version: int, made: Made = row_of) -> Row | None:
    """One version, current or old."""
    current = connection.one(
        "SELECT rid, ver, upd, op, zd, body FROM res WHERE fid = ? AND rt = ?",
        (key_of(id), names.find(connection, type)),
    )
    if current is None or version >= current[1]:
        return made(connection, type, id, *current) if current is not None and version == current[1] else None
    row = connection.one("SELECT upd, op, zd, body FROM hist WHERE hid = ?", (current[0] << VERSION_BITS | version,))
    return None if row is None else made(connection, type, id, current[0], version, *row)


def last_body(connection: Connection, row: Row) -> bytes:
    """The body of this version, or of the last one before the deletion."""
    while row.deleted and row.version > 1:
        before = vread(connection, row.type, row.id, row.version - 1)
        if before is None:
            break
        row = before
    return row.body


def put(
    tx: Tx,
    type: str,
    id: str,
    body: bytes,
    rows: Rows | None = None,
    *,
    method: str = "PUT",
    if_version: int | None = None,
    only_new: bool = False,
    batch: index.Batch | None = None,
    known: Named | None = None,
    fresh: bool = False,
) -> Row:
    """Writes a version and its index rows: id and meta are put into the bytes, all else stays. The same body makes no version.

    `rows`: what index.extract made of the body, when the caller has it already. `if_version`: If-Match; another current
    version raises PreconditionFailed. `only_new`: an id in use raises Conflict. `batch`: gathers the index rows of many.
    `known`: what was found there before; when it is still the current version it need not be read again.
    `fresh`: the id was given just now, so nothing is there.
    """
    rt = names.number(tx, type)
    old = (
        None
        if fresh
        else tx.one("SELECT rid, ver, upd, op, zd, body FROM res WHERE fid = ? AND rt = ?", (key_of(id), rt))
    )
    _check(type, old, if_version, only_new)
    parameters.adopt(tx)
    rows = right(rows, type) or rows_of(tx, body)
    alone = batch or index.Batch(tx)
    if old is None:
        row = _insert(tx, rt, type, id, body, rows, method, alone, fresh)
    else:
        row = _replace(tx, rt, type, id, body, rows, method, alone, old, known)
    if batch is None:
        alone.flush()
    return row


def _check(type: str, old: tuple[Any, ...] | None, if_version: int | None, only_new: bool) -> None:
    if only_new and old is not None:
        raise Conflict("this id is in use", where=type, mend="Send it with PUT, or without an id.")
    if if_version is not None and (old is None or old[1] != if_version or old[3] == DELETE):
        raise PreconditionFailed(
            "the resource is no longer at the version of If-Match", where=type, mend="Read it again, then write."
        )


def _insert(
    tx: Tx, rt: int, type: str, id: str, body: bytes, rows: Rows | None, method: str, batch: index.Batch, fresh: bool
) -> Row:
    stored = splice(body, id, 1, tx.now)
    zd, packed = tx.bodies.pack("resource", stored)
    rid = claim(tx, type, id, fresh=fresh)
    place = batch.add(rid, rows)
    tx.identities.written(rid, rows)
    tx.execute(_FIRST, (rid, rt, key_of(id), tx.now, METHODS[method], *place, zd, packed))
    heed(tx, type, rid, place.pat, stored)
    return Row(rid, type, id, 1, tx.now, method, stored, CREATED, place.pat)


_FIRST = "INSERT INTO res (rid, rt, fid, ver, upd, op, pat, sd, zd, body) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)"
New = tuple[str, str, bytes, Rows]  # type, id, body, what index.extract made of it


def put_new(tx: Tx, items: Sequence[New], batch: index.Batch, beside: Executor) -> list[Row]:
    """`put` of many that are surely not there: their bodies are packed in another thread while their index rows are made."""
    parameters.adopt(tx)
    stored = [splice(body, id, 1, tx.now) for _, id, body, _ in items]
    packing = beside.submit(tx.bodies.packing("resource", stored))
    placed = [
        (rid := claim(tx, type, id), _indexed(tx, rid, type, body, rows, batch)) for type, id, body, rows in items
    ]
    put = METHODS["PUT"]
    tx.many(
        _FIRST,
        [
            (rid, names.number(tx, type), key_of(id), tx.now, put, *place, *packed)
            for (type, id, _, _), (rid, place), packed in zip(items, placed, packing.result(), strict=True)
        ],
    )
    rows = [
        Row(rid, type, id, 1, tx.now, "PUT", body, CREATED, place.pat)
        for (type, id, _, _), (rid, place), body in zip(items, placed, stored, strict=True)
    ]
    for row, (_, place) in zip(rows, placed, strict=True):
        heed(tx, row.type, row.rid, place.pat, row.body)
    return rows


def _indexed(tx: Tx, rid: int, type: str, body: bytes, given: Rows, batch: index.Batch) -> index.Place:
    rows = right(given, type) or rows_of(tx, body)
    tx.identities.written(rid, rows)
    return batch.add(rid, rows)


def _replace(
    tx: Tx,
    rt: int,
    type: str,
    id: str,
    body: bytes,
    rows: Rows | None,
    method: str,
    batch: index.Batch,
    old: tuple[Any, ...],
    known: Named | None,
) -> Row:
    rid, ver, upd, op = old[:4]
    if known is None or known.row.damaged or (known.row.rid, known.row.version) != (rid, ver):
        known = _known(tx, type, id, old)
    before = b"" if known is None else known.row.body
    if before and splice(body, id, ver, upd) == before:
        return Row(rid, type, id, ver, upd, METHOD_OF[op], before, UNCHANGED)
    _keep_old(tx, rid, rt, old)
    stored = splice(body, id, ver + 1, tx.now)
    new_zd, new_packed = tx.bodies.pack("resource", stored)
    place = batch.add(rid, rows, None if known is None else right(known.rows, type) or rows_of(tx, before))
    tx.identities.written(rid, rows)
    tx.execute(
        "UPDATE res SET ver = ?, upd = ?, op = ?, pat = ?, sd = ?, zd = ?, body = ? WHERE rid = ?",
        (ver + 1, tx.now, METHODS[method], *place, new_zd, new_packed, rid),
    )
    heed(tx, type, rid, place.pat, stored)
    return Row(rid, type, id, ver + 1, tx.now, method, stored, UPDATED if op != DELETE else CREATED, place.pat)


def _known(tx: Tx, type: str, id: str, old: tuple[Any, ...]) -> Named | None:
    """What is there; None when that is damaged: then nothing stands in the index any more."""
    try:
        return Named(row_of(tx, type, id, *old))
    except DamagedPage:
        raise
    except Damaged:
        _unlist(tx, type, old[0])
        return None


def _unlist(tx: Tx, type: str, rid: int) -> None:
    parameters.adopt(tx)
    row = tx.one("SELECT sd FROM res WHERE rid = ?", (rid,))
    index.forget(tx, rid, type, row[0] or 0 if row else 0)


def heed(tx: Tx, type: str, rid: int, patient: int, stored: bytes) -> None:
    """Types whose content decides how others are shown or found; and the full text of all."""
    fulltext.written(tx, rid, stored)
    if type == restrictions.TYPE:
        restrictions.keep(tx, rid, patient, stored)
    elif type == parameters.TYPE:
        parameters.keep(tx, rid, stored)


def right(rows: Rows | None, type: str) -> Rows | None:
    """Rows that were made beforehand, unless the site's own search parameters have changed since."""
    return rows if rows is not None and rows.mark == own_of(type).mark else None


def rows_of(tx: Tx, body: bytes) -> Rows | None:
    """The index rows of a stored body; None for a deletion."""
    return extract(json.reread(body), tx.shared.base) if body else None


def _keep_old(tx: Tx, rid: int, rt: int, old: tuple[Any, ...]) -> None:
    _, ver, upd, op, zd, packed = old
    tx.execute("INSERT INTO hist VALUES (?, ?, ?, ?, ?, ?)", (rid << VERSION_BITS | ver, rt, upd, op, zd, packed))


def delete(tx: Tx, type: str, id: str, *, if_version: int | None = None) -> Row | None:
    """Makes a version that says deleted; None when the id was never used, `unchanged` when it is deleted already."""
    rt = names.number(tx, type)
    old = tx.one("SELECT rid, ver, upd, op, zd, body FROM res WHERE fid = ? AND rt = ?", (key_of(id), rt))
    _check(type, old, if_version, False)
    if old is None:
        return None
    rid, ver, upd = old[:3]
    if old[3] == DELETE:
        return Row(rid, type, id, ver, upd, "DELETE", b"", UNCHANGED)
    _keep_old(tx, rid, rt, old)
    tx.identities.forget(rid)
    parameters.adopt(tx)
    fulltext.deleted(tx, rid)
    if (known := _known(tx, type, id, old)) is not None:
        index.write(tx, rid, None, rows_of(tx, known.row.body))
    if type == restrictions.TYPE:
        restrictions.drop(tx, rid)
    elif type == parameters.TYPE:
        parameters.drop(tx, rid)
    tx.execute(
        "UPDATE res SET ver = ?, upd = ?, op = ?, zd = NULL, body = NULL, pat = NULL, sd = NULL WHERE rid = ?",
        (ver + 1, tx.now, DELETE, rid),
    )
    return Row(rid, type, id, ver + 1, tx.now, "DELETE", b"", DELETED)


class Place(NamedTuple):
    """Where a history page ended: the next one goes on behind it."""

    updated: int
    rid: int
    version: int


NEWEST = Place(1 << 62, 1 << 38, (1 << VERSION_BITS) - 1)


def history(
    connection: Connection,
    type: str = "",
    id: str = "",
    *,
    since: int = 0,
    until: int = 1 << 62,
    after: Place = NEWEST,
    count: int = 50,
    made: Made = row_of,
) -> list[Row]:
    """Versions newest first: of one resource, of a type, or of all; `after` is the place the last page ended at."""
    if id:
        return _instance_history(connection, type, id, since, until, after, count, made)
    types = [names.find(connection, type)] if type else [rt for (rt,) in connection.execute(TYPES)]
    found = merge(
        *(_type_history(connection, rt, since, until, after, count) for rt in types), key=_place, reverse=True
    )
    return [
        made(connection, names.text(connection, rt), id_of(fid), rid, ver, upd, op, zd, body)
        for upd, rid, ver, rt, fid, op, zd, body in islice(found, count)
    ]


def changes(connection: Connection, after: int, types: Iterable[str] = (), count: int = 200) -> list[Row]:
    """Versions in the order of their commits, after the microsecond `after`; a commit's versions come all or none.

    All versions of one commit share its microsecond, so a page may be longer than `count`.
    """
    wanted, end = changed(connection, after, types, count)
    found = [row for rt in wanted for sql in (_NEW, _WAS) for row in connection.all(sql, (rt, after, end))]
    return [
        row_of(connection, names.text(connection, rt), id_of(fid), rid, ver, upd, op, zd, body)
        for upd, rid, ver, rt, fid, op, zd, body in sorted(found, key=_place)
    ]


def changed(connection: Connection, after: int, types: Iterable[str], count: int) -> tuple[list[int], int]:
    """The numbers of the types, none when nothing changed, and the microsecond that a page of `changes` ends at."""
    wanted = [names.find(connection, type) for type in types] or [rt for (rt,) in connection.execute(TYPES)]
    ends = sorted(upd for rt in wanted for (upd,) in connection.all(_STEPS, (rt, after, count, rt, after, count)))
    return (wanted, ends[:count][-1]) if ends else ([], after)


_STEPS = """
SELECT upd FROM (SELECT upd FROM res WHERE rt = ? AND upd > ? ORDER BY upd LIMIT ?)
UNION ALL SELECT upd FROM (SELECT upd FROM hist WHERE rt = ? AND upd > ? ORDER BY upd LIMIT ?)
"""
_NEW = "SELECT upd, rid, ver, rt, fid, op, zd, body FROM res WHERE rt = ? AND upd > ? AND upd <= ?"
_WAS = """
SELECT h.upd, h.hid >> 24, h.hid & 16777215, h.rt, res.fid, h.op, h.zd, h.body
FROM hist h JOIN res ON res.rid = h.hid >> 24 WHERE h.rt = ? AND h.upd > ? AND h.upd <= ?
"""

# every type in use, by skipping from one to the next in the index
TYPES = """
WITH RECURSIVE t(rt) AS (SELECT min(rt) FROM res UNION ALL SELECT (SELECT min(rt) FROM res WHERE rt > t.rt) FROM t WHERE t.rt IS NOT NULL)
SELECT rt FROM t WHERE rt IS NOT NULL
"""
_CURRENT = "SELECT upd, rid, ver, rt, fid, op, zd, body FROM res WHERE rt = ? AND upd "
_OLD = """
SELECT h.upd, h.hid >> 24, h.hid & 16777215, h.rt, res.fid, h.op, h.zd, h.body
FROM hist h JOIN res ON res.rid = h.hid >> 24 WHERE h.rt = ? AND h.upd """
# the rest of the commit that the last page ended in, then what is older: both are ranges of the index
_CURRENT_THERE = _CURRENT + "= ? AND rid <= ? ORDER BY rid DESC LIMIT ?"
_CURRENT_OLDER = _CURRENT + ">= ? AND upd < ? ORDER BY upd DESC, rid DESC LIMIT ?"
_OLD_THERE = _OLD + "= ? AND h.hid < ? ORDER BY h.hid DESC LIMIT ?"
_OLD_OLDER = _OLD + ">= ? AND h.upd < ? ORDER BY h.upd DESC, h.hid DESC LIMIT ?"


def _place(row: tuple[Any, ...]) -> tuple[int, int, int]:
    return row[0], row[1], row[2]


def _type_history(
    connection: Connection, rt: int, since: int, until: int, after: Place, count: int
) -> Iterable[tuple[Any, ...]]:
    current: list[tuple[Any, ...]] = []
    old: list[tuple[Any, ...]] = []
    if since <= after.updated <= until:
        hid = after.rid << VERSION_BITS | after.version
        at = connection.all(_CURRENT_THERE, (rt, after.updated, after.rid, count + 1))
        current = [row for row in at if _place(row) < after]
        old = connection.all(_OLD_THERE, (rt, after.updated, hid, count))
    older = (rt, since, min(after.updated, until + 1), count)
    return merge(
        chain(current, connection.all(_CURRENT_OLDER, older)),
        chain(old, connection.all(_OLD_OLDER, older)),
        key=_place,
        reverse=True,
    )


def _instance_history(
    connection: Connection, type: str, id: str, since: int, until: int, after: Place, count: int, made: Made
) -> list[Row]:
    current = connection.one(
        "SELECT rid, ver, upd, op, zd, body FROM res WHERE fid = ? AND rt = ?",
        (key_of(id), names.find(connection, type)),
    )
    if current is None:
        return []
    rid, ver, upd = current[:3]
    low = rid << VERSION_BITS
    top = low | min(after.version, ver) - 1
    old = connection.all(
        "SELECT hid & 16777215, upd, op, zd, body FROM hist WHERE hid BETWEEN ? AND ? AND upd BETWEEN ? AND ? "
        "ORDER BY hid DESC LIMIT ?",
        (low, top, since, until, count),
    )
    found = [made(connection, type, id, rid, *row) for row in old]
    if ver < after.version and since <= upd <= until:
        found.insert(0, made(connection, type, id, *current))
    return found[:count]
