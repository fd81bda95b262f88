"""Reads every resource as it was at one moment, in chunks that hold no snapshot open, so that writes go on meanwhile.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html (transactionTime)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store import holes, names
from suture.store.bodies import DamagedPage
from suture.store.connection import Connection
from suture.store.holes import Unread
from suture.store.ids import key_of
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


def versions(
    connection: Connection, moment: int, types: Sequence[str] = (), unread: Unread | None = None
) -> Iterator[list[Version]]:
    """What was current at `moment`, deletions too, in the order of row numbers; with `unread`, around damaged pages."""
    wanted = [names.find(connection, name) for name in types]
    only = f"AND rt IN ({','.join('?' * len(wanted))})" if types else ""
    sql = f"SELECT {_COLUMNS} FROM res WHERE rid > ? {only} ORDER BY rid LIMIT {CHUNK}"
    last = 0
    try:
        while rows := _some(connection, sql, [last, *wanted]):
            last = rows[-1][0]
            yield _versions(connection, moment, rows, unread)
    except DamagedPage:
        if unread is None:
            raise
        yield from _around(connection, moment, wanted, last + 1, unread)


def _around(
    connection: Connection, moment: int, wanted: Sequence[int], first: int, unread: Unread
) -> Iterator[list[Version]]:
    """The versions from a row on: what of them can be read."""
    for rows in holes.between(connection, unread, "rid, rt", first, CHUNK):
        rids = [rid for rid, rt in rows if not wanted or rt in wanted]
        for portion in portions(connection, rids) if rids else ():
            yield of_rows(connection, moment, portion, unread)


def _some(connection: Connection, sql: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
    """Rows until their packed bodies (the last column) are large enough together."""
    found: list[tuple[Any, ...]] = []
    size = 0
    for row in holes.listened(connection, connection.execute(sql, values)):
        found.append(row)
        size += len(row[-1] or b"")
        if size > LARGEST_PORTION:
            break
    return found


def of_rows(connection: Connection, moment: int, rids: Sequence[int], unread: Unread | None = None) -> list[Version]:
    """The same for these rows, in their order."""

    def read(part: Sequence[int]) -> list[tuple[Any, ...]]:
        marks = ",".join("?" * len(part))
        return connection.all(f"SELECT {_COLUMNS} FROM res WHERE rid IN ({marks})", tuple(part))

    rows = read(rids) if unread is None else holes.among(connection, unread, rids, read)
    found = {version.rid: version for version in _versions(connection, moment, rows, unread)}
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
    for rid, zd, body, upd, op in holes.listened(connection, connection.execute(sql, rids)):
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
    """These rows, in their order, in portions whose packed bodies are `most` bytes together; a larger one stands alone,
    and so does each of those whose sizes can't be read."""
    marks = ",".join("?" * len(rids))
    try:
        sizes = dict(connection.all(f"SELECT rid, length(body) FROM res WHERE rid IN ({marks})", tuple(rids)))
    except DamagedPage:
        sizes = dict.fromkeys(rids, most + 1)
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


def _versions(
    connection: Connection, moment: int, rows: Sequence[tuple[Any, ...]], unread: Unread | None
) -> list[Version]:
    found: list[Version | None] = []
    for row in rows:
        try:
            found.append(_version(connection, moment, *row))
        except DamagedPage as error:  # of the old versions
            if unread is None:
                raise
            holes.lose(connection, unread, row[0], error, (names.text(connection, row[1]), id_of(row[2])))
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


def rids(
    connection: Connection, moment: int, types: Sequence[str], unread: Unread | None = None
) -> Iterator[dict[str, list[int]]]:
    """Row numbers by type of what was there at `moment`, in their order, without looking at what they say: small types
    each by themselves, but with a large one among them all in one pass over every resource. With `unread`, around
    damaged pages."""
    left = {names.find(connection, type): type for type in types}
    try:
        for rt in [] if any(_large(connection, rt) for rt in left) else list(left):
            rows = connection.all("SELECT rid, rt, upd, op FROM res WHERE rt = ? ORDER BY rid", (rt,))
            yield _there(connection, moment, left, rows, unread)
            del left[rt]
    except DamagedPage:
        if unread is None:
            raise
    if left:
        yield from _passed(connection, moment, left, unread)


def _passed(
    connection: Connection, moment: int, wanted: dict[int, str], unread: Unread | None
) -> Iterator[dict[str, list[int]]]:
    """The same in one pass over every resource."""
    sql = f"SELECT rid, rt, upd, op FROM res WHERE rid > ? ORDER BY rid LIMIT {AT_ONCE}"
    last = 0
    try:
        while rows := connection.all(sql, (last,)):
            last = rows[-1][0]
            yield _there(connection, moment, wanted, rows, unread)
    except DamagedPage:
        if unread is None:
            raise
        for rows in holes.between(connection, unread, "rid, rt, upd, op", last + 1, AT_ONCE):
            yield _there(connection, moment, wanted, rows, unread)


def _large(connection: Connection, rt: int) -> bool:
    """Whether there are too many of a type to be read at once."""
    row = connection.one(f"SELECT count(*) FROM (SELECT 1 FROM res WHERE rt = ? LIMIT {AT_ONCE}) AS some", (rt,))
    return row is not None and row[0] == AT_ONCE


def _there(
    connection: Connection, moment: int, wanted: dict[int, str], rows: Sequence[tuple[Any, ...]], unread: Unread | None
) -> dict[str, list[int]]:
    late = [rid for rid, rt, upd, _ in rows if upd > moment and rt in wanted]
    before = {v.rid for v in of_rows(connection, moment, late, unread) if v.method != DELETE} if late else set()
    found: dict[int, list[int]] = {rt: [] for rt in wanted}
    for rid, rt, upd, op in rows:
        if rt in found and (rid in before if upd > moment else op != DELETE):
            found[rt].append(rid)
    return {wanted[rt]: some for rt, some in found.items() if some}


def types(connection: Connection) -> list[str]:
    """The types of which there is, or was, a resource; when the index that knows is damaged, all that may have one."""
    try:
        return sorted(names.text(connection, rt) for (rt,) in connection.all(TYPES))
    except DamagedPage:
        return sorted(type for type in RESOURCE_TYPES if names.find(connection, type))


def number(connection: Connection, type: str, id: str) -> int:
    """The row number of a resource that is or was there, looked up without its row; 0 for any other."""
    row = connection.one("SELECT rid FROM res WHERE fid = ? AND rt = ?", (key_of(id), names.find(connection, type)))
    return int(row[0]) if row else 0


def ids(connection: Connection, type: str) -> Iterator[list[str]]:
    """The ids of a type's resources, deleted ones too: their history is still kept."""
    sql = f"SELECT rid, fid FROM res WHERE rid > ? AND rt = ? ORDER BY rid LIMIT {CHUNK}"
    rt, last = names.find(connection, type), 0
    while rows := connection.all(sql, (last, rt)):
        last = rows[-1][0]
        yield [id_of(fid) for _, fid in rows]
