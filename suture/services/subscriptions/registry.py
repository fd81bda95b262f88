"""The subscriptions that listen, sorted so that one change meets only the few whose filters it can fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from suture.errors import SutureError
from suture.standards.fhir import json, subscription, topics
from suture.standards.fhir.search import Condition, Match, Subject, Target, Token
from suture.standards.fhir.subscription import Wanted
from suture.standards.fhir.topics import Change, Topic
from suture.store import sound, subscriptions
from suture.store.connection import Connection
from suture.store.subscriptions import Subscription

Conditions = tuple[Condition, ...]
Key = tuple[str, tuple[str, str]]  # a parameter, and the resource or code that stands there


@dataclass(frozen=True, slots=True)
class Entry:
    """One subscription with what it wants."""

    kept: Subscription
    wanted: Wanted


@dataclass(slots=True)
class Group:
    """The subscriptions to one topic that look at one type. Equal filters are held against a change once."""

    topic: Topic
    keyed: dict[str, dict[tuple[str, str], dict[Conditions, list[Entry]]]] = field(default_factory=dict)
    rest: dict[Conditions, list[Entry]] = field(default_factory=dict)

    def add(self, entry: Entry, conditions: Conditions) -> None:
        key = next(filter(None, map(_key, conditions)), None)
        found = self.rest if key is None else self.keyed.setdefault(key[0], {}).setdefault(key[1], {})
        found.setdefault(conditions, []).append(entry)

    def fitting(self, subject: Subject) -> Iterator[Entry]:
        yield from _fitting(self.rest, subject)
        for parameter, places in self.keyed.items():
            for place in _places(subject, parameter):
                yield from _fitting(places.get(place, {}), subject)


def _places(subject: Subject, parameter: str) -> set[tuple[str, str]]:
    """What a resource has at a parameter: whom it refers to, its codes, its identifiers."""
    found = subject.found(parameter)
    made = {(row[0], row[1]) for name in ("references", "tokens") for row in found.get(name, ())}
    return made | {(system, text.lower()) for system, text in found.get("identifiers", ())}


def _fitting(found: Mapping[Conditions, list[Entry]], subject: Subject) -> Iterator[Entry]:
    for conditions, entries in found.items():
        if topics.search_holds(conditions, subject):
            yield from entries


def _key(condition: Condition) -> Key | None:
    """What a change must have at a parameter, when a filter names exactly one resource or one code of a system."""
    if not isinstance(condition, Match) or condition.modifier or len(condition.values) != 1:
        return None
    value = condition.values[0]
    if isinstance(value, Target) and value.type and value.id:
        return condition.parameter, (value.type, value.id)
    if isinstance(value, Token) and condition.parameter != "_id" and value.system and value.code:
        return condition.parameter, (value.system, value.code.lower())
    return None


@dataclass(slots=True)
class Registry:
    """All that listen; read anew when `mark` moved on."""

    mark: int = -1
    entries: dict[int, Entry] = field(default_factory=dict)
    groups: dict[str, dict[str, Group]] = field(default_factory=dict)  # type -> topic -> group
    broken: list[Subscription] = field(default_factory=list)  # whose topic or filter is no longer there

    def hits(self, type: str, change: Change) -> Iterator[Entry]:
        """Whom a change is an event for."""
        for group in self.groups.get(type, {}).values():
            if change.shown is not None and topics.fires(group.topic, type, change):
                yield from group.fitting(change.shown)

    def listening(self, type: str, at: int) -> set[int]:
        """The row numbers of all that a change of this type at this time may have been an event for."""
        of = self.groups.get(type, {})
        entries = self.entries.values()
        return {e.kept.rid for e in entries if e.kept.since and e.kept.since < at and e.wanted.topic.url in of}

    def _add(self, entry: Entry, base: str) -> None:
        self.entries[entry.kept.rid] = entry
        if not entry.kept.since:
            return
        topic = entry.wanted.topic
        for type in topic.types:
            queries = [query for kind, query in entry.wanted.filters if kind == type]
            found = tuple(one for query in queries for one in topics.conditions(type, query, base))
            self.groups.setdefault(type, {}).setdefault(topic.url, Group(topic)).add(entry, found)


def read(connection: Connection, known: Mapping[str, Topic], base: str, mark: int) -> Registry:
    """Everything that is not off."""
    made = Registry(mark)
    for kept in _live(subscriptions.every(connection)):
        row = sound.read_rid(connection, kept.rid, set())
        try:
            wanted = subscription.read(json.reread(row.body), known, base) if row and not row.deleted else None
        except SutureError:
            wanted = None
        if wanted is None:
            made.broken.append(kept)
        else:
            made._add(Entry(kept, wanted), base)
    return made


def _live(found: Iterable[Subscription]) -> Iterator[Subscription]:
    return (kept for kept in found if kept.status in subscriptions.LIVE)
