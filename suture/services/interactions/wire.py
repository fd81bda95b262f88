"""A plan on its way between two processes of one installation: plain values, without the resources themselves.

https://docs.python.org/3/library/marshal.html
"""

from __future__ import annotations

import marshal
from typing import Any

from suture.access.caller import Caller
from suture.services.interactions.chart import Chart
from suture.services.interactions.entries import Entry, Pairs
from suture.services.interactions.find import Criteria
from suture.services.interactions.incoming import Incoming
from suture.services.interactions.plan import Lookups, Plan, Step
from suture.standards.fhir.index import Rows
from suture.store.connection import Connection
from suture.store.identities import Identities, Named
from suture.store.row import Row

WRITES = frozenset({"POST", "PUT", "DELETE"})


def write(planned: Plan) -> bytes | None:
    """The plan as bytes; None when it asks for more than identifiers, or reads."""
    known = planned.lookups.known
    if any(criteria.identifier is None for criteria, _ in known.values()):
        return None
    if any(step.entry.method not in WRITES for step in planned.steps):
        return None
    found = [(*key, criteria.identifier, named and tuple(named.row)) for key, (criteria, named) in known.items()]
    return marshal.dumps((found, [_flat(step) for step in planned.steps]))


def _flat(step: Step) -> tuple[Any, ...]:
    entry, coming = step.entry, step.incoming
    written = coming and (coming.type, coming.body, tuple(coming.rows), coming.base)
    return (
        (entry.index, entry.method, entry.type, entry.id, entry.if_none_match, entry.pairs),
        (step.id, step.version, step.found, step.fresh, step.same is not None, step.key, written),
    )


def read(raw: bytes, chart: Chart, caller: Caller, connection: Connection, identities: Identities) -> Plan:
    """The plan again. Its caller may write everything, so nobody looks at the resources once more."""
    found, flat = marshal.loads(raw)  # noqa: S302 - our own process wrote it
    lookups = Lookups(chart, caller, connection, identities)
    for type, pairs, identifier, row in found:
        lookups.known[type, pairs] = (Criteria.named(caller, type, identifier), row and Named(Row(*row)))
    return Plan([_step(lookups, *parts) for parts in flat], lookups)


def _step(lookups: Lookups, of: tuple[Any, ...], parts: tuple[Any, ...]) -> Step:
    index, method, type, id, if_none_match, pairs = of
    entry = Entry(index, method, (), pairs, None, if_none_match=if_none_match, type=type, id=id)
    own, version, found, fresh, same, key, written = parts
    named = _named(lookups, type, pairs)
    made = Step(entry, own, None, version, found, fresh, named.row if same and named else None, named, key)
    if written:
        made.incoming = Incoming(written[0], {}, written[1], Rows(*written[2]), written[3])
    return made


def _named(lookups: Lookups, type: str, pairs: Pairs) -> Named | None:
    found = lookups.known.get((type, pairs))
    return found[1] if found else None
