"""Indexes what was there before a search parameter of the site's own came, piece by piece, and clears away what one left.

Each piece is a transaction of its own and moves a mark in the database, so a restart goes on where the last piece ended.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from suture.standards.fhir import definitions
from suture.standards.fhir import json as strict
from suture.standards.fhir.index import Rows, atoms, extract
from suture.standards.fhir.index_compile import LISTS
from suture.store import names, parameters, postings
from suture.store.connection import Connection, Tx
from suture.store.index import SPAN, SQL, TYPED, Batch
from suture.store.parameters import BUILDING, CLEARING, LEAVING, ON

log = logging.getLogger("suture.store")
PIECE = 200  # resources that are indexed in one transaction
WINDOW = 20_000  # row numbers that are looked through in one
CLEARED = 2_000  # index rows that go in one


def waiting(connection: Connection) -> bool:
    """Is there anything to do?"""
    return connection.one("SELECT 1 FROM parameter WHERE state <> ? LIMIT 1", (ON,)) is not None


def step(tx: Tx) -> bool:
    """The next piece of work; False when there is none.

    One transaction writes at a time: whoever writes behind the one that begins the building knows the parameter.
    """
    row = tx.one("SELECT rid, state FROM parameter WHERE state <> ? ORDER BY state DESC, rid LIMIT 1", (ON,))
    if row is None:
        return False
    rid, state = row
    return _built(tx, rid) if state == BUILDING else _cleared(tx, rid, state)


# --- clearing


def _cleared(tx: Tx, rid: int, state: int) -> bool:
    """Takes away some index rows that nobody keeps right any more; when there are none left, the next state comes."""
    ((text,),) = tx.all("SELECT former FROM parameter WHERE rid = ?", (rid,))
    for name in sorted(set(json.loads(text)) - parameters.in_use(tx)):
        for pid in filter(None, (names.find(tx, name + mark) for mark in ("", SPAN, TYPED))):
            if _some_gone(tx, pid):
                return True
    if state == LEAVING:
        tx.execute("DELETE FROM parameter WHERE rid = ?", (rid,))
    else:
        assert state == CLEARING
        sql = "UPDATE parameter SET state = ?, former = ?, place = 0, most = ?, changed = ? WHERE rid = ?"
        tx.execute(sql, (BUILDING, "[]", _last(tx), tx.now, rid))
    parameters.settle(tx)
    return True


def _some_gone(tx: Tx, pid: int) -> bool:
    for table, (_, delete) in SQL.items():
        columns = delete[delete.index("(") + 1 : delete.index(")")]
        where = postings.of(tx, table, (pid,))
        rows = tx.all(f"SELECT {columns} FROM {table} WHERE {where.text} LIMIT ?", (*where.values, CLEARED))
        if rows:
            tx.many(delete, rows)
            return True
    return False


def _last(tx: Tx) -> int:
    ((last,),) = tx.all("SELECT max(rid) FROM res")
    return int(last or 0)


# --- building


def _built(tx: Tx, rid: int) -> bool:
    """Indexes the next resources by one parameter; behind the last of them it is switched on."""
    parameters.adopt(tx)
    ((text, place),) = tx.all("SELECT definition, place FROM parameter WHERE rid = ?", (rid,))
    definition, end, last = json.loads(text), place + WINDOW, _last(tx)
    rows = _next(tx, tuple(definition["expressions"]), place, end)
    batch = Batch(tx)
    for number, sd, zd, packed in rows:
        body = tx.bodies.whole(zd, packed)
        if body is None:
            log.error("a resource could not be indexed, for its body is damaged: row %d", number)
            continue
        found = extract(strict.reread(body), tx.shared.base)
        batch.extend(number, _part(found, definition["code"]), sd)
    batch.flush()
    reached = rows[-1][0] if len(rows) == PIECE else end
    if reached < last:
        tx.execute("UPDATE parameter SET place = ?, most = ? WHERE rid = ?", (reached, last, rid))
    else:
        sql = "UPDATE parameter SET state = ?, place = ?, most = ?, changed = ? WHERE rid = ?"
        tx.execute(sql, (ON, last, last, tx.now, rid))
        parameters.settle(tx)
    return True


def _next(tx: Tx, types: Sequence[str], after: int, until: int) -> list[tuple[Any, ...]]:
    rts = [number for type in types if (number := names.find(tx, type))]
    marks = ",".join("?" * len(rts))
    return tx.all(
        f"SELECT rid, sd, zd, body FROM res WHERE rid > ? AND rid <= ? AND rt IN ({marks}) AND op <> 3 ORDER BY rid LIMIT ?",
        (after, until, *rts, PIECE),
    )


def _part(rows: Rows, code: str) -> Rows:
    """Of a resource's rows those that the parameter looks at."""
    assert rows.mark == definitions.own_of(rows.type).mark
    wanted = frozenset(atoms(rows.type, code))
    kept = ([row for row in getattr(rows, name) if row[0] in wanted] for name in LISTS)
    return Rows(rows.type, *kept, mark=rows.mark)  # type: ignore[misc, arg-type]
