"""Finds the one resource that a condition names: If-None-Exist, `PUT Type?…`, `DELETE Type?…`, conditional references.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from suture.access import policy, withheld
from suture.access.caller import Caller
from suture.errors import InvalidSearch, PreconditionFailed, TooCostly
from suture.services.interactions.chart import Chart
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store import parameters, sound
from suture.store import search as store_search
from suture.store.connection import Connection, Tx
from suture.store.identities import Identities, Key, Named
from suture.store.index import LONGEST
from suture.store.resources import Row, version_of

Pairs = Sequence[tuple[str, str]]
BUDGET = 2.0  # seconds; a condition may be looked for while others wait to write


class Criteria:
    """A search that should find one resource, narrowed to what the caller may search."""

    __slots__ = ("caller", "identifier", "query", "type")

    def __init__(self, chart: Chart, caller: Caller, type: str, pairs: Pairs, connection: Connection) -> None:
        self.type = type
        self.caller = caller
        self.identifier: tuple[str, str] | None = _identifier(caller, type, pairs, connection)
        if self.identifier:
            return
        parameters.adopt(connection)
        query = search.parse(type, pairs, base_url=chart.fhir_url, expander=chart.expander)
        if not query.conditions or query.includes or query.sort:
            raise InvalidSearch(
                "a condition needs search parameters and nothing else",
                where=type,
                mend="Write identifier=system|value.",
            )
        policy.narrow(caller, query)  # refused now, not when it is asked
        self.query = replace(query, count=2)

    @property
    def key(self) -> Key:
        """How the identifier is remembered."""
        return (self.type, *(self.identifier or ("", "")))

    @staticmethod
    def named(caller: Caller, type: str, identifier: tuple[str, str]) -> Criteria:
        """An identifier of which it is known already that nothing narrows the caller's search for it."""
        made = object.__new__(Criteria)
        made.caller, made.type, made.identifier = caller, type, identifier
        return made

    @staticmethod
    def read(chart: Chart, caller: Caller, type: str, text: str, connection: Connection) -> Criteria:
        """From the text of If-None-Exist (`identifier=…`, with or without `Type?` before it)."""
        query = text.removeprefix(type).removeprefix("?")
        return Criteria(chart, caller, type, _pairs(type, query), connection)


def _pairs(type: str, query: str) -> Pairs:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:  # a UnicodeDecodeError is one, too
        raise InvalidSearch(
            "the condition can't be read", where=type, mend="Send at most 50 parameters, in UTF-8."
        ) from None


def _identifier(caller: Caller, type: str, pairs: Pairs, connection: Connection) -> tuple[str, str] | None:
    """System and value, when the condition is `identifier=system|value` and nothing narrows the caller's search."""
    if len(pairs) != 1 or pairs[0][0] != "identifier" or type not in RESOURCE_TYPES:
        return None
    system, bar, value = pairs[0][1].partition("|")
    if not (system and bar and value) or len(value) > LONGEST or any(mark in pairs[0][1] for mark in ",\\$"):
        return None
    whole = policy.require(caller, "search-type", type) is policy.Reach.EVERYTHING
    return (system, value) if whole and withheld.of(connection, caller) is None else None


def one(connection: Connection, criteria: Criteria) -> Row | None:
    """The one resource, or None; raises PreconditionFailed when there are several."""
    found = _rows(connection, criteria)
    if len(found) > 1:
        raise PreconditionFailed(
            "the condition finds more than one resource", where=criteria.type, mend="Name an identifier that is unique."
        )
    return found[0] if found else None


def _rows(connection: Connection, criteria: Criteria) -> list[Row]:
    if criteria.identifier is None:
        return _sought(connection, criteria)
    found = store_search.by_identifier(connection, criteria.type, *criteria.identifier)
    return sound.read_all(connection, found) if found else []


def _sought(connection: Connection, criteria: Criteria) -> list[Row]:
    query = policy.narrow(criteria.caller, criteria.query, withheld.of(connection, criteria.caller))
    try:
        return store_search.find(connection, query, budget=BUDGET, read=sound.read_all).rows
    except TooCostly as error:
        error.at(criteria.type)
        raise


def named(connection: Connection, criteria: Criteria, identities: Identities) -> Named | None:
    """The same, first looked for among what identifiers named of late."""
    found = identities.get(criteria.key) if criteria.identifier else None
    if found is not None:
        return found
    row = one(connection, criteria)
    return None if row is None else Named(row)


def same(tx: Tx, criteria: Criteria, before: Named | None) -> bool:
    """Whether a condition still finds what it found before, in the same version."""
    if criteria.identifier is None:
        return one(tx, criteria) == (before and before.row)
    if before is None:
        return not store_search.by_identifier(tx, criteria.type, *criteria.identifier)
    known, row = tx.identities.get(criteria.key), before.row
    if known is not None:
        return known.row[:4] == row[:4]
    found = store_search.by_identifier(tx, criteria.type, *criteria.identifier)
    if found != [row.rid] or version_of(tx, row.rid) != row.version:
        return False
    tx.keep_named(criteria.key, before)
    return True
