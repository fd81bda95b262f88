"""Follows `_include` and `_revinclude` from the rows of a page: https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from suture.errors import TooCostly
from suture.standards.fhir import index
from suture.standards.fhir.definitions import search_parameters
from suture.standards.fhir.search_query import ALL_TYPES, Include, SearchQuery
from suture.standards.fhir.search_tables import followed
from suture.store import names, search_canonicals
from suture.store import search_lookup as lookup
from suture.store.connection import Connection
from suture.store.resources import Row, read_rids
from suture.store.search_sql import all_of, one_of

ANY = "*"
DEEPEST = 4  # rounds of :iterate
Allows = Callable[[Row], bool]
Read = Callable[[Connection, Sequence[int]], list[Row]]


def included(
    connection: Connection, query: SearchQuery, rows: Sequence[Row], allows: Allows, most: int, read: Read = read_rids
) -> list[Row]:
    """First what the matches lead to; then, for :iterate, what that leads to, until nothing new comes."""
    known = {row.rid for row in rows}
    found: list[Row] = []
    origin, includes = list(rows), list(query.includes)
    for _ in range(DEEPEST):
        new = read(connection, _round(connection, includes, origin, known, most - len(found)))
        origin = [row for row in new if allows(row)]
        found += origin
        includes = [i for i in query.includes if i.iterate]
        if not origin or not includes:
            break
    return found


def _round(
    connection: Connection, includes: Iterable[Include], origin: Sequence[Row], known: set[int], most: int
) -> list[int]:
    fresh: dict[int, None] = {}
    for include in includes:
        follow = _led_to if _by_reference(include) else search_canonicals.led_to
        for rid in follow(connection, include, origin, most + len(known) + 1):
            if rid not in known:
                fresh[rid] = None
    if len(fresh) > most:
        raise TooCostly(
            f"more than {most} resources would be included", where="_include", mend="Ask for smaller pages with _count."
        )
    known.update(fresh)
    return list(fresh)


def _by_reference(include: Include) -> bool:
    return ANY in (include.source, include.parameter) or followed(include.source, include.parameter)


def _led_to(connection: Connection, include: Include, origin: Sequence[Row], most: int) -> Iterator[int]:
    """Row numbers of what one include leads to, alive or not."""
    near, far = ("tgt", "rid") if include.reverse else ("rid", "tgt")
    own = include.target if include.reverse else include.source
    rids = [row.rid for row in origin if own in ("", ANY, row.type)]
    wanted = include.source if include.reverse else include.target
    rt = names.find(connection, wanted) if wanted not in ("", ANY) else None
    pids = _pids(connection, include, origin)
    if not pids or not rids or rt == 0:
        return
    where = all_of([one_of("R.pid", pids), one_of(f"R.{near}", rids)])
    typed = "" if rt is None else f" AND res.rt = {rt}"
    hint = " INDEXED BY R_rid" if near == "rid" else ""
    rows = connection.all(
        f"SELECT DISTINCT res.rid FROM R{hint} JOIN res ON res.rid = R.{far} WHERE {where.text} AND res.op <> 3{typed} LIMIT ?",
        (*where.values, most),
    )
    yield from (rid for (rid,) in rows)


def _pids(connection: Connection, include: Include, origin: Sequence[Row]) -> list[int]:
    """The numbers of the reference parameters that are followed; those of `*` share most of them."""
    sources: Iterable[str] = (include.source,)
    if include.source == ANY:
        sources = ALL_TYPES if include.reverse else dict.fromkeys(row.type for row in origin)
    found = (
        lookup.parameters(connection, (source,), code, "references")
        for source in sources
        for code in _codes(include, source)
    )
    return list(dict.fromkeys(pid for pids in found for pid in pids))


def _codes(include: Include, source: str) -> list[str]:
    if include.parameter != ANY:
        return [include.parameter]
    return [
        code for code, p in search_parameters(source).items() if p.type == "reference" and index.atoms(source, code)
    ]
