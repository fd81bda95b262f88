"""Dead letters: what gave up, with its step and reason; the original stays in the journal (EIP: Dead Letter Channel).

https://www.enterpriseintegrationpatterns.com/patterns/messaging/DeadLetterChannel.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suture.clock import new_id
from suture.errors import Conflict, NotFound
from suture.store import names
from suture.store.connection import Connection, Tx
from suture.store.resources import id_of, key_of


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One thing that gave up; `open` until somebody replays or discards it."""

    dlid: int
    id: str
    mid: int
    run: int
    did: int  # 0 when the run itself gave up
    flow: str
    step: str
    code: str  # of the error tree
    reason: str
    at: int
    open: bool
    closed: int
    closed_by: str
    replay: int  # the run that replays it; 0 when discarded


_COLUMNS = "dlid, id, mid, run, did, flow, step, code, reason, at, open, closed, closed_by, replay"


def _letter(connection: Connection, row: tuple[Any, ...]) -> DeadLetter:
    return DeadLetter(
        row[0], id_of(row[1]), row[2], row[3], row[4] or 0, names.text(connection, row[5]),
        names.text(connection, row[6]), row[7], row[8], row[9], bool(row[10]), row[11] or 0, row[12] or "", row[13] or 0,
    )  # fmt: skip


def bury(tx: Tx, *, mid: int, run: int, flow: str, step: str, code: str, reason: str, did: int = 0) -> DeadLetter:
    """Lists what gave up; call it in the unit that ends the run or the delivery."""
    id = new_id(tx.shared.clock)
    tx.execute(
        "INSERT INTO dead (id, mid, run, did, flow, step, code, reason, at, open) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (key_of(id), mid, run, did or None, names.number(tx, flow), names.number(tx, step), code, reason, tx.now),
    )
    return DeadLetter(tx.last_rowid, id, mid, run, did, flow, step, code, reason, tx.now, True, 0, "", 0)


def close(tx: Tx, id: str, by: str, *, replay: int = 0) -> None:
    """Replayed by the run `replay`, or discarded, by somebody; raises Conflict when that happened before."""
    tx.execute(
        "UPDATE dead SET open = NULL, closed = ?, closed_by = ?, replay = ? WHERE id = ? AND open = 1",
        (tx.now, by, replay or None, key_of(id)),
    )
    if tx.changes != 1 and tx.one("SELECT 1 FROM dead WHERE id = ?", (key_of(id),)) is None:
        raise NotFound("no dead letter with this id", where=f"dead letter {id}", mend="See: suture deadletters list")
    if tx.changes != 1:
        raise Conflict("this dead letter was replayed or discarded already", where="dead letters")


def get(connection: Connection, id: str) -> DeadLetter | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM dead WHERE id = ?", (key_of(id),))
    return None if row is None else _letter(connection, row)


def of_run(connection: Connection, run: int) -> list[DeadLetter]:
    return [_letter(connection, row) for row in connection.all(f"SELECT {_COLUMNS} FROM dead WHERE run = ?", (run,))]


def of_message(connection: Connection, mid: int) -> list[DeadLetter]:
    """The dead letters of a message, those of its runs too."""
    return [_letter(connection, row) for row in connection.all(f"SELECT {_COLUMNS} FROM dead WHERE mid = ?", (mid,))]


def find(
    connection: Connection, *, flow: str = "", open: bool | None = True, before: int = 1 << 62, count: int = 50
) -> list[DeadLetter]:
    """Dead letters newest first, the open ones unless told otherwise; `before` is the dlid the last page ended at."""
    conditions, values = ["dlid < ?"], [before]
    if flow:
        conditions.append("flow = ?")
        values.append(names.find(connection, flow))
    if open is not None:
        conditions.append("open = 1" if open else "open IS NULL")
    sql = f"SELECT {_COLUMNS} FROM dead WHERE {' AND '.join(conditions)} ORDER BY dlid DESC LIMIT ?"
    return [_letter(connection, row) for row in connection.all(sql, [*values, count])]


def count(connection: Connection) -> dict[str, int]:
    """How many are open, by flow."""
    rows = connection.all("SELECT flow, count(*) FROM dead WHERE open = 1 GROUP BY flow")
    return {names.text(connection, flow): number for flow, number in rows}
