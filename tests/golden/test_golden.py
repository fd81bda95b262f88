"""The examples of the shipped maps come out as they are written down, and what comes out is valid FHIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suture.mapping import examples, reference
from suture.mapping.library import Library
from suture.standards.fhir.validate import check
from tests.golden.__main__ import pages

LIBRARY = Library()
EXAMPLES = [
    pytest.param(name, example, id=f"{name} {example.get('in') or number}")
    for name in LIBRARY.names()
    for number, example in enumerate(LIBRARY.require(name).examples)
]

# a segment alone need not be a whole resource
WHOLE = [one for one in EXAMPLES if LIBRARY.require(str(one.values[0])).kind != "segment"]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_comes_out_as_written(name: str, example: dict[str, Any]) -> None:
    assert examples.check(LIBRARY, LIBRARY.compiled(name), example) == []


def resources(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict) or "resourceType" not in value:
        return []
    if value["resourceType"] == "Bundle":
        return [entry["resource"] for entry in value["entry"]]
    return [value]


@pytest.mark.parametrize(("name", "example"), WHOLE)
def test_what_a_message_map_makes_is_valid(name: str, example: dict[str, Any]) -> None:
    compiled = LIBRARY.compiled(name)
    value = examples.run(LIBRARY, compiled, example).value
    wrong = [i for resource in resources(value) for i in check(resource) if i.severity in ("error", "fatal")]
    assert [(i.expression, i.text) for i in wrong] == []


def test_every_shipped_map_compiles_and_reads_without_errors() -> None:
    assert [name for name in LIBRARY.names() if LIBRARY.compiled(name).text == ""] == []


@pytest.mark.parametrize(("file", "name", "table"), pages(), ids=lambda v: v.name if isinstance(v, Path) else "")
def test_the_tables_of_the_docs_are_what_the_code_holds(file: Path, name: str, table: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert reference.put(text, name, table) == text, "run: python -m tests.golden"
