"""$events of a Subscription: what happened, by number, as far as the caller may see it today.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-events.html
"""

from __future__ import annotations

import re

import suture.services.interactions.guard as guard
from suture.clock import instant, new_id
from suture.errors import Gone, Invalid
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.subscriptions.compose import compose
from suture.standards.fhir import json, notification, subscription
from suture.standards.fhir.notification import State
from suture.standards.fhir.subscription import CONTENTS, TYPE
from suture.store import subscriptions, whose

MOST = 100  # events in one answer
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


async def run(asked: Asked) -> Answer:
    """A notification bundle with the events asked for, oldest first, at most MOST."""
    first, last = number(asked, "eventsSinceNumber", 1), number(asked, "eventsUntilNumber", (1 << 62) - 1)
    content = asked.one("content", "")
    if content and content not in CONTENTS:
        raise Invalid("no such content", where="content", mend=f"Write one of: {', '.join(CONTENTS)}.")
    async with asked.frame() as access:
        connection, chart = asked.chart.database.read, asked.chart
        row = guard.present(guard.visible(connection, asked.caller, "read", TYPE, asked.id))
        kept = subscriptions.get(connection, row.rid)
        if kept is None:
            raise Gone("this subscription has no events here", where=TYPE, mend="Write it again.")
        wanted = subscription.read(json.reread(row.body), chart.topics, chart.fhir_url)
        content = content or wanted.content
        found = subscriptions.events(connection, kept.rid, max(first, 1), last, MOST)
        told = compose(connection, asked.caller, wanted.topic, found, content)
        access.concerns(whose.of_rows(connection, told.rows))
        state = State(kept.id, wanted.canonical, kept.status, kept.events, content, kept.error)
        ids, now = (new_id(chart.clock) for _ in range(2)), instant(chart.clock.micros())
        made = notification.bundle(state, notification.QUERY, chart.fhir_url, ids, now, told.events)
        return Answer(json.write(made))


def number(asked: Asked, name: str, default: int) -> int:
    """The number of an event."""
    text = asked.one(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(str(text)):
        raise Invalid("not an event number", where=name, mend="Write a whole number, such as 1.")
    return int(text)


OPERATION = Operation(
    "events",
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
    "What happened, by number.",
    ("instance",),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("eventsSinceNumber", "string", "the first event"),
        Parameter("eventsUntilNumber", "string", "the last event"),
        Parameter("content", "code", "empty, id-only or full-resource"),
    ),
    scope="r of Subscription; the events' own",
)
