"""Follows includes through canonical URLs, with the version where one is named: https://hl7.org/fhir/R4/references.html#canonical"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from suture.standards.fhir import json
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter
from suture.standards.fhir.index import extract, values
from suture.standards.fhir.search_query import Include
from suture.store import postings, sound
from suture.store import search_lookup as lookup
from suture.store.connection import Connection
from suture.store.resources import Row
from suture.store.search_sql import one_of

Canonical = tuple[str, str]  # url, version ('' for any)


def led_to(connection: Connection, include: Include, origin: Sequence[Row], most: int) -> Iterator[int]:
    """Row numbers of what refers to these rows, or is referred to by them, by one canonical parameter."""
    types, origin = _targets(include), [row for row in origin if row.body]
    if include.reverse:
        mine = [_own(row) for row in origin if row.type in types]
        found = _with_url(connection, (include.source,), include.parameter, mine, most)
        fits = (
            row
            for row in found
            if row.damaged or any(_agree(one, m) for one in _named(connection, row, include) for m in mine)
        )
    else:
        asked = [c for row in origin if row.type == include.source for c in _named(connection, row, include)]
        found = _with_url(connection, types, "url", asked, most)
        fits = (row for row in found if row.damaged or any(_agree(one, _own(row)) for one in asked))
    yield from (row.rid for row in fits)


def _targets(include: Include) -> tuple[str, ...]:
    parameter = search_parameter(include.source, include.parameter)
    named = parameter.targets if parameter is not None else ()
    return tuple(t for t in named if t in RESOURCE_TYPES and include.target in ("", t))


def _own(row: Row) -> Canonical:
    """Under which URL and version a resource is known."""
    resource: dict[str, Any] = json.reread(row.body)
    return str(resource.get("url", "")), str(resource.get("version", ""))


def _named(connection: Connection, row: Row, include: Include) -> list[Canonical]:
    """The canonicals of a resource. One with a version is indexed without it too; that row says nothing more."""
    rows = extract(json.reread(row.body), connection.shared.base)
    urls = [found[-1] for name, found in values(rows, include.parameter) if name == "urls" and found[-1]]
    with_version = {url.partition("|")[0] for url in urls if "|" in url}
    parts = (url.partition("|") for url in urls if url not in with_version)
    return [(url, version) for url, _, version in parts]


def _agree(asked: Canonical, there: Canonical) -> bool:
    return asked[0] == there[0] and asked[1] in ("", there[1])


def _with_url(
    connection: Connection, types: Iterable[str], code: str, wanted: Iterable[Canonical], most: int
) -> list[Row]:
    pids = lookup.parameters(connection, types, code, "urls")
    tids = lookup.urls(connection, dict.fromkeys(url for url, _ in wanted if url))
    lids = postings.find(connection, pids, tids)
    if not lids:
        return []
    where = one_of("lid", lids)
    rows = connection.all(f"SELECT DISTINCT rid FROM T WHERE {where.text} LIMIT ?", (*where.values, most))
    return sound.read_all(connection, [rid for (rid,) in rows])
