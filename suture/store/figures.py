"""Counts for the operator's page; each looks at no more than `MOST` index entries, so that a busy day costs no more than a quiet one."""

from __future__ import annotations

from typing import NamedTuple

from suture.store.connection import Connection

MOST = 50_000
HOUR = 3_600_000_000


class Figures(NamedTuple):
    """What happened in the last hour, and what is open now; a count of MOST means `at least`."""

    received: int
    done: int
    failed: int
    unrouted: int
    running: int  # runs
    waiting: int
    retrying: int  # deliveries
    ambiguous: int
    dead: int  # open dead letters


def now(connection: Connection, micros: int) -> Figures:
    """The figures at a time."""
    since = micros - HOUR
    first = (since // 1000).to_bytes(6, "big") + bytes(10)  # ids begin with their milliseconds (RFC 9562)
    received = _count(connection, "message WHERE id >= ?", first)
    undone = {state: _count(connection, f"message WHERE state = {state} AND mid >= ?", since) for state in (1, 2, 3, 4)}
    return Figures(
        received,
        max(received - sum(undone.values()), 0),
        undone[4],
        undone[3],
        _count(connection, "run WHERE state = ?", 1),
        _count(connection, "run WHERE state = ?", 2),
        _count(connection, "delivery WHERE state = ?", 3),
        _count(connection, "delivery WHERE state = ?", 4),
        _count(connection, "dead WHERE open = ?", 1),
    )


def _count(connection: Connection, what: str, value: int | bytes) -> int:
    row = connection.one(f"SELECT count(*) FROM (SELECT 1 FROM {what} LIMIT {MOST})", (value,))
    return int(row[0]) if row else 0
