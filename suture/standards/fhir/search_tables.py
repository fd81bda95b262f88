"""What of R4 search is supported, as tables and look-ups: https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from functools import cache, lru_cache

from suture.errors import InvalidSearch
from suture.ports import Expander
from suture.standards.fhir import index
from suture.standards.fhir.definitions import (
    Own,
    SearchParameter,
    code_parents,
    own_of,
    search_parameters,
    value_set,
)
from suture.standards.fhir.index_atoms import leaf_types, plan_of
from suture.standards.fhir.index_paths import paths
from suture.standards.fhir.search_query import Match, Token, Uri

MODIFIERS: dict[str, tuple[str, ...]] = {
    "token": ("not", "in", "not-in", "above", "below", "of-type", "text"),
    "string": ("exact", "contains"),
    "reference": ("identifier", "above", "below"),
    "uri": ("above", "below"),
}  # besides :missing (all kinds) and :Type (references)
# a token with one of these is answered from such rows of the index: identifiers have types, codes have value sets
ROWS = {"of-type": "typed", "in": "tokens", "not-in": "tokens", "above": "tokens", "below": "tokens"}
NEVER_MISSING = ("_id", "_lastUpdated")

_LOAD = "List the codes, or store what is missing (docs/terminology.md)."
MOST_MEMBERS = 5_000  # codes of value sets and hierarchies in one parameter
CROSSED = ("DocumentReference", "relationship")  # R4 names the parameters of its two components the wrong way round
NOT_SEARCHED = {
    "_filter": "a filter has no modifier, and nothing follows it",
    "_query": "there are no named queries here",
    "_contained": "contained resources are not searched by themselves",
    "_containedType": "contained resources are not searched by themselves",
    "_type": "_type is for searches over several types",
}


def searchable(type: str) -> dict[str, str]:
    """Code -> kind of the parameters that can be searched by; an empty type: those every resource has."""
    return _searchable(type, own_of(type))


@lru_cache(maxsize=1024)
def _searchable(type: str, site: Own) -> dict[str, str]:
    parameters = search_parameters(type or "Resource", site)
    return {
        code: p.type
        for code, p in parameters.items()
        if p.expression and code not in NOT_SEARCHED and p.built and _comparable(type, site, p)
    }


def _comparable(type: str, site: Own, parameter: SearchParameter) -> bool:
    """Can any of its values be compared? Those of `Bundle?composition` are whole resources."""
    if parameter.type == "composite" or parameter.code in NEVER_MISSING:
        return True
    made = plan_of(type or "Resource", site)
    numbers = made.parameters.get(parameter.code, ())
    return any(index.lists_of(type or "Resource", made.atoms[number]) for number in numbers)


def modifiers(types: tuple[str, ...], parameter: SearchParameter) -> tuple[str, ...]:
    """What a parameter of these types (none: of every type) takes, `Type` for the name of one."""
    missing = () if parameter.type == "composite" or parameter.code in NEVER_MISSING else ("missing",)
    if parameter.code == "_id":
        return (*missing, "not")
    known = MODIFIERS.get(parameter.type, ())
    if parameter.type == "token":
        there = frozenset().union(*(_rows(type, parameter.code) for type in types or ("Resource",)))
        known = tuple(m for m in known if ROWS.get(m) in (None, *there))
    return (*missing, *known, *(("Type",) if parameter.type == "reference" else ()))


def _rows(type: str, code: str) -> frozenset[str]:
    """The lists of index rows in which a parameter can have some."""
    made = plan_of(type, own_of(type))
    numbers = made.parameters.get(code, ())
    return frozenset(name for number in numbers for name in index.lists_of(type, made.atoms[number]))


def followed(type: str, code: str) -> bool:
    """Does the parameter hold References, which chains can follow, or only canonical URLs?"""
    return _followed(type, search_parameters(type)[code])


@lru_cache(maxsize=8192)
def _followed(type: str, parameter: SearchParameter) -> bool:
    return parameter.type == "reference" and any(
        "Reference" in leaf_types(type, path) for path in paths(parameter.expression, type)
    )


@cache
def component_parameters(type: str, parameter: SearchParameter) -> tuple[SearchParameter, ...]:
    """The parameters a composite is made of, in order."""
    by_url = {p.url: p for p in search_parameters(type).values()}
    found = tuple(by_url[url] for url, _ in parameter.components)
    return found[::-1] if (type, parameter.code) == CROSSED else found


class R4Codes:
    """What R4's own value sets and code systems say: an Expander of ports.py."""

    def expand(self, url: str) -> frozenset[tuple[str, str]] | None:
        return value_set(url)

    def related(self, system: str, code: str, *, above: bool) -> frozenset[str] | None:
        parents = code_parents(system)
        if parents is None or code not in parents:
            return None
        links = parents if above else _children(system)
        found, open_ = {code}, [code]
        while open_:
            new = set(links.get(open_.pop(), ())) - found
            found |= new
            open_ += new
        return frozenset(found)


def vocabulary(match: Match, expander: Expander, where: str) -> frozenset[Token]:
    """The tokens that `:in`, `:not-in`, `:above` and `:below` stand for; empty for all other modifiers."""
    if match.kind != "token" or match.modifier not in ("in", "not-in", "above", "below"):
        return frozenset()
    found: set[Token] = set()
    for value in match.values:
        found |= _members(value, expander, where) if isinstance(value, Uri) else _family(value, match, expander, where)
        if len(found) > MOST_MEMBERS:
            mend = "Name a smaller value set, or list the codes."
            raise InvalidSearch(f"these are more than {MOST_MEMBERS} codes", where=where, mend=mend)
    return frozenset(found)


def _members(url: Uri, expander: Expander, where: str) -> set[Token]:
    found = expander.expand(url.text)
    if found is None:
        raise InvalidSearch("this value set can't be enumerated here", where=where, mend=_LOAD)
    return {Token(system, code) for system, code in found}


def _family(token: object, match: Match, expander: Expander, where: str) -> set[Token]:
    """The code with all above or below it in its code system."""
    if not isinstance(token, Token) or not token.system or not token.code:
        raise InvalidSearch(f":{match.modifier} needs system|code", where=where)
    found = expander.related(token.system, token.code, above=match.modifier == "above")
    if found is None:
        raise InvalidSearch("the hierarchy of this code system is not known here", where=where, mend=_LOAD)
    return {Token(token.system, code) for code in found}


@cache
def _children(system: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for code, parents in (code_parents(system) or {}).items():
        for parent in parents:
            found.setdefault(parent, []).append(code)
    return {code: tuple(below) for code, below in found.items()}
