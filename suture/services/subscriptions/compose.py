"""Turns numbered events into what a caller may be told of them: each focus and each included resource passes policy now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import suture.services.interactions.guard as guard
from suture.access.caller import Caller
from suture.clock import instant
from suture.standards.fhir import json, notification
from suture.standards.fhir.notification import Part
from suture.standards.fhir.search import Subject
from suture.standards.fhir.subscription import EMPTY
from suture.standards.fhir.topics import Topic
from suture.store import sound, subscriptions
from suture.store.connection import Connection
from suture.store.resources import Row

LARGEST = 8 << 20  # bytes of bodies in one notification, unless one event alone has more
MOST_INCLUDED = 20  # of one event


@dataclass(slots=True)
class Told:
    """What goes along, and the rows that were shown."""

    events: list[notification.Event] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0


def compose(
    connection: Connection, caller: Caller, topic: Topic, events: Sequence[subscriptions.Event], content: str
) -> Told:
    """The events in order, as many as fit; what the caller may not see (any more) keeps its number and says nothing."""
    told = Told()
    for one in each(connection, caller, topic, events, content):
        if told.events and told.size + one.size > LARGEST:
            break
        told.events += one.events
        told.rows += one.rows
        told.size += one.size
    return told


def each(
    connection: Connection, caller: Caller, topic: Topic, events: Sequence[subscriptions.Event], content: str
) -> Iterator[Told]:
    """Every event for itself."""
    judged = guard.judge_versions(connection, caller, "read")
    for event in events:
        shown = [] if content == EMPTY else list(_shown(connection, judged, topic, event))
        parts = [
            Part(row.type, row.id, _method(row, at), json.reread(row.body) if row.body else None)
            for at, row in enumerate(shown)
        ]
        made = notification.Event(event.number, instant(event.at), parts[0] if parts else None, tuple(parts[1:]))
        yield Told([made], shown, sum(len(row.body) for row in shown))


def _method(row: Row, at: int) -> str:
    return row.method if at == 0 else "GET"


def _shown(
    connection: Connection, judged: Callable[[Row], bool], topic: Topic, event: subscriptions.Event
) -> Iterator[Row]:
    """The focus, then what the topic includes; nothing when the focus may not be seen. What is damaged is named only."""
    focus = sound.vread(connection, event.type, event.id, event.version)
    if focus is None or not judged(focus):
        return
    yield focus
    if not focus.body:
        return
    subject, seen = Subject(json.reread(focus.body), base=connection.shared.base), {(focus.type, focus.id)}
    for type, id in _references(topic, subject):
        if (type, id) in seen or len(seen) > MOST_INCLUDED:
            continue
        seen.add((type, id))
        row = sound.read(connection, type, id)
        if row is not None and not row.deleted and judged(row):
            yield row


def _references(topic: Topic, subject: Subject) -> Iterator[tuple[str, str]]:
    for include in topic.includes:
        type, _, parameter = include.partition(":")
        if type == subject.type:
            yield from (found[:2] for found in subject.found(parameter).get("references", ()))
