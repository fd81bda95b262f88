"""The language of `_filter`: what is read, in which order, and what is refused with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from suture.standards.fhir.search_filter import OPERATORS
from suture.standards.fhir.search_filter_text import MOST_BRACKETS, Comparison, Denied, Joined, Part, Tree, read
from suture.standards.fhir.search_query import AllOf, Chain, Condition, Filter, Has, Match, Missing, NoneOf


def asked(type: str, text: str) -> Condition:
    (found,) = search.parse(type, [("_filter", text)]).conditions
    assert isinstance(found, Filter)
    return found.condition


def place_of_refusal(type: str, text: str) -> str:
    """Where the error says it is; of what is read, nothing but `_filter`."""
    try:
        assert asked(type, text) is not None
    except InvalidSearch as error:
        return error.where
    return "_filter"


def one(name: str) -> Comparison:
    return Comparison((Part(name),), "eq", "x")


def test_and_and_or_go_from_left_to_right_without_precedence() -> None:
    a, b, c, d = map(one, "abcd")
    assert read("a eq x and b eq x and c eq x") == Joined("and", (a, b, c))
    assert read("a eq x or b eq x and c eq x") == Joined("and", (Joined("or", (a, b)), c))
    assert read("a eq x or (b eq x and c eq x) or d eq x") == Joined("or", (a, Joined("and", (b, c)), d))
    assert read(" not(a eq x) and not ( b eq x ) ") == Joined("and", (Denied(a), Denied(b)))


def test_values_are_words_or_json_texts() -> None:
    assert read(r'name co "a \"b\" (c) \u00e9]"') == Comparison((Part("name"),), "co", 'a "b" (c) é]')
    assert read("(code eq http://loinc.org|1234-5)") == Comparison((Part("code"),), "eq", "http://loinc.org|1234-5")
    assert read("and eq or") == Comparison((Part("and"),), "eq", "or")


def test_paths_have_brackets_and_types() -> None:
    found = read('subject:Patient[name co "pet" and gender eq male].general-practitioner.name sw a')
    assert isinstance(found, Comparison)
    assert [part.name for part in found.path] == ["subject:Patient", "general-practitioner", "name"]
    assert found.path[0].inner == Joined(
        "and", (Comparison((Part("name"),), "co", "pet"), Comparison((Part("gender"),), "eq", "male"))
    )


def test_a_filter_is_conditions_that_policy_can_narrow() -> None:
    found = asked("Observation", "not (subject:Patient.name eq x) and _has:Provenance:target:agent re Practitioner/1")
    assert isinstance(found, AllOf)
    denied, has = found.conditions
    assert isinstance(denied, NoneOf)
    assert isinstance(denied.conditions[0], Chain)
    assert isinstance(has, Has)
    query = search.restrict(search.parse("Observation", [("_filter", "subject.name eq x")]), lambda _: search.NOTHING)
    inner = query.conditions[0]
    assert isinstance(inner, Filter)
    assert isinstance(inner.condition, Chain)
    assert all(search.NOTHING in branch.conditions for branch in inner.condition.branches)


def test_short_names_of_code_systems() -> None:
    for text, system in (("code eq loinc|8480-6", "http://loinc.org"), ("code ne snomed|1", "http://snomed.info/sct")):
        found = asked("Observation", text)
        assert isinstance(found, Match)
        assert getattr(found.values[0], "system", "") == system
    quantity = asked("Observation", "value-quantity gt 5|ucum|mg")
    assert isinstance(quantity, Match)
    assert getattr(quantity.values[0], "system", "") == "http://unitsofmeasure.org"


def test_a_query_with_a_filter_is_written_back() -> None:
    query = search.parse("Patient", [("_filter", 'name co "a,b"'), ("gender", "male")])
    assert list(search.pairs(query)) == [("_filter", 'name co "a,b"'), ("gender", "male")]
    assert search.parse("Patient", list(search.pairs(query))) == query


@pytest.mark.parametrize(
    ("type", "text", "said"),
    [
        ("Patient", "", "_filter: the name of a search parameter is expected at character 1"),
        ("Patient", "name", "_filter: an operator is expected at character 5"),
        ("Patient", "name co", "_filter: an operator is expected at character 6"),
        ("Patient", "name co )", "_filter: a value is expected at character 9"),
        ("Patient", 'name co "secret', "_filter: a text is not ended or has a wrong escape at character 9"),
        ("Patient", r'name co "\q"', "a wrong escape at character 9"),
        ("Patient", "name co a b", "_filter: 'and', 'or' or the end is expected at character 11"),
        ("Patient", "(name co a", "_filter: ')' is expected at character 11"),
        ("Patient", "not name co a", "_filter: a bracket is expected at character 5. Write not (TEST)"),
        ("Observation", "subject[name co a] eq b", "_filter: a name is expected behind the bracket"),
        ("Patient", "name zz a", "_filter: name: no such operator for a string. There are: eq, ne, co"),
        ("Observation", "subject eq Patient/1", "_filter: subject: no such operator for a reference. There are: re, pr"),
        ("Patient", "nmae eq a", "_filter: nmae: Patient has no such search parameter. Did you mean name?"),
        ("Patient", "name:exact eq a", "_filter: a parameter has no modifier in a filter"),
        ("Patient", "birthdate eq ge2014", "_filter: birthdate: not a date"),
        ("Patient", "gender in http://x/none", "_filter: gender: this value set can't be enumerated here"),
        ("Patient", "gender pr maybe", "_filter: gender: pr is true or false"),
        ("Patient", "_id pr true", "_filter: _id: _id is always there"),
        ("Patient", "_content co a", "_filter: _content does not stand in a filter. Write _content=… beside it"),
        ("Observation", "status.name eq a", "status is no reference"),
        ("Patient", "_has:Observation:code:code eq a", "is no reference to a Patient"),
        ("Observation", "has-member." * 6 + "code eq a", "_filter: more than 4 links"),
        ("Group", "characteristic[code eq a].code eq b", "_filter: characteristic: characteristic has other parts"),
        ("Patient", "(" * 9 + "name eq a" + ")" * 9, "_filter: more than 8 brackets"),
        ("Patient", " or ".join(["name eq a"] * 33), "_filter: more than 32 tests"),
        ("Patient", "name eq " + "a" * 5000, "_filter: the filter is too long"),
        ("Patient", "name eq " + "a" * 3000, "_filter: name: a value is too long"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(type: str, text: str, said: str) -> None:
    for lenient in (False, True):  # a filter is never left out in silence
        with pytest.raises(InvalidSearch) as caught:
            search.parse(type, [("_filter", text)], lenient=lenient)
        assert said in str(caught.value)
        assert "secret" not in str(caught.value), "what was searched for may be personal"


def test_paths_without_types_do_not_run_away() -> None:
    text = " and ".join(["subject.general-practitioner.name eq a"] * 32)
    deep = " or ".join(["has-member[focus[focus[code eq a].code eq b].code eq c].code eq a"] * 10)
    for filter in (text, deep):
        assert place_of_refusal("Observation", filter).startswith("_filter")


def test_a_filter_is_more_than_one_row_can_answer_for_bulk_and_topics() -> None:
    looking = search.parse("Observation", [("_filter", "code eq a or not (subject.name eq b)")]).conditions
    plain = search.parse("Observation", [("_filter", "code eq a or not (status eq b)")]).conditions
    assert search.looks_away(looking[0])
    assert not search.looks_away(plain[0])


def test_pr_asks_whether_there_is_a_value() -> None:
    assert asked("Patient", "gender pr true") == Missing("gender", "token", missing=False)
    assert asked("Patient", "not (gender pr false)") == NoneOf((Missing("gender", "token", missing=True),))


# --- whatever is written

NAMES = st.sampled_from(["name", "gender", "birthdate", "_id", "general-practitioner", "organization", "x"])
VALUES = st.one_of(st.text(max_size=8), st.sampled_from(["2014", "a|b", "true", "Patient/1", ")", "5"]))
TESTS = st.builds(
    Comparison, st.lists(st.builds(Part, NAMES), min_size=1, max_size=2).map(tuple),
    st.sampled_from(sorted({operator for known in OPERATORS.values() for operator in known})), VALUES,
)  # fmt: skip
TREES = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(Denied, inner),
        st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


def written(tree: Tree) -> str:
    """A tree as text, every part of a joined one in brackets."""
    if isinstance(tree, Comparison):
        return f"{'.'.join(part.name for part in tree.path)} {tree.operator} {json.dumps(tree.value)}"
    if isinstance(tree, Denied):
        return f"not ({written(tree.inner)})"
    return f" {tree.word} ".join(f"({written(part)})" for part in tree.filters)


def depth(tree: Tree) -> int:
    parts = (tree.inner,) if isinstance(tree, Denied) else tree.filters if isinstance(tree, Joined) else ()
    return 1 + max(map(depth, parts), default=0)


def flat(tree: Tree) -> Tree:
    """A first part of the same word is no part of its own: `(a and b) and c` is `a and b and c`."""
    if isinstance(tree, Comparison):
        return tree
    if isinstance(tree, Denied):
        return Denied(flat(tree.inner))
    head, *rest = map(flat, tree.filters)
    first = head.filters if isinstance(head, Joined) and head.word == tree.word else (head,)
    return Joined(tree.word, (*first, *rest))


@given(TREES)
@settings(max_examples=60)
def test_what_is_written_is_read(tree: Tree) -> None:
    if depth(tree) <= MOST_BRACKETS:
        assert read(written(tree)) == flat(tree)
        assert place_of_refusal("Patient", written(tree)).startswith("_filter")


SIGNS = st.sampled_from(["name", "gender", " eq ", " co ", " and ", " or ", "not ", "(", ")", "[", "]", ".", '"', "\\", "a", "2014", "|", ":", "_has:", " "])  # fmt: skip


@given(st.lists(st.one_of(SIGNS, st.text(max_size=3)), max_size=25).map("".join))
@settings(max_examples=120)
def test_any_text_is_read_or_refused(text: str) -> None:
    assert place_of_refusal("Patient", text).startswith("_filter")
