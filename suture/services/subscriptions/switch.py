"""Somebody who keeps things running takes a subscription up again or turns it off, whoever it belongs to; its owner's access stays what counts."""

from __future__ import annotations

from collections.abc import Mapping

from suture.access.caller import Caller
from suture.errors import Conflict, NotFound
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.courier import turned
from suture.standards.fhir.subscription import ACTIVE, ERROR, OFF, REQUESTED, TYPE
from suture.store import resources, subscriptions
from suture.store.connection import Connection, Tx
from suture.store.subscriptions import Subscription

RESTART, TURN_OFF = "restart", "turn-off"  # in the audit trail
# what is done -> (the states it is done from, the state it leads to)
WAYS: Mapping[str, tuple[tuple[str, ...], str]] = {
    RESTART: ((ERROR, OFF), REQUESTED),
    TURN_OFF: ((REQUESTED, ACTIVE, ERROR), OFF),
}


async def switch(chart: Chart, caller: Caller, id: str, way: str, why: str) -> Subscription:
    """The subscription as it stands then; raises Conflict when it stands otherwise already."""
    async with chart.access(caller, way, TYPE, id) as access:
        access.detail = why

        def unit(tx: Tx) -> Subscription:
            kept = _fit(chart, tx, id, way)
            turned(tx, kept, WAYS[way][1])
            access.append(tx)
            return _known(tx, id)

        return await chart.database.write(unit)


def _known(connection: Connection, id: str) -> Subscription:
    row = resources.read(connection, TYPE, id)
    kept = subscriptions.get(connection, row.rid) if row is not None else None
    if kept is None:
        raise NotFound("no such subscription", where=TYPE)
    return kept


def _fit(chart: Chart, tx: Tx, id: str, way: str) -> Subscription:
    kept, most = _known(tx, id), int(chart.settings["subscriptions.most"])
    if kept.status not in WAYS[way][0]:
        raise Conflict(f"it is {kept.status}", where=TYPE, mend="Look at the list again.")
    if kept.status == OFF and subscriptions.count_of(tx, kept.who) >= most:
        raise Conflict(f"its owner has {most} subscriptions already", where=TYPE, mend="Turn another one off.")
    return kept
