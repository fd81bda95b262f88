"""AuditEvent: read and search over the audit trail, whose rows become resources when they are asked for.

https://hl7.org/fhir/R4/auditevent.html · https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
import suture.services.interactions.subset as subset
from suture.access import policy
from suture.access.caller import Caller, Scope
from suture.access.policy import Reach
from suture.errors import InvalidSearch, TooCostly
from suture.services.audit import event as events
from suture.services.audit.event import TYPE
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart, names_of
from suture.services.interactions.cursor import PARAMETER, Place
from suture.services.interactions.notice import notice
from suture.standards.fhir import json
from suture.standards.fhir import search as language
from suture.standards.fhir.search import Match, Moment, SearchQuery, Target, Token
from suture.store import audit, names, whose
from suture.store.audit import Entry, Filter
from suture.store.audit_listed import PATIENT
from suture.store.connection import Connection
from suture.store.row import Row

Pairs = Sequence[tuple[str, str]]
INTERACTIONS = ("read", "search-type")
CHUNK = 500
MOST_LOOKED = 10_000  # rows looked through for one page
SORTS = ("date", "_lastUpdated")


@dataclass(frozen=True, slots=True)
class View:
    """What of the trail a caller may see: all, what a granular scope opens, or one patient's own rows."""

    caller: Caller
    everything: bool
    only: str  # Patient/ID, whose rows alone are shown, with nothing of others in them

    def shows(self, made: dict[str, Any], base: str) -> bool:
        return self.everything or policy.allows(self.caller, "search-type", TYPE, made, base)


def view_of(caller: Caller, interaction: str) -> View:
    """The permission audit.read, or a scope that reaches AuditEvent; `user/*` alone does not make somebody an auditor."""
    if "audit.read" in caller.permissions and not caller.client:
        return View(caller, True, "")
    scopes = tuple(scope for scope in caller.scopes if (scope.context, scope.type) != ("user", "*"))
    bound = replace(caller, scopes=scopes)
    found = policy.require(bound, interaction, TYPE)
    return View(bound, found is Reach.EVERYTHING, "" if any(map(_wide, scopes)) else f"{PATIENT}{caller.patient}")


def _wide(scope: Scope) -> bool:
    return scope.context != "patient" and scope.type in ("*", TYPE)


async def read(chart: Chart, caller: Caller, id: str, pairs: Pairs) -> Row:
    """One AuditEvent; unknown and forbidden look the same."""
    async with chart.access(caller, "read", TYPE, id) as access:
        view, connection = view_of(caller, "read"), chart.database.read
        number = events.number_of(id)
        found = audit.search(connection, _own(connection, view, Filter(after=number - 1, before=number + 1)))
        made = _made(connection, view, found[0], chart.database.base) if number and found else None
        if made is None:
            raise guard.unknown(TYPE)
        access.concerns(audit.persons(found[0].row))
        query = language.parse(TYPE, pairs)
        body = subset.cutter(query.summary, query.elements)(json.write(made), TYPE)
        return Row(0, TYPE, id, 1, found[0].at, "POST", body)


async def search(chart: Chart, caller: Caller, pairs: Pairs, *, lenient: bool = False) -> Answer:
    """One page, newest first unless it is sorted by `date`."""
    async with chart.access(caller, "search-type", TYPE, query=names_of(pairs)) as access:
        view = view_of(caller, "search-type")
        answer = await chart.slowly(lambda connection: _page(chart, connection, view, pairs, lenient))
        access.concerns(answer.patients)
        return answer


def _page(chart: Chart, connection: Connection, view: View, pairs: Pairs, lenient: bool) -> Answer:
    pairs, query, last = _asked(chart, view, pairs, lenient)
    wanted = _own(connection, view, _filter(connection, query, last))
    settings, base = chart.settings, chart.database.base
    if query.summary == "count":
        found = _walk(connection, wanted, _fits(connection, view, query, base))
        return Answer(bundle.searchset(chart.fhir_url, (), _links(chart, view, pairs, query), _count(chart, found)))
    count = min(settings["fhir.page_size"] if query.count is None else query.count, settings["fhir.max_page_size"])
    shown, more, last_n = subset.cutter(query.summary, query.elements), 0, 0
    rows: list[tuple[Row, bytes, str]] = []
    patients: dict[str, None] = {}
    for looked, (entry, made) in enumerate(_walk(connection, wanted, _fits(connection, view, query, base))):
        if len(rows) == count or looked == MOST_LOOKED:
            more = last_n
            break
        last_n = entry.n
        if made is not None:
            body = shown(json.write(made), TYPE)
            rows.append((Row(0, TYPE, events.id_of(entry.n), 1, entry.at, "POST", body), body, "match"))
            patients |= dict.fromkeys(audit.persons(entry.row))
    links = _links(chart, view, pairs, query, more)
    return Answer(bundle.searchset(chart.fhir_url, rows, links, None, notice(query)), 200, tuple(patients))


Fits = Callable[[Entry], dict[str, Any] | None]


def _walk(connection: Connection, wanted: Filter, fits: Fits) -> Iterator[tuple[Entry, dict[str, Any] | None]]:
    """Every row that may fit, in order, with its AuditEvent when it does."""
    while found := audit.search(connection, replace(wanted, count=CHUNK)):
        for entry in found:
            yield entry, fits(entry)
        edge = found[-1].n
        wanted = replace(wanted, after=edge) if wanted.ascending else replace(wanted, before=edge)


def _fits(connection: Connection, view: View, query: SearchQuery, base: str) -> Fits:
    plain = replace(query, includes=(), sort=())

    def fits(entry: Entry) -> dict[str, Any] | None:
        made = _made(connection, view, entry, base)
        return made if made is not None and (not plain.conditions or language.matches(plain, made, base=base)) else None

    return fits


def _made(connection: Connection, view: View, entry: Entry, base: str) -> dict[str, Any] | None:
    made = events.event(entry, connection.shared.envelope.database, view.only)
    return made if view.shows(made, base) else None


def _count(chart: Chart, found: Iterator[tuple[Entry, dict[str, Any] | None]]) -> int:
    end, total = chart.clock.monotonic() + chart.settings["search.budget"], 0
    for _, made in found:
        total += made is not None
        if chart.clock.monotonic() > end:
            raise TooCostly(
                "counting took longer than it may", where="_total", mend="Narrow it: name a patient or a date."
            )
    return total


def _own(connection: Connection, view: View, wanted: Filter) -> Filter:
    """Only rows of the one patient, where the caller sees no others."""
    if not view.only:
        return wanted
    return replace(wanted, patients=whose.keys_of(connection, view.only.removeprefix(PATIENT)))


_AWAY = ("_include", "_revinclude", "_has", "_list", "_filter")  # a chain has a point


def _asked(chart: Chart, view: View, pairs: Pairs, lenient: bool) -> tuple[Pairs, SearchQuery, int]:
    """The query of the parameters, or of those a cursor keeps, and the row it goes on behind."""
    last = 0
    given = [value for name, value in pairs if name == PARAMETER]
    if given:
        if len(pairs) > 1:
            raise InvalidSearch("a cursor stands alone", where=PARAMETER, mend="Follow the link as it was given.")
        place = chart.cursors.open(view.caller, TYPE, given[0], chart.clock.micros())
        pairs, last, lenient = place.pairs, int(place.position[0]), True
    query = language.parse(TYPE, pairs, lenient=lenient, base_url=chart.fhir_url)
    if query.includes or any(map(language.looks_away, query.conditions)):
        away = next((name for name, _ in pairs if name.startswith(_AWAY) or "." in name), TYPE)[:100]
        mend = "Leave includes and chains out."
        raise InvalidSearch("the trail is searched by its own parameters only", where=away, mend=mend)
    if len(query.sort) > 1 or any(one.parameter not in SORTS for one in query.sort):
        raise InvalidSearch("the trail is in the order of time", where="_sort", mend="Write _sort=date or _sort=-date.")
    return pairs, query, last


def _links(chart: Chart, view: View, pairs: Pairs, query: SearchQuery, more: int = 0) -> list[tuple[str, str]]:
    place, heeded = f"{chart.fhir_url}/{TYPE}", [pair for pair in pairs if pair[0] not in query.unknown]
    links = [("self", f"{place}?{urlencode(heeded)}" if heeded else place)]
    if more:
        sealed = chart.cursors.seal(view.caller, TYPE, Place(list(pairs), [more]), chart.clock.micros())
        links.append(("next", f"{place}?{PARAMETER}={sealed}"))
    return links


# --- what the store can look for by itself; everything is held against the AuditEvent again


def _filter(connection: Connection, query: SearchQuery, last: int) -> Filter:
    ascending = bool(query.sort) and not query.sort[0].descending
    wanted = Filter(ascending=ascending)
    if last:
        wanted = replace(wanted, after=last) if ascending else replace(wanted, before=last)
    for condition in query.conditions:
        if isinstance(condition, Match) and not condition.modifier and condition.parameter in _NARROWING:
            wanted = _NARROWING[condition.parameter](connection, wanted, condition)
    return wanted


def _by_date(connection: Connection, wanted: Filter, asked: Match) -> Filter:
    value = asked.values[0]
    if len(asked.values) > 1 or not isinstance(value, Moment):
        return wanted
    if value.prefix in ("eq", "ge", "gt", "sa", ""):
        wanted = replace(wanted, since=max(wanted.since, value.low))
    if value.prefix in ("eq", "le", "lt", "eb", ""):
        wanted = replace(wanted, until=min(wanted.until, value.high))
    return wanted


def _by_patient(connection: Connection, wanted: Filter, asked: Match) -> Filter:
    targets = [value for value in asked.values if isinstance(value, Target)]
    if wanted.patients or not all(target.type in ("Patient", "") and target.id for target in targets):
        return wanted
    return replace(wanted, patients=tuple(f"{PATIENT}{target.id}" for target in targets))


def _by_caller(connection: Connection, wanted: Filter, asked: Match) -> Filter:
    code = asked.values[0].code if isinstance(asked.values[0], Token) else None
    if len(asked.values) > 1 or not code or code.startswith("client:") or not names.find(connection, code):
        return wanted
    return replace(wanted, who=code)


def _by_outcome(connection: Connection, wanted: Filter, asked: Match) -> Filter:
    codes = {value.code for value in asked.values if isinstance(value, Token)}
    return replace(wanted, refused=True) if codes <= {"4", "8"} else wanted


Narrowing = Callable[[Connection, Filter, Match], Filter]
_NARROWING: dict[str, Narrowing] = {
    "date": _by_date,
    "patient": _by_patient,
    "altid": _by_caller,
    "outcome": _by_outcome,
}
