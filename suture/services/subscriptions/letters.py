"""What a subscription is about to be sent, made ready: a topic's as a Bundle, a search's as a bare call, an update or a ping, or a mail.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html · https://hl7.org/fhir/R4/subscription.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from suture.access.caller import Caller
from suture.clock import instant, new_id
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.compose import Told, compose, each
from suture.services.subscriptions.mail_text import written
from suture.services.subscriptions.registry import Entry
from suture.standards.fhir import json, notification, xml
from suture.standards.fhir.notification import Part, State
from suture.standards.fhir.subscription import ATTACHED, EMAIL, FULL, ID_ONLY, MOST_AT_ONCE, WEBSOCKET, XML, Wanted
from suture.store import subscriptions, whose
from suture.store.subscriptions import Event, Subscription

AT_ONCE = 20  # events in one notification, or one look, unless the subscription says fewer or more


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification that is ready to go."""

    kind: str
    body: bytes
    upto: int  # the last event it holds
    patients: tuple[str, ...] = ()
    times: int = 1  # 0: nothing may be said of these events; more: of each one by a ping
    method: str = "POST"
    path: str = ""  # behind the endpoint
    type: str = ""  # of the body
    subject: str = ""  # of a mail, to which the body is attached
    text: str = ""
    id: str = ""  # the same when it is sent again
    missed: str = ""  # what the subscription is told of an event that can't be sent


class Letters:
    """Writes them; whoever asks has to hand over the owner as it stands now."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart

    def next(
        self, kept: Subscription, entry: Entry, caller: Caller, kind: str, span: tuple[int, int] | None = None
    ) -> list[Letter]:
        """What goes out now, in order: one notification of a topic, or one for each change that fits a search.

        `span`: these events once more, instead of those that wait.
        """
        first, last = span or (kept.sent + 1, kept.events)
        found = self._found(kept, entry, first, last) if kind == notification.EVENT else []
        if kind == notification.EVENT and not found and (span or entry.wanted.criteria):  # they were let go
            return [Letter(kind, b"", last, times=0)]
        if not entry.wanted.criteria:
            return [self._of_topic(kept, entry, caller, kind, found)]
        if entry.wanted.channel == WEBSOCKET:
            return [self._pings(kept, entry, caller, found)]
        if entry.wanted.channel == EMAIL:
            return [self._mail_of_search(kept, entry, caller, found)]
        return list(self._calls(kept, entry, caller, found))

    def _found(self, kept: Subscription, entry: Entry, first: int, last: int) -> list[Event]:
        most = entry.wanted.most or (MOST_AT_ONCE if entry.wanted.channel == EMAIL else AT_ONCE)
        return subscriptions.events(self._chart.database.read, kept.rid, first, last, most)

    def _of_topic(self, kept: Subscription, entry: Entry, caller: Caller, kind: str, found: Sequence[Event]) -> Letter:
        wanted, connection = entry.wanted, self._chart.database.read
        told = compose(connection, caller, wanted.topic, found, wanted.content) if found else Told()
        upto = told.events[-1].number if told.events else kept.events if kind == notification.EVENT else kept.sent
        state = State(kept.id, wanted.topic.url, kept.status, kept.events, wanted.content)
        ids, now = (new_id(self._chart.clock) for _ in range(2)), instant(self._chart.clock.micros())
        body = json.write(notification.bundle(state, kind, self._chart.fhir_url, ids, now, told.events))
        letter = Letter(kind, body, upto, whose.of_rows(connection, told.rows), type=wanted.payload)
        return self._as_mail(kept, letter, state, wanted, told) if wanted.channel == EMAIL else letter

    def _as_mail(self, kept: Subscription, letter: Letter, state: State, wanted: Wanted, told: Told) -> Letter:
        subject, text = written(state, wanted.topic.title, letter.kind, self._chart.fhir_url, told.events)
        attached = wanted.payload.partition(ATTACHED)[2]
        body = letter.body if attached else b""
        fresh = told.events and letter.upto > kept.sent  # what is sent again on purpose is another mail
        mark = letter.upto if fresh else self._chart.clock.micros()
        id = f"{kept.id}.{kept.version}.{mark}"
        return replace(letter, body=body, type=attached, subject=subject, text=text, id=id)

    def _mail_of_search(self, kept: Subscription, entry: Entry, caller: Caller, found: Sequence[Event]) -> Letter:
        shown = [one for one in each(self._chart.database.read, caller, entry.wanted.topic, found, ID_ONLY) if one.rows]
        told = Told([event for one in shown for event in one.events])
        state = State(kept.id, "", kept.status, kept.events)
        letter = Letter(notification.EVENT, b"", found[-1].number, times=min(len(shown), 1))
        return self._as_mail(kept, letter, state, entry.wanted, told)

    def _pings(self, kept: Subscription, entry: Entry, caller: Caller, found: Sequence[Event]) -> Letter:
        told = each(self._chart.database.read, caller, entry.wanted.topic, found, ID_ONLY)
        times = sum(bool(one.rows) for one in told)
        return Letter(notification.EVENT, f"ping {kept.id}".encode(), found[-1].number, times=times)

    def _calls(self, kept: Subscription, entry: Entry, caller: Caller, found: Sequence[Event]) -> Iterator[Letter]:
        wanted, connection = entry.wanted, self._chart.database.read
        for one in each(connection, caller, wanted.topic, found, wanted.content if wanted.payload else ID_ONLY):
            number, part = one.events[0].number, one.events[0].focus
            if part is None:
                yield Letter(notification.EVENT, b"", number, times=0)
            elif one.rows[0].damaged and wanted.content == FULL:
                text = f"event {number} could not be sent: what is stored of its {part.type} is damaged"
                yield Letter(notification.EVENT, b"", number, times=0, missed=text)
            elif wanted.content == FULL:
                yield _update(number, part, wanted.payload, whose.of_rows(connection, one.rows))
            else:
                yield Letter(notification.EVENT, b"", number)


def _update(number: int, part: Part, payload: str, patients: tuple[str, ...]) -> Letter:
    """The version that fitted, as an update of the same id at the endpoint."""
    resource = part.resource or {}
    body = xml.write(resource) if payload == XML else json.write(resource)
    path = f"/{part.type}/{part.id}"
    return Letter(notification.EVENT, body, number, patients, method="PUT", path=path, type=payload)


def bound(kept: Subscription) -> Letter:
    """The answer to a client that bound itself to a search."""
    return Letter(notification.HANDSHAKE, f"bound {kept.id}".encode(), kept.sent)
