"""The examples of docs/search.md are read, refused, and run as the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from suture.errors import InvalidSearch
from suture.standards.fhir import json, search, search_own, validate
from suture.store import search as store_search
from tests.store.search.worlds import World

PAGE = Path(__file__).parents[3] / "docs" / "search.md"
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
BLOCKS = [text for language, text in FENCED if not language]


def read(line: str) -> search.SearchQuery:
    type, _, rest = line.partition("?")
    return search.parse(type, [(k, v) for k, _, v in (part.partition("=") for part in rest.split("&"))])


@pytest.mark.parametrize("line", BLOCKS[0].splitlines())
def test_examples_are_searches(people: World, line: str) -> None:
    query = read(line)
    assert store_search.find(people.store.read, query).rows is not None
    assert search.parse(query.type, list(search.pairs(query))) == query


@pytest.mark.parametrize("line", BLOCKS[1].splitlines())
def test_refusals_say_what_the_page_says(line: str) -> None:
    wrong, said = re.split(r"\s{3,}", line)
    with pytest.raises(InvalidSearch) as caught:
        read(wrong)
    assert said in str(caught.value)


def test_the_search_parameter_can_be_put_to_work() -> None:
    (example,) = [json.read(text.encode()) for language, text in FENCED if language == "json"]
    validate.require(example)
    found = search_own.read(example)
    assert found is not None
    assert found.code == "race"


def test_the_python_examples() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried > 3) == (0, True)
