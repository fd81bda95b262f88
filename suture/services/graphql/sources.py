"""Where a query's resources come from: reads, references and searches, each row judged (https://hl7.org/fhir/R4/graphql.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import suture.services.interactions.guard as guard
import suture.services.interactions.read as reads
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.errors import Forbidden, Gone, Invalid, InvalidSearch, NotFound, TooCostly
from suture.services.audit.event import TYPE as MADE
from suture.services.interactions.chart import Chart
from suture.services.interactions.cursor import Place
from suture.standards.fhir import json, search
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter
from suture.standards.fhir.search import Cursor, SearchQuery
from suture.store import parameters, sound
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row

MOST_ROWS = 5000  # resources that one query reads
REFERENCE, CURSOR = "_reference", "_cursor"
_REFUSED = frozenset({"_include", "_revinclude", "_summary", "_elements", "_total", "_contained", "_format"})
Pairs = list[tuple[str, str]]
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search."""

    rows: list[Row]
    offset: int
    count: int
    next: str  # a sealed cursor; '' at the end
    query: SearchQuery


class Sources:
    """What one query reads, on one connection, for one caller, until `end`."""

    def __init__(self, chart: Chart, caller: Caller, connection: Connection) -> None:
        self._chart = chart
        self._caller = caller
        self._tx = connection
        self._away = withheld.of(connection, caller)
        self._judged = guard.judge(connection, caller, "search-type", self._away)
        self._end = chart.clock.monotonic() + chart.settings["search.budget"]
        self._known: dict[tuple[str, ...], Resource | None] = {}
        self.rows: dict[tuple[int, int], Row] = {}
        self.old: list[Row] = []  # versions that a reference named

    def left(self) -> float:
        """Seconds that are left; raises TooCostly when none are."""
        left: float = self._end - self._chart.clock.monotonic()
        if left <= 0:
            raise TooCostly("the query takes too long", where="query", mend="Ask for less, or in parts.")
        return left

    def taken(self, row: Row) -> Resource:
        """The resource of a row that goes into the answer."""
        self.left()
        if row.damaged:
            raise sound.refusal(f"{row.type}/{row.id}")
        self.rows[row.rid, row.version] = row
        if len(self.rows) > MOST_ROWS:
            raise TooCostly(f"the query reads more than {MOST_ROWS} resources", where="query", mend="Narrow it.")
        return json.reread(row.body)

    def read(self, type: str, id: str) -> Resource:
        """The current version; raises as a read does."""
        if type == MADE:
            raise Invalid("AuditEvents are not asked for here", where=MADE, mend=f"GET {MADE}?…")
        return self.taken(reads.current(self._tx, self._caller, type, id))

    def resolved(self, reference: Any, holder: Resource) -> Resource | None:
        """What a reference leads to; None when it is not there, not here, or not for this caller."""
        if not isinstance(reference, str) or not reference:
            return None
        if reference.startswith("#"):
            inside = (r for r in holder.get("contained", []) if r.get("id") == reference[1:])
            return holder if reference == "#" else next(inside, None)
        parts = tuple(reference.removeprefix(self._chart.fhir_url + "/").split("/"))
        if len(parts) not in (2, 4) or parts[0] not in RESOURCE_TYPES or parts[0] == MADE:
            return None
        if parts not in self._known:
            self._known[parts] = self._linked(parts)
        return self._known[parts]

    def _linked(self, parts: tuple[str, ...]) -> Resource | None:
        try:
            if len(parts) == 2:
                return self.taken(reads.current(self._tx, self._caller, parts[0], parts[1]))
            if parts[2] == "_history":
                self.old.append(reads.old(self._tx, self._caller, parts[0], parts[1], parts[3]))
                return self.taken(self.old[-1])
        except (NotFound, Gone, Forbidden):
            pass
        return None

    def search(self, type: str, arguments: Mapping[str, Any], holder: Resource | None, place: str) -> Found:
        """One page of a …List or …Connection; inside a resource, of those that refer to it."""
        if type == MADE:
            raise Invalid("AuditEvents are not asked for here", where=f"query {place}", mend=f"GET {MADE}?…")
        pairs = _pairs(type, arguments, holder, place)
        offset, cursor = 0, None
        if CURSOR in arguments:
            if len(arguments) > 1:
                raise InvalidSearch("a cursor stands alone", where=f"query {place}", mend="Give _cursor, nothing else.")
            now = self._chart.clock.micros()
            opened = self._chart.cursors.open(self._caller, f"$graphql/{type}", str(arguments[CURSOR]), now)
            keys, row, offset = opened.position
            pairs, cursor = opened.pairs, Cursor(tuple(keys), row)
        query = self._query(type, pairs)
        count = self._count(query)
        page = store_search.find(
            self._tx, replace(query, count=count, cursor=cursor), budget=self.left(), read=sound.read_all
        )
        rows, hidden = guard.seen(page.rows, self._judged)
        if hidden:
            raise sound.refusal(type)
        return Found(rows, offset, count, self._sealed(type, pairs, page, offset), query)

    def _query(self, type: str, pairs: Pairs) -> SearchQuery:
        parameters.adopt(self._tx)
        parsed = search.parse(type, pairs, base_url=self._chart.fhir_url, expander=self._chart.expander)
        return policy.narrow(self._caller, parsed, self._away)

    def _count(self, query: SearchQuery) -> int:
        settings = self._chart.settings
        most: int = settings["fhir.max_page_size"]
        return min(settings["fhir.page_size"] if query.count is None else query.count, most)

    def whole(self, type: str, arguments: Mapping[str, Any], holder: Resource | None, place: str) -> list[Row]:
        """All that a …List means; raises TooCostly when that is more than a page and no `_count` was given."""
        most = self._chart.settings["fhir.max_page_size"]
        given = arguments if "_count" in arguments or CURSOR in arguments else {**arguments, "_count": most}
        found = self.search(type, given, holder, place)
        if found.next and given is not arguments:
            raise TooCostly(
                f"more than {most} fit", where=f"query {place}", mend=f"Give a _count, or ask {type}Connection."
            )
        return found.rows

    def counted(self, found: Found) -> int:
        """How many fit in all."""
        return store_search.count(self._tx, replace(found.query, count=None), budget=self.left())

    def _sealed(self, type: str, pairs: Pairs, page: store_search.Page, offset: int) -> str:
        if page.next is None:
            return ""
        position = [list(page.next.keys), page.next.row, offset + len(page.rows)]
        now = self._chart.clock.micros()
        return self._chart.cursors.seal(self._caller, f"$graphql/{type}", Place(pairs, position), now)


def _pairs(type: str, arguments: Mapping[str, Any], holder: Resource | None, place: str) -> Pairs:
    """Search parameters: a name's - is written _, a list means any of its values."""
    found = [(_name(name, place), _text(value)) for name, value in arguments.items() if name not in (REFERENCE, CURSOR)]
    if holder is None:
        if REFERENCE in arguments:
            raise InvalidSearch("_reference is of a resource", where=f"query {place}", mend="Write subject: …, say.")
        return found
    linked = str(arguments.get(REFERENCE, "")).replace("_", "-")
    parameter = search_parameter(type, linked)
    if CURSOR not in arguments and (parameter is None or parameter.type != "reference"):
        raise InvalidSearch(
            f"which reference of {type} leads here?", where=f"query {place}", mend="Write _reference: patient."
        )
    return [(linked, f"{holder['resourceType']}/{holder['id']}"), *found]


def _name(name: str, place: str) -> str:
    if name in _REFUSED:
        raise InvalidSearch(f"no {name} here", where=f"query {place}", mend="Name the fields instead.")
    return name if name.startswith("_") else name.replace("_", "-")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
