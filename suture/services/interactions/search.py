"""Search: the query narrowed to the caller, every row judged, the Bundle spliced (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from suture.services.interactions.incoming import require_type
from suture.services.interactions.notice import notice
from suture.standards.fhir import search as language
from suture.standards.fhir.search import Cursor, SearchQuery
from suture.store import search as store_search
from suture.store import whose
from suture.store.connection import Connection

Pairs = Sequence[tuple[str, str]]


async def search(chart: Chart, caller: Caller, type: str, pairs: Pairs, *, lenient: bool = False) -> Answer:
    """One page of a search over a type, or over several."""
    if type:
        require_type(type)
    async with chart.access(caller, "search-type" if type else "search-system", type, query=names_of(pairs)) as access:
        try:
            answer = page(chart, chart.database.read, caller, type, pairs, lenient, chart.settings["search.quick"])
        except TooCostly:
            budget = chart.settings["search.budget"]
            answer = await chart.slowly(
                lambda connection: page(chart, connection, caller, type, pairs, lenient, budget)
            )
        access.concerns(answer.patients)
        return answer


def page(
    chart: Chart,
    connection: Connection,
    caller: Caller,
    type: str,
    pairs: Pairs,
    lenient: bool = False,
    budget: float = 1.0,
) -> Answer:
    """The part of a search below its audit frame; raises TooCostly past `budget` seconds."""
    away = withheld.of(connection, caller)
    pairs, query = _query(chart, caller, type, pairs, lenient, away)
    shown = subset.cutter(query.summary, query.elements)

    allowed = guard.judge(connection, caller, "search-type", away)
    found = store_search.find(connection, query, budget=budget)
    rows = [row for row in found.rows if allowed(row)]
    included = store_search.included(
        connection, query, rows, allowed, most=chart.settings["fhir.max_includes"], budget=budget
    )
    entries = [(row, shown(row.body, row.type), "match") for row in rows]
    entries += [(row, shown(row.body, row.type), "include") for row in included]
    links = _links(chart, caller, query, pairs, found.next)
    patients = whose.of_rows(connection, [*rows, *included])
    return Answer(bundle.searchset(chart.fhir_url, entries, links, found.total, notice(query)), 200, patients)


def _query(
    chart: Chart, caller: Caller, type: str, pairs: Pairs, lenient: bool, away: Withheld | None
) -> tuple[Pairs, SearchQuery]:
    """The query of the parameters, or of those a cursor keeps, narrowed to the caller."""
    cursor = None
    given = [value for name, value in pairs if name == PARAMETER]
    if given:
        if len(pairs) > 1:
            raise InvalidSearch("a cursor stands alone", where=PARAMETER, mend="Follow the link as it was given.")
        place = chart.cursors.open(caller, type, given[0], chart.clock.micros())
        keys, row = place.position
        pairs, cursor = place.pairs, Cursor(tuple(keys), row)
        lenient = True  # what was left out on the first page is left out on the next
    query = policy.narrow(caller, language.parse(type, pairs, lenient=lenient, base_url=chart.fhir_url), away)
    if MADE in query.types:
        raise InvalidSearch("AuditEvents are searched by themselves", where="_type", mend=f"GET {MADE}?…")
    settings = chart.settings
    asked = settings["fhir.page_size"] if query.count is None else query.count
    return pairs, replace(query, count=min(asked, settings["fhir.max_page_size"]), cursor=cursor)


def _links(
    chart: Chart, caller: Caller, query: SearchQuery, pairs: Pairs, next: Cursor | None
) -> list[tuple[str, str]]:
    """self names the parameters that were heeded; next is one sealed word."""
    place = f"{chart.fhir_url}/{query.type}".rstrip("/")
    heeded = [pair for pair in pairs if pair[0] not in query.unknown]
    links = [("self", f"{place}?{urlencode(heeded)}" if heeded else place)]
    if next is not None:
        sealed = chart.cursors.seal(
            caller, query.type, Place(list(pairs), [list(next.keys), next.row]), chart.clock.micros()
        )
        links.append(("next", f"{place}?{PARAMETER}={sealed}"))
    return links
