"""Deliveries: one send of one message to one destination, with every attempt (EIP: Guaranteed Delivery).

https://www.enterpriseintegrationpatterns.com/patterns/messaging/GuaranteedMessaging.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from suture.clock import new_id
from suture.errors import Conflict
from suture.message import DeliveryState
from suture.store import names
from suture.store.connection import Connection, Tx
from suture.store.resources import id_of, key_of

STATES = {
    DeliveryState.WAITING: 1,
    DeliveryState.SENDING: 2,
    DeliveryState.RETRYING: 3,
    DeliveryState.AMBIGUOUS: 4,
    DeliveryState.DEAD: 5,
    DeliveryState.DELIVERED: None,
}
STATE_OF = {number: state for state, number in STATES.items()}
ATTEMPT_BITS = 12
MOST_ATTEMPTS = (1 << ATTEMPT_BITS) - 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it stands in its row, without its content."""

    did: int
    id: str
    run: int
    mid: int
    step: str
    connection: str
    lane: str
    state: DeliveryState
    attempts: int
    next_at: int
    owner: str
    created: int
    ended: int
    error: str
    replayed_by: int
    content_type: str
    attributes: dict[str, Any]


class Attempt(NamedTuple):
    """One try: when, how long, how it ended, what the destination said."""

    at: int
    took: int  # microseconds
    outcome: DeliveryState  # delivered | retrying | ambiguous | dead
    answer: bytes = b""
    error: str = ""


_COLUMNS = (
    "did, id, run, mid, step, connection, lane, state, attempts, next_at, owner, created, ended, error, replayed_by, "
    "content_type, attributes"
)


def _delivery(connection: Connection, row: tuple[Any, ...]) -> Delivery:
    def text(number: int | None) -> str:
        return names.text(connection, number) if number else ""

    return Delivery(
        row[0], id_of(row[1]), row[2], row[3], text(row[4]), text(row[5]), row[6] or "", STATE_OF[row[7]], row[8],
        row[9] or 0, text(row[10]), row[11], row[12] or 0, row[13] or "", row[14] or 0, text(row[15]),
        json.loads(row[16]) if row[16] else {},
    )  # fmt: skip


def enqueue(
    tx: Tx,
    *,
    run: int,
    mid: int,
    step: str,
    connection: str,
    content: bytes,
    content_type: str,
    lane: str = "",
    at: int = 0,
    attributes: Mapping[str, Any] | None = None,
    owner: str = "",
    lease: int = 0,
) -> Delivery:
    """A new delivery with the exact bytes to send. Behind an open one of its lane it waits until that one ends.

    With `owner` and `lease` it is taken at once (sending), which saves a commit when it can be sent right away.
    """
    target = names.number(tx, connection)
    behind = bool(lane) and _head(tx, target, lane) is not None
    taken = bool(owner) and not behind
    next_at = None if behind else (lease if taken else at or tx.now)
    state = DeliveryState.SENDING if taken else DeliveryState.WAITING
    zd, packed = tx.bodies.pack("content", content)
    id = new_id(tx.shared.clock)
    tx.execute(
        "INSERT INTO delivery (id, run, mid, step, connection, lane, open, state, attempts, next_at, owner, created, "
        "content_type, attributes, zd, content) VALUES (?, ?, ?, ?, ?, ?, 1, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (
            key_of(id), run, mid, names.number(tx, step), target, lane or None, STATES[state], next_at,
            names.number(tx, owner) if taken else None, tx.now, names.number(tx, content_type),
            json.dumps(dict(attributes)) if attributes else None, zd, packed,
        ),
    )  # fmt: skip
    return Delivery(
        tx.last_rowid, id, run, mid, step, connection, lane, state, 0, next_at or 0, owner if taken else "", tx.now, 0,
        "", 0, content_type, dict(attributes or {}),
    )  # fmt: skip


def _head(connection: Connection, target: int, lane: str) -> int | None:
    row = connection.one(
        "SELECT did FROM delivery WHERE open = 1 AND connection = ? AND lane = ? ORDER BY did LIMIT 1", (target, lane)
    )
    return row[0] if row else None


def due(connection: Connection, target: str, now: int, count: int = 64) -> list[Delivery]:
    """Deliveries of one connection that may be sent now, oldest first; at most one of a lane."""
    rows = connection.all(
        f"SELECT {_COLUMNS} FROM delivery WHERE connection = ? AND next_at <= ? ORDER BY next_at LIMIT ?",
        (names.find(connection, target), now, count),
    )
    return [_delivery(connection, row) for row in rows]


def take(tx: Tx, target: str, owner: str, until: int, count: int = 64, now: int = 0) -> list[Delivery]:
    """Leases what is due: sending, `owner`'s until `until`; what a lease outlived comes back as it was left (sending)."""
    found = due(tx, target, now or tx.now, count)
    holder = names.number(tx, owner)
    for delivery in found:
        tx.execute("UPDATE delivery SET state = 2, owner = ?, next_at = ? WHERE did = ?", (holder, until, delivery.did))
    return found


def next_due(connection: Connection, target: str = "") -> int:
    """When the next delivery (of one connection) is due; 0 when none is."""
    if target:
        row = connection.one(
            "SELECT min(next_at) FROM delivery WHERE connection = ? AND next_at IS NOT NULL",
            (names.find(connection, target),),
        )
    else:
        row = connection.one("SELECT min(next_at) FROM delivery WHERE next_at IS NOT NULL")
    return (row and row[0]) or 0


def targets(connection: Connection) -> list[str]:
    """Connections that have deliveries which are not at their end."""
    rows = connection.all("SELECT DISTINCT connection FROM delivery WHERE open = 1")
    return [names.text(connection, number) for (number,) in rows]


def release_others(tx: Tx, owner: str) -> list[Delivery]:
    """At the start of the one serving process: what others were sending when they ended; its outcome is not known."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM delivery WHERE state = 2 AND owner <> ? AND open = 1", (names.number(tx, owner),)
    )
    return [_delivery(tx, row) for row in rows]


def give_back(tx: Tx, dids: Iterable[int]) -> None:
    """What was taken and never sent waits again, due now."""
    tx.many(
        "UPDATE delivery SET state = 1, next_at = ?, owner = NULL WHERE did = ? AND state = 2 AND open = 1",
        [(tx.now, did) for did in dids],
    )


def content(connection: Connection, did: int) -> bytes:
    """The exact bytes to send, or sent."""
    row = connection.one("SELECT zd, content FROM delivery WHERE did = ?", (did,))
    return b"" if row is None or row[1] is None else connection.bodies.unpack(*row)


def delivered(tx: Tx, did: int, attempt: Attempt) -> int:
    """The good end; the next of the lane is due. Returns the run that may wait for it."""
    return _end(tx, did, attempt, DeliveryState.DELIVERED)


def dead(tx: Tx, did: int, attempt: Attempt | None, error: str = "") -> int:
    """Gave up; the next of the lane is due. Returns the run."""
    return _end(tx, did, attempt, DeliveryState.DEAD, error)


def retry(tx: Tx, did: int, attempt: Attempt, at: int) -> None:
    """Not now: due again at `at`; the lane waits behind it."""
    _keep(tx, did, attempt)
    tx.execute(
        "UPDATE delivery SET state = 3, next_at = ?, owner = NULL, attempts = attempts + 1, error = ? "
        "WHERE did = ? AND open = 1",
        (at, attempt.error or None, did),
    )
    _require_open(tx)


def ambiguous(tx: Tx, did: int, attempt: Attempt | None, *, at: int = 0) -> None:
    """Sent, but whether it arrived is not known. Without `at` it stays so until somebody decides; its lane waits."""
    if attempt:
        _keep(tx, did, attempt)
    tx.execute(
        "UPDATE delivery SET state = 4, next_at = ?, owner = NULL, attempts = attempts + ? WHERE did = ? AND open = 1",
        (at or None, 1 if attempt else 0, did),
    )
    _require_open(tx)


def leave_lane(tx: Tx, did: int) -> None:
    """Takes an open delivery out of its lane's way; the next of the lane is due."""
    row = tx.one("SELECT connection, lane FROM delivery WHERE did = ? AND open = 1 AND lane IS NOT NULL", (did,))
    if row is not None:
        tx.execute("UPDATE delivery SET lane = NULL WHERE did = ?", (did,))
        _promote(tx, row[0], row[1])


def send_again(tx: Tx, did: int) -> None:
    """Somebody decided: an ambiguous or retrying delivery is due now."""
    tx.execute("UPDATE delivery SET state = 1, next_at = ?, owner = NULL WHERE did = ? AND open = 1", (tx.now, did))
    _require_open(tx)


def _require_open(tx: Tx) -> None:
    if tx.changes != 1:
        raise Conflict("this delivery has ended already", where="deliveries")


def _end(tx: Tx, did: int, attempt: Attempt | None, state: DeliveryState, error: str = "") -> int:
    row = tx.one("SELECT run, connection, lane FROM delivery WHERE did = ? AND open = 1", (did,))
    if row is None:
        raise Conflict("this delivery has ended already", where="deliveries")
    if attempt:
        _keep(tx, did, attempt)
    tx.execute(
        "UPDATE delivery SET open = NULL, next_at = NULL, owner = NULL, state = ?, ended = ?, attempts = attempts + ?, "
        "error = ? WHERE did = ?",
        (STATES[state], tx.now, 1 if attempt else 0, error or (attempt.error if attempt else "") or None, did),
    )
    if row[2]:
        _promote(tx, row[1], row[2])
    return int(row[0])


def _promote(tx: Tx, target: int, lane: str) -> None:
    tx.execute(
        "UPDATE delivery SET next_at = ? WHERE next_at IS NULL AND state = 1 AND did = "
        "(SELECT did FROM delivery WHERE open = 1 AND connection = ? AND lane = ? ORDER BY did LIMIT 1)",
        (tx.now, target, lane),
    )


def _keep(tx: Tx, did: int, attempt: Attempt) -> None:
    row = tx.one("SELECT attempts FROM delivery WHERE did = ?", (did,))
    number = min((row[0] if row else 0) + 1, MOST_ATTEMPTS)
    tx.execute(
        "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?)",
        (
            did << ATTEMPT_BITS | number, attempt.at, attempt.took, STATES[attempt.outcome] or 0,
            attempt.answer or None, attempt.error or None,
        ),
    )  # fmt: skip


def attempts(connection: Connection, did: int) -> list[Attempt]:
    """Every try of a delivery, in order."""
    low = did << ATTEMPT_BITS
    rows = connection.all(
        "SELECT at, took, outcome, answer, error FROM attempt WHERE aid BETWEEN ? AND ?", (low, low | MOST_ATTEMPTS)
    )
    return [
        Attempt(at, took, STATE_OF[state or None], answer or b"", error or "")
        for at, took, state, answer, error in rows
    ]


def get(connection: Connection, did: int) -> Delivery | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM delivery WHERE did = ?", (did,))
    return None if row is None else _delivery(connection, row)


def by_id(connection: Connection, id: str) -> Delivery | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM delivery WHERE id = ?", (key_of(id),))
    return None if row is None else _delivery(connection, row)


def of_run(connection: Connection, run: int) -> list[Delivery]:
    return [
        _delivery(connection, row) for row in connection.all(f"SELECT {_COLUMNS} FROM delivery WHERE run = ?", (run,))
    ]


def find(
    connection: Connection,
    *,
    target: str = "",
    state: DeliveryState | None = None,
    before: int = 1 << 62,
    count: int = 50,
) -> list[Delivery]:
    """Deliveries newest first; `before` is the did the last page ended at."""
    conditions, values = ["did < ?"], [before]
    if target:
        conditions.append("connection = ?")
        values.append(names.find(connection, target))
    if state is not None:
        conditions.append("state IS NULL" if STATES[state] is None else f"state = {STATES[state]}")
    sql = f"SELECT {_COLUMNS} FROM delivery WHERE {' AND '.join(conditions)} ORDER BY did DESC LIMIT ?"
    return [_delivery(connection, row) for row in connection.all(sql, [*values, count])]
