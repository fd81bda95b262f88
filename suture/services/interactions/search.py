"""Search: the query narrowed to the caller, every row judged, the Bundle spliced (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
import suture.services.interactions.subset as subset
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.access.withheld import Withheld
from suture.errors import InvalidSearch, TooCostly
from suture.services.audit.event import TYPE as MADE
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart, names_of
from suture.services.interactions.cursor import PARAMETER, Place
from suture.services.interactions.entries import Entry
from suture.services.interactions.incoming import require_id, require_type
from suture.services.interactions.notice import notice
from suture.services.interactions.notice import unread as not_read
from suture.standards.fhir import search as language
from suture.standards.fhir.definitions import compartment
from suture.standards.fhir.search import Cursor, SearchQuery
from suture.standards.fhir.search_advice import advice
from suture.standards.fhir.search_parse import NotBuilt
from suture.standards.fhir.search_within import EVERY, parse_within, require_member
from suture.store import outset, parameters, sound, whose
from suture.store import search as store_search
from suture.store.connection import Connection

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched: a type (or '', several), with an owner inside its compartment (then the type may be `*`)."""

    type: str
    pairs: Pairs
    lenient: bool = False
    owner: str = ""
    id: str = ""

    @property
    def path(self) -> str:
        """The address below the FHIR base."""
        return f"{self.owner}/{self.id}/{self.type}" if self.owner else self.type

    @property
    def interaction(self) -> str:
        return "search-type" if self.type not in ("", EVERY) else "search-system"

    def require(self) -> None:
        """Raises when there is nothing to search at this address."""
        if self.owner:
            require_member(self.owner, self.type)
            require_id(self.id)
        if self.interaction == "search-type":
            require_type(self.type)

    def query(self, chart: Chart, pairs: Pairs, lenient: bool) -> SearchQuery:
        base, expander = chart.fhir_url, chart.expander
        if not self.owner:
            return language.parse(self.type, pairs, lenient=lenient, base_url=base, expander=expander)
        away = frozenset({MADE})
        return parse_within(
            self.owner, self.id, self.type, pairs, lenient=lenient, base_url=base, expander=expander, without=away
        )


def code_of(owner: str) -> str:
    """The search parameter that puts an AuditEvent into a compartment; raises NotFound when there is none."""
    require_member(owner, MADE)
    return compartment(owner)[MADE][0]


def within(entry: Entry) -> Asked | None:
    """A GET in a bundle that searches inside a compartment: `Patient/123/Observation?…`."""
    if len(entry.path) != 3 or not entry.id or entry.path[2][:1] in ("_", "$"):
        return None
    return Asked(entry.path[2], entry.pairs, owner=entry.type, id=entry.id)


def told(error: NotBuilt, connection: Connection) -> InvalidSearch:
    """The same with how far the index of the parameter is."""
    far = next((s.percent for s in parameters.standings(connection) if s.url == error.url), 0)
    return InvalidSearch(f"{error.text} ({far} %)", where=error.where, mend=error.mend)


async def search(chart: Chart, caller: Caller, asked: Asked) -> Answer:
    """One page of a search over a type, over several, or inside a compartment."""
    asked.require()
    kind = "" if asked.type == EVERY else asked.type
    async with chart.access(caller, asked.interaction, kind, query=names_of(asked.pairs)) as access:
        try:
            read = chart.database.read
            with outset.held(read, chart.turn.of(read)):
                answer = page(chart, read, caller, asked, chart.settings["search.quick"])
        except TooCostly:
            budget = chart.settings["search.budget"]
            answer = await _slowly(chart, caller, asked, budget)
        access.concerns(answer.patients)
        return answer


async def _slowly(chart: Chart, caller: Caller, asked: Asked, budget: float) -> Answer:
    """In a thread; what takes too long there too is told what to narrow."""
    try:
        return await chart.slowly(lambda connection: page(chart, connection, caller, asked, budget))
    except TooCostly as error:
        if error.where:
            raise  # a limit of its own
        kind = asked.type if asked.interaction == "search-type" else "_type"
        raise TooCostly(error.text, where=kind, mend=advice(asked.pairs)) from error


def page(chart: Chart, connection: Connection, caller: Caller, asked: Asked, budget: float = 1.0) -> Answer:
    """The part of a search below its audit frame; raises TooCostly past `budget` seconds."""
    with outset.held(connection):
        return _page(chart, connection, caller, asked, budget)


def _page(chart: Chart, connection: Connection, caller: Caller, asked: Asked, budget: float) -> Answer:
    away = withheld.of(connection, caller)
    parameters.adopt(connection)
    pairs, query = _query(chart, caller, asked, away, connection)
    shown = subset.cutter(query.summary, query.elements)

    allowed = guard.judge(connection, caller, "search-type", away)
    with sound.looking_past(connection) as unread:
        found = store_search.find(connection, query, budget=budget, read=sound.read_all)
    rows, hidden = guard.seen(found.rows, allowed)
    most = chart.settings["fhir.max_includes"]
    included = store_search.included(connection, query, rows, allowed, most=most, budget=budget, read=sound.read_all)
    entries = [(row, shown(row.body, row.type), "match") for row in rows]
    entries += [(row, shown(row.body, row.type), "include") for row in included]
    links = _links(chart, caller, asked, query, pairs, found.next)
    patients = whose.of_rows(connection, [*rows, *included])
    told = notice(query) + not_read(len(hidden | unread - {row.rid for row in rows}))
    return Answer(bundle.searchset(chart.fhir_url, entries, links, found.total, told), 200, patients)


def _query(
    chart: Chart, caller: Caller, asked: Asked, away: Withheld | None, connection: Connection
) -> tuple[Pairs, SearchQuery]:
    """The query of the parameters, or of those a cursor keeps, narrowed to the caller."""
    cursor, pairs, lenient = None, asked.pairs, asked.lenient
    given = [value for name, value in pairs if name == PARAMETER]
    if given:
        if len(pairs) > 1:
            raise InvalidSearch("a cursor stands alone", where=PARAMETER, mend="Follow the link as it was given.")
        place = chart.cursors.open(caller, asked.path, given[0], chart.clock.micros())
        keys, row = place.position
        pairs, cursor = place.pairs, Cursor(tuple(keys), row)
        lenient = True  # what was left out on the first page is left out on the next
    try:
        query = policy.narrow(caller, asked.query(chart, pairs, lenient), away)
    except NotBuilt as error:
        raise told(error, connection) from None
    if MADE in query.types:
        raise InvalidSearch("AuditEvents are searched by themselves", where="_type", mend=f"GET {MADE}?…")
    settings = chart.settings
    wanted = settings["fhir.page_size"] if query.count is None else query.count
    return pairs, replace(query, count=min(wanted, settings["fhir.max_page_size"]), cursor=cursor)


def _links(
    chart: Chart, caller: Caller, asked: Asked, query: SearchQuery, pairs: Pairs, next: Cursor | None
) -> list[tuple[str, str]]:
    """self names the parameters that were heeded; next is one sealed word."""
    place = f"{chart.fhir_url}/{asked.path}".rstrip("/")
    heeded = [pair for pair in pairs if pair[0] not in query.unknown]
    links = [("self", f"{place}?{urlencode(heeded)}" if heeded else place)]
    if next is not None:
        sealed = chart.cursors.seal(
            caller, asked.path, Place(list(pairs), [list(next.keys), next.row]), chart.clock.micros()
        )
        links.append(("next", f"{place}?{PARAMETER}={sealed}"))
    return links
