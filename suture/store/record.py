"""Puts the record of a person back as another installation had it: versions with their numbers and times, messages, the rest.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from suture.message import MessageState
from suture.standards.fhir.index import Rows
from suture.store import index, messages, names, parameters
from suture.store.connection import Connection, Tx
from suture.store.ids import key_of
from suture.store.resources import DELETE, METHODS, VERSION_BITS, heed, right, rows_of
from suture.store.rids import claim

CREATED, SAME, OTHER = "created", "same", "other"


class Version(NamedTuple):
    """One version of a resource; a deletion has no body."""

    number: int
    updated: int
    method: str
    body: bytes


def put(tx: Tx, type: str, id: str, versions: Sequence[Version], rows: Rows | None) -> str:
    """Writes all versions of a resource that is not there yet, oldest first; `rows`: the index rows of the last one.

    SAME when exactly these versions are there already, OTHER when others are; then nothing is written.
    """
    rt, key = names.number(tx, type), key_of(id)
    there = tx.one("SELECT rid FROM res WHERE fid = ? AND rt = ?", (key, rt))
    if there is not None:
        return SAME if _versions(tx, there[0]) == list(versions) else OTHER
    *older, last = versions
    rid = claim(tx, type, id)
    parameters.adopt(tx)
    rows = right(rows, type) or rows_of(tx, last.body)
    place = index.write(tx, rid, rows) if rows is not None else None
    tx.execute(
        "INSERT INTO res (rid, rt, fid, ver, upd, op, pat, sd, zd, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (rid, rt, key, last.number, last.updated, METHODS[last.method], *(place or (None, None)), *_packed(tx, last)),
    )
    if place is not None:
        heed(tx, type, rid, place.pat, last.body)
    for one in older:
        tx.execute(
            "INSERT INTO hist VALUES (?, ?, ?, ?, ?, ?)",
            (rid << VERSION_BITS | one.number, rt, one.updated, METHODS[one.method], *_packed(tx, one)),
        )
    return CREATED


def _packed(tx: Tx, one: Version) -> tuple[int | None, bytes | None]:
    return (None, None) if METHODS[one.method] == DELETE else tx.bodies.pack("resource", one.body)


def _versions(connection: Connection, rid: int) -> list[Version]:
    low = rid << VERSION_BITS
    rows = connection.all(
        "SELECT hid & 16777215, upd, op, zd, body FROM hist WHERE hid BETWEEN ? AND ? ORDER BY hid",
        (low, low | (1 << VERSION_BITS) - 1),
    )
    rows += connection.all("SELECT ver, upd, op, zd, body FROM res WHERE rid = ?", (rid,))
    methods = {number: name for name, number in METHODS.items()}
    return [
        Version(ver, upd, methods[op], connection.bodies.unpack(zd, body) if body is not None else b"")
        for ver, upd, op, zd, body in rows
    ]


def put_message(tx: Tx, told: Mapping[str, Any], original: bytes, answer: bytes) -> str:
    """Journals a message of another installation under its own id, state and time; nothing is run."""
    id, mid = str(told["id"]), int(told["received"])
    if messages.entry(tx, id) is not None:
        return SAME
    while tx.one("SELECT 1 FROM message WHERE mid = ?", (mid,)):
        mid += 1
    patients = [str(one) for one in told["patients"]]
    zd, body = tx.bodies.pack("message", original)
    attributes = told.get("attributes") or {}
    tx.execute(
        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?, ?, ?, ?, ?)",
        (
            mid, key_of(id), names.sent(tx, str(told["source"])), names.sent(tx, str(told["kind"])),
            names.sent(tx, str(told["type"])), messages.STATES[MessageState(told["state"])],
            told.get("control_id") or None, "\x1f".join(patients) or None,
            orjson.dumps(attributes).decode() if attributes else None, answer or None, zd, body,
        ),
    )  # fmt: skip
    for patient in patients:
        tx.execute("INSERT OR IGNORE INTO message_patient VALUES (?, ?)", (patient, mid))
    return CREATED


def keep_former(tx: Tx, patient: str, name: str, body: bytes) -> None:
    """Keeps what an earlier installation's record held: deliveries, its audit."""
    tx.execute("INSERT OR REPLACE INTO former VALUES (?, ?, ?, ?)", (patient, name, *tx.bodies.pack("content", body)))


def former(connection: Connection, patient: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of everything that was kept so."""
    for (name,) in connection.all("SELECT name FROM former WHERE patient = ? ORDER BY name", (patient,)):
        row = connection.one("SELECT zd, body FROM former WHERE patient = ? AND name = ?", (patient, name))
        if row is not None:
            yield name, connection.bodies.unpack(*row)
