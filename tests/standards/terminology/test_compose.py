"""Which codes a value set holds, listed and asked one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, SutureError, TooCostly
from suture.standards.terminology import filters
from suture.standards.terminology.compose import members
from suture.standards.terminology.filters import OPERATORS
from suture.standards.terminology.membership import member_anywhere, member_of
from tests.standards.terminology.worlds import ANIMALS, CODES, Books, a_set, rule

BIRDS = {"bird", "hen", "dodo", "swift"}
CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"system": ANIMALS}, set(CODES)),
    (rule("concept", "is-a", "bird"), BIRDS),
    (rule("concept", "descendent-of", "bird"), BIRDS - {"bird"}),
    (rule("concept", "is-not-a", "animal"), {"old"}),
    (rule("concept", "generalizes", "swift"), {"swift", "bird", "flyer", "animal"}),
    (rule("concept", "in", "hen, cat,none"), {"hen", "cat"}),
    (rule("code", "not-in", "hen,cat"), set(CODES) - {"hen", "cat"}),
    (rule("legs", "=", "4"), {"mammal"}),
    (rule("legs", "exists", "true"), {"bird", "mammal"}),
    (rule("legs", "exists", "false"), set(CODES) - {"bird", "mammal"}),
    (rule("code", "regex", ".at"), {"bat", "cat"}),
    (rule("display", "regex", "B.*"), {"bird", "bat"}),
    (rule("parent", "=", "flyer"), {"swift"}),
    (rule("child", "=", "swift"), {"bird", "flyer"}),
    (rule("inactive", "=", "true"), {"dodo"}),
    (rule("concept", "is-a", "unicorn"), set()),
    ({"system": ANIMALS, "filter": [*rule("concept", "is-a", "bird")["filter"], *rule("concept", "is-a", "flyer")["filter"]]}, {"swift"}),
    ({"system": ANIMALS, "concept": [{"code": "cat"}, {"code": "unicorn"}]}, {"cat"}),
]  # fmt: skip


@pytest.mark.parametrize(("include", "codes"), CASES, ids=[str(c[0].get("filter", "")) for c in CASES])
def test_what_an_include_chooses(include: dict[str, Any], codes: set[str]) -> None:
    books, made = Books(), a_set(include)
    assert {code for _, code in members(books, made).codes} == codes
    assert {code for code in CODES if member_of(books, made, ANIMALS, code)} == codes


def test_the_order_is_the_code_systems() -> None:
    assert [code for _, code in members(Books(), a_set({"system": ANIMALS})).codes] == list(CODES)


def test_sets_meet_and_are_taken_away() -> None:
    books = Books()
    books.sets["http://example.org/flyers"] = a_set(rule("concept", "is-a", "flyer"))
    meets = {**rule("concept", "is-a", "bird"), "valueSet": ["http://example.org/flyers"]}
    assert [code for _, code in members(books, a_set(meets)).codes] == ["swift"]
    without = a_set(rule("concept", "is-a", "bird"), exclude=({"valueSet": ["http://example.org/flyers"]},))
    assert {code for _, code in members(books, without).codes} == BIRDS - {"swift"}
    assert member_of(books, without, ANIMALS, "swift") is False
    active = a_set(rule("concept", "is-a", "bird"), inactive=False)
    assert {code for _, code in members(books, active).codes} == BIRDS - {"dodo"}
    assert member_of(books, active, ANIMALS, "dodo") is False


def test_a_set_that_imports_itself_is_named() -> None:
    books = Books()
    books.sets["http://example.org/set"] = made = a_set({"valueSet": ["http://example.org/set"]})
    with pytest.raises(Inapplicable, match="the value set imports itself"):
        members(books, made)
    with pytest.raises(Inapplicable, match="the value set imports itself"):
        member_of(books, made, ANIMALS, "cat")


def test_sets_that_import_one_another_twice_are_asked_once() -> None:
    books = Books()
    for n in range(25):
        twice = [f"http://example.org/{n + 1}"]
        books.sets[f"http://example.org/{n}"] = a_set({"valueSet": twice}, {"valueSet": twice})
    books.sets["http://example.org/25"] = a_set(rule("concept", "is-a", "bird"))
    first = books.sets["http://example.org/0"]
    assert {code for _, code in members(books, first).codes} == BIRDS
    assert member_of(books, first, ANIMALS, "cat") is False
    assert member_anywhere(books, first, "hen") is True
    assert member_anywhere(books, first, "cat") is False
    books.sets["http://example.org/open"] = a_set(
        rule("concept", "is-a", "bird"), {"valueSet": ["http://example.org/none"]}
    )
    open_ = books.sets["http://example.org/open"]
    assert (member_anywhere(books, open_, "hen"), member_anywhere(books, open_, "cat")) == (True, None)


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ({"system": "http://example.org/none"}, "the code system http://example.org/none is not known here"),
        ({"system": ANIMALS, "version": "9"}, "the code system http://example.org/animals|9 is not known here"),
        ({"valueSet": ["http://example.org/none"]}, "the value set http://example.org/none is not known here"),
        (rule("wings", "=", "2"), "has no property 'wings'"),
        (rule("concept", "like", "2"), "no such filter operator"),
        (rule("legs", "is-a", "2"), "is-a asks for the property concept"),
    ],
)
def test_what_cannot_be_answered_is_named(include: dict[str, Any], said: str) -> None:
    with pytest.raises(Inapplicable) as caught:
        members(Books(), a_set(include))
    assert said in str(caught.value)
    assert caught.value.where.startswith("ValueSet.compose.include[0]")


def test_what_is_unknown_is_neither_in_nor_out() -> None:
    unknown = a_set({"system": "http://example.org/none"}, {"system": ANIMALS, "concept": [{"code": "cat"}]})
    assert member_of(Books(), unknown, ANIMALS, "cat") is True
    assert member_of(Books(), unknown, ANIMALS, "hen") is False
    assert member_of(Books(), unknown, "http://example.org/none", "x") is None
    listed = a_set({"system": "http://example.org/none", "concept": [{"code": "x", "display": "X"}]})
    assert member_of(Books(), listed, "http://example.org/none", "x") is True
    assert member_of(Books(), listed, "http://example.org/none", "y") is False


def test_too_many_codes_are_refused() -> None:
    with pytest.raises(TooCostly, match="more than 3 codes"):
        members(Books(), a_set({"system": ANIMALS}), most=3)


def test_a_pattern_over_very_many_codes_is_too_costly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "WORK", 100)
    with pytest.raises(TooCostly, match="too much for so many codes"):
        members(Books(), a_set(rule("display", "regex", ".*a.*b.*")))


RULES = st.builds(
    rule,
    st.sampled_from(["concept", "legs", "display", "parent", "inactive", "wings"]),
    st.sampled_from([*OPERATORS, "like"]),
    st.sampled_from([*CODES, "2", "true", "false", ".*", "(a+)+b", "cat,hen", "["]),
)


@given(st.lists(RULES, min_size=1, max_size=3), st.lists(RULES, max_size=2))
def test_asking_for_one_code_and_listing_agree(include: list[dict[str, Any]], exclude: list[dict[str, Any]]) -> None:
    books, made = Books(), a_set(*include, exclude=tuple(exclude))
    try:
        listed = {code for _, code in members(books, made).codes}
    except SutureError:
        return
    assert {code for code in CODES if member_of(books, made, ANIMALS, code)} == listed
