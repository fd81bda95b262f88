"""The store, memory and FHIRPath asked the same: values come from the engine, comparisons are written here once more, plainly."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from suture.standards.fhir import search
from suture.standards.fhir.definitions import search_parameter
from suture.standards.fhir.index_atoms import leaf_types
from suture.standards.fhir.index_paths import paths
from suture.standards.fhir.index_values import fold
from suture.standards.fhir.search_tables import searchable
from suture.store import search as store_search
from tests.standards.fhir.test_index_against_fhirpath import expected, span
from tests.store.search.queries import Maker
from tests.store.search.worlds import Resource, World

DAY = 86_400_000_000
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def split(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def date(text: str, low: int, high: int) -> bool:
    """https://hl7.org/fhir/R4/search.html#date, with the ranges of both sides"""
    prefix, rest = split(text)
    begin, end = minute(rest) if len(rest) == 17 else span(rest)
    inside = begin <= low and high <= end
    wide = max(end - begin, DAY)
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > end,
        "lt": low < begin,
        "ge": inside or high > end,
        "le": inside or low < begin,
        "sa": low >= end,
        "eb": high <= begin,
        "ap": low < end + wide and high > begin - wide,
    }[prefix]


def minute(text: str) -> tuple[int, int]:
    low, _ = span(text[:16] + ":00Z")
    return low, low + 60_000_000


def number(text: str, low: float, high: float) -> bool:
    prefix, rest = split(text)
    value, half = float(rest), 10.0 ** -len(rest.partition(".")[2]) / 2
    if "e" in rest:
        half = 10.0 ** (int(rest.partition("e")[2]) - len(rest.partition("e")[0].partition(".")[2])) / 20
    bottom, top, tenth = value - half, value + half, abs(value) / 10
    inside = bottom <= low and high < top
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > value,
        "lt": low < value,
        "ge": high >= value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
        "ap": low <= max(value + tenth, top) and high >= min(value - tenth, bottom),
    }[prefix]


def plainly(kind: str, modifier: str, text: str, value: Any) -> bool:
    """Does one value that FHIRPath reached fit one value that is asked for?"""
    return _PLAINLY[kind](modifier, text, value)


def _token(modifier: str, text: str, value: Any) -> bool:
    system, bar, code = text.rpartition("|")
    if isinstance(value, str):  # a code, whose system is implied and not told by the engine
        return code.lower() == value.lower()
    if not code:
        return bool(value[0] == system)
    return (not bar or value[0] == system) and code.lower() == value[1].lower()


def _identifier(modifier: str, text: str, value: Any) -> bool:
    """To the letter."""
    system, bar, code = text.rpartition("|")
    return (not bar or value[0] == system) and code in ("", value[1])


def _string(modifier: str, text: str, value: Any) -> bool:
    return fold(text) in value if modifier == "contains" else bool(value.startswith(fold(text)))


_PLAINLY: dict[str, Callable[[str, str, Any], bool]] = {
    "token": _token,
    "identifier": _identifier,
    "string": _string,
    "date": lambda modifier, text, value: date(text, *value),
    "number": lambda modifier, text, value: number(text, *value[-2:]),
    "reference": lambda modifier, text, value: value in (text, f"{value.partition(chr(47))[0]}/{text}"),
    "uri": lambda modifier, text, value: value == text,
}


def asked(world: World, seed: int) -> tuple[Resource, str, str, str] | None:
    """A resource, a parameter of its type, a modifier and one value that was made from it; of kinds that are plain."""
    maker = Maker(Random(seed), world.by_key)
    resource = maker.random.choice(list(world.by_key.values()))
    codes = [c for c, k in searchable(resource["resourceType"]).items() if k in _PLAINLY and not c.startswith("_")]
    codes = [code for code in codes if maker.rows(resource, code)]
    pair = maker.plain(resource, maker.random.choice(codes)) if codes else None
    if pair is None:
        return None
    code, _, modifier = pair[0].partition(":")
    strange = modifier not in ("", "not", "contains") or any(sign in pair[1] for sign in "\\,$")
    return None if strange or pair[1].startswith("|") else (resource, code, modifier, pair[1])


@given(st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_store_memory_and_fhirpath_agree(people: World, seed: int) -> None:
    made = asked(people, seed)
    if made is None:
        return
    resource, code, modifier, text = made
    type = resource["resourceType"]
    parameter = search_parameter(type, code)
    assert parameter is not None
    if parameter.type == "token" and "|" in text and any(isinstance(v, str) for v in expected(parameter, resource)):
        return  # which system a code implies, its value set says
    query = search.parse(type, [(f"{code}:{modifier}" if modifier else code, text), ("_count", "1000")])
    stored = {f"{row.type}/{row.id}" for row in store_search.find(people.store.read, query).rows}
    assert stored == people.brute(query)
    leaves = {leaf for path in paths(parameter.expression, type) for leaf in leaf_types(type, path)}
    kind = "identifier" if "Identifier" in leaves else parameter.type
    by_path = {
        f"{type}/{other['id']}"
        for other in people.all(type)
        if any(plainly(kind, modifier, text, value) for value in expected(parameter, other)) == (modifier != "not")
    }
    assert stored == by_path, (type, code, modifier, text)
