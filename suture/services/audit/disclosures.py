"""Who saw a patient's record and what of it left the house, to whom, under which agreement (45 CFR 164.528).

Everything is told from the audit trail, which outlives messages and connections.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from suture.clock import instant
from suture.services.audit import words
from suture.store import audit, partners, whose
from suture.store.audit import Entry, Filter
from suture.store.connection import Connection

SEND, EXPORT, EHI, NOTIFY = "send", "export", "ehi-export", "notify"
NOT_SENT = "not sent"  # begins the detail of a send that never left
CHUNK = 500
MOST = 100_000  # rows of one report
READS = frozenset(
    [
        "read",
        "vread",
        "history-instance",
        "history-type",
        "history-system",
        "search-type",
        "search-system",
        "batch",
        "transaction",
    ]
)
_COUNTED = re.compile(r"of \d+ patients$")  # ends the detail of an export that knows whose data it holds
SAW = READS | {"reveal", "list", "create", "update", "patch", "delete", "replay"}
OPERATION = "$"  # what operations are written down with: they read, too


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to before `until`, in microseconds."""

    since: int = 0
    until: int = 1 << 62


@dataclass(slots=True)
class Seen:
    """Somebody or something that saw or changed the record, as often as it did."""

    who: str  # caller
    name: str
    through: str  # the program a person came through
    what: list[str]
    purpose: list[str]
    times: int
    first: str
    last: str


class Left(NamedTuple):
    """One disclosure: date, to whom, what, why (45 CFR 164.528(b)(2))."""

    n: int
    at: str
    to: str  # name of the partner, program or person that got it
    partner: str
    agreement: str
    connection: str
    what: str
    purpose: str
    how: str
    by: str


@dataclass(frozen=True, slots=True)
class Report:
    """Both lists, and whether there was more than a report holds."""

    patient: str
    seen: list[Seen]
    left: list[Left]
    cut: bool


def report(connection: Connection, patient: str, period: Period) -> Report:
    """About one patient (an id)."""
    keys = whose.keys_of(connection, patient)
    seen: dict[tuple[str, str], Seen] = {}
    left: list[Left] = []
    rows = 0
    for entry in _rows(connection, Filter(patients=keys, since=period.since, until=period.until)):
        rows += 1
        if rows > MOST:
            break
        _sort_in(connection, entry, seen, left)
    left += _of_everybody(connection, period)
    left.sort(key=lambda one: one.n, reverse=True)
    return Report(patient, sorted(seen.values(), key=lambda one: one.last, reverse=True), left, rows > MOST)


def _rows(connection: Connection, wanted: Filter) -> Iterator[Entry]:
    while found := audit.search(connection, replace(wanted, count=CHUNK)):
        yield from found
        wanted = replace(wanted, before=found[-1].n)


def _sort_in(connection: Connection, entry: Entry, seen: dict[tuple[str, str], Seen], left: list[Left]) -> None:
    row = entry.row
    if row.what == SEND:
        if not row.detail.startswith(NOT_SENT):
            left.append(_sent(connection, entry))
        return
    if row.outcome >= 400:
        return
    if row.what == NOTIFY:
        left.append(_given(connection, entry, "a notification of a subscription"))
    elif row.what == EXPORT:
        left.append(_given(connection, entry, f"a file of an export: {row.type or 'whole records'}"))
    elif row.what == EHI:
        left.append(_given(connection, entry, "the whole record, as a file"))
    elif (row.what in READS or row.what.startswith(OPERATION)) and (row.client or row.who.startswith("client:")):
        left.append(_given(connection, entry, words.done(row)))
    if row.what in SAW or row.what.startswith(OPERATION):
        _count(connection, entry, seen)


def _count(connection: Connection, entry: Entry, seen: dict[tuple[str, str], Seen]) -> None:
    """Rows come newest first."""
    row, at = entry.row, instant(entry.at)
    one = seen.get((row.who, row.client))
    if one is None:
        through = words.program(connection, row.client.removeprefix("client:")) if row.client else ""
        one = seen[row.who, row.client] = Seen(row.who, words.who(connection, row.who), through, [], [], 0, at, at)
    one.times += 1
    one.first = at
    for listed, text in ((one.what, words.done(row)), (one.purpose, row.purpose)):
        if text and text not in listed:
            listed.append(text)


def _sent(connection: Connection, entry: Entry) -> Left:
    row = entry.row
    how, _, rest = row.detail.partition(" ")
    kind, to, partner = (*rest.split(" "), "", "")[:3]
    return Left(
        entry.n, instant(entry.at), _name_of(connection, partner) or to, partner, _agreement(connection, partner, entry.at),
        to, words.sent(kind), row.purpose or words.who(connection, row.who), words.HOW.get(how, how), row.who,
    )  # fmt: skip


def _given(connection: Connection, entry: Entry, what: str) -> Left:
    row = entry.row
    to = words.program(connection, row.client.removeprefix("client:")) if row.client else words.who(connection, row.who)
    return Left(entry.n, instant(entry.at), to, "", "", "", what, row.purpose, "arrived", row.who)


def _of_everybody(connection: Connection, period: Period) -> list[Left]:
    """Exports of the whole chart of which it was not yet kept whose data they held."""
    wanted = Filter(what=(EXPORT,), since=period.since, until=period.until)
    return [
        _given(connection, entry, "the whole chart, as files")
        for entry in _rows(connection, wanted)
        if entry.row.outcome < 400
        and not entry.row.patients
        and not entry.row.patient
        and not _COUNTED.search(entry.row.detail)
    ]


def _name_of(connection: Connection, partner: str) -> str:
    return next((one.name for one in partners.partners(connection) if one.id == partner), partner)


def _agreement(connection: Connection, partner: str, at: int) -> str:
    """The agreement that was in force with the partner on that day."""
    held = partners.in_force(connection, partner, instant(at)[:10]) if partner else None
    if held is None:
        return ""
    return f"{held.kind} from {held.first}" + (f" to {held.last}" if held.last else "")


SEEN_COLUMNS = ("name", "who", "through", "what", "purpose", "times", "first", "last")
LEFT_COLUMNS = ("date and time (UTC)", "to", "partner", "agreement", "connection", "what", "purpose", "outcome", "by")


def seen_cells(one: Seen) -> tuple[object, ...]:
    what, purpose = "; ".join(one.what), "; ".join(one.purpose)
    return (one.name, one.who, one.through, what, purpose, one.times, one.first, one.last)


def left_cells(one: Left) -> tuple[object, ...]:
    return one[1:]
