"""Posting lists have a number: one parameter with one code, unit or URL, in whose list (T, Q, W) the rows of the index stand."""

from __future__ import annotations

from collections.abc import Sequence

from suture.store import codes
from suture.store.connection import Connection, Tx
from suture.store.search_sql import Sql, all_of, one_of

BY_LIST = frozenset("TQW")
NAMED = 500
REMEMBERED = 100_000  # beyond that (codes as unique as identifiers) the cache starts anew


def number(tx: Tx, pid: int, tid: int, *, new: bool = False) -> int:
    """The number of a list, given now if it has none yet; of a code that is `new` there is no list."""
    key = (pid, tid)
    known = tx.shared.postings.get(key)
    if known is not None:
        return known
    row = None if new else tx.one("SELECT lid FROM posting WHERE pid = ? AND tid = ?", key)
    if row is None:
        tx.execute("INSERT INTO posting (pid, tid) VALUES (?, ?)", key)
        row = (tx.last_rowid,)
    tx.remember(tx.shared.postings, key, int(row[0]), REMEMBERED)
    return int(row[0])


def of_code(tx: Tx, pid: int, system: str, code: str) -> int:
    """The number of the list of a parameter with a code: what an import asks most, so it is one look."""
    key = (pid, system, code)
    known = tx.shared.coded.get(key)
    if known is not None:
        return known
    tid, new = codes.given(tx, system, code)
    found = number(tx, pid, tid, new=new)
    if len(system) + len(code) <= codes.LONGEST:
        tx.remember(tx.shared.coded, key, found, REMEMBERED)
    return found


def find(connection: Connection, pids: Sequence[int], tids: Sequence[int]) -> tuple[int, ...]:
    """The numbers of the lists of these parameters with these codes, as far as there are any."""
    wanted = [(pid, tid) for pid in pids for tid in tids]
    shared = connection.shared
    known = shared.postings if isinstance(connection, Tx) else shared.posted  # a number may yet be taken back
    found = {key: known[key] for key in wanted if key in known}
    if len(found) < len(wanted):
        where = all_of([one_of("pid", pids), one_of("tid", tids)])
        for lid, pid, tid in connection.all(f"SELECT lid, pid, tid FROM posting WHERE {where.text}", where.values):
            found[pid, tid] = lid
            connection.remember(known, (pid, tid), lid, REMEMBERED)
    return tuple(found[key] for key in wanted if key in found)


def of(connection: Connection, table: str, pids: Sequence[int], *, one: bool = False) -> Sql:
    """Rows of an index table that belong to one of these parameters.

    Few lists are named one by one: then a planner knows how long they are. The rows of one resource (`one`) are fewer than
    the lists: they are gone through, rather than looked for in each list.
    """
    where = one_of("pid", pids)
    if table not in BY_LIST:
        return where
    select = f"SELECT lid FROM posting WHERE {where.text}"
    lids = [lid for (lid,) in connection.all(f"{select} LIMIT ?", (*where.values, NAMED + 1))]
    column = "+lid" if one and len(lids) > 1 else "lid"
    return one_of(column, lids) if len(lids) <= NAMED else Sql(f"{column} IN ({select})", where.values)
