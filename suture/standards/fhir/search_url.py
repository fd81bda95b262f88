"""Writes a SearchQuery back as the URL it would be read from: https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from suture.errors import InvalidSearch
from suture.standards.fhir.search_query import (
    Chain,
    Condition,
    Filter,
    Has,
    Kin,
    Listed,
    Match,
    Missing,
    Moment,
    Nearby,
    Number,
    Parts,
    SearchQuery,
    Target,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
    Words,
)
from suture.standards.fhir.search_values import escaped


def url(query: SearchQuery) -> str:
    """`Type?key=value&…` below the FHIR base, percent-encoded; the cursor is left to who signs it."""
    written = "&".join(f"{_quoted(key)}={_quoted(text)}" for key, text in pairs(query))
    return f"{query.type}?{written}" if written else query.type


def _quoted(text: str) -> str:
    return quote(text, safe=":/._-~*|,$", errors="surrogatepass")


def pairs(query: SearchQuery) -> Iterator[tuple[str, str]]:
    """The parameters that `parse` would read into this query."""
    for condition in query.conditions:
        yield _written(condition)
    for include in query.includes:
        yield (
            _include_key(include.reverse, include.iterate),
            _include_text(include.source, include.parameter, include.target),
        )
    if query.sort:
        yield "_sort", ",".join(("-" if s.descending else "") + s.parameter for s in query.sort)
    yield from _shape(query)


def _shape(query: SearchQuery) -> Iterator[tuple[str, str]]:
    if query.types:
        yield "_type", ",".join(query.types)
    if query.count is not None:
        yield "_count", str(query.count)
    if query.total:
        yield "_total", query.total
    if query.summary:
        yield "_summary", query.summary
    if query.elements:
        yield "_elements", ",".join(query.elements)


def _include_key(reverse: bool, iterate: bool) -> str:
    return ("_revinclude" if reverse else "_include") + (":iterate" if iterate else "")


def _include_text(source: str, parameter: str, target: str) -> str:
    if source == "*":
        return "*"
    return f"{source}:{parameter}:{target}" if target else f"{source}:{parameter}"


def _written(condition: Condition) -> tuple[str, str]:
    """Key and text of one condition; what policy adds (compartments, unions) has no URL."""
    if isinstance(condition, Match):
        key = f"{condition.parameter}:{condition.modifier}" if condition.modifier else condition.parameter
        return key, ",".join(value_text(v) for v in condition.values)
    if isinstance(condition, Missing):
        return f"{condition.parameter}:missing", "true" if condition.missing else "false"
    if isinstance(condition, Chain):
        return _chain(condition)
    if isinstance(condition, Kin):
        return _written(condition.written)
    if isinstance(condition, Filter):
        return "_filter", condition.text
    if isinstance(condition, Listed):
        return "_list", ",".join(condition.lists)
    if isinstance(condition, Has):
        key, text = _written(condition.conditions[0])
        return f"_has:{condition.type}:{condition.parameter}:{key}", text
    raise InvalidSearch("a condition that was added by policy has no URL", mend="Write the query as it was parsed.")


def _chain(chain: Chain) -> tuple[str, str]:
    branch = chain.branches[0]
    key, text = _written(branch.conditions[0])
    head = f"{chain.parameter}:{branch.type}" if chain.typed else chain.parameter
    return f"{head}.{key}", text


def value_text(value: Value) -> str:
    """One value as it stands between commas."""
    if isinstance(value, Token):
        return _token(value)
    if isinstance(value, TypedIdentifier):
        return "|".join(escaped(p) for p in (value.system, value.code, value.value))
    if isinstance(value, Text | Uri):
        return escaped(value.text)
    if isinstance(value, Nearby):
        return value.text
    if isinstance(value, Words):
        return value.text.replace("\\", "\\\\").replace(",", "\\,")
    if isinstance(value, Moment):
        return _prefixed(value.prefix, value.text)
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, Target):
        return _target(value)
    return _parts(value)


def _token(token: Token) -> str:
    code = escaped(token.code or "")
    return code if token.system is None else f"{escaped(token.system)}|{code}"


def _prefixed(prefix: str, text: str) -> str:
    return text if prefix == "eq" else prefix + text


def _number(number: Number) -> str:
    unit = f"|{escaped(number.system or '')}|{escaped(number.unit or '')}" if number.system or number.unit else ""
    return _prefixed(number.prefix, number.text) + unit


def _target(target: Target) -> str:
    if target.url:
        return escaped(target.url) + (f"|{escaped(target.version)}" if target.version else "")
    return f"{target.type}/{target.id}" if target.type else target.id


def _parts(value: Parts) -> str:
    return "$".join(value_text(p) for p in value.parts)
