"""Reads every resource as it was at one moment, in chunks that hold no snapshot open, so that writes go on meanwhile.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html (transactionTime)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from suture.store import names
from suture.store.connection import Connection
from suture.store.resources import DELETE, TYPES, VERSION_BITS, id_of

CHUNK = 2000
AT_ONCE = 20_000  # row numbers, without bodies
LARGEST_PORTION = 1 << 20  # packed bytes that are read at once


def chunks(connection: Connection, moment: int, types: Sequence[str] = ()) -> Iterator[list[tuple[str, bytes]]]:
    """(type, stored bytes) of what was current at `moment` (microseconds), deletions left out; all types, or those named."""
    wanted = [names.find(connection, name) for name in types]
    only = f"AND rt IN ({','.join('?' * len(wanted))})" if types else ""
    sql = f"SELECT rid, rt, upd, op, zd, body FROM res WHERE rid > ? {only} ORDER BY rid LIMIT {CHUNK}"
    last = 0
    while rows := connection.all(sql, [last, *wanted]):
        last = rows[-1][0]
        yield [found for row in rows if (found := _as_of(connection, moment, row)) is not None]


def _as_of(connection: Connection, moment: int, row: tuple[Any, ...]) -> tuple[str, bytes] | None:
    rid, rt, upd, op, zd, body = row
    if upd > moment:
        before = connection.one(
            "SELECT op, zd, body FROM hist WHERE hid BETWEEN ? AND ? AND upd <= ? ORDER BY hid DESC LIMIT 1",
            (rid << VERSION_BITS, (rid + 1 << VERSION_BITS) - 1, moment),
        )
        if before is None:
            return None
        op, zd, body = before
    if op == DELETE:
        return None
    return names.text(connection, rt), connection.bodies.unpack(zd, body)


class Version(NamedTuple):
    """A resource as it was at a moment; `body` still packed. `pat`: whose it is, when that is of this very version."""

    rid: int
    type: str
    id: str
    version: int
    updated: int
    method: int
    pat: int | None
    zd: int
    body: bytes | None


_COLUMNS = "rid, rt, fid, ver, upd, op, pat, zd, body"


def versions(connection: Connection, moment: int, types: Sequence[str] = ()) -> Iterator[list[Version]]:
    """What was current at `moment`, deletions too, in the order of row numbers."""
    wanted = [names.find(connection, name) for name in types]
    only = f"AND rt IN ({','.join('?' * len(wanted))})" if types else ""
    sql = f"SELECT {_COLUMNS} FROM res WHERE rid > ? {only} ORDER BY rid LIMIT {CHUNK}"
    last = 0
    while rows := _some(connection, sql, [last, *wanted]):
        last = rows[-1][0]
        yield _versions(connection, moment, rows)


def _some(connection: Connection, sql: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
    """Rows until their packed bodies (the last column) are large enough together."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in connection.execute(sql, values):
        found.append(row)
        size += len(row[-1] or b"")
        if size > LARGEST_PORTION:
            break
    return found


def of_rows(connection: Connection, moment: int, rids: Sequence[int]) -> list[Version]:
    """The same for these rows, in their order."""
    marks = ",".join("?" * len(rids))
    rows = connection.all(f"SELECT {_COLUMNS} FROM res WHERE rid IN ({marks})", tuple(rids))
    found = {version.rid: version for version in _versions(connection, moment, rows)}
    return [found[rid] for rid in rids if rid in found]


def bodies(
    connection: Connection, moment: int, rids: Sequence[int]
) -> tuple[list[tuple[int, int, bytes]], list[int], list[int]]:
    """(row, dictionary, packed body) of these rows, until the bodies are large enough together; the rows that are left
    then; and those that were changed after `moment` or are deleted."""
    marks = ",".join("?" * len(rids))
    sql = f"SELECT rid, zd, body, upd, op FROM res WHERE rid IN ({marks}) ORDER BY rid"
    found: list[tuple[int, int, bytes]] = []
    others: list[int] = []
    size = last = 0
    for rid, zd, body, upd, op in connection.execute(sql, rids):
        last = rid
        if upd > moment or op == DELETE:
            others.append(rid)
            continue
        found.append((rid, zd, body))
        size += len(body)
        if size > LARGEST_PORTION:
            return found, [left for left in rids if left > last], others
    return found, [], others


def portions(connection: Connection, rids: Sequence[int], most: int = LARGEST_PORTION) -> Iterator[list[int]]:
    """These rows, in their order, in portions whose packed bodies are `most` bytes together; a larger one stands alone."""
    marks = ",".join("?" * len(rids))
    sizes = dict(connection.all(f"SELECT rid, length(body) FROM res WHERE rid IN ({marks})", tuple(rids)))
    portion: list[int] = []
    size = 0
    for rid in rids:
        own = sizes.get(rid) or 0
        if portion and size + own > most:
            yield portion
            portion, size = [], 0
        portion.append(rid)
        size += own
    if portion:
        yield portion


def _versions(connection: Connection, moment: int, rows: Sequence[tuple[Any, ...]]) -> list[Version]:
    found = (_version(connection, moment, *row) for row in rows)
    return [version for version in found if version is not None]


def _version(
    connection: Connection, moment: int, rid: int, rt: int, fid: bytes | str, ver: int, upd: int, op: int,
    pat: int | None, zd: int, body: bytes | None,
) -> Version | None:  # fmt: skip
    if upd > moment:
        before = connection.one(
            "SELECT hid, upd, op, zd, body FROM hist WHERE hid BETWEEN ? AND ? AND upd <= ? ORDER BY hid DESC LIMIT 1",
            (rid << VERSION_BITS, (rid + 1 << VERSION_BITS) - 1, moment),
        )
        if before is None:
            return None
        hid, upd, op, zd, body = before
        ver, pat = hid & (1 << VERSION_BITS) - 1, None
    return Version(rid, names.text(connection, rt), id_of(fid), ver, upd, op, pat, zd, body)


def rids(connection: Connection, moment: int, types: Sequence[str]) -> Iterator[dict[str, list[int]]]:
    """Row numbers by type of what was there at `moment`, in their order, without looking at what they say: small types
    each by themselves, but with a large one among them all in one pass over every resource."""
    wanted = {names.find(connection, type): type for type in types}
    if not any(_large(connection, rt) for rt in wanted):
        sql = "SELECT rid, rt, upd, op FROM res WHERE rt = ? ORDER BY rid"
        yield from (_there(connection, moment, wanted, connection.all(sql, (rt,))) for rt in wanted)
        return
    sql = f"SELECT rid, rt, upd, op FROM res WHERE rid > ? ORDER BY rid LIMIT {AT_ONCE}"
    last = 0
    while rows := connection.all(sql, (last,)):
        last = rows[-1][0]
        yield _there(connection, moment, wanted, rows)


def _large(connection: Connection, rt: int) -> bool:
    """Whether there are too many of a type to be read at once."""
    row = connection.one(f"SELECT count(*) FROM (SELECT 1 FROM res WHERE rt = ? LIMIT {AT_ONCE}) AS some", (rt,))
    return row is not None and row[0] == AT_ONCE


def _there(
    connection: Connection, moment: int, wanted: dict[int, str], rows: Sequence[tuple[Any, ...]]
) -> dict[str, list[int]]:
    late = [rid for rid, rt, upd, _ in rows if upd > moment and rt in wanted]
    before = {v.rid for v in of_rows(connection, moment, late) if v.method != DELETE} if late else set()
    found: dict[int, list[int]] = {rt: [] for rt in wanted}
    for rid, rt, upd, op in rows:
        if rt in found and (rid in before if upd > moment else op != DELETE):
            found[rt].append(rid)
    return {wanted[rt]: some for rt, some in found.items() if some}


def types(connection: Connection) -> list[str]:
    """The types of which there is, or was, a resource."""
    return sorted(names.text(connection, rt) for (rt,) in connection.all(TYPES))


def ids(connection: Connection, type: str) -> Iterator[list[str]]:
    """The ids of a type's resources, deleted ones too: their history is still kept."""
    sql = f"SELECT rid, fid FROM res WHERE rid > ? AND rt = ? ORDER BY rid LIMIT {CHUNK}"
    rt, last = names.find(connection, type), 0
    while rows := connection.all(sql, (last, rt)):
        last = rows[-1][0]
        yield [id_of(fid) for _, fid in rows]
