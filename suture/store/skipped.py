"""Versions that those who follow the chart went past, because what is stored of them can't be read.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from suture.store.bodies import Damaged
from suture.store.connection import Connection, Tx
from suture.store.resources import VERSION_BITS
from suture.store.row import Row

FACT = "changes.damaged"
MOST = 1000
Place = tuple[int, int]  # row number, version; 0 where a damaged page doesn't tell it


def noted(connection: Connection) -> frozenset[Place]:
    """All that were ever skipped."""
    row = connection.one("SELECT value FROM fact WHERE name = ?", (FACT,))
    return frozenset((rid, version) for rid, version in json.loads(row[0])) if row else frozenset()


def note(tx: Tx, rows: Iterable[Row]) -> None:
    """Keeps in mind what is skipped, in the transaction that goes past it; when there are too many of them, all wait."""
    known = still(tx)
    now = known | {(row.rid, row.version) for row in rows}
    if len(now) > MOST:
        raise Damaged("very many stored versions are damaged", mend="Run: suture verify")
    text = json.dumps(sorted(now))
    tx.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (FACT, text))


def still(connection: Connection) -> frozenset[Place]:
    """Those that can't be read today either."""
    return frozenset(place for place in noted(connection) if not _sound(connection, *place))


def _sound(connection: Connection, rid: int, version: int) -> bool:
    """Whether it can be read, or is no more."""
    hid = rid << VERSION_BITS | version
    try:
        rows = connection.all("SELECT zd, body FROM res WHERE rid = ? AND (ver = ? OR ? = 0)", (rid, version, version))
        rows += connection.all("SELECT zd, body FROM hist WHERE hid = ?", (hid,))
        for zd, body in rows:
            if body is not None:
                connection.bodies.unpack(zd, body)
    except Damaged:
        return False
    return True
