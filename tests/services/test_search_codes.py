"""Searches by value sets and hierarchies that somebody else knows: the port they come through, and its limits."""

from __future__ import annotations

import pytest

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from suture.standards.fhir.search_tables import MOST_MEMBERS
from suture.store import search as store_search
from tests.store.search.conftest import people as people
from tests.store.search.worlds import World

LOINC = "http://loinc.org"


class Known:
    """An expander with one value set and one hierarchy."""

    def expand(self, url: str) -> list[tuple[str, str]] | None:
        if url == "http://example.org/large":
            return [(LOINC, str(n)) for n in range(MOST_MEMBERS + 1)]
        return [(LOINC, "29463-7"), (LOINC, "8302-2")] if url == "http://example.org/body" else None

    def related(self, system: str, code: str, *, above: bool) -> set[str] | None:
        if (system, code) != (LOINC, "85354-9"):
            return None
        return {code} if above else {code, "8480-6", "72166-2"}


CASES = [
    ("code:in=http://example.org/body", {"w1", "w2", "w3", "h1", "x1", "f1"}),
    ("code:not-in=http://example.org/body", {"s1", "n1", "d1", "t1", "p1", "p2"}),
    (f"code:below={LOINC}|85354-9", {"s1", "p1", "p2"}),
    (f"code:above={LOINC}|85354-9", {"p1", "p2"}),
    ("code:in=http://example.org/body&patient=bob", {"w3", "h1"}),
]


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[c[0] for c in CASES])
def test_what_the_expander_says_is_found(people: World, query: str, expected: set[str]) -> None:
    pairs = [(k, v) for k, _, v in (part.partition("=") for part in query.split("&"))]
    asked = search.parse("Observation", pairs, expander=Known())
    found = store_search.find(people.store.read, asked).rows
    assert {row.id for row in found} == expected
    assert people.brute(asked) == {f"Observation/{id}" for id in expected}
    assert search.parse("Observation", list(search.pairs(asked)), expander=Known()) == asked


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("code:in", "http://example.org/unknown", "this value set can't be enumerated here"),
        ("code:in", "http://example.org/large", f"these are more than {MOST_MEMBERS} codes"),
        ("code:below", f"{LOINC}|1-1", "the hierarchy of this code system is not known here"),
        ("code:below", "1-1", "code:below: :below needs system|code"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(key: str, text: str, said: str) -> None:
    with pytest.raises(InvalidSearch) as caught:
        search.parse("Observation", [(key, text)], expander=Known())
    assert said in str(caught.value)
    assert caught.value.where == key
