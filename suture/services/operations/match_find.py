"""Whom a person may be: everybody whom one of the searches finds, weighed (https://hl7.org/fhir/R4/patient-operation-match.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.access.withheld import Withheld
from suture.errors import TooCostly
from suture.services.interactions.chart import Chart
from suture.services.operations.match_blocks import Pairs, blocks
from suture.services.operations.match_weights import APART, Likeness, Traits, likeness
from suture.standards.fhir import json, search
from suture.standards.fhir.search_query import SearchQuery
from suture.store import resources, sound
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row
from suture.store.search import Page

TYPE = "Patient"
OF_BLOCK = 200  # patients that one search may bring
MOST = 1000  # that are compared


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient here and how alike they are."""

    row: Row
    traits: Traits
    like: Likeness

    @property
    def replaced(self) -> bool:
        """Whether another record stands for this one."""
        return self.traits.replaced


def candidates(
    chart: Chart, caller: Caller, person: dict[str, Any], connection: Connection, damaged: set[int] | None = None
) -> tuple[list[Candidate], bool]:
    """Whom this caller may see of those found, the likeliest first; and whether nobody may have been overlooked.

    Raises TooCostly when the budget is spent, Damaged for a record that can't be read. With `damaged` what was found has
    to do: what can't be read is noted there.
    """
    ours = Traits(person)
    found, whole = _rows(chart, caller, person, ours, connection, damaged)
    some = [one for row in found if (one := _weighed(ours, row, damaged)) is not None]
    return sorted(some, key=lambda c: (-c.like.bits, c.row.rid)), whole and not damaged


def _weighed(ours: Traits, row: Row, damaged: set[int] | None) -> Candidate | None:
    try:
        return weighed(ours, row)
    except ValueError:  # it was unpacked, and is no JSON
        if damaged is None:
            raise
        damaged.add(row.rid)
        return None


def _rows(
    chart: Chart,
    caller: Caller,
    person: dict[str, Any],
    ours: Traits,
    connection: Connection,
    damaged: set[int] | None,
) -> tuple[list[Row], bool]:
    away = withheld.of(connection, caller)
    judged = guard.judge(connection, caller, "search-type", away)
    end = chart.clock.monotonic() + chart.settings["search.budget"]
    found: dict[int, Row] = {}
    whole = True
    policy.require(caller, "search-type", TYPE)
    read = resources.read_rids if damaged is None else partial(sound.read_rids, damaged=damaged)
    for pairs in blocks(person, ours):
        try:
            query = _query(chart, caller, pairs, away)
            page = _page(connection, query, end - chart.clock.monotonic(), read)
        except TooCostly:
            if damaged is None:
                raise
            whole = False
            continue
        found |= {row.rid: row for row in page.rows if judged(row)}
        whole = whole and page.next is None and len(found) <= MOST
    return list(found.values())[:MOST], whole


def _query(chart: Chart, caller: Caller, pairs: Pairs, away: Withheld | None) -> SearchQuery:
    query = search.parse(TYPE, pairs, base_url=chart.fhir_url, expander=chart.expander)
    return replace(policy.narrow(caller, query, away), count=OF_BLOCK)


def _page(connection: Connection, query: SearchQuery, left: float, read: store_search.Read) -> Page:
    if left <= 0:
        raise TooCostly("the match takes too long", where="resource", mend="Send fewer names and identifiers.")
    return store_search.find(connection, query, budget=left, read=read)


def weighed(ours: Traits, row: Row) -> Candidate:
    """A row, compared."""
    theirs = Traits(json.reread(row.body))
    return Candidate(row, theirs, likeness(ours, theirs))


def grade(one: Candidate, all: Iterable[Candidate], whole: bool) -> str:
    """Certain only when nobody else comes near, nobody may have been overlooked, and the record still stands."""
    found = one.like.grade
    if found != "certain":
        return found
    others = max((c.like.bits for c in all if c is not one), default=-60.0)
    alone = one.like.bits - others >= APART
    return "certain" if alone and whole and not one.replaced else "probable"
