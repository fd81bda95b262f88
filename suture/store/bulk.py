"""Bulk loads: many resources a transaction, index rows written together in key order (https://sqlite.org/faq.html#q19)."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, groupby, islice
from typing import NamedTuple

from suture.standards.fhir.index import Rows
from suture.store import index, resources, rids, whose
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.resources import DELETED, UNCHANGED, Row

SIZES = (1_000, 4_000)  # resources of the first transactions of a new store: enough to train dictionaries on
PER_TRANSACTION = 10_000
ALONE = 40_000  # resources of one when nobody serves: each page of an index is written once a transaction, however many rows it takes
PAUSE = 0.005  # seconds between two transactions, in which a server beside takes its turn
MOST_LATER = 10_000  # resources that came again during a first load
PER_FLUSH = 10_000  # resources whose index rows are sorted and written together
CACHE = 384 << 20  # bytes of pages that a load keeps in memory, at most a quarter of what the machine has


class Item(NamedTuple):
    """One resource to load; `rows` is what index.extract made of it."""

    type: str
    id: str
    body: bytes
    rows: Rows


class Gone(NamedTuple):
    """One resource to delete."""

    type: str
    id: str


Entry = Item | Gone
Also = Callable[[Tx, list[Row], Sequence[str]], None]  # rows that were written, whose those were that are deleted


def load(
    database: Database,
    items: Iterable[Entry],
    *,
    also: Also = lambda tx, rows, patients: None,
    progress: Callable[[int], None] = lambda done: None,
) -> Counter[str]:
    """Writes all items in large transactions, in their order; returns how many were created, updated, unchanged, deleted, and
    how many were to be deleted but absent.

    `also` runs in each transaction with the rows that were written (audit). Run it in a process or thread of its own.
    """
    done: Counter[str] = Counter()
    left = iter(items)
    beside = ThreadPoolExecutor(1, "suture-pack")

    def written(part: list[Entry], later: list[Entry] | None) -> None:
        done.update(database.write_now(lambda tx: _load(tx, part, also, later, beside)))
        progress(done.total())
        database.upkeep.settle()
        time.sleep(PAUSE)

    with database.wide(min(CACHE, _memory() // 4)), beside:
        left = _first(database, left, written)
        while part := list(islice(left, ALONE if database.place.unserved() else PER_TRANSACTION)):
            written(part, None)
    database.place.loaded(done.total())
    return done


def _memory() -> int:
    """Bytes this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _first(
    database: Database, left: Iterator[Entry], written: Callable[[list[Entry], list[Entry] | None], None]
) -> Iterator[Entry]:
    """Into a new store a few first, to train dictionaries on, then as many as may come before it is indexed; returns the rest."""
    if database.read.one("SELECT 1 FROM dictionary WHERE kind = 'resource'"):
        return left
    for size in SIZES:
        if part := list(islice(left, size)):
            written(part, None)
    one = next(left, None)
    return left if one is None else _first_load(database, chain((one,), left), written)


def _first_load(
    database: Database, left: Iterator[Entry], written: Callable[[list[Entry], list[Entry] | None], None]
) -> Iterator[Entry]:
    """A new store that nobody else looks at may be filled before it is indexed; what is there already waits until it is.

    Returns what is left to be loaded in the usual way.
    """
    later: list[Entry] = []
    if not database.place.rest():
        return left
    try:
        while (
            len(later) < MOST_LATER and not database.place.disturbed() and (part := list(islice(left, PER_TRANSACTION)))
        ):
            written(part, later)
    finally:
        database.place.rested()
    return chain(later, left)


def _load(tx: Tx, part: list[Entry], also: Also, later: list[Entry] | None, beside: Executor) -> Counter[str]:
    """Writes these; with `later` only those that are new, the others are put there."""
    done: Counter[str] = Counter()
    with _quiet_collector():
        for items, gone in _runs(part):
            if items and (rows := _written(tx, items, later, beside)):
                done.update(row.change for row in rows)
                also(tx, [row for row in rows if row.change != UNCHANGED], ())
            if gone:
                done.update(_deleted(tx, gone, also, later))
    return done


def _written(tx: Tx, some: list[Item], later: list[Entry] | None, beside: Executor) -> list[Row]:
    batch = index.Batch(tx, large=tx.far)
    new = _reserved(tx, some)
    if later is not None:
        later += (item for number, item in enumerate(some) if number not in new)
        some = [some[number] for number in sorted(new)]
        new = set(range(len(some)))
    rows = resources.put_new(tx, [some[number] for number in sorted(new)], batch, beside)
    rows += [
        resources.put(tx, item.type, item.id, item.body, item.rows, batch=batch)
        for number, item in enumerate(some)
        if number not in new
    ]
    batch.flush()
    return rows


def _deleted(tx: Tx, some: list[Gone], also: Also, later: list[Entry] | None) -> Counter[str]:
    """Deletes what is there; with `later` it is put there. What is not there now must not be looked for again later: it may
    have come until then."""
    there = rids.known(tx, some)
    known = [one for one in some if there.get(one)]
    if later is not None:
        later += known
        return Counter(absent=len(some) - len(known))
    patients: dict[str, None] = {}
    rows: list[Row] = []
    for type, id in known:
        before = whose.of_id(tx, type, id)
        row = resources.delete(tx, type, id)
        if row is not None and row.change == DELETED:
            rows.append(row)
            patients |= dict.fromkeys(before)
    if rows:
        also(tx, rows, tuple(patients))
    return Counter(deleted=len(rows), absent=len(some) - len(rows))


def _reserved(tx: Tx, some: list[Item]) -> set[int]:
    """Which of these items are new here, asked at once; they get their row numbers now, so little is asked for one alone."""
    firsts: dict[tuple[str, str], int] = {}
    for number, item in enumerate(some):
        firsts.setdefault((item.type, item.id), number)
    there = rids.known(tx, firsts)
    for type, id in firsts:
        if (type, id) not in there:
            rids.reserve(tx, type, id)
    return {number for place, number in firsts.items() if not there.get(place)}


def _runs(part: list[Entry]) -> Iterator[tuple[list[Item], list[Gone]]]:
    """Items and deletions as they follow each other, at most PER_FLUSH at a time; one of the two is empty."""
    for _, run in groupby(part, type):
        while some := list(islice(run, PER_FLUSH)):
            yield [one for one in some if isinstance(one, Item)], [one for one in some if isinstance(one, Gone)]


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Thousands of tuples that all die together: the collector would walk them for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
