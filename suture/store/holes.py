"""Reads resources around what can't be read: a damaged page keeps nobody from the pages beside it.

https://sqlite.org/fileformat2.html#b_tree_pages · https://www.postgresql.org/docs/current/storage-page-layout.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from suture.store import names
from suture.store.bodies import DamagedPage
from suture.store.connection import Connection
from suture.store.ids import id_of

Place = tuple[str, str]
Unread = dict[
    int, Place
]  # row number -> where it is, as far as that is known; below 0: a place whose number is not known
UNKNOWN: Place = ("", "")
MOST = 100_000  # rows that may be lost before it makes no sense to go on
T = TypeVar("T")


def lose(connection: Connection, unread: Unread, rid: int, error: DamagedPage, place: Place = UNKNOWN) -> None:
    """Writes down what can't be read; raises the error once more when there is too much of that."""
    if len(unread) >= MOST:
        raise error
    if rid not in unread or unread[rid] == UNKNOWN:
        unread[rid] = _place(connection, rid) if place == UNKNOWN else place


def lose_place(unread: Unread, place: Place) -> None:
    """The same for a resource that was looked for by its id."""
    if place not in unread.values():
        unread[-1 - len(unread)] = place


def among(
    connection: Connection, unread: Unread, rids: Sequence[int], read: Callable[[Sequence[int]], list[T]]
) -> list[T]:
    """What `read` finds of these rows; where it can't be read at once, in halves, down to single rows that are lost."""
    try:
        return read(rids)
    except DamagedPage as error:
        if connection.far:  # a small table would be read as a whole, with the page in it
            connection.execute("SET enable_seqscan = off")
        if len(rids) == 1:
            lose(connection, unread, rids[0], error)
            return []
    middle = len(rids) // 2
    return [*among(connection, unread, rids[:middle], read), *among(connection, unread, rids[middle:], read)]


def between(connection: Connection, unread: Unread, columns: str, first: int, step: int) -> Iterator[list[Any]]:
    """These columns, the row number first, of all rows from `first` on, for `step` numbers at a time."""

    def read(part: Sequence[int]) -> list[Any]:
        if len(part) == 1:  # a range looks at the row behind its last one, which may be in a hole
            return connection.all(f"SELECT {columns} FROM res WHERE rid = ?", part)
        sql = f"SELECT {columns} FROM res WHERE rid >= ? AND rid <= ? ORDER BY rid"
        return connection.all(sql, (part[0], part[-1]))

    last = _last(connection)
    for start in range(first, last + 1, step):
        yield among(connection, unread, range(start, min(start + step, last + 1)), read)


def name(connection: Connection, unread: Unread, wanted: Iterable[str] | None = None) -> None:
    """Finds the places of lost rows in the index of ids, where that holds row numbers too and is sound. Numbers that no
    resource has, and resources of other types than the wanted ones, were no loss. PostgreSQL's index has no row numbers."""
    lost = {rid for rid, place in unread.items() if place == UNKNOWN and rid > 0}
    found = _indexed(connection, lost) if lost and not connection.far else None
    unread.update(found or {})
    kinds = None if wanted is None else {"", *wanted}
    gone = lost - found.keys() if found is not None else set()
    for rid in [rid for rid, (type, _) in unread.items() if rid in gone or (kinds is not None and type not in kinds)]:
        del unread[rid]


def listened(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement that reads on while they are taken; what goes wrong then comes in the words of the error tree."""
    try:
        yield from rows
    except Exception as error:
        heard = connection.heard(error)
        if heard is error:
            raise
        raise heard from error


def _place(connection: Connection, rid: int) -> Place:
    """A body may lie on other pages than the rest of its row."""
    try:
        row = connection.one("SELECT rt, fid FROM res WHERE rid = ?", (rid,))
    except DamagedPage:
        return UNKNOWN
    return (names.text(connection, row[0]), id_of(row[1])) if row else UNKNOWN


def _indexed(connection: Connection, lost: set[int]) -> dict[int, Place] | None:
    """One pass over the index of ids, which SQLite takes instead of the table when it holds all that is asked for; None
    when it is damaged, too."""
    found: dict[int, Place] = {}
    sql = "SELECT rid, rt, fid FROM res WHERE +rid BETWEEN ? AND ?"
    try:
        for rid, rt, fid in listened(connection, connection.execute(sql, (min(lost), max(lost)))):
            if rid in lost:
                found[rid] = names.text(connection, rt), id_of(fid)
    except DamagedPage:
        return None
    return found


def _last(connection: Connection) -> int:
    """The highest row number; when its page is damaged, as an index knows it."""
    try:
        row = connection.one("SELECT max(rid) FROM res")
    except DamagedPage:
        row = connection.one("SELECT max(rid + 0) FROM res")
    return int(row[0] or 0) if row else 0
