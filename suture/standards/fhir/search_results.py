"""Reads the parameters that shape a search's results: `_sort`, `_count`, `_include` … https://hl7.org/fhir/R4/search.html#return"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from suture.errors import InvalidSearch
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter, type_definition
from suture.standards.fhir.search_query import Include, SearchQuery, Sort
from suture.standards.fhir.search_tables import searchable

MOST_SORTS = 5
MOST_INCLUDES = 50
SUMMARIES = ("true", "text", "data", "count", "false")
TOTALS = ("none", "estimate", "accurate")
INCLUDES = ("_include", "_revinclude")
PASSED_BY = ("_format", "_pretty")  # the web side reads them


def knows(key: str) -> bool:
    return key in _READERS or key in PASSED_BY or key.partition(":")[0] in INCLUDES


def read(query: SearchQuery, key: str, text: str) -> SearchQuery:
    """The query with this parameter heeded."""
    if key in PASSED_BY:
        return query
    name, _, modifier = key.partition(":")
    if name in INCLUDES:
        return _include(query, name, modifier, text)
    return _READERS[key](query, text)


def _count(query: SearchQuery, text: str) -> SearchQuery:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise InvalidSearch("not a whole number from 0", where="_count")
    return replace(query, count=int(text))


def _total(query: SearchQuery, text: str) -> SearchQuery:
    return replace(query, total=_one_of(text, TOTALS, "_total"))


def _summary(query: SearchQuery, text: str) -> SearchQuery:
    return replace(query, summary=_one_of(text, SUMMARIES, "_summary"))


def _one_of(text: str, allowed: tuple[str, ...], where: str) -> str:
    if text not in allowed:
        raise InvalidSearch("no such choice", where=where, mend=f"One of: {', '.join(allowed)}.")
    return text


def _elements(query: SearchQuery, text: str) -> SearchQuery:
    names = tuple(dict.fromkeys(n.removeprefix(query.type + ".") for n in text.split(",") if n))
    definition = type_definition(query.type or "Resource")
    wrong = [n for n in names if definition is None or n not in definition.elements]
    if wrong or not names:
        raise InvalidSearch("no such element", where="_elements", mend="Write top-level elements, separated by commas.")
    return replace(query, elements=names)


def _sort(query: SearchQuery, text: str) -> SearchQuery:
    names = text.split(",")
    if len(names) > MOST_SORTS:
        raise InvalidSearch(f"more than {MOST_SORTS} sort keys", where="_sort")
    return replace(query, sort=tuple(_sort_key(query, name) for name in names))


def _sort_key(query: SearchQuery, text: str) -> Sort:
    """Of several types by what all of them have; of all, by what stands in every row."""
    name = text.removeprefix("-")
    kinds = {searchable(type).get(name) for type in (query.type,) if type} or {
        searchable(t).get(name) for t in query.types
    }
    kind = kinds.pop() if len(kinds) == 1 else None
    if name in ("_id", "_lastUpdated"):
        return Sort(name, descending=text.startswith("-"))
    if kind is None:
        raise InvalidSearch("it can't be sorted by that", where="_sort", mend="Name search parameters of the type.")
    if kind in ("composite", "special"):
        raise InvalidSearch(f"it can't be sorted by a {kind} parameter", where="_sort")
    return Sort(name, descending=text.startswith("-"))


def _types(query: SearchQuery, text: str) -> SearchQuery:
    names = tuple(dict.fromkeys(text.split(",")))
    if query.type or not set(names) <= RESOURCE_TYPES:
        raise InvalidSearch("not a list of resource types", where="_type", mend="_type is for searches over all types.")
    return replace(query, types=names)


def _include(query: SearchQuery, name: str, modifier: str, text: str) -> SearchQuery:
    if modifier not in ("", "iterate", "recurse"):
        place = f"{name}:{modifier}" if len(modifier) <= 100 and modifier.isprintable() else name
        raise InvalidSearch("no such modifier", where=place, mend="Only :iterate.")
    if len(query.includes) >= MOST_INCLUDES:
        raise InvalidSearch(f"more than {MOST_INCLUDES} includes", where=name)
    found = _included(query.type, text, name, bool(modifier))
    return query if found in query.includes else replace(query, includes=(*query.includes, found))


def _included(type: str, text: str, where: str, iterate: bool) -> Include:
    reverse = where == "_revinclude"
    source, colon, rest = text.partition(":")
    parameter, _, target = rest.partition(":")
    if text == "*":
        return Include("*", "*", reverse=reverse, iterate=iterate)
    if not colon or source not in RESOURCE_TYPES:
        raise InvalidSearch("not an include", where=where, mend="Write Type:parameter or Type:parameter:Target.")
    target = "" if target == "*" else target
    if target and target not in RESOURCE_TYPES:
        raise InvalidSearch("no such target type", where=where)
    if parameter != "*":
        _require_reference(source, parameter, where)
    return Include(source, parameter, target, reverse, iterate)


def _require_reference(source: str, parameter: str, where: str) -> None:
    found = search_parameter(source, parameter)
    if found is None or found.type != "reference" or not found.built:
        known = ", ".join(sorted(code for code, kind in searchable(source).items() if kind == "reference"))
        raise InvalidSearch(f"{source} has no such reference parameter", where=where, mend=f"It has: {known}.")
    if parameter not in searchable(source):
        raise InvalidSearch(f"{parameter} can't be followed", where=where, mend="It holds whole resources.")


_READERS: dict[str, Callable[[SearchQuery, str], SearchQuery]] = {
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_sort": _sort,
    "_type": _types,
}
