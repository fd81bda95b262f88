"""Create, update and delete, plain and conditional (https://hl7.org/fhir/R4/http.html#create).

Each write is checked and indexed before the transaction; inside it stand only the decision and the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.clock import new_id
from suture.errors import Forbidden, Invalid, PreconditionFailed
from suture.services.interactions.chart import Access, Chart
from suture.services.interactions.find import Criteria, one
from suture.services.interactions.incoming import Incoming, accept, prepared, require_id, require_type, says_the_same
from suture.services.interactions.rules import Conditions
from suture.standards.fhir import json
from suture.store import resources, sound, whose
from suture.store.connection import Tx
from suture.store.identities import Named
from suture.store.index import Batch
from suture.store.resources import Row

Pairs = Sequence[tuple[str, str]]
Body = bytes | dict[str, Any]
LARGE = 1 << 20  # bytes
NO_CONDITIONS = Conditions()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write came to; without a row there was nothing to do. `patients`: whose it was before."""

    status: int
    row: Row | None = None
    patients: tuple[str, ...] = ()


async def create(
    chart: Chart, caller: Caller, type: str, body: Body, if_none_exist: str = "", once: Repeatable | None = None
) -> Outcome:
    """201 with a new id; with If-None-Exist 200 and the one that is there, 412 when there are several."""
    require_type(type)
    async with chart.access(caller, "create", type) as access:
        policy.require(caller, "create", type)
        criteria = Criteria.read(chart, caller, type, if_none_exist, chart.database.read) if if_none_exist else None
        incoming, id = await _accept(chart, caller, body, type), new_id(chart.clock)
        require_own(caller, "create", incoming, id)
        return await committed(chart, access, lambda tx: creating(tx, incoming, id, criteria, fresh=True), once)


def creating(
    tx: Tx,
    incoming: Incoming,
    id: str,
    criteria: Criteria | None = None,
    batch: Batch | None = None,
    fresh: bool = False,
) -> Outcome:
    """The part of a create that runs inside the transaction; `batch` gathers the index rows of several.

    `fresh`: the id was given just now.
    """
    found = one(tx, criteria) if criteria else None
    if found is not None:
        if found.damaged:
            raise sound.refusal(found.type)
        return Outcome(200, found)
    rows = incoming.rows
    row = resources.put(
        tx, incoming.type, id, incoming.body, rows, method="POST", only_new=True, batch=batch, fresh=fresh
    )
    return Outcome(201, row)


async def update(
    chart: Chart, caller: Caller, type: str, id: str, body: Body, conditions: Conditions = NO_CONDITIONS
) -> Outcome:
    """200 with a new version (or the old one when nothing changed), 201 when the id is new."""
    require_type(type)
    async with chart.access(caller, "update", type, id) as access:
        policy.require(caller, "update", type)
        require_id(id)
        version = conditions.version
        incoming = await _accept(chart, caller, body, type, id)
        return await committed(
            chart, access, lambda tx: updating(tx, caller, incoming, id, version, conditions.only_new)
        )


def updating(
    tx: Tx,
    caller: Caller,
    incoming: Incoming,
    id: str,
    version: int | None = None,
    only_new: bool = False,
    batch: Batch | None = None,
    known: Named | None = None,
    fresh: bool = False,
) -> Outcome:
    """The part of an update that runs inside the transaction: judged before and after, then written."""
    _require_before(tx, caller, incoming.type, id, only_new)
    require_own(caller, "update", incoming, id)
    before = whose.of_id(tx, incoming.type, id)
    row = resources.put(
        tx,
        incoming.type,
        id,
        _as_stored(tx, incoming, id) if incoming.translated else incoming.body,
        incoming.rows,
        method="PUT",
        if_version=version,
        batch=batch,
        known=known,
        fresh=fresh,
    )
    return Outcome(201 if row.change == resources.CREATED else 200, row, before)


def _as_stored(tx: Tx, incoming: Incoming, id: str) -> bytes:
    """The stored bytes where XML says what they say already, so that nothing changes; else what came."""
    before = sound.read(tx, incoming.type, id)
    if before is None or not before.body:
        return incoming.body
    return before.body if says_the_same(json.reread(before.body), incoming.resource) else incoming.body


def _require_before(tx: Tx, caller: Caller, type: str, id: str, only_new: bool) -> None:
    """What is there must be the caller's to see; who reaches a part of the type only makes no ids of its own.

    Unknown and forbidden look the same, and so does what can't be read: whether it was the caller's nobody knows.
    """
    bound = policy.reach(caller, "update", type) is Reach.PART
    away = withheld.of(tx, caller)
    if not bound and not only_new and away is None:
        return
    before = sound.read(tx, type, id)
    seen = before is not None and guard.judge(tx, caller, "update", away)(before)
    if not seen and (bound or before is not None):
        raise guard.unknown(type)
    if only_new and before is not None and not before.deleted:
        raise PreconditionFailed("there is one already", where=type, mend="Leave out If-None-Match, or read it first.")


async def update_where(
    chart: Chart, caller: Caller, type: str, pairs: Pairs, body: Body, conditions: Conditions = NO_CONDITIONS
) -> Outcome:
    """Updates the one that the search finds; creates when it finds none; 412 when it finds several."""
    require_type(type)
    async with chart.access(caller, "update", type) as access:
        policy.require(caller, "update", type)
        criteria = Criteria(chart, caller, type, pairs, chart.database.read)
        version = conditions.version
        incoming = await _accept(chart, caller, body, type)
        fresh = new_id(chart.clock)
        return await committed(
            chart, access, lambda tx: _updating_where(tx, caller, incoming, criteria, fresh, version)
        )


def _updating_where(
    tx: Tx, caller: Caller, incoming: Incoming, criteria: Criteria, fresh: str, version: int | None
) -> Outcome:
    found, sent = one(tx, criteria), incoming.resource.get("id")
    if found is None and sent is None:
        require_own(caller, "update", incoming, fresh)
        row = resources.put(tx, incoming.type, fresh, incoming.body, incoming.rows, if_version=version, only_new=True)
        return Outcome(201, row)
    if found is not None and sent not in (None, found.id):
        raise Invalid("the body's id is not the id of the one that was found", where=f"{incoming.type}.id")
    return updating(tx, caller, incoming, found.id if found else str(sent), version)


async def delete(chart: Chart, caller: Caller, type: str, id: str, conditions: Conditions = NO_CONDITIONS) -> Outcome:
    """204, whether or not there was something to delete."""
    require_type(type)
    async with chart.access(caller, "delete", type, id) as access:
        policy.require(caller, "delete", type)
        version = conditions.version
        return await committed(chart, access, lambda tx: deleting(tx, caller, type, id, version))


def deleting(tx: Tx, caller: Caller, type: str, id: str, version: int | None = None) -> Outcome:
    """The part of a delete that runs inside the transaction; what the caller may not see is left as it is."""
    away = withheld.of(tx, caller)
    if away is not None or policy.reach(caller, "delete", type) is Reach.PART:
        before = sound.read(tx, type, id)
        if before is None or not guard.judge(tx, caller, "delete", away)(before):
            return Outcome(204)
    patients = whose.of_id(tx, type, id)
    return Outcome(204, resources.delete(tx, type, id, if_version=version), patients)


async def delete_where(
    chart: Chart, caller: Caller, type: str, pairs: Pairs, conditions: Conditions = NO_CONDITIONS
) -> Outcome:
    """Deletes the one that the search finds; 412 when it finds several."""
    require_type(type)
    async with chart.access(caller, "delete", type) as access:
        policy.require(caller, "delete", type)
        criteria = Criteria(chart, caller, type, pairs, chart.database.read)
        version = conditions.version
        return await committed(chart, access, lambda tx: deleting_where(tx, caller, criteria, version))


def deleting_where(tx: Tx, caller: Caller, criteria: Criteria, version: int | None = None) -> Outcome:
    """The part of a conditional delete that runs inside the transaction."""
    found = one(tx, criteria)
    return deleting(tx, caller, criteria.type, found.id, version) if found else Outcome(204)


def require_own(caller: Caller, interaction: str, incoming: Incoming, id: str) -> None:
    """Raises Forbidden when the new content would lie outside what the caller's scopes reach."""
    if policy.reach(caller, interaction, incoming.type) is Reach.EVERYTHING:
        return
    if not policy.allows(caller, interaction, incoming.type, {**incoming.resource, "id": id}, incoming.base):
        raise Forbidden(
            "what is sent lies outside what the scopes of this token reach",
            where=incoming.type,
            mend="It must be of the token's patient and fit the query of a granted scope.",
        )


async def _accept(chart: Chart, caller: Caller, body: Body, type: str, id: str = "") -> Incoming:
    """Reads, checks and indexes; a large body in a thread, so that others go on."""
    work = partial(accept, body, type, id, base=chart.database.base, read=chart.read_json)
    found = await chart.aside(work) if isinstance(body, bytes) and len(body) > LARGE else work()
    warden = chart.wardens.get(type)
    if warden is None:
        return found
    admitted = warden.admit(caller, found.resource)
    return prepared(admitted, json.write(admitted), chart.database.base, translated=found.translated)


class Repeatable(Protocol):
    """A request that may come again (once.py)."""

    def outcome(self, tx: Tx, access: Access, unit: Callable[[Tx], Outcome]) -> Outcome: ...


def kept(chart: Chart, tx: Tx, caller: Caller, row: Row) -> None:
    """Tells who looks at what is written of this type."""
    warden = chart.wardens.get(row.type)
    if warden is not None and row.change not in ("", resources.UNCHANGED):
        warden.keep(tx, caller, row)


async def committed(
    chart: Chart, access: Access, unit: Callable[[Tx], Outcome], once: Repeatable | None = None
) -> Outcome:
    """Runs the unit and its audit row in one commit; `once`: unless it was run before."""

    def both(tx: Tx) -> Outcome:
        outcome = once.outcome(tx, access, unit) if once else unit(tx)
        access.concerns(outcome.patients)
        if outcome.row is not None:
            access.touched(tx, outcome.row)
            kept(chart, tx, access.caller, outcome.row)
        access.status = outcome.status
        access.append(tx)
        return outcome

    return await chart.database.write(both)
