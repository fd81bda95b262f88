"""matches() and its like: Python's answers, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, SutureError, TooCostly
from suture.standards.fhir.fhirpath import regex
from suture.standards.fhir.fhirpath.automaton import Automaton, Reader, risky

_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "1"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=6,
)
_TEXTS = st.text("ab1.", max_size=12)


@given(_PATTERNS, _TEXTS, st.booleans(), st.booleans())
def test_the_automaton_answers_as_python_does(pattern: str, text: str, start: bool, end: bool) -> None:
    pattern = f"{'^' * start}(?:{pattern}){'$' * end}"
    automaton, engine = Automaton(Reader(pattern).whole(), re.DOTALL), re.compile(pattern, re.DOTALL)
    assert automaton.full(text) == bool(engine.fullmatch(text))
    assert automaton.search(text) == bool(engine.search(text))


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_pattern_answers_or_is_refused(pattern: str, text: str) -> None:
    try:
        assert regex.search(text, pattern) in (True, False)
        assert isinstance(regex.replace(text, pattern, "$1"), str)
    except SutureError as error:
        assert error.text  # noqa: PT017 - both ways are right, a third is not


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)*$", "(x+x+)+y", "(.*)*=", "((a*)*)*b", "a*a*a*a*a*b"])
def test_patterns_that_run_away_elsewhere_end_here(pattern: str) -> None:
    assert regex.full("a" * 3000 + "!", pattern) is False


def test_a_replacement_that_may_run_away_is_refused() -> None:
    with pytest.raises(TooCostly, match="may need too long"):
        regex.replace("a" * 3000, "(a+)+$", "x")


def test_too_long_a_text_for_too_large_a_pattern_is_refused() -> None:
    with pytest.raises(TooCostly, match="too much for a text"):
        regex.search("a" * 100_000, "(a|b){300}")


def test_a_broken_pattern_says_so() -> None:
    with pytest.raises(Inapplicable, match="can't be read"):
        regex.search("a", "(")


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [("(a+)+", True), ("(a|b)*", True), ("(ab)*", False), ("a+b+", False), ("([0-9]){0,9}", False)],
)
def test_only_a_choice_inside_a_repetition_is_risky(pattern: str, verdict: bool) -> None:
    assert risky(Reader(pattern).whole()) is verdict
