"""Questions to full text: what can be asked, what is refused, what a resource's words are."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidSearch
from suture.standards.fhir import search, search_words

READ = [
    ("flu", ("phrase", "flu")),
    ("Grippe AND Fieber", ("and", ("phrase", "grippe"), ("phrase", "fieber"))),
    ("a b", ("and", ("phrase", "a"), ("phrase", "b"))),
    ("a OR b c", ("or", ("phrase", "a"), ("and", ("phrase", "b"), ("phrase", "c")))),
    ('"acute pain" NOT chronic', ("not", ("phrase", "acute", "pain"), ("phrase", "chronic"))),
    ("(a OR b) AND c*", ("and", ("or", ("phrase", "a"), ("phrase", "b")), ("begins", "c"))),
    ("8480-6", ("phrase", "8480", "6")),
    ("Überfall", ("phrase", "uberfall")),
]


@pytest.mark.parametrize(("text", "tree"), READ, ids=[r[0] for r in READ])
def test_what_can_be_asked(text: str, tree: object) -> None:
    assert search_words.read(text, "_content").tree == tree


@pytest.mark.parametrize(
    "text", ["", "  ", "-", '"', '"open', "(a", "a)", "()", "OR", "a OR", "NOT a", "AND", "a NOT", "(" * 20 + "a" + ")" * 20, "a " * 40]
)  # fmt: skip
def test_what_is_refused_names_the_parameter(text: str) -> None:
    with pytest.raises(InvalidSearch) as caught:
        search_words.read(text, "_content")
    assert (caught.value.where, bool(caught.value.mend)) == ("_content", True)


@given(st.text(alphabet='ab ()"*ORANDT\\é-|', max_size=80))
def test_any_text_is_read_or_refused_and_written_back(text: str) -> None:
    with suppress(InvalidSearch):
        query = search.parse("Patient", [("_content", text)])
        assert search.parse("Patient", list(search.pairs(query))) == query
        search.matches(query, {"resourceType": "Patient", "name": [{"family": "a b"}]})


def test_the_words_of_a_resource() -> None:
    resource = {
        "resourceType": "Observation", "id": "hidden", "meta": {"profile": ["http://hidden"]},
        "text": {"status": "generated", "div": '<div class="hidden">Blut&nbsp;druck <b>hoch</b></div>'},
        "code": {"coding": [{"system": "http://hidden", "code": "8480-6", "display": "Systolic"}], "text": "RR"},
        "subject": {"reference": "Patient/hidden", "display": "Ann"}, "contained": [{"note": [{"text": "inside"}]}],
    }  # fmt: skip
    assert search_words.narrative(resource) == ["blut", "druck", "hoch"]
    found = search_words.content(resource)
    assert {"blut", "8480", "systolic", "rr", "ann", "inside"} <= set(found)
    assert "hidden" not in found


def test_where_it_may_stand() -> None:
    with pytest.raises(InvalidSearch, match="Bundle has no narrative"):
        search.parse("Bundle", [("_text", "x")])
    assert search.parse("Bundle", [("_content", "x")]).conditions
    assert search.parse("", [("_text", "x")]).conditions
    assert search.parse("Observation", [("subject:Patient._text", "x")]).conditions
