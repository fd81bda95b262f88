"""A transaction: all of its entries or none (https://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import suture.services.interactions.bundle as bundle
import suture.services.interactions.entries as entries
import suture.services.interactions.guard as guard
import suture.services.interactions.patch as patch
import suture.services.interactions.plan as plan
import suture.services.interactions.write as write
from suture.access.caller import Caller
from suture.clock import instant
from suture.errors import Invalid
from suture.services.interactions.chart import Access, Chart
from suture.services.interactions.entries import Entry
from suture.services.interactions.look import look
from suture.services.interactions.merging import Merge
from suture.services.interactions.once import Once
from suture.services.interactions.plan import Plan, Step
from suture.services.interactions.rules import Preferences
from suture.store import whose
from suture.store.connection import Connection, Tx
from suture.store.database import NOTHING_NAMED
from suture.store.identities import Named
from suture.store.index import Batch
from suture.store.repeatable import Kept
from suture.store.resources import Row
from suture.store.rids import reserve

LARGE = 300  # entries; a transaction with more would hold the loop up
# the order FHIR prescribes
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


@dataclass(frozen=True, slots=True)
class Done:
    """What one entry came to; `body` holds what a GET found."""

    status: int
    row: Row | None = None
    body: bytes = b""
    patients: tuple[str, ...] = ()


async def transaction(
    chart: Chart,
    caller: Caller,
    content: dict[str, Any],
    preferences: Preferences,
    access: Access,
    *,
    large: bool,
    once: Once | None = None,
    translated: bool = False,
) -> bytes:
    """Runs a transaction and returns its transaction-response; a large one (in bytes, or with many entries) works in a
    thread, so that others go on. `once`: it may come again. `translated`: it came as XML.
    """
    known = once.known(chart.database.read, chart.clock.micros()) if once else None
    if known is not None:
        return _repeated(access, known)
    work = _Answered(chart, caller, content, preferences, access, once, translated)
    if not large and len(content.get("entry") or ()) <= LARGE:
        return work.bytes(await chart.database.write(work.unit(None)))
    run = await chart.slowly(work.unit)
    return work.bytes(await asyncio.to_thread(chart.database.write_now, run))


def _repeated(access: Access, known: Kept) -> bytes:
    access.detail = "repeated"
    access.concerns(known.patients)
    return known.body


@dataclass(slots=True)
class _Answered:
    """A transaction with its answer."""

    chart: Chart
    caller: Caller
    content: dict[str, Any]
    preferences: Preferences
    access: Access
    once: Once | None
    translated: bool

    def unit(self, connection: Connection | None) -> Callable[[Tx], list[Done] | bytes]:
        """What runs in the transaction: one that may come again keeps its answer there."""
        run = unit(self.chart, self.caller, self.content, self.access, None, connection, self.translated)
        return partial(self._once, self.once, run) if self.once else run

    def _once(self, once: Once, run: Callable[[Tx], list[Done]], tx: Tx) -> bytes:
        known = once.known(tx, tx.now)
        if known is not None:  # it came twice at once
            body = _repeated(self.access, known)
            self.access.append(tx)
            return body
        body = self.bytes(run(tx))
        once.keep(tx, Kept(once.asked, 200, body=body, patients=tuple(self.access.patients)))
        return body

    def bytes(self, done: list[Done] | bytes) -> bytes:
        if isinstance(done, bytes):
            return done
        entries = [_written(self.chart, d, self.preferences) for d in done]
        return bundle.responses("transaction-response", entries)


def unit(
    chart: Chart,
    caller: Caller,
    content: dict[str, Any],
    access: Access,
    merge: Merge | None = None,
    connection: Connection | None = None,
    translated: bool = False,
) -> Callable[[Tx], list[Done]]:
    """The transaction, planned and checked now, to be run inside any Tx; its audit row commits with it."""
    read = read_entries(chart, content, translated)
    if connection is None:  # on the loop
        planned = plan.make(chart, caller, read, chart.database.read, chart.database.identities, merge)
    else:
        planned = plan.make(chart, caller, read, connection, NOTHING_NAMED, merge)
    return planned_unit(
        chart, caller, planned, lambda tx: plan.make(chart, caller, read, tx, tx.identities, merge), access
    )


def planned_unit(
    chart: Chart, caller: Caller, planned: Plan, again: Callable[[Tx], Plan], access: Access
) -> Callable[[Tx], list[Done]]:
    """A plan, to be run inside any Tx; `again` makes it anew there when what it found has changed."""

    def run(tx: Tx) -> list[Done]:
        current = planned if planned.lookups.hold(tx) else again(tx)
        done = _perform(chart, caller, current, tx)
        access.detail = _detail(current.steps, done)
        access.concerns(patient for d in done for patient in d.patients)
        access.concerns(whose.of_rows(tx, [d.row for d in done if d.row is not None]))
        access.append(tx)
        return done

    return run


def read_entries(chart: Chart, content: dict[str, Any], translated: bool = False) -> list[Entry]:
    """The entries of a transaction; raises Invalid for anything else."""
    if content.get("type") != "transaction":
        raise Invalid("not a transaction", where="Bundle.type", mend='Write "type": "transaction".')
    return entries.read(content, chart.settings["fhir.max_bundle"], chart.fhir_url, translated=translated)


def response(done: Sequence[Done]) -> dict[str, Any]:
    """The transaction-response as a plain dict, for flows."""
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": _response(d)} for d in done],
    }


def _response(done: Done) -> dict[str, Any]:
    if done.row is None:
        return {"status": str(done.status)}
    row = done.row
    return {
        "status": str(done.status),
        "location": f"{row.type}/{row.id}/_history/{row.version}",
        "etag": f'W/"{row.version}"',
        "lastModified": instant(row.updated),
    }


def _perform(chart: Chart, caller: Caller, planned: Plan, tx: Tx) -> list[Done]:
    """Everything in FHIR's order; the results in the order of the entries. Index rows are written together."""
    done: dict[int, Done] = {}
    batch = Batch(tx)
    for step in planned.steps:
        if step.fresh:
            reserve(tx, step.entry.type, step.id)
    for step in sorted(planned.steps, key=lambda s: _ORDER[s.entry.method]):
        if step.entry.method in _READS:
            batch.flush()
        done[step.entry.index] = _step(chart, caller, step, tx, batch)
    batch.flush()
    return [done[n] for n in range(len(planned.steps))]


def _step(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    entry = step.entry
    return entries.placed(entry, lambda: _of(chart, step)(chart, caller, step, tx, batch))


def _of(chart: Chart, step: Step) -> Callable[[Chart, Caller, Step, Tx, Batch], Done]:
    if step.entry.type in chart.wardens and step.entry.method not in _READS:
        raise Invalid(
            f"a {step.entry.type} is written by itself", where="request", mend="Send it alone, or in a batch."
        )
    return _STEPS[step.entry.method]


def _get(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    """What a read shows is its body alone, whatever is preferred: a 304 and a HEAD show nothing."""
    found = look(chart, caller, step.entry, tx)
    return Done(found.status, found.row and found.row._replace(body=b""), found.body, found.patients)


def _head(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    return replace(_get(chart, caller, step, tx, batch), body=b"")


def _delete(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    if not step.id:
        return Done(204)
    outcome = write.deleting(tx, caller, step.entry.type, step.id, step.version)
    return Done(204, outcome.row, patients=outcome.patients)


def _post(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    if step.incoming is None:
        return Done(200, guard.present(guard.visible(tx, caller, "search-type", step.entry.type, step.id)))
    outcome = write.creating(tx, step.incoming, step.id, batch=batch, fresh=step.fresh)
    return Done(outcome.status, outcome.row)


def _put(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    if step.same is not None:
        return Done(200, step.same)
    if step.incoming is None:
        raise Invalid("this entry needs a resource", where="resource")
    only_new = step.entry.if_none_match.strip() == "*"
    known = (tx.identities.get(step.key) if step.key else None) or step.named
    outcome = write.updating(tx, caller, step.incoming, step.id, step.version, only_new, batch, known, fresh=step.fresh)
    _keep_named(tx, step, outcome.row)
    return Done(outcome.status, outcome.row, patients=outcome.patients)


def _patch(chart: Chart, caller: Caller, step: Step, tx: Tx, batch: Batch) -> Done:
    if step.change is None:
        raise Invalid("this entry needs a resource", where="resource")
    batch.flush()  # what it reads may have been written just now
    outcome = patch.patching(tx, caller, step.entry.type, step.id, step.change, step.version, batch)
    return Done(200, outcome.row, patients=outcome.patients)


def _keep_named(tx: Tx, step: Step, row: Row | None) -> None:
    """What a conditional update wrote is what its identifier names now."""
    if step.key is None or row is None or step.incoming is None:
        return
    rows = step.incoming.rows
    if any((system, value) == step.key[1:] for _, system, value in rows.identifiers):
        tx.keep_named(step.key, Named(row._replace(change=""), rows, ours=True))


_READS = frozenset({"GET", "HEAD"})
_STEPS: dict[str, Callable[[Chart, Caller, Step, Tx, Batch], Done]] = {
    "DELETE": _delete,
    "POST": _post,
    "PUT": _put,
    "PATCH": _patch,
    "GET": _get,
    "HEAD": _head,
}


def _written(chart: Chart, done: Done, preferences: Preferences) -> bytes:
    if done.body:
        return bundle.response(done.status, done.row, chart.fhir_url, done.body)
    wanted = preferences.stated and preferences.returns == "representation"
    shown = done.row.body if wanted and done.row is not None else b""
    return bundle.response(done.status, done.row, chart.fhir_url, shown)


def _detail(steps: Sequence[Step], done: Sequence[Done]) -> str:
    """What was touched, for the audit: `POST Patient/1 · …`."""
    named = [
        f"{s.entry.method} {d.row.type}/{d.row.id}" if d.row is not None else f"{s.entry.method} {s.entry.type}"
        for s, d in zip(steps, done, strict=True)
    ]
    return " · ".join(named)
