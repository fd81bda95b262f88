"""Notifications of subscriptions: a history Bundle that begins with the subscription's status as Parameters.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription-notification-r4.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from suture.standards.fhir.subscription import EMPTY, FULL, IG

HANDSHAKE, HEARTBEAT, EVENT, STATUS, QUERY = (
    "handshake", "heartbeat", "event-notification", "query-status", "query-event"
)  # fmt: skip
STATUS_PROFILE = IG + "backport-subscription-status-r4"
BUNDLE_PROFILE = IG + "backport-subscription-notification-r4"
_STATUS_OF = {"POST": "201", "PUT": "200", "DELETE": "204"}


@dataclass(frozen=True, slots=True)
class Part:
    """One resource that goes along: its address, what made this version, and its content unless it was deleted."""

    type: str
    id: str
    method: str
    resource: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event; `focus` is None when the subscriber may no longer know what it was about."""

    number: int
    at: str  # an instant
    focus: Part | None = None
    more: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """How a subscription stands."""

    id: str
    topic: str  # empty for one whose criteria is a search
    status: str
    events: int  # since its start
    content: str = EMPTY
    error: str = ""


def parameters(state: State, kind: str, base: str, events: Sequence[Event] = ()) -> dict[str, Any]:
    """The status as Parameters; `base` is the FHIR base."""
    rows: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{state.id}"}}
    ]
    if state.topic and (state.content != EMPTY or kind in (STATUS, HANDSHAKE)):
        rows.append({"name": "topic", "valueCanonical": state.topic})
    rows += [
        {"name": "status", "valueCode": state.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(state.events)},
        *(_event(event, state.content, base) for event in events),
    ]
    if state.error:
        rows.append({"name": "error", "valueCodeableConcept": {"text": state.error}})
    return {"resourceType": "Parameters", "meta": {"profile": [STATUS_PROFILE]}, "parameter": rows}


def _event(event: Event, content: str, base: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": event.at},
    ]
    if content != EMPTY and event.focus is not None:
        named = [("focus", event.focus), *(("additional-context", part) for part in event.more)]
        rows += [{"name": name, "valueReference": {"reference": url(base, part)}} for name, part in named]
    return {"name": "notification-event", "part": rows}


def bundle(
    state: State, kind: str, base: str, new: Iterable[str], at: str, events: Sequence[Event] = ()
) -> dict[str, Any]:
    """A notification; `new` gives ids for it and its status."""
    ids = iter(new)
    status = {**parameters(state, kind, base, events), "id": next(ids)}
    first = {
        "fullUrl": f"urn:uuid:{status['id']}",
        "resource": status,
        "request": {"method": "GET", "url": f"{base}/Subscription/{state.id}/$status"},
        "response": {"status": "200"},
    }
    parts = {url(base, part): part for event in events for part in (*event.more, event.focus) if part is not None}
    rest = [_entry(place, part, state.content, base) for place, part in parts.items()] if state.content != EMPTY else []
    return {
        "resourceType": "Bundle", "id": next(ids), "meta": {"profile": [BUNDLE_PROFILE]}, "type": "history",
        "timestamp": at, "entry": [first, *rest],
    }  # fmt: skip


def _entry(place: str, part: Part, content: str, base: str) -> dict[str, Any]:
    shown = {"resource": part.resource} if content == FULL and part.resource is not None else {}
    target = part.type if part.method == "POST" else f"{part.type}/{part.id}"
    method = "PUT" if part.method == "PATCH" else part.method
    return {
        "fullUrl": place, **shown, "request": {"method": method, "url": target},
        "response": {"status": _STATUS_OF.get(method, "200")},
    }  # fmt: skip


def url(base: str, part: Part) -> str:
    return f"{base}/{part.type}/{part.id}"
