"""Reads every resource as it was at one moment, in chunks that hold no snapshot open, so that writes go on meanwhile.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html (transactionTime)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from suture.store import names
from suture.store.connection import Connection
from suture.store.resources import DELETE, VERSION_BITS, id_of

CHUNK = 2000


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


def ids(connection: Connection, type: str) -> Iterator[list[str]]:
    """The ids of a type's resources, deleted ones too: their history is still kept."""
    sql = f"SELECT rid, fid FROM res WHERE rid > ? AND rt = ? ORDER BY rid LIMIT {CHUNK}"
    rt, last = names.find(connection, type), 0
    while rows := connection.all(sql, (last, rt)):
        last = rows[-1][0]
        yield [id_of(fid) for _, fid in rows]
