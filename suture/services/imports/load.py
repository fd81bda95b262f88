"""Joins the workers of an import with the one writer of the store, in the order of the files."""

from __future__ import annotations

import marshal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, TypeVar

from suture.access import policy
from suture.errors import InvalidSearch, PreconditionFailed
from suture.services.imports.source import Task
from suture.services.imports.work import Item, warm, work
from suture.services.interactions import references
from suture.services.interactions.door import Interactions
from suture.standards.fhir import index, json, subscription
from suture.store import audit, bulk, subscriptions, whose
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.resources import DELETED, Row

NAMED = ("Practitioner", "PractitionerRole", "Organization", "Location", "Patient")  # what conditional references name
AHEAD = 48 << 20  # bytes the workers may be ahead of the writer
MOST_FAULTS = 1000  # named one by one; more are only counted

T = TypeVar("T")
Told = Callable[[int, int], None]  # bytes done, resources stored


@dataclass(slots=True)
class Summary:
    """What became of an import."""

    taken: int = 0  # read and found sound
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    absent: int = 0  # to be deleted, but not here (any more)
    repeated: int = 0  # ids that came more than once
    failed: int = 0
    unresolved: int = 0  # conditional references that found nothing, kept as they are
    faults: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, what is wrong
    types: dict[str, int] = field(default_factory=dict)
    passed: Counter[tuple[str, str]] = field(default_factory=Counter)  # lines that are no data, by file and why

    @property
    def stored(self) -> int:
        return self.created + self.updated + self.unchanged

    def fail(self, file: str, line: int, text: str) -> None:
        self.failed += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((file, line, text))


def load(database: Database, interactions: Interactions, found: Iterable[Task], workers: int, told: Told) -> Summary:
    """Stores everything the tasks hold; what is broken is named in the summary and left out. `workers`: processes that
    read and check; with none, this one does."""
    stream = _Stream(database, interactions, told)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=warm) if workers else _Here() as pool:
        results = _ahead(pool, found, interactions.base)
        done = bulk.load(database, stream.items(results), also=_audit)
    summary = stream.summary
    summary.created, summary.updated, summary.unchanged = done["created"], done["updated"], done["unchanged"]
    summary.deleted, summary.absent = done[DELETED], done["absent"]
    return summary


class _Here(Executor):
    """Does everything at once in this process."""

    def submit(self, call: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        done = Future[T]()
        try:
            done.set_result(call(*given, **named))
        except Exception as error:
            done.set_exception(error)
        return done


def _ahead(pool: Executor, found: Iterable[Task], base: str) -> Iterator[tuple[Task, bytes]]:
    """Results in the order of the tasks, with a bounded amount of work on its way."""
    waiting: deque[tuple[Task, Future[bytes]]] = deque()
    size = 0
    for task in found:
        waiting.append((task, pool.submit(work, task, base)))
        size += len(task.raw)
        while size > AHEAD:
            first, future = waiting.popleft()
            size -= len(first.raw)
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


class _Stream:
    """Turns results into items for the store, with their conditional references resolved as far as that goes."""

    def __init__(self, database: Database, interactions: Interactions, told: Told) -> None:
        self.summary = Summary()
        self._database = database
        self._interactions = interactions
        self._told = told
        self._seen: set[int] = set()
        self._named: dict[str, str] = {}  # Type?identifier=system|value -> Type/id, of this import

    def items(self, results: Iterable[tuple[Task, bytes]]) -> Iterator[bulk.Entry]:
        """Every item and deletion of every result; faults go to the summary."""
        for task, raw in results:
            items, gone, faults, passed = marshal.loads(raw)  # noqa: S302 - from our own worker, through a pipe of this process
            for line, text in faults:
                self.summary.fail(task.file, line, text)
            self.summary.passed.update({(task.file, why): count for why, count in passed.items()})
            for item in items:
                yield self._item(item)
            if gone:
                yield from self._gone(gone)
            self._told(task.weight, self.summary.taken)

    def _gone(self, places: list[tuple[str, str]]) -> Iterator[bulk.Gone]:
        """Nothing refers to these by their identifiers any more."""
        addresses = {f"{type}/{id}" for type, id in places}
        self._named = {name: found for name, found in self._named.items() if found not in addresses}
        return (bulk.Gone(type, id) for type, id in places)

    def _item(self, item: Item) -> bulk.Item:
        kind, id, body, rows, conditional = item
        key = hash((kind, id))
        self.summary.repeated += key in self._seen
        self._seen.add(key)
        self.summary.taken += 1
        self.summary.types[kind] = self.summary.types.get(kind, 0) + 1
        indexed = index.Rows(*rows)
        if kind in NAMED:
            for _, system, value in indexed.identifiers:
                self._named[f"{kind}?identifier={system}|{value}"] = f"{kind}/{id}"
        return (
            self._resolved(bulk.Item(kind, id, body, indexed), conditional)
            if conditional
            else bulk.Item(kind, id, body, indexed)
        )

    def _resolved(self, item: bulk.Item, conditional: Sequence[str]) -> bulk.Item:
        """The item with what its conditional references find; those that find nothing are kept as they are."""
        found = {reference: self._named.get(reference) or self._look(reference) for reference in conditional}
        self.summary.unresolved += sum(found[reference] is None for reference in conditional)
        known = {reference: target for reference, target in found.items() if target is not None}
        if not known:
            return item
        resource = references.met(json.read(item.body), known)
        return item._replace(body=json.write(resource), rows=index.extract(resource, self._interactions.base))

    def _look(self, reference: str) -> str | None:
        try:
            found = self._interactions.resolve(self._database.read, policy.SYSTEM, reference)
        except (InvalidSearch, PreconditionFailed):
            return None
        if found:
            self._named[reference] = found
        return found


def _audit(tx: Tx, rows: list[Row], patients: Sequence[str]) -> None:
    """One row of the trail for each group that is written, or is deleted: then `patients` are whose they were."""
    gone = [row for row in rows if row.change == DELETED]
    for row in gone:
        if row.type == subscription.TYPE:
            subscriptions.drop(tx, row.rid)
    named = dict.fromkeys((*patients, *whose.of_rows(tx, [row for row in rows if row.change != DELETED])))
    detail = f"{len(gone)} resources deleted" if gone else f"{len(rows)} resources"
    audit.append(tx, audit.AuditRow(policy.SYSTEM.id, "import", detail=detail, patients=tuple(named)))
