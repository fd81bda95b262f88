"""Sets of patients too large for a row of the audit trail: kept once for each content, found by each patient in them.

A row names a set by its digest, so that the trail's chain seals it too (docs/decisions/018-crowds.md; 45 CFR 164.528).
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from suture.store import rids
from suture.store.connection import Connection, Tx

MARK = "="  # begins the name of a set where the trail names a patient
PART = 1 << 16  # row numbers of one part
BITS = PART // 8  # bytes of a part with a bit for each place


def is_crowd(patient: str) -> bool:
    """Whether a row's patient is the name of a set."""
    return patient[:1] == MARK


def put(tx: Tx, patients: Iterable[int]) -> str:
    """Keeps a set of at least one patient, unless it is kept already; returns its name."""
    parts = list(_parts(sorted(set(patients))))
    name = _named(parts)
    rows = [(name[1:], part, packed) for part, packed in parts]
    tx.many("INSERT OR IGNORE INTO crowd VALUES (?, ?, ?)", rows)
    return name


def with_patient(connection: Connection, id: str) -> list[str]:
    """The names of all sets that hold this patient (an id)."""
    rid = rids.find(connection, "Patient", id)
    part, place = divmod(rid, PART)
    rows = connection.stream("SELECT digest, members FROM crowd WHERE part = ?", (part,)) if rid else ()
    return [MARK + digest for digest, members in rows if _holds(members, place)]


def broken(connection: Connection, wanted: Iterable[str]) -> str:
    """One of these sets that is missing or is not what its name says; empty when all are sound."""
    left = set(wanted)
    rows = connection.stream("SELECT digest, part, members FROM crowd ORDER BY digest, part")
    for digest, parts in groupby(rows, lambda row: str(row[0])):
        found = _named((part, members) for _, part, members in parts)
        if found == MARK + digest:
            left.discard(found)
    return min(left, default="")


def _parts(patients: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    for part, some in groupby(patients, lambda rid: rid // PART):
        places = [rid % PART for rid in some]
        yield part, _bits(places) if 2 * len(places) >= BITS else _list(places)


def _list(places: Sequence[int]) -> bytes:
    return _little(array("H", places)).tobytes()


def _bits(places: Iterable[int]) -> bytes:
    bits = bytearray(BITS)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


def _little(places: array[int]) -> array[int]:
    if sys.byteorder == "big":
        places.byteswap()
    return places


def _holds(members: bytes, place: int) -> bool:
    if len(members) == BITS:
        return bool(members[place >> 3] & 1 << (place & 7))
    places = array("H")
    places.frombytes(members)
    at = bisect_left(_little(places), place)
    return at < len(places) and places[at] == place


def _named(parts: Iterable[tuple[int, bytes]]) -> str:
    hash = hashlib.sha256()
    for part, members in parts:
        hash.update(b"%d %d " % (part, len(members)) + members)
    return MARK + hash.hexdigest()[:32]
