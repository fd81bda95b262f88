"""What a mail of a subscription says to people: that something happened and where to look, and nothing of what it was.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#email
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.standards.fhir import notification
from suture.standards.fhir.notification import Event, State
from suture.standards.fhir.subscription import EMPTY

_SAID = {
    notification.HANDSHAKE: (
        "A subscription to this address",
        "This address was entered to be told when something happens in the health records of {place}.\n"
        "From now on it is; nothing has to be done. If nobody here asked for it, tell who runs {place}.",
    ),
    notification.HEARTBEAT: ("A subscription is well", "Nothing new has happened. Mail arrives, as this one shows."),
    notification.EVENT: ("{events} of a subscription", "Something happened that this address is subscribed to."),
}


def written(state: State, title: str, kind: str, base: str, events: Sequence[Event]) -> tuple[str, str]:
    """Subject and text; the criteria are not told, since they may name a person."""
    place = base.partition("://")[2].partition("/")[0]
    subject, said = (text.format(place=place, events=_counted(events)) for text in _SAID[kind])
    here = f"{base}/Subscription/{state.id}"
    lines = [
        said,
        "",
        f"Subscription: {here}",
        *([f"Topic: {title}"] if title else []),
        *_happened(state, base, events),
    ]
    if events:
        first, last = events[0].number, events[-1].number
        lines += [
            "", "What it was, for who may see it:",
            f"{here}/$events?eventsSinceNumber={first}&eventsUntilNumber={last}",
        ]  # fmt: skip
    return subject, "\n".join([*lines, "", "This mail was written by a program; nobody reads answers to it.", ""])


def _counted(events: Sequence[Event]) -> str:
    return "1 event" if len(events) == 1 else f"{len(events)} events"


def _happened(state: State, base: str, events: Sequence[Event]) -> list[str]:
    lines = [f"Events since it began: {state.events}", *([""] if events else [])]
    for event in events:
        shown = event.focus if state.content != EMPTY else None
        lines.append(f"{event.number}  {event.at}" + (f"  {notification.url(base, shown)}" if shown else ""))
    return lines
