"""Expression constraints over a small tree, and texts that are none."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, SutureError, TooCostly
from suture.standards.terminology import ecl, implicit
from suture.standards.terminology.code_system import of_resource
from suture.standards.terminology.compose import members
from tests.standards.terminology.worlds import Books

SNOMED = "http://snomed.info/sct"
TREE = of_resource({
    "url": SNOMED, "content": "fragment",
    "concept": [{"code": "1", "concept": [
        {"code": "2", "concept": [{"code": "4"}, {"code": "5"}]},
        {"code": "3", "concept": [{"code": "6"}]},
        {"code": "7", "property": [{"code": "parent", "valueCode": "2"}, {"code": "parent", "valueCode": "3"}]},
    ]}],
})  # fmt: skip

SAID: list[tuple[str, str]] = [
    ("2", "2"),
    ("<< 2 |Middle one|", "2457"),
    ("<2", "457"),
    (">>7", "1237"),
    ("> 7", "123"),
    ("<!1", "237"),
    (">! 4", "2"),
    ("*", "1234567"),
    ("<<2 AND <<3", "7"),
    ("<<2, <<3", "7"),
    ("<2 or <3 OR 1", "14567"),
    ("<<1 MINUS (<<2 OR 3)", "16"),
    ("<< (2 OR 6)", "24567"),
    ("<<99", ""),
]


@pytest.mark.parametrize(("text", "codes"), SAID, ids=[text for text, _ in SAID])
def test_what_an_expression_stands_for(text: str, codes: str) -> None:
    assert "".join(sorted(ecl.chosen(TREE, text))) == codes


def test_as_a_value_set_of_its_url() -> None:
    made: Any = implicit.value_set(f"{SNOMED}?fhir_vs=ecl/%3C%3C2%20AND%20%3C%3C3")
    assert [code for _, code in members(Books({SNOMED: TREE}), made).codes] == ["7"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the expression ends too early"),
        ("<<", "the expression ends too early"),
        ("2 3", "'3' is not expected here"),
        ("^ 2", r"'\^' is not expected here, or not supported"),
        ("<2 : 3 = 4", "':' is not expected here, or not supported"),
        ("2 AND 3 OR 4", "AND, OR and MINUS are mixed"),
        ("1 MINUS 2 MINUS 3", "AND, OR and MINUS are mixed"),
        ("(2", "a parenthesis is not closed"),
        ("2 ;", "can't be read at character 2"),
        ("(" * 60 + "2", "more than 50 parentheses"),
        ("2 OR " * 2000, "more than 4000 characters"),
    ],
)
def test_what_is_none_is_named(text: str, said: str) -> None:
    with pytest.raises(Inapplicable, match=said):
        ecl.chosen(TREE, text)


def test_families_of_very_many_codes_are_too_costly() -> None:
    wide = of_resource({"url": SNOMED, "concept": [{"code": str(n)} for n in range(2000)]})
    with pytest.raises(TooCostly, match="stands before more than 1000 codes"):
        ecl.chosen(wide, "<< *")


@given(st.text("<>!()*^|,123 ANDORMINUS", max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with suppress(SutureError):
        assert ecl.chosen(TREE, text) <= set(TREE.displays)
