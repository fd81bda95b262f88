"""Row numbers of resources: given once, also to a resource that is referred to before it is there.

A number stays with its id for ever, so numbers may be remembered; https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from collections.abc import Iterable

from suture.store import names
from suture.store.connection import Connection, Tx
from suture.store.ids import id_of, key_of

REMEMBERED = 20_000
AT_ONCE = 500


def claim(tx: Tx, type: str, id: str, *, fresh: bool = False) -> int:
    """The number of a resource that is about to be written: the one that references have already, or a new one.

    `fresh`: nobody else can have referred to it.
    """
    place = (names.number(tx, type), key_of(id))
    rid = tx.claimed.get(place)
    if rid is None:
        rid = tx.claimed[place] = following(tx) if fresh else _claimed(tx, *place)
    return rid


def reserve(tx: Tx, type: str, id: str) -> None:
    """The same for an id given just now, ahead of the write that is sure to follow in this unit: what refers to it
    before needs no promise, and nobody can have referred to it earlier."""
    place = (names.number(tx, type), key_of(id))
    rid = tx.claimed[place] = following(tx)
    tx.remember(tx.shared.rids, place, rid, REMEMBERED)


def known(tx: Tx, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    """Those of these (type, id) that have a row number already: True when they are there, False when only referred to.

    Asked many at once, by their ids alone: with a type beside, a database without statistics yet would read all of the type.
    """
    wanted = {(names.number(tx, type), id): (type, id) for type, id in places}
    found: dict[tuple[str, str], bool] = {}
    ids = sorted({id for _, id in wanted})
    for start in range(0, len(ids), AT_ONCE):
        keys = [key_of(id) for id in ids[start : start + AT_ONCE]]
        marks = ",".join("?" * len(keys))
        for table, there in (("dangling", False), ("res", True)):
            rows = [
                (rt, id_of(fid)) for rt, fid in tx.execute(f"SELECT rt, fid FROM {table} WHERE fid IN ({marks})", keys)
            ]
            found.update((wanted[place], there) for place in rows if place in wanted)
    return found


def _claimed(tx: Tx, rt: int, key: bytes | str) -> int:
    row = tx.one("SELECT rid FROM dangling WHERE fid = ? AND rt = ?", (key, rt))
    if row is None:
        return following(tx)
    _count_on(tx)  # while the row still says that its number is taken
    tx.execute("DELETE FROM dangling WHERE rid = ?", row)
    return int(row[0])


def target(tx: Tx, type: str, id: str) -> int:
    """The number of a resource that is referred to, there or not."""
    place = (names.number(tx, type), key_of(id))
    known = tx.shared.rids.get(place)
    if known is not None:
        return known
    claimed = tx.claimed.get(place)
    if claimed is not None:  # refers to itself, or to what this transaction wrote
        return claimed
    found = _found(tx, *place) or _promised(tx, *place)
    tx.remember(tx.shared.rids, place, found, REMEMBERED)
    return found


def find(connection: Connection, type: str, id: str) -> int:
    """The number of a resource that is there, was there or is referred to; 0 for any other id."""
    return _found(connection, names.find(connection, type), key_of(id))


def _found(connection: Connection, rt: int, key: bytes | str) -> int:
    row = connection.one("SELECT rid FROM res WHERE fid = ? AND rt = ?", (key, rt))
    row = row or connection.one("SELECT rid FROM dangling WHERE fid = ? AND rt = ?", (key, rt))
    return int(row[0]) if row else 0


def _promised(tx: Tx, rt: int, key: bytes | str) -> int:
    rid = following(tx)
    tx.execute("INSERT INTO dangling VALUES (?, ?, ?)", (rid, rt, key))
    return rid


def following(tx: Tx) -> int:
    """The next free number."""
    _count_on(tx)
    tx.next_rid += 1
    return tx.next_rid - 1


def _count_on(tx: Tx) -> None:
    """Reads the next free number once a transaction, for nobody else can give one out meanwhile."""
    if not tx.next_rid:
        row = tx.one(
            "SELECT max(ifnull((SELECT max(rid) FROM res), 0), ifnull((SELECT max(rid) FROM dangling), 0)) + 1"
        )
        tx.next_rid = int(row[0]) if row else 1
