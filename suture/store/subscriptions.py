"""Subscriptions as they stand, their numbered events, and how far the chart's changes have been looked at.

Events and the place they were found up to are written in one transaction, so that a crash leaves neither gap nor double.
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/errors.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from suture.store.connection import Connection, Tx

_COLUMNS = "rid, fid, ver, status, since, events, sent, tries, due, beat, error, who, held, zd, owner"
LIVE = ("requested", "active", "error")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription; `owner` says in whose name it was asked for."""

    rid: int
    id: str
    version: int  # of the resource it was read from
    status: str
    since: int
    events: int
    sent: int
    tries: int
    due: int
    beat: int
    error: str
    who: str
    held: int  # 1: events wait for whoever holds a websocket
    owner: Mapping[str, Any]


class Event(NamedTuple):
    """One event of one subscription: which version of what it is about."""

    rid: int
    number: int
    at: int
    type: str
    id: str
    version: int


class Span(NamedTuple):
    """Events of one subscription that lie between two numbers."""

    rid: int
    first: int
    last: int
    many: int


class Found(NamedTuple):
    """An event that has no number yet."""

    rid: int
    at: int
    type: str
    id: str
    version: int


def _of(connection: Connection, row: tuple[Any, ...]) -> Subscription:
    owner = json.loads(connection.bodies.unpack(row[13], row[14]))
    return Subscription(*(*row[:13], owner))


def get(connection: Connection, rid: int) -> Subscription | None:
    row = connection.one(f"SELECT {_COLUMNS} FROM subscription WHERE rid = ?", (rid,))
    return None if row is None else _of(connection, row)


def every(connection: Connection) -> list[Subscription]:
    """All of them, in the order of their row numbers."""
    return [_of(connection, row) for row in connection.all(f"SELECT {_COLUMNS} FROM subscription ORDER BY rid", ())]


def of(connection: Connection, who: str) -> list[Subscription]:
    """Those of one caller."""
    rows = connection.all(f"SELECT {_COLUMNS} FROM subscription WHERE who = ? ORDER BY rid", (who,))
    return [_of(connection, row) for row in rows]


def count_of(connection: Connection, who: str) -> int:
    """How many a caller has that are not off."""
    row = connection.one("SELECT count(*) FROM subscription WHERE who = ? AND status <> 'off'", (who,))
    return row[0] if row else 0


def find(connection: Connection, statuses: Sequence[str], before: int, count: int) -> list[Subscription]:
    """Those with one of these statuses, the newest first, from below a row number."""
    marks = ", ".join("?" * len(statuses))
    rows = connection.all(
        f"SELECT {_COLUMNS} FROM subscription WHERE status IN ({marks}) AND rid < ? ORDER BY rid DESC LIMIT ?",
        (*statuses, before, count),
    )
    return [_of(connection, row) for row in rows]


def counts(connection: Connection) -> dict[str, int]:
    """How many stand how."""
    return dict(connection.all("SELECT status, count(*) FROM subscription GROUP BY status ORDER BY status", ()))


def ask(
    tx: Tx, rid: int, id: str, version: int, status: str, who: str, owner: Mapping[str, Any], held: bool = False
) -> None:
    """A subscription was written: it begins (again) with this status, its numbers go on."""
    zd, packed = tx.bodies.pack("content", json.dumps(dict(owner)).encode())
    tx.execute(
        "INSERT INTO subscription (rid, fid, ver, status, since, events, sent, tries, due, beat, error, who, held, zd, owner) "
        "VALUES (?, ?, ?, ?, 0, 0, 0, 0, ?, 0, '', ?, ?, ?, ?) ON CONFLICT (rid) DO UPDATE SET ver = excluded.ver, "
        "status = excluded.status, tries = 0, due = excluded.due, error = '', who = excluded.who, held = excluded.held, zd = excluded.zd, "
        "owner = excluded.owner",
        (rid, id, version, status, tx.now, who, int(held), zd, packed),
    )
    if status == "off":
        _silenced(tx, rid)
    _marked(tx)


def drop(tx: Tx, rid: int) -> None:
    """The resource was deleted."""
    tx.execute("DELETE FROM subscription WHERE rid = ?", (rid,))
    tx.execute("DELETE FROM subscription_event WHERE rid = ?", (rid,))
    tx.execute("DELETE FROM subscription_again WHERE rid = ?", (rid,))
    _marked(tx)


def turned(tx: Tx, rid: int, version: int, status: str, error: str = "") -> None:
    """The server changed the status; the first activation is where events begin to count."""
    if status == "active" and not tx.one("SELECT 1 FROM subscription WHERE since > 0", ()):
        tx.execute("UPDATE subscription_place SET at = ? WHERE id = 1", (tx.now,))  # nobody listened until now
    tx.execute(
        "UPDATE subscription SET status = ?, ver = ?, error = ?, tries = 0, due = ?, beat = ? WHERE rid = ?",
        (status, version, error, tx.now, tx.now, rid),
    )
    if status == "active":
        tx.execute("UPDATE subscription SET since = ? WHERE rid = ? AND since = 0", (tx.now, rid))
    elif status == "off":
        _silenced(tx, rid)
    _marked(tx)


def _silenced(tx: Tx, rid: int) -> None:
    """Nothing is numbered or sent any more."""
    tx.execute("UPDATE subscription SET since = 0, sent = events WHERE rid = ?", (rid,))
    tx.execute("DELETE FROM subscription_again WHERE rid = ?", (rid,))


def _marked(tx: Tx) -> None:
    tx.execute("UPDATE subscription_place SET mark = mark + 1 WHERE id = 1", ())


def place(connection: Connection) -> tuple[int, int]:
    """(up to which commit changes were looked at, the mark that grows with every change of a subscription)."""
    row = connection.one("SELECT at, mark FROM subscription_place WHERE id = 1", ())
    return (row[0], row[1]) if row else (0, 0)


def looked(tx: Tx, before: int, upto: int, found: Iterable[Found], missed: Mapping[int, str] | None = None) -> bool:
    """Numbers what was found and moves on; False when somebody else moved on from `before` in the meantime.

    `missed`: what subscriptions are told of changes that could not be read; their status stays.
    """
    if place(tx)[0] != before:
        return False
    for rid, error in (missed or {}).items():
        told(tx, rid, error)
    numbers: dict[int, int] = {}
    for one in found:
        number = numbers.get(one.rid) or _last(tx, one.rid)
        if number is None:  # it was deleted just now
            continue
        numbers[one.rid] = number + 1
        tx.execute(
            "INSERT INTO subscription_event (rid, number, at, type, fid, ver) VALUES (?, ?, ?, ?, ?, ?)",
            (one.rid, number + 1, one.at, one.type, one.id, one.version),
        )
    for rid, number in numbers.items():
        tx.execute("UPDATE subscription SET events = ? WHERE rid = ?", (number, rid))
    tx.execute("UPDATE subscription_place SET at = ? WHERE id = 1", (upto,))
    return True


def told(tx: Tx, rid: int, error: str) -> None:
    """What went wrong without ending it; stands until its status changes."""
    tx.execute("UPDATE subscription SET error = ? WHERE rid = ?", (error, rid))


def _last(tx: Tx, rid: int) -> int | None:
    row = tx.one("SELECT events FROM subscription WHERE rid = ?", (rid,))
    return row[0] if row else None


def waiting(connection: Connection, now: int, count: int = 200) -> list[int]:
    """Those with something to send now: a handshake or events, longest waiting first."""
    rows = connection.all(
        "SELECT rid FROM subscription WHERE due <= ? AND (status = 'requested' OR (status = 'active' AND held = 0 AND "
        "(sent < events OR EXISTS (SELECT 1 FROM subscription_again a WHERE a.rid = subscription.rid)))) ORDER BY due LIMIT ?",
        (now, count),
    )
    return [rid for (rid,) in rows]


def events(connection: Connection, rid: int, first: int, last: int, count: int) -> list[Event]:
    """The events numbered first … last, at most `count` of them, in order."""
    rows = connection.all(
        "SELECT rid, number, at, type, fid, ver FROM subscription_event WHERE rid = ? AND number >= ? AND number <= ? "
        "ORDER BY number LIMIT ?",
        (rid, first, last, count),
    )
    return [Event(*row) for row in rows]


def delivered(tx: Tx, rid: int, upto: int, rest: int = 0) -> None:
    """The endpoint has everything up to this number, or was just told that we are there; nothing more for `rest` microseconds."""
    tx.execute(
        "UPDATE subscription SET sent = CASE WHEN sent < ? THEN ? ELSE sent END, tries = 0, due = ?, beat = ? WHERE rid = ?",
        (upto, upto, tx.now + rest, tx.now, rid),
    )


def between(connection: Connection, rid: int, first: int, last: int, since: int, until: int) -> Span | None:
    """The kept events with these numbers, of this time; None when there are none."""
    row = connection.one(
        "SELECT min(number), max(number), count(*) FROM subscription_event "
        "WHERE rid = ? AND number >= ? AND number <= ? AND at >= ? AND at <= ?",
        (rid, first, last, since, until),
    )
    return Span(rid, *row) if row and row[2] else None


def again(tx: Tx, rid: int, first: int, last: int) -> None:
    """These events are to go out once more."""
    tx.execute(
        "INSERT INTO subscription_again (rid, first, last) VALUES (?, ?, ?) ON CONFLICT (rid, first) DO UPDATE SET "
        "last = CASE WHEN subscription_again.last < excluded.last THEN excluded.last ELSE subscription_again.last END",
        (rid, first, last),
    )


def spans(connection: Connection, rid: int) -> int:
    """How many runs of events wait to go out once more."""
    row = connection.one("SELECT count(*) FROM subscription_again WHERE rid = ?", (rid,))
    return row[0] if row else 0


def next_span(connection: Connection, rid: int) -> tuple[int, int] | None:
    """The first run of events that is to go out once more."""
    row = connection.one("SELECT first, last FROM subscription_again WHERE rid = ? ORDER BY first LIMIT 1", (rid,))
    return (row[0], row[1]) if row else None


def resent(tx: Tx, rid: int, first: int, upto: int) -> None:
    """Of the run that begins with `first`, everything up to this number went out."""
    row = tx.one("SELECT last FROM subscription_again WHERE rid = ? AND first = ?", (rid, first))
    tx.execute("DELETE FROM subscription_again WHERE rid = ? AND first = ?", (rid, first))
    if row is not None and row[0] > upto:
        again(tx, rid, upto + 1, row[0])


def failed(tx: Tx, rid: int, again: int) -> None:
    """One more try went wrong; the next one is at `again`."""
    tx.execute("UPDATE subscription SET tries = tries + 1, due = ? WHERE rid = ?", (again, rid))


def forget(tx: Tx, before: int, count: int = 1000) -> int:
    """Lets go of events older than a moment; returns how many."""
    rows = tx.all(
        "SELECT rid, number FROM subscription_event WHERE at < ? ORDER BY rid, number LIMIT ?", (before, count)
    )
    for row in rows:
        tx.execute("DELETE FROM subscription_event WHERE rid = ? AND number = ?", row)
    return len(rows)
