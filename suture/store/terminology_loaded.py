"""Code systems that were loaded from files: a version counts when it is whole, in one commit (https://hl7.org/fhir/R4/codesystem.html)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from suture.standards.fhir import json
from suture.store.connection import Connection, Tx


class Loaded(NamedTuple):
    """One loaded version. `head`: what is said of the system, apart from its concepts."""

    number: int
    url: str
    version: str
    codes: int
    loaded: int  # microseconds
    head: Mapping[str, Any]


def begin(tx: Tx, url: str, version: str, head: Mapping[str, Any]) -> int:
    """Makes room for a version; what an earlier load left unfinished goes."""
    for (number,) in tx.all("SELECT tsid FROM term_system WHERE url = ? AND version = ? AND live = 0", (url, version)):
        drop(tx, number)
    zd, packed = tx.bodies.pack("content", json.write(dict(head)))
    tx.execute(
        "INSERT INTO term_system (url, version, live, codes, loaded, zd, head) VALUES (?, ?, 0, 0, ?, ?, ?)",
        (url, version, tx.now, zd, packed),
    )
    return int(tx.last_rowid)


def add(tx: Tx, number: int, part: int, body: bytes) -> None:
    """Keeps the next concepts."""
    tx.execute("INSERT INTO term_part VALUES (?, ?, ?, ?)", (number, part, *tx.bodies.pack("content", body)))


def finish(tx: Tx, number: int, codes: int) -> None:
    """Switches it on; what was loaded of the same version before goes."""
    row = tx.one("SELECT url, version FROM term_system WHERE tsid = ?", (number,))
    assert row is not None
    for (old,) in tx.all("SELECT tsid FROM term_system WHERE url = ? AND version = ? AND live = 1", row):
        drop(tx, old)
    tx.execute("UPDATE term_system SET live = 1, codes = ?, loaded = ? WHERE tsid = ?", (codes, tx.now, number))


def remove(tx: Tx, url: str, version: str) -> int:
    """Takes the versions away ('' for all of the URL); how many there were."""
    rows = tx.all("SELECT tsid FROM term_system WHERE url = ? AND (version = ? OR ? = '')", (url, version, version))
    for (number,) in rows:
        drop(tx, number)
    return len(rows)


def drop(tx: Tx, number: int) -> None:
    """Takes one away, whole or not."""
    tx.execute("DELETE FROM term_part WHERE tsid = ?", (number,))
    tx.execute("DELETE FROM term_system WHERE tsid = ?", (number,))


def mark(connection: Connection) -> tuple[int, ...]:
    """Another value after every change."""
    row = connection.one("SELECT max(loaded), count(tsid) FROM term_system WHERE live = 1")
    return tuple(int(number or 0) for number in row or ())


def versions(connection: Connection, url: str = "") -> list[Loaded]:
    """What is loaded and whole, of one URL or of all."""
    rows = connection.all(
        "SELECT tsid, url, version, codes, loaded, zd, head FROM term_system WHERE live = 1 AND (url = ? OR ? = '') "
        "ORDER BY url, version",
        (url, url),
    )
    return [
        Loaded(number, url, version, codes, loaded, json.reread(connection.bodies.unpack(zd, packed)))
        for number, url, version, codes, loaded, zd, packed in rows
    ]


def parts(connection: Connection, number: int) -> Iterator[bytes]:
    """The concepts in their order."""
    rows = connection.all("SELECT zd, body FROM term_part WHERE tsid = ? ORDER BY part", (number,))
    return (connection.bodies.unpack(zd, body) for zd, body in rows)
