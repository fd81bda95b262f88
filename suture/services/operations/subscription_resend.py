"""$resend of a Subscription: events that went out already go out once more, to the same endpoint and with the access of now.

https://hl7.org/fhir/uv/subscriptions-backport/2024Jan/OperationDefinition-backport-subscription-resend.html
"""

from __future__ import annotations

import suture.services.interactions.guard as guard
from suture.errors import Conflict, Gone, Invalid, Issue, TooCostly
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.operations.subscription_events import number
from suture.standards.fhir import json, outcome
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.subscription import ACTIVE, TYPE
from suture.store import subscriptions
from suture.store.connection import Tx
from suture.store.subscriptions import Subscription

MOST = 10_000  # events of one call
MOST_WAITING = 20  # calls whose events have not all gone out
_LAST = (1 << 62) - 1


async def run(asked: Asked) -> Answer:
    """An OperationOutcome that says how many go out again."""
    first, last = number(asked, "eventsSinceNumber", 1), number(asked, "eventsUntilNumber", _LAST)
    since, until = _moment(asked, "eventsSinceInstant", 0, 0), _moment(asked, "eventsUntilInstant", 1, _LAST)
    async with asked.frame() as access:
        row = guard.present(guard.visible(asked.chart.database.read, asked.caller, "update", TYPE, asked.id))

        def unit(tx: Tx) -> int:
            kept = _sendable(subscriptions.get(tx, row.rid))
            found = subscriptions.between(tx, kept.rid, max(first, 1), min(last, kept.sent), since, until)
            if found is not None:
                _keep(tx, found)
            access.append(tx)
            return found.many if found else 0

        count = await asked.chart.database.write(unit)
    said = f"{count} events go out again." if count != 1 else "1 event goes out again."
    return Answer(json.write(outcome.outcome([Issue("information", "informational", said)])))


def _moment(asked: Asked, name: str, end: int, default: int) -> int:
    """Microseconds; both ends are included."""
    text = asked.one(name)
    return default if text is None else moment_range(str(text))[end]


def _sendable(kept: Subscription | None) -> Subscription:
    if kept is None:
        raise Gone("this subscription has no events here", where=TYPE, mend="Write it again.")
    if kept.held:
        raise Invalid("nothing is sent to a websocket by itself", where=TYPE, mend="Ask for the events with $events.")
    if kept.status != ACTIVE:
        raise Conflict(f"the subscription is {kept.status}", where=TYPE, mend="PUT it with status requested first.")
    return kept


def _keep(tx: Tx, found: subscriptions.Span) -> None:
    if found.many > MOST:
        raise TooCostly(f"{found.many} events are more than {MOST}", where="eventsSinceNumber", mend="Ask for fewer.")
    if subscriptions.spans(tx, found.rid) >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} calls of $resend are under way", where=TYPE, mend="Wait for them.")
    subscriptions.again(tx, found.rid, found.first, found.last)


OPERATION = Operation(
    "resend",
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-resend",
    "Sends events once more.",
    ("instance",),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("eventsSinceNumber", "string", "the first event"),
        Parameter("eventsUntilNumber", "string", "the last event"),
        Parameter("eventsSinceInstant", "instant", "not those before it"),
        Parameter("eventsUntilInstant", "instant", "not those after it"),
    ),
    changes=True,
    scope="u of Subscription",
)
