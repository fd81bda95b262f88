"""Which patients have a Consent that may keep something back; nearly all have none, and that must cost nothing to learn.

https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

from collections.abc import Iterable

from suture.store import names, outset
from suture.store.connection import Connection, Tx
from suture.store.ids import key_of
from suture.store.index import NO_PATIENT, SEVERAL_PATIENTS

TYPE = "Consent"
# A Consent without one of these in its text permits all; `\u` may spell any of them.
_SIGNS = (b"deny", b"OPTOUT", b"\\u")
MOST = 50  # restricting consents of one patient that are heeded; more than that and nothing is shown


def keep(tx: Tx, rid: int, patient: int, body: bytes) -> None:
    """Notes a Consent that was written, in the transaction that writes it."""
    tx.execute("DELETE FROM restriction WHERE rid = ?", (rid,))
    if patient > NO_PATIENT and any(sign in body for sign in _SIGNS):
        tx.execute("INSERT INTO restriction VALUES (?, ?)", (patient, rid))


def drop(tx: Tx, rid: int) -> None:
    """A Consent was deleted."""
    tx.execute("DELETE FROM restriction WHERE rid = ?", (rid,))


def moved(tx: Tx) -> None:
    """The index was made anew: whose a Consent is may read otherwise."""
    tx.execute("UPDATE restriction SET pat = (SELECT pat FROM res WHERE res.rid = restriction.rid)")


def touches(connection: Connection, rid: int, version: int) -> bool:
    """Whether this version may be about a patient who has one; False only when it is sure."""
    row = connection.one("SELECT pat FROM res WHERE rid = ? AND ver = ? AND op <> 3", (rid, version))
    if row is None or row[0] is None or row[0] == SEVERAL_PATIENTS:
        return True
    return row[0] != NO_PATIENT and bool(connection.one("SELECT 1 FROM restriction WHERE pat = ? LIMIT 1", row))


def bodies(connection: Connection, patients: Iterable[str]) -> list[bytes]:
    """The restricting consents of these patients, at most MOST + 1."""
    rt = names.find(connection, "Patient")
    keys = [key_of(id) for id in patients]
    marks = ",".join("?" * len(keys))
    rows = connection.all(
        "SELECT c.zd, c.body FROM restriction r JOIN res c ON c.rid = r.rid WHERE c.op <> 3 AND r.pat IN ("
        f"SELECT rid FROM res WHERE fid IN ({marks}) AND rt = ? UNION ALL "
        f"SELECT rid FROM dangling WHERE fid IN ({marks}) AND rt = ?) LIMIT ?",
        (*keys, rt, *keys, rt, MOST + 1),
    )
    return [connection.bodies.unpack(*row) for row in rows]


def labels(connection: Connection, codes: frozenset[str]) -> tuple[tuple[tuple[str, str], ...], bool]:
    """(system, code) of those codes that any row may have, and whether anybody has a restriction.

    Codes are never taken away, so only new ones are looked at.
    """
    now = outset.of(connection)
    last, restricted, known = now.codes, now.restricted, connection.shared.labels
    if known[0] == last:
        return known[1], restricted
    wanted = sorted(code.lower() for code in codes)
    marks = ",".join("?" * len(wanted))
    found = tuple(
        (str(system), str(code))
        for system, code in connection.all(f"SELECT sys, code FROM tok WHERE code IN ({marks})", wanted)
    )
    if not isinstance(connection, Tx):  # what a transaction sees may yet be undone
        connection.shared.labels = (last, found)
    return found, restricted
