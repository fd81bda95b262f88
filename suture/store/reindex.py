"""Makes the index anew when a newer Suture extracts other rows than the database was written with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from suture.standards.fhir import json
from suture.standards.fhir.index import RULES, extract
from suture.store import parameters, restrictions
from suture.store.connection import Connection, Tx
from suture.store.index import SQL, Batch
from suture.store.resources import DELETE

log = logging.getLogger("suture.store")
FACT = "index.rules"  # the rules and the address by which all rows were made; absent while they are made anew
PER_TRANSACTION = 5_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")

WriteNow = Callable[[Callable[[Tx], Any]], Any]


def base_of(url: str) -> str:
    """What absolute references to this server begin with; a server without an address of its own has none."""
    local = not url or urlsplit(url).hostname in LOOPBACK
    return "" if local else url.rstrip("/") + "/fhir/"


def keep(write_now: WriteNow, connection: Connection, serving: bool) -> int:
    """Makes the index right for these rules and this address; returns how many resources were indexed again.

    A command that does not serve follows the address the database has. What was begun and broken off begins anew.
    """
    parameters.adopt(connection)
    row = connection.one("SELECT value FROM fact WHERE name = ?", (FACT,))
    rules, _, base = str(row[0]).partition(" ") if row else ("", "", "")
    if rules == str(RULES) and not serving:
        connection.shared.base = base
    if (rules, base) == (str(RULES), connection.shared.base):
        return 0
    done = rebuilt(write_now) if connection.one("SELECT 1 FROM res LIMIT 1") else 0
    made = f"{RULES} {connection.shared.base}"
    write_now(lambda tx: tx.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (FACT, made)).fetchall())
    return done


def rebuilt(write_now: WriteNow, progress: Callable[[int], None] = lambda done: None) -> int:
    """Empties the index and fills it from the bodies."""
    write_now(_emptied)
    done, rid = 0, 0
    while True:
        count, last = write_now(partial(_filled, after=rid))
        if not count:
            write_now(restrictions.moved)
            return done
        done, rid = done + count, last
        progress(done)


def _emptied(tx: Tx) -> None:
    tx.execute("DELETE FROM fact WHERE name = ?", (FACT,))
    for table in SQL:
        tx.execute(f"DELETE FROM {table}")


def _filled(tx: Tx, after: int) -> tuple[int, int]:
    """Indexes the next resources behind a row number; returns how many, and the last one's number.

    A damaged one stays in the list of its type, and of its patient as that was known; it is found by nothing else.
    """
    rows = tx.all(
        f"SELECT rid, zd, body FROM res WHERE rid > ? AND op <> {DELETE} ORDER BY rid LIMIT ?", (after, PER_TRANSACTION)
    )
    parameters.adopt(tx)
    batch = Batch(tx)
    read = ((rid, tx.bodies.whole(zd, body)) for rid, zd, body in rows)
    for rid, body in read:
        if body is None:
            log.error("a resource could not be indexed, for its body is damaged: row %d", rid)
            continue
        place = batch.add(rid, extract(json.read(body), tx.shared.base))
        tx.execute("UPDATE res SET pat = ?, sd = ? WHERE rid = ?", (*place, rid))
    batch.flush()
    return len(rows), rows[-1][0] if rows else after
