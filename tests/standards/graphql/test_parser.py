"""GraphQL documents are read into a tree, or refused with line and column."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidSyntax
from suture.standards.graphql import parser
from suture.standards.graphql.lexer import LONGEST
from suture.standards.graphql.tree import Declared, Directive, Field, Spread, Variable, Word
from tests import public


def only(text: str) -> Field:
    part = parser.read(text).operations[0].selections[0]
    assert isinstance(part, Field)
    return part


def test_a_field_has_alias_arguments_directives_and_fields() -> None:
    found = only(
        '{ a: name(use: official, n: -1.50, s: "x\\u0041\\n", l: [1 $v], o: {k: null}) @include(if: true) { b } }'
    )
    assert (found.key, found.name, found.place) == ("a", "name", "1:3")
    assert found.arguments == {
        "use": Word("official"),
        "n": Decimal("-1.50"),
        "s": "xA\n",
        "l": [1, Variable("v")],
        "o": {"k": None},
    }
    assert isinstance(found.arguments["use"], Word)
    assert found.directives == (Directive("include", {"if": True}),)
    assert [part.name for part in found.selections if isinstance(part, Field)] == ["b"]


def test_operations_variables_and_fragments() -> None:
    found = parser.read(
        "query q($v: [Int!]! = [1], $w: Boolean) { ...f ... on Patient { a } ... @skip(if: $w) { b } } fragment f on X { c }"
    )
    assert found.operations[0].variables == (Declared("v", "[Int!]!", [1]), Declared("w", "Boolean"))
    kinds = [(p.fragment, p.type) for p in found.operations[0].selections if isinstance(p, Spread)]
    assert kinds == [("f", ""), ("", "Patient"), ("", "")]
    assert found.fragments["f"].type == "X"


def test_a_block_string_loses_its_indentation() -> None:
    assert only('{ a(x: """\n    one\n      two \\"""\n  """) }').arguments["x"] == 'one\n  two """'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ a", "query 1:4: the query is broken here"),
        ("{}", "query 1:2: the query is broken here: a field is missing"),
        ("\n { a(x 1) }", "query 2:8: the query is broken here: : is missing"),
        ("{ a(x: 01) }", "query 1:8: no token of GraphQL begins here"),
        ('{ a(x: "b) }', "query 1:8: no token of GraphQL begins here"),
        ("{ a(x: 1, x: 2) }", "query 1:17: one name stands twice here"),
        ("frob { a }", "query 1:1: the query is broken here: query, fragment or { is missing"),
        ("{ a " * 31 + "}" * 31, "query 1:121: nested deeper than 30"),
        ("{ a(x: " + "[" * 40 + ") }", "query 1:37: nested deeper than 30"),
        ("#" * (LONGEST + 1), "query: this query is too long"),
        ("{a} fragment f on X {a} fragment f on X {a}", "query fragment f: two fragments have one name"),
    ],
)
def test_what_is_broken_is_placed(text: str, said: str) -> None:
    with pytest.raises(InvalidSyntax) as raised:
        parser.read(text)
    assert str(raised.value).startswith(said)


WORDS = st.sampled_from(
    ["{", "}", "(", ")", "[", "]", ":", "$", "@", "...", "on", "query", "fragment", "a", '"s"', '"""b"""', "1", "-2.5e1", "=", "!", "#c\n", ","]
)  # fmt: skip


@given(text=st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=60))
def test_whatever_is_sent_is_read_or_refused(text: str) -> None:
    with suppress(InvalidSyntax):
        parser.read(text)


def test_the_documents_of_the_public_suite() -> None:
    text = public.path("fhir-test-cases/r4/graphql/parser-tests.gql").read_text()
    parts = re.split(r"^####.*$", text, flags=re.MULTILINE)[1:]
    assert len(parts) > 15
    for part in parts:
        assert parser.read(part.replace("user()", "user")).operations
