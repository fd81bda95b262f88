"""The plan of a transaction: every id given, every reference resolved, every resource checked, before a row is written.

Conditions are looked up while planning and again inside the transaction; only when an answer changed in between is
the plan made anew there. https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import suture.services.interactions.incoming as incoming
import suture.services.interactions.references as references
from suture.access import policy
from suture.access.caller import Caller
from suture.clock import new_id
from suture.errors import Invalid, NotAllowed, NotFound, PreconditionFailed
from suture.services.interactions.chart import Chart
from suture.services.interactions.entries import Entry, Pairs, placed
from suture.services.interactions.find import Criteria, named, same
from suture.services.interactions.incoming import Incoming
from suture.services.interactions.merging import Merge
from suture.services.interactions.patch import Change, of_entry
from suture.services.interactions.rules import version_of
from suture.services.interactions.write import require_own
from suture.standards.fhir import json
from suture.store import sound
from suture.store.connection import Connection, Tx
from suture.store.identities import Identities, Key, Named
from suture.store.resources import Row

_NEW = b"urn:uuid:"
_INTERACTIONS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Step:
    """One entry with what it will write. `found`: a POST whose condition found what is there already.

    `fresh`: its id was given just now, so it is sure to be created.

    `change`: what a patch does.

    `same`: an update that was merged into exactly what is stored; nothing is written.
    `named`: what a condition found, to be merged with or replaced; `key`: how it is remembered.
    """

    entry: Entry
    id: str = ""
    incoming: Incoming | None = None
    version: int | None = None
    found: bool = False
    fresh: bool = False
    same: Row | None = None
    named: Named | None = None
    key: Key | None = None
    change: Change | None = None


@dataclass(slots=True)
class Lookups:
    """The answers of conditions, remembered so that they can be asked again."""

    chart: Chart
    caller: Caller
    connection: Connection
    identities: Identities
    merge: Merge | None = None
    known: dict[tuple[str, Pairs], tuple[Criteria, Named | None]] = field(default_factory=dict)

    def named(self, type: str, pairs: Pairs) -> Named | None:
        """The one that is found, or None; raises PreconditionFailed for several."""
        key = (type, pairs)
        if key not in self.known:
            criteria = Criteria(self.chart, self.caller, type, pairs, self.connection)
            self.known[key] = (criteria, named(self.connection, criteria, self.identities))
        return self.known[key][1]

    def find(self, type: str, pairs: Pairs) -> str | None:
        """Its id, or None."""
        found = self.named(type, pairs)
        return found.row.id if found else None

    def key(self, type: str, pairs: Pairs) -> Key | None:
        """How what a condition found is remembered, when it is an identifier."""
        criteria = self.known[type, pairs][0]
        return criteria.key if criteria.identifier else None

    def hold(self, tx: Tx) -> bool:
        """Whether every condition still has the answer it had, in the version it had."""
        return all(same(tx, criteria, found) for criteria, found in self.known.values())


@dataclass(slots=True)
class Addresses:
    """fullUrl -> the address its resource will have. `fresh`: all fullUrls are new UUIDs."""

    of: dict[str, str]
    fresh: bool = False


@dataclass(slots=True)
class Plan:
    """All steps of a transaction, in the order of its entries."""

    steps: list[Step]
    lookups: Lookups


def make(
    chart: Chart,
    caller: Caller,
    entries: Sequence[Entry],
    connection: Connection,
    identities: Identities,
    merge: Merge | None = None,
) -> Plan:
    """Plans a transaction; raises the first error with the entry it belongs to.

    `merge` makes what a conditional update stores from what is stored and what comes; without it what comes replaces.
    """
    lookups = Lookups(chart, caller, connection, identities, merge)
    given: dict[tuple[str, Pairs], str] = {}
    steps = [placed(entry, lambda e=entry: _target(chart, caller, e, lookups, given)) for entry in entries]  # type: ignore[misc]
    _require_distinct(steps)
    found = _addresses(steps)
    addresses = Addresses(found, all(url.startswith("urn:uuid:") for url in found))
    for step in steps:
        placed(step.entry, lambda s=step: _fill(s, caller, lookups, addresses))  # type: ignore[misc]
    return Plan(steps, lookups)


def _target(chart: Chart, caller: Caller, entry: Entry, lookups: Lookups, given: dict[tuple[str, Pairs], str]) -> Step:
    """Who the entry is about: an id that is there, or a new one."""
    if entry.operation:
        raise NotAllowed("an operation can't be part of a transaction", where="request.url", mend="Send it in a batch.")
    if entry.method in ("GET", "HEAD"):
        return Step(entry)
    policy.require(caller, _INTERACTIONS[entry.method], entry.type)
    version = version_of(entry.if_match) if entry.if_match else None
    if entry.method == "POST":
        return _create_target(chart, entry, lookups, given)
    if entry.id:
        return Step(entry, entry.id, version=version)
    known = lookups.named(entry.type, entry.pairs)
    found = known.row.id if known else None
    if entry.method == "DELETE":
        return Step(entry, found or "", version=version)
    if entry.method == "PATCH":
        return Step(entry, found or _nothing(entry), version=version)
    sent = (entry.resource or {}).get("id")
    if found and sent not in (None, found) and isinstance(sent, str):
        raise Invalid("the body's id is not the id of the one that was found", where="resource.id")
    at = found or _sent_id(sent)
    key = lookups.key(entry.type, entry.pairs)
    return Step(entry, at or new_id(chart.clock), version=version, fresh=not at, named=known, key=key)


def _nothing(entry: Entry) -> str:
    raise NotFound("the condition finds nothing to patch", where=entry.type, mend="Create it first.")


def _sent_id(sent: object) -> str:
    """An id that came with the body, when it is one."""
    return sent if isinstance(sent, str) and incoming.is_id(sent) else ""


def _create_target(chart: Chart, entry: Entry, lookups: Lookups, given: dict[tuple[str, Pairs], str]) -> Step:
    if not entry.if_none_exist:
        return Step(entry, new_id(chart.clock), fresh=True)
    key = (entry.type, tuple(parse_qsl(entry.if_none_exist.partition("?")[2] or entry.if_none_exist)))
    found = lookups.find(*key) or given.get(key)
    if found:  # there already, or made by an earlier entry with the same condition
        return Step(entry, found, found=True)
    given[key] = new_id(chart.clock)
    return Step(entry, given[key], fresh=True)


def _require_distinct(steps: Sequence[Step]) -> None:
    """No two entries may write the same resource."""
    seen: dict[tuple[str, str], Entry] = {}
    for step in steps:
        entry = step.entry
        if not step.id or step.found:
            continue
        first = seen.setdefault((entry.type, step.id), entry)
        if first is not entry:
            raise Invalid(
                "two entries write the same resource", where=f"{first.where}, {entry.where}", mend="Keep one of them."
            )


def _addresses(steps: Sequence[Step]) -> dict[str, str]:
    """fullUrl -> the address its resource will have."""
    found: dict[str, str] = {}
    for step in steps:
        url, entry = step.entry.full_url, step.entry
        if not url or not step.id or entry.method not in ("POST", "PUT"):
            continue
        address = f"{entry.type}/{step.id}"
        if found.setdefault(url, address) != address:
            raise Invalid("two entries have the same fullUrl", where=f"{entry.where}.fullUrl")
        if not url.startswith("urn:"):  # a relative reference means the entry whose fullUrl ends that way
            found.setdefault("/".join(url.rstrip("/").split("/")[-2:]), address)
    return found


def _fill(step: Step, caller: Caller, lookups: Lookups, addresses: Addresses) -> None:
    """Resolves what the resource refers to, then checks and indexes it."""
    entry = step.entry
    if entry.resource is None or step.found:
        return
    if entry.method == "PATCH":
        step.change = of_entry(_resolved(entry.resource, addresses, lookups)[0])
        return
    if entry.resource.get("resourceType") != entry.type:
        raise Invalid(f"the resource is no {entry.type}", where="resource.resourceType")
    if entry.method == "PUT" and entry.id and entry.resource.get("id") != entry.id:
        raise Invalid("the resource's id is not the id of the url", where="resource.id")
    resource, raw = _resolved(entry.resource, addresses, lookups)
    if lookups.merge is not None and entry.method == "PUT" and not entry.id:
        resource, raw = _merged(lookups.merge, step, resource, raw)
        if step.same is not None:
            return
    step.incoming = incoming.prepared(resource, raw, lookups.chart.database.base, translated=entry.translated)
    require_own(caller, _INTERACTIONS[entry.method], step.incoming, step.id)


def _merged(merge: Merge, step: Step, coming: dict[str, Any], raw: bytes) -> tuple[dict[str, Any], bytes]:
    """What an update stores, and its bytes; notes when that is exactly what is stored already."""
    url, named = step.entry.full_url, step.named
    if named is None:
        made = merge(None, coming, url) or coming
        return made, raw if made is coming else json.write(made)
    plan = merge.plan(url)
    if named.settled == (raw, plan):  # it changed nothing the last time either
        step.same = named.row
        return coming, raw
    if named.row.damaged:
        raise sound.refusal(f"{named.row.type}/{named.row.id}")
    made = merge(named.resource, coming, url) or named.resource
    written = json.write(made)
    if written == named.written:
        step.same, named.settled = named.row, (raw, plan)
    return made, written


def _resolved(resource: dict[str, Any], addresses: Addresses, lookups: Lookups) -> tuple[dict[str, Any], bytes]:
    """The resource with its references resolved, and its bytes."""
    raw = json.write(resource)
    if references.may_be_conditional(raw):
        resource = references.met(resource, _conditional(resource, lookups))
        raw = json.write(resource)
    if not addresses.of or (addresses.fresh and _NEW not in raw):
        return resource, raw  # it names no other entry
    resolve = references.resolver(addresses.of)
    spelled = references.spelled(raw, resolve) if addresses.fresh else None
    if spelled is not None:
        return (resource, raw) if spelled == raw else (json.reread(spelled), spelled)
    changed = references.rewritten(resource, resolve)
    return (resource, raw) if changed is resource else (changed, json.write(changed))


def _conditional(resource: dict[str, Any], lookups: Lookups) -> dict[str, str]:
    found: dict[str, str] = {}
    for reference in set(references.conditional(resource)):
        type, _, query = reference.partition("?")
        id = lookups.find(type, tuple(parse_qsl(query, keep_blank_values=True)))
        if id is None:
            raise PreconditionFailed("a conditional reference finds nothing", where="resource", mend="Write it first.")
        found[reference] = f"{type}/{id}"
    return found
