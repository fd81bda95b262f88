"""Bulk loads: many resources a transaction, index rows written together in key order (https://sqlite.org/faq.html#q19)."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import NamedTuple

from suture.standards.fhir.index import Rows
from suture.store import index, resources, rids
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.resources import UNCHANGED, Row

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


def load(
    database: Database,
    items: Iterable[Item],
    *,
    also: Callable[[Tx, list[Row]], None] = lambda tx, rows: None,
    progress: Callable[[int], None] = lambda done: None,
) -> Counter[str]:
    """Writes all items in large transactions; returns how many were created, updated, unchanged.

    `also` runs in each transaction with the rows that were written (audit). Run it in a process or thread of its own.
    """
    done: Counter[str] = Counter()
    left = iter(items)
    beside = ThreadPoolExecutor(1, "suture-pack")

    def written(part: list[Item], later: list[Item] | None) -> None:
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
    database: Database, left: Iterator[Item], written: Callable[[list[Item], list[Item] | None], None]
) -> Iterator[Item]:
    """Into a new store a few first, to train dictionaries on, then as many as may come before it is indexed; returns the rest."""
    if database.read.one("SELECT 1 FROM dictionary WHERE kind = 'resource'"):
        return left
    for size in SIZES:
        if part := list(islice(left, size)):
            written(part, None)
    one = next(left, None)
    return left if one is None else _first_load(database, chain((one,), left), written)


def _first_load(
    database: Database, left: Iterator[Item], written: Callable[[list[Item], list[Item] | None], None]
) -> Iterator[Item]:
    """A new store that nobody else looks at may be filled before it is indexed; what is there already waits until it is.

    Returns what is left to be loaded in the usual way.
    """
    later: list[Item] = []
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


def _load(
    tx: Tx, part: list[Item], also: Callable[[Tx, list[Row]], None], later: list[Item] | None, beside: Executor
) -> Counter[str]:
    """Writes these; with `later` only those that are new, the others are put there."""
    done: Counter[str] = Counter()
    with _quiet_collector():
        for some in _parts(part, PER_FLUSH):
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
            if not rows:
                continue
            done.update(row.change for row in rows)
            also(tx, [row for row in rows if row.change != UNCHANGED])
    return done


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


def _parts(items: list[Item], size: int) -> Iterator[list[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


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
