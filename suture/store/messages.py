"""The journal of messages: originals exact, found by control id, type, time, patient identifier and state.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/MessageStore.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from suture.errors import NotFound
from suture.message import Message, MessageState
from suture.store import names
from suture.store.connection import Connection, Tx
from suture.store.resources import id_of, key_of

STATES = {
    MessageState.RECEIVED: 1,
    MessageState.FILTERED: 2,
    MessageState.UNROUTED: 3,
    MessageState.FAILED: 4,
    MessageState.DONE: None,
}
STATE_OF = {number: state for state, number in STATES.items()}
LOOK_BACK = 20  # how many messages with the same control id are compared by sender


class Accepted(NamedTuple):
    """What the journal did: a new row, or the row of the same message before, with the answer it got."""

    mid: int
    id: str
    duplicate: bool = False
    answer: bytes = b""
    same_as: str = ""  # id of an earlier message with this control id and another body


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal row without its body."""

    mid: int  # also its journal time in microseconds
    id: str
    source: str
    kind: str
    type: str
    state: MessageState
    control_id: str = ""
    same_as: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def received(self) -> int:
        return self.mid


def accept(tx: Tx, message: Message, *, sender: str = "", answer: bytes = b"") -> Accepted:
    """Journals one original, or finds that it is there already.

    Duplicate: same source, control id and body (the body holds the sender, MSH-3/4): nothing is written and the stored
    answer comes back. The same control id of the same `sender` with another body is journalled and flagged.
    """
    source, same_as = names.number(tx, message.source), 0
    digest = _digest(message.original) if message.control_id else None
    if message.control_id and _known(tx, source, message.control_id):
        twin = _twin(tx, source, message, digest)
        if twin is not None:
            return twin
        same_as = _namesake(tx, source, message.control_id, {_digest(sender.encode()), names.find(tx, sender)})
    mid, patients = _next(tx), list(dict.fromkeys(message.patients))
    zd, body = tx.bodies.pack("message", message.original)
    tx.execute(
        "INSERT INTO message VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            mid, key_of(message.id), source, names.number(tx, message.kind), names.sent(tx, message.type),
            message.control_id or None, _digest(sender.encode()), digest, same_as or None,
            "\x1f".join(patients) or None, orjson.dumps(message.attributes).decode() if message.attributes else None, answer or None, zd, body,
        ),
    )  # fmt: skip
    for patient in patients:
        tx.execute("INSERT INTO message_patient VALUES (?, ?)", (patient, mid))
    return Accepted(mid, message.id, False, answer, _id(tx, same_as) if same_as else "")


def _digest(original: bytes) -> int:
    return int.from_bytes(hashlib.sha256(original).digest()[:8], "big", signed=True)


def _known(tx: Tx, source: int, control: str) -> bool:
    return tx.one("SELECT 1 FROM message WHERE control = ? AND source = ? LIMIT 1", (control, source)) is not None


def _twin(tx: Tx, source: int, message: Message, digest: int | None) -> Accepted | None:
    rows = tx.all(
        "SELECT mid, id, answer, zd, body FROM message WHERE control = ? AND source = ? AND digest = ?",
        (message.control_id, source, digest),
    )
    for mid, id, answer, zd, body in rows:
        if body is not None and tx.bodies.unpack(zd, body) == message.original:
            return Accepted(mid, id_of(id), True, answer or b"")
    return None


def _namesake(tx: Tx, source: int, control: str, sender: set[int]) -> int:
    """The last message of this sender with this control id; rows of earlier versions hold its name's number."""
    rows = tx.all(
        "SELECT mid, sender FROM message WHERE control = ? AND source = ? ORDER BY mid DESC LIMIT ?",
        (control, source, LOOK_BACK),
    )
    return next((mid for mid, other in rows if other in sender), 0)


def _next(tx: Tx) -> int:
    """The journal time: now, but never the same microsecond twice; read once a transaction."""
    if not tx.next_mid:
        row = tx.one("SELECT max(mid) FROM message")
        tx.next_mid = ((row and row[0]) or 0) + 1
    tx.next_mid = max(tx.now, tx.next_mid) + 1
    return tx.next_mid - 1


def _id(connection: Connection, mid: int) -> str:
    row = connection.one("SELECT id FROM message WHERE mid = ?", (mid,))
    return id_of(row[0]) if row else ""


def set_state(tx: Tx, mid: int, state: MessageState) -> None:
    tx.execute("UPDATE message SET state = ? WHERE mid = ?", (STATES[state], mid))


def settle(tx: Tx, mid: int, state: MessageState) -> None:
    """The state after a good end; a message that has failed stays so until it is replayed."""
    tx.execute("UPDATE message SET state = ? WHERE mid = ? AND state = 1", (STATES[state], mid))


_COLUMNS = "m.mid, m.id, m.source, m.kind, m.type, m.state, m.control, m.same_as, m.attributes"


def entry(connection: Connection, id: str) -> Entry | None:
    """The journal row of a message id."""
    row = connection.one(f"SELECT {_COLUMNS} FROM message m WHERE id = ?", (key_of(id),))
    return None if row is None else _entry(connection, row)


def entry_of(connection: Connection, mid: int) -> Entry | None:
    """The journal row by its number, as runs and dead letters name it."""
    row = connection.one(f"SELECT {_COLUMNS} FROM message m WHERE mid = ?", (mid,))
    return None if row is None else _entry(connection, row)


def message(connection: Connection, mid: int) -> Message:
    """The whole message; raises NotFound when it is gone (retention)."""
    found = entry_of(connection, mid)
    if found is None:
        raise NotFound("this message is no longer kept", where="messages")
    return Message(
        found.id, found.source, found.kind, original(connection, mid), mid, found.control_id, found.type,
        tuple(patients_of(connection, mid)), _id(connection, found.same_as) if found.same_as else "", found.attributes,
    )  # fmt: skip


def original(connection: Connection, mid: int) -> bytes:
    """The bytes that came in; raises NotFound when they are no longer kept."""
    row = connection.one("SELECT zd, body FROM message WHERE mid = ?", (mid,))
    if row is None or row[1] is None:
        raise NotFound("the original of this message is no longer kept", where="messages")
    return connection.bodies.unpack(*row)


def answer(connection: Connection, mid: int) -> bytes:
    row = connection.one("SELECT answer FROM message WHERE mid = ?", (mid,))
    return (row and row[0]) or b""


def patients_of(connection: Connection, mid: int) -> list[str]:
    """The patient identifiers a message was indexed by."""
    row = connection.one("SELECT patients FROM message WHERE mid = ?", (mid,))
    return str(row[0]).split("\x1f") if row and row[0] else []


def _entry(connection: Connection, row: tuple[Any, ...]) -> Entry:
    mid, id, source, kind, type, state, control, same_as, attributes = row
    return Entry(
        mid, id_of(id), names.text(connection, source), names.text(connection, kind), names.text(connection, type),
        STATE_OF[state], control or "", same_as or 0, orjson.loads(attributes) if attributes else {},
    )  # fmt: skip


def find(
    connection: Connection,
    *,
    source: str = "",
    control_id: str = "",
    type: str = "",
    patient: str = "",
    state: MessageState | None = None,
    since: int = 0,
    until: int = 1 << 62,
    before: int = 1 << 62,
    count: int = 50,
) -> list[Entry]:
    """Messages newest first; `before` is the mid the last page ended at, `since`/`until` are microseconds."""
    table, conditions = "message m", ["m.mid >= ?", "m.mid < ?"]
    values: list[int | str] = [since, min(until, before)]
    if patient:
        table = "message_patient p CROSS JOIN message m ON m.mid = p.mid"
        conditions, values = ["p.patient = ?", "p.mid >= ?", "p.mid < ?"], [patient, *values]
    named: Sequence[tuple[str, str]] = (("source", source), ("type", type))
    for column, text in named:
        if text:
            conditions.append(f"m.{column} = ?")
            values.append(names.find(connection, text))
    if control_id:
        conditions.append("m.control = ?")
        values.append(control_id)
    if state is not None:
        conditions.append("m.state IS NULL" if STATES[state] is None else f"m.state = {STATES[state]}")
    order = "p.mid" if patient else "m.mid"
    sql = f"SELECT {_COLUMNS} FROM {table} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?"
    return [_entry(connection, row) for row in connection.all(sql, [*values, count])]
