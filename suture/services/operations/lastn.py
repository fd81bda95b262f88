"""$lastn: the newest observations of each kind, of one patient (https://hl7.org/fhir/R4/observation-operation-lastn.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import suture.services.interactions.bundle as bundle
import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.errors import Invalid, TooCostly
from suture.services.interactions.answer import Answer
from suture.services.interactions.notice import unread
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.services.operations.values import SEARCH
from suture.standards.fhir import json, search
from suture.standards.fhir.search import SearchQuery
from suture.store import search as store_search
from suture.store import sound, whose
from suture.store.connection import Connection
from suture.store.resources import Row

TYPE = "Observation"
AT_ONCE = 500
MOST = 20_000  # observations that are looked at


async def run(asked: Asked) -> Answer:
    """The newest `max` of each code, newest group first."""
    if not any(name.partition(":")[0] in ("patient", "subject") for name in asked.values):
        raise Invalid(
            "whose observations?", where="patient", mend="Write patient=ID, with category or code to narrow it."
        )
    async with asked.frame() as access:
        answer = await asked.chart.slowly(partial(_found, asked))
        access.concerns(answer.patients)
        return answer


def _found(asked: Asked, connection: Connection) -> Answer:
    groups, damaged = Groups(asked.one("max", 1)), Damaged()
    for row in _rows(asked, connection, damaged):
        groups.add(row)
    rows = groups.rows() + damaged.named
    entries = [(row, row.body, "match") for row in rows]
    links = [("self", f"{asked.chart.fhir_url}/{TYPE}/$lastn")]
    return Answer(
        bundle.searchset(asked.chart.fhir_url, entries, links, len(groups.rows()), unread(len(damaged.hidden))),
        200,
        whose.of_rows(connection, rows),
    )


@dataclass(slots=True)
class Damaged:
    """Observations that can't be read, so that nobody knows of which kind they are."""

    named: list[Row] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)  # of which nobody knows whether the caller may see them


def _rows(asked: Asked, connection: Connection, damaged: Damaged) -> Iterator[Row]:
    """All that fit and may be seen, newest first; what can't be read is put aside."""
    away = withheld.of(connection, asked.caller)
    judged = guard.judge(connection, asked.caller, "search-type", away)
    query = policy.narrow(asked.caller, _query(asked), away)
    for _ in range(MOST // AT_ONCE):
        budget = asked.chart.settings["search.budget"]
        page = store_search.find(connection, query, budget=budget, read=sound.read_all)
        rows, hidden = guard.seen(page.rows, judged)
        damaged.hidden |= hidden
        damaged.named += [row for row in rows if row.damaged]
        yield from (row for row in rows if row.body)
        if page.next is None:
            return
        query = replace(query, cursor=page.next)
    raise TooCostly(f"more than {MOST} observations fit", where=TYPE, mend="Narrow it with category, code or date.")


def _query(asked: Asked) -> SearchQuery:
    pairs = [(name, str(value)) for name, values in asked.values.items() if name != "max" for value in values]
    refused = [
        name for name, _ in pairs if name in ("_sort", "_count", "_include", "_revinclude", "_summary", "_total")
    ]
    if refused:
        raise Invalid("$lastn has no such parameter", where=refused[0], mend="It takes max and the search parameters.")
    query = search.parse(TYPE, [*pairs, ("_sort", "-date")], lenient=asked.lenient, base_url=asked.chart.fhir_url)
    return replace(query, count=AT_ONCE)


class Groups:
    """Observations by code: those that share a coding are one kind; without codings the text tells."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[tuple[str, str], int] = {}
        self._rows: list[list[Row]] = []

    def add(self, row: Row) -> None:
        keys = _keys(json.reread(row.body).get("code", {}))
        number = next((self._of[key] for key in keys if key in self._of), len(self._rows))
        if number == len(self._rows):
            self._rows.append([])
        for key in keys:
            self._of.setdefault(key, number)
        if len(self._rows[number]) < self._most:
            self._rows[number].append(row)

    def rows(self) -> list[Row]:
        return [row for group in self._rows for row in group]


def _keys(code: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(c.get("system", ""), c["code"]) for c in code.get("coding", []) if c.get("code")]
    return found or [("", str(code.get("text", "")).casefold())]


OPERATION = Operation(
    "lastn",
    "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    "The newest observations of each kind.",
    ("type",),
    run,
    types=(TYPE,),
    parameters=(
        Parameter("max", "positiveInt", "how many of each kind; one unless told"),
        *(Parameter(name, SEARCH, many=True) for name in ("patient", "subject", "category", "code", "date", "status")),
    ),
    open=True,
    scope="s of Observation",
)
