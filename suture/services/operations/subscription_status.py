"""$status of Subscriptions: how they stand (https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html)."""

from __future__ import annotations

from collections.abc import Iterator

import suture.services.interactions.guard as guard
from suture.access import policy
from suture.clock import new_id
from suture.errors import Invalid
from suture.services.interactions.answer import Answer
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.fhir import json, notification
from suture.standards.fhir.notification import State
from suture.standards.fhir.subscription import TYPE, searched
from suture.store import sound, subscriptions
from suture.store.connection import Connection
from suture.store.resources import Row

MOST = 1000  # in one answer


async def run(asked: Asked) -> Answer:
    """A searchset with one Parameters for each."""
    async with asked.frame():
        connection = asked.chart.database.read
        entries = [_entry(asked, connection, row) for row in _rows(asked, connection)]
        wanted = set() if asked.id else _words(asked, "status")
        shown = [entry for status, entry in entries if not wanted or status in wanted]
        return Answer(
            json.write(
                {
                    "resourceType": "Bundle",
                    "id": new_id(asked.chart.clock),
                    "type": "searchset",
                    "total": len(shown),
                    "entry": shown,
                }
                if shown
                else {"resourceType": "Bundle", "id": new_id(asked.chart.clock), "type": "searchset", "total": 0}
            )
        )


def _words(asked: Asked, name: str) -> set[str]:
    return {word for text in asked.all(name) for word in str(text).split(",") if word}


def _rows(asked: Asked, connection: Connection) -> Iterator[Row]:
    """Those asked for that the caller may read; more than fit in one answer are refused."""
    if asked.id:
        yield guard.present(guard.visible(connection, asked.caller, "read", TYPE, asked.id))
        return
    policy.require(asked.caller, "search-type", TYPE)
    judged, ids = guard.judge(connection, asked.caller, "search-type"), _words(asked, "id")
    found = [kept for kept in subscriptions.every(connection) if not ids or kept.id in ids]
    if len(found) > MOST:
        raise Invalid(f"more than {MOST} subscriptions", where="id", mend="Name those you want with id.")
    yield from filter(judged, sound.read_all(connection, [kept.rid for kept in found]))


def _entry(asked: Asked, connection: Connection, row: Row) -> tuple[str, dict[str, object]]:
    kept, said = subscriptions.get(connection, row.rid), json.reread(row.body) if row.body else {}
    status = kept.status if kept else "off"
    criteria, events, error = str(said.get("criteria", "")), kept.events if kept else 0, kept.error if kept else ""
    state = State(row.id, "" if searched(criteria) else criteria, status, events, error=error)
    made = notification.parameters(state, notification.STATUS, asked.chart.fhir_url)
    id = new_id(asked.chart.clock)
    return status, {
        "fullUrl": f"urn:uuid:{id}", "resource": {**made, "id": id}, "search": {"mode": "match"},
    }  # fmt: skip


OPERATION = Operation(
    "status",
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
    "How subscriptions stand.",
    ("type", "instance"),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("id", "string", "ids of subscriptions", many=True),
        Parameter("status", "string", "only those with one of these statuses", many=True),
    ),
    scope="r or s of Subscription",
)
