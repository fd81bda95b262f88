"""SMART App Launch scopes: v1 (`.read`), v2 (`.rs`), and v2 narrowed by a query (`.rs?category=…`).

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl

from suture.access.caller import Scope
from suture.errors import InvalidSearch, InvalidSyntax
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES, r4_search_parameters
from suture.standards.fhir.search import AllOf, Condition, Match, Missing

_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)(?:\?(.*))?")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3
LONGEST = 2000
MOST_CONDITIONS = 10
MOST_VALUES = 50
_MEND = "Write CONTEXT/TYPE.LETTERS, such as patient/*.rs, user/Observation.rs or system/*.cruds."
_QUERY_MEND = "Narrow it by search parameters of the type itself, such as ?category=SYSTEM|CODE."
# What a search says of a row only for the moment, or that is not the row's own.
_UNSTEADY = frozenset({"_lastUpdated"})


def parse(text: str) -> tuple[Scope, ...]:
    """The scopes of a space-separated list; raises InvalidSyntax on any that can't be kept to the letter."""
    return tuple(dict.fromkeys(parse_one(word) for word in text.split()))


def parse_one(word: str) -> Scope:
    """One scope. A query that can't be judged on a single row to the letter is refused: a scope never widens."""
    found = _SCOPE.fullmatch(word) if len(word) <= LONGEST else None
    if not found or not found[3]:
        raise InvalidSyntax("not a SMART scope", where=_shown(word), mend=_MEND)
    context, type, letters, query = found.groups()
    if type != "*" and type not in RESOURCE_TYPES:
        raise InvalidSyntax(f"R4 has no resource type '{type}'", where=_shown(word), mend=_MEND)
    if query is None:
        return Scope(context, type, _V1.get(letters, letters))
    if letters in _V1 or not _TOKEN.fullmatch(word):
        raise InvalidSyntax(
            "a query stands behind letters of cruds, written without blanks and quotes",
            where=_shown(word),
            mend="Write patient/Observation.rs?category=SYSTEM|CODE; a blank is %20.",
        )
    scope = Scope(context, type, letters, query)
    try:
        conditions(type, query)
    except InvalidSearch as error:
        raise InvalidSyntax(
            f"this query can't be kept to the letter: {error.text}", where=_shown(word), mend=_QUERY_MEND
        ) from error
    return scope


@lru_cache(maxsize=1024)
def conditions(type: str, query: str) -> tuple[Condition, ...]:
    """What must hold of every row of a granular scope; raises InvalidSearch for a query that one row can't answer."""
    pairs = _pairs(query)
    asked = search.parse("" if type == "*" else type, pairs)
    if len(asked.conditions) != len(pairs):
        raise InvalidSearch("it shapes results, it says nothing about a row")
    for condition in asked.conditions:
        _require_steady(type, condition)
    return asked.conditions


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_CONDITIONS
        )
    except ValueError:  # a UnicodeDecodeError is one, too
        raise InvalidSearch("not PARAMETER=VALUE, joined by &") from None
    if not pairs:
        raise InvalidSearch("it says nothing")
    return pairs


def _require_steady(type: str, condition: Condition) -> None:
    if not isinstance(condition, Match | Missing):
        raise InvalidSearch("chains, _has, _list and _filter are more than a test of one parameter")
    if condition.kind in ("words", "special"):
        raise InvalidSearch(f"{condition.parameter} is not exact")
    if type != "*" and condition.parameter not in r4_search_parameters(type):
        raise InvalidSearch("a search parameter of one's own may change or go")
    if condition.parameter in _UNSTEADY:
        raise InvalidSearch(f"{condition.parameter} changes with every write")
    if isinstance(condition, Match) and condition.modifier in ("text", "identifier", "above", "below"):
        raise InvalidSearch(f"the modifier :{condition.modifier} is not exact")
    if isinstance(condition, Match) and any(getattr(v, "prefix", "") == "ap" for v in condition.values):
        raise InvalidSearch("'approximately' is not exact")
    if isinstance(condition, Match) and len(condition.values) > MOST_VALUES:
        raise InvalidSearch(f"more than {MOST_VALUES} values")


@lru_cache(maxsize=4096)
def rule(scope: Scope) -> Condition | None:
    """What a granular scope asks of a row; None for one on the whole type."""
    if not scope.query:
        return None
    found = conditions(scope.type, scope.query)
    return found[0] if len(found) == 1 else AllOf(found)


def text(scopes: tuple[Scope, ...]) -> str:
    """The scopes as one line, in the spelling of v2."""
    return " ".join(str(scope) for scope in scopes)


def _shown(word: str) -> str:
    return f"scope {word[:80]!r}"
