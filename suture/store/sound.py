"""Reads resources where one damaged body must not stop the look at all others: what can't be read is left out and noted,
or comes as a row without a body (`Row.damaged`). Nothing is read one by one before something could not be read.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from suture.store import holes, names, resources
from suture.store.bodies import Damaged, DamagedPage, UnreadablePage
from suture.store.connection import Connection
from suture.store.holes import UNKNOWN, Unread
from suture.store.index import NO_PATIENT
from suture.store.resources import METHOD_OF, VERSION_BITS, id_of
from suture.store.row import Row

WAITS = 12  # times
MEND = "Send its right version with PUT, or restore the last good backup; suture verify names all that is damaged."


def refusal(place: str) -> Damaged:
    """What is said where something can't go without the body."""
    return Damaged("what is stored of it is damaged and can't be read", where=place, mend=MEND)


def row_of(connection: Connection, type: str, id: str, rid: int, ver: int, upd: int, op: int, *body: Any) -> Row:
    """A row of its columns; without its body where that is damaged."""
    try:
        return resources.row_of(connection, type, id, rid, ver, upd, op, *body)
    except DamagedPage:
        raise
    except Damaged:
        return Row(rid, type, id, ver, upd, METHOD_OF[op], b"")


def read_rid(connection: Connection, rid: int, damaged: set[int]) -> Row | None:
    """The current version of a row; None where it can't be read."""
    try:
        return resources.read_rid(connection, rid)
    except Damaged:
        damaged.add(rid)
        return None


def read_rids(connection: Connection, rids: Sequence[int], damaged: set[int]) -> list[Row]:
    """The current versions of these rows, in this order; one by one when there is a damaged one among them."""
    try:
        return resources.read_rids(connection, rids)
    except Damaged:
        found = (read_rid(connection, rid, damaged) for rid in rids)
        return [row for row in found if row is not None and not row.deleted]


def read(connection: Connection, type: str, id: str) -> Row | None:
    """`resources.read`; a damaged one comes without its body, from a damaged page without its number, too."""
    try:
        return resources.read(connection, type, id)
    except UnreadablePage:
        raise
    except DamagedPage:
        return _nameless(0, type, id)
    except Damaged:
        return resources.read(connection, type, id, row_of)


def newest(connection: Connection, type: str) -> Row | None:
    """`resources.newest`; None where it can't be read."""
    try:
        return resources.newest(connection, type)
    except Damaged:
        return None


def vread(connection: Connection, type: str, id: str, version: int) -> Row | None:
    """`resources.vread`; a damaged one comes without its body."""
    try:
        return resources.vread(connection, type, id, version)
    except DamagedPage:
        raise
    except Damaged:
        return resources.vread(connection, type, id, version, row_of)


def history(connection: Connection, type: str, id: str, **asked: Any) -> list[Row]:
    """`resources.history`; damaged versions come without their bodies."""
    try:
        return resources.history(connection, type, id, **asked)
    except DamagedPage:
        raise
    except Damaged:
        return resources.history(connection, type, id, **asked, made=row_of)


def read_all(connection: Connection, rids: Sequence[int]) -> list[Row]:
    """`resources.read_rids`; damaged rows come without their bodies.

    What lies on a damaged page is named from the index of ids; where that doesn't tell either, the page's error is raised.
    """
    try:
        return resources.read_rids(connection, rids)
    except Damaged:
        unread: Unread = {}
        found = {rid: row for rid in rids if (row := _alone(connection, rid, unread)) is not None}
        if unread:
            holes.name(connection, unread)
        for rid, place in unread.items():
            if place == UNKNOWN:
                raise
            found[rid] = _nameless(rid, *place)
        return [found[rid] for rid in rids if rid in found]


@contextmanager
def looking_past(connection: Connection) -> Iterator[set[int]]:
    """Searches in the block leave out what they would have to look into and can't; the rows that were."""
    found: set[int] = set()
    connection.unlooked = found
    try:
        yield found
    finally:
        connection.unlooked = None


def _alone(connection: Connection, rid: int, unread: Unread) -> Row | None:
    try:
        row = connection.one("SELECT rt, fid, ver, upd, op, zd, body, pat FROM res WHERE rid = ?", (rid,))
    except DamagedPage as error:
        holes.lose(connection, unread, rid, error)
        return None
    if row is None or row[4] == resources.DELETE:
        return None
    rt, fid, *version, pat = row
    return row_of(connection, names.text(connection, rt), id_of(fid), rid, *version)._replace(patient=pat)


def _nameless(rid: int, type: str, id: str) -> Row:
    """Of a damaged page: neither its version nor whose it is can be told."""
    return Row(rid, type, id, 0, 0, "PUT", b"", patient=NO_PATIENT)


class Patience:
    """Of one who follows the chart: a page that the disk gave no more may come the next time, so it is waited for a few times."""

    def __init__(self) -> None:
        self._waited = 0

    def waits(self, error: Damaged) -> bool:
        """Whether what failed is to be tried again later; else it is passed by."""
        if not error.retry:
            return False
        self._waited += 1
        return self._waited <= WAITS

    def over(self) -> None:
        """It went on."""
        self._waited = 0


def changes(
    connection: Connection, after: int, types: Iterable[str] = (), count: int = 200, patience: Patience | None = None
) -> list[Row]:
    """`resources.changes`; damaged versions come without their bodies, those on damaged pages without id and version, too."""
    types = tuple(types)
    try:
        return resources.changes(connection, after, types, count)
    except Damaged:
        wanted, end = resources.changed(connection, after, types, count)
        found = [row for rt in wanted for row in _each(connection, rt, after, end, patience or Patience())]
        return sorted(found, key=lambda row: (row.updated, row.rid, row.version))


# both are answered from an index alone, where it lies beside the pages of the table
_NEW = "SELECT upd, rid FROM res WHERE rt = ? AND upd > ? AND upd <= ?"
_WAS = "SELECT upd, hid FROM hist WHERE rt = ? AND upd > ? AND upd <= ?"
_CURRENT = "SELECT fid, ver, op, zd, body FROM res WHERE rid = ? AND upd = ?"
_OLD = """
SELECT res.fid, h.hid & 16777215, h.op, h.zd, h.body FROM hist h JOIN res ON res.rid = h.hid >> 24
WHERE h.hid BETWEEN ? AND ? AND h.upd = ?
"""


def _each(connection: Connection, rt: int, after: int, end: int, patience: Patience) -> Iterator[Row]:
    """The versions of a type, one by one."""
    places = [(upd, rid) for upd, rid in connection.all(_NEW, (rt, after, end))]
    places += [(upd, hid >> VERSION_BITS) for upd, hid in connection.all(_WAS, (rt, after, end))]
    type = names.text(connection, rt)
    for upd, rid in dict.fromkeys(places):
        try:
            yield from _at(connection, type, rid, upd)
        except DamagedPage as error:
            if patience.waits(error):
                raise
            yield Row(rid, type, "", 0, upd, "PUT", b"")


def _at(connection: Connection, type: str, rid: int, upd: int) -> Iterator[Row]:
    """The versions of a row that were written then, wherever they stand by now."""
    low = rid << VERSION_BITS
    rows = connection.all(_CURRENT, (rid, upd)) + connection.all(_OLD, (low, low | (1 << VERSION_BITS) - 1, upd))
    for fid, ver, *rest in rows:
        yield row_of(connection, type, id_of(fid), rid, ver, upd, *rest)
