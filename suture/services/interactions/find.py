"""Finds the one resource that a condition names: If-None-Exist, `PUT Type?…`, `DELETE Type?…`, conditional references.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from suture.access import policy
from suture.access.caller import Caller
from suture.errors import InvalidSearch, PreconditionFailed
from suture.services.interactions.chart import Chart
from suture.standards.fhir import search
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row

Pairs = Sequence[tuple[str, str]]


class Criteria:
    """A search that should find one resource, narrowed to what the caller may search."""

    __slots__ = ("query", "type")

    def __init__(self, chart: Chart, caller: Caller, type: str, pairs: Pairs) -> None:
        query = search.parse(type, pairs, base_url=chart.fhir_url)
        if not query.conditions or query.includes or query.sort:
            raise InvalidSearch(
                "a condition needs search parameters and nothing else",
                where=type,
                mend="Write identifier=system|value.",
            )
        self.type = type
        self.query = replace(policy.narrow(caller, query), count=2)

    @staticmethod
    def read(chart: Chart, caller: Caller, type: str, text: str) -> Criteria:
        """From the text of If-None-Exist (`identifier=…`, with or without `Type?` before it)."""
        query = text.removeprefix(type).removeprefix("?")
        return Criteria(chart, caller, type, parse_qsl(query, keep_blank_values=True, max_num_fields=50))


def one(connection: Connection, criteria: Criteria) -> Row | None:
    """The one resource, or None; raises PreconditionFailed when there are several."""
    found = store_search.find(connection, criteria.query).rows
    if len(found) > 1:
        raise PreconditionFailed(
            "the condition finds more than one resource", where=criteria.type, mend="Name an identifier that is unique."
        )
    return found[0] if found else None
