"""What belongs to one person: resources with all their versions, messages, deliveries, the audit of the record, grants.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from suture.access import compartment as patients
from suture.standards.fhir import search as language
from suture.standards.fhir.definitions import RESOURCE_TYPES, compartment
from suture.standards.fhir.search import Compartment, Match, Target
from suture.store import audit, messages, record, resources, whose
from suture.store import search as store_search
from suture.store.audit import Filter
from suture.store.audit_listed import PATIENT
from suture.store.connection import Connection
from suture.store.messages import Entry
from suture.store.queue import runs
from suture.store.record import Version
from suture.store.row import Row

PAGE = 200
Place = tuple[str, str]  # type, id
_TOUCHED = re.compile(r"(?:POST|PUT|DELETE) ([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})")
_REFERS = re.compile(
    rb'"(?:reference|url)"\s*:\s*"(?:[^"]{0,500}/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/\d+)?"'
)
_WRITTEN = re.compile(rb'"location":\s*"Patient/([A-Za-z0-9.\-]{1,64})/')


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource with the versions that are the person's; `why`: own, moved (it is another's today), or referred."""

    type: str
    id: str
    versions: list[Version]
    why: str


def of_patient(connection: Connection, patient: str) -> Iterator[Kept]:
    """Every resource that is or ever was the person's, with the versions that were; then what those refer to, as it is now."""
    seen: set[Place] = set()
    referred: dict[Place, None] = {}
    for place in _places(connection, patient):
        if place in seen:
            continue
        seen.add(place)
        versions, mine = _own(connection, patient, place)
        if versions:
            yield Kept(*place, versions, "own" if mine else "moved")
            for one in versions:
                referred |= dict.fromkeys(_referred(one.body))
    for place in referred:
        row = resources.read(connection, *place) if place not in seen else None
        if row is not None and not row.deleted:
            yield Kept(*place, [_version(row)], "referred")


def _places(connection: Connection, patient: str) -> Iterator[Place]:
    """Where to look: the compartment as it is today, and all that the trail says was touched for this person."""
    yield "Patient", patient
    for type in sorted(_types()):
        query = language.parse(type, [])
        condition = _condition(type, patient)
        query = replace(query, conditions=(condition,), count=PAGE)
        while True:
            page = store_search.find(connection, query)
            yield from ((row.type, row.id) for row in page.rows)
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
    yield from _touched(connection, patient)


def _condition(type: str, patient: str) -> Compartment | Match:
    if type in patients.ADDED:
        return Match(patients.ADDED[type][0], "reference", (Target("Patient", patient),))
    return Compartment((patient,))


@cache
def _types() -> frozenset[str]:
    """Types whose resources belong to patients; the trail itself is told apart."""
    listed = {type for type, members in compartment("Patient").items() if members}
    return frozenset((listed | set(patients.ADDED)) - {"Patient", "AuditEvent"})


def _touched(connection: Connection, patient: str) -> Iterator[Place]:
    wanted = Filter(patients=whose.keys_of(connection, patient), what=_CHANGES, count=500)
    while found := audit.search(connection, wanted):
        for entry in found:
            row = entry.row
            yield from ((type, id) for type, id in _TOUCHED.findall(row.detail) if type in RESOURCE_TYPES)
            if row.type in RESOURCE_TYPES and row.id:
                yield row.type, row.id
        wanted = replace(wanted, before=found[-1].n)


_CHANGES = ("create", "update", "delete", "patch", "transaction", "import")


def _own(connection: Connection, patient: str, place: Place) -> tuple[list[Version], bool]:
    """The versions that were this person's, oldest first, and whether the last one is.

    A deletion belongs to whom the version before it belonged.
    """
    if place[0] == "Patient" and place[1] != patient:
        return [], False
    kept: list[Version] = []
    mine = False
    for row in _history(connection, place):
        mine = _holds(row, patient) if not row.deleted else mine
        if mine:
            kept.append(_version(row))
    return kept, mine


def _history(connection: Connection, place: Place) -> list[Row]:
    rows: list[Row] = []
    after = resources.NEWEST
    while page := resources.history(connection, *place, after=after, count=PAGE):
        rows += page
        after = resources.Place(page[-1].updated, page[-1].rid, page[-1].version)
    return rows[::-1]


def _holds(row: Row, patient: str) -> bool:
    return (row.type, row.id) == ("Patient", patient) or PATIENT + patient in whose.named(row.body)


def _version(row: Row) -> Version:
    return Version(row.version, row.updated, row.method, row.body)


def _referred(body: bytes) -> Iterator[Place]:
    """What a resource refers to that is nobody's own: organizations, people who treat, places, documents."""
    for type, id in _REFERS.findall(body):
        name = type.decode()
        if name in RESOURCE_TYPES and name not in _types() | {"Patient", "Group"}:
            yield name, id.decode()


def messages_of(connection: Connection, patient: str) -> Iterator[Entry]:
    """The messages that carry one of the person's identifiers, oldest first, each once.

    Two people may have the same number of different authorities: a message that was written into somebody else's record, or that
    could be somebody else's, is not this person's.
    """
    found: dict[int, Entry] = {}
    for number in whose.numbers_of(connection, patient):
        before = 1 << 62
        while page := messages.find(connection, patient=number, before=before, count=PAGE):
            found |= {entry.mid: entry for entry in page if _is_of(connection, entry, number, patient)}
            before = page[-1].mid
    yield from (found[mid] for mid in sorted(found))


def _is_of(connection: Connection, entry: Entry, number: str, patient: str) -> bool:
    written = {
        id.decode()
        for run in runs.find(connection, mid=entry.mid, count=100)
        for step in runs.steps(connection, run.run)
        for id in _WRITTEN.findall(step.output)
    }
    return patient in written if written else _alone(connection, number, patient)


def _alone(connection: Connection, number: str, patient: str) -> bool:
    """Whether no other Patient has this identifier."""
    query = replace(language.parse("Patient", [("identifier", _escaped(number))]), count=2)
    return all(row.id == patient for row in store_search.find(connection, query).rows)


def _escaped(text: str) -> str:
    for mark in "\\,$|":
        text = text.replace(mark, "\\" + mark)
    return text


def former_of(connection: Connection, patient: str) -> Iterator[tuple[str, bytes]]:
    """What an earlier installation's record of this person held besides."""
    yield from record.former(connection, patient)
