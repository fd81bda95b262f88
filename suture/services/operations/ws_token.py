"""$get-ws-binding-token: a token that binds a websocket to subscriptions of the caller.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-get-ws-binding-token.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy
from suture.clock import instant
from suture.crypto import new_token
from suture.errors import Invalid, NotFound
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.subscriptions.binding import PATH, PURPOSE
from suture.standards.fhir import json
from suture.standards.fhir.subscription import TYPE
from suture.store import accounts, sound, subscriptions
from suture.store.connection import Connection
from suture.store.subscriptions import Subscription

MOST = 100  # subscriptions of one token


async def run(asked: Asked) -> Answer:
    """Parameters with the token, how long it is good, for what, and where."""
    chart, life = asked.chart, float(asked.chart.settings["subscriptions.token"])
    async with asked.frame():
        found = list(_found(asked, chart.database.read))
        if not found:
            raise NotFound(
                "no subscription of yours waits for a websocket", where="id", mend="Write one of channel websocket."
            )
        if len(found) > MOST:
            raise Invalid(f"more than {MOST} subscriptions", where="id", mend="Name those you want with id.")
        token, rids = new_token(), [kept.rid for kept in found]
        stands_for = {"subscriptions": rids, "who": asked.caller.id}
        await chart.database.write(lambda tx: accounts.create_link(tx, token, PURPOSE, life, stands_for))
        return Answer(json.write(_told(asked, token, life, found)))


def _found(asked: Asked, connection: Connection) -> Iterator[Subscription]:
    """The caller's own that wait for a websocket, of those asked for."""
    policy.require(asked.caller, "read", TYPE)
    ids = {asked.id} if asked.id else {word for text in asked.all("id") for word in str(text).split(",") if word}
    judged = guard.judge(connection, asked.caller, "read")
    for kept in subscriptions.of(connection, asked.caller.id):
        row = sound.read_rid(connection, kept.rid, set())
        if kept.held and (not ids or kept.id in ids) and row is not None and not row.deleted and judged(row):
            yield kept


def _told(asked: Asked, token: str, life: float, found: list[Subscription]) -> dict[str, Any]:
    clock, base = asked.chart.clock, str(asked.chart.settings["http.base_url"]).rstrip("/")
    rows: list[dict[str, Any]] = [
        {"name": "token", "valueString": token},
        {"name": "expiration", "valueDateTime": instant(clock.micros() + int(life * 1_000_000))},
        *({"name": "subscription", "valueString": kept.id} for kept in found),
        {"name": "websocket-url", "valueUrl": "ws" + base.removeprefix("http") + PATH},
    ]
    return {"resourceType": "Parameters", "parameter": rows}


OPERATION = Operation(
    "get-ws-binding-token",
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-get-ws-binding-token",
    "A token that binds a websocket to subscriptions of the caller.",
    ("type", "instance"),
    run,
    types=(TYPE,),
    parameters=(Parameter("id", "string", "ids of subscriptions; all of the caller's unless told", many=True),),
    scope="r of Subscription",
)
