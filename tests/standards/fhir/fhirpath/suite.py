"""Reads and runs the official FHIRPath suite for R4, case by case."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

from suture.errors import InvalidSyntax, SutureError
from suture.standards.fhir import json, xml
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.fhirpath.functions.conversion import to_string
from tests import public

NOW = datetime(2026, 11, 25, 9, 30, 0, 123000, tzinfo=timezone(timedelta(hours=1)))
ENVIRONMENT = Environment(now=NOW)


@dataclass(frozen=True)
class Case:
    """One test of the suite; `place` counts those that share a name."""

    name: str
    file: str
    text: str
    invalid: str  # '' | syntax | semantic | execution
    predicate: bool
    strict: bool
    ordered: bool  # functions that need an order are checked
    ordered_output: bool
    outputs: tuple[tuple[str, str], ...]


def cases() -> Iterator[Case]:
    root = ElementTree.parse(public.path("fhir-test-cases/r4/fhirpath/tests-fhir-r4.xml")).getroot()
    seen: dict[str, int] = {}
    for test in root.iter("test"):
        name = test.attrib["name"]
        seen[name] = seen.get(name, 0) + 1
        yield _case(test, name if seen[name] == 1 else f"{name}#{seen[name]}")


def _case(test: ElementTree.Element, name: str) -> Case:
    expression = test.find("expression")
    assert expression is not None
    return Case(
        name=name,
        file=test.get("inputfile", ""),
        text=expression.text or "",
        invalid=expression.get("invalid", test.get("invalid", "")),
        predicate=test.get("predicate") == "true",
        strict=test.get("mode") == "strict",
        ordered=test.get("checkOrderedFunctions") == "true",
        ordered_output=test.get("ordered") != "false",
        outputs=tuple((one.get("type", ""), one.text or "") for one in test.findall("output")),
    )


@cache
def resource(file: str) -> dict[str, Any] | None:
    if not file:
        return None
    found = public.path("fhir-test-cases/r4") / file
    if not found.exists():
        found = public.path("fhir-test-cases/r4/examples") / file
    raw = found.read_bytes()
    return xml.read(raw) if file.endswith(".xml") else json.read(raw)


def run(case: Case) -> str:
    """'' when the case passes, else what went another way. Every case is checked against the type of its input."""
    focus = resource(case.file)
    kind = focus["resourceType"] if focus else ""
    try:
        expression = compile(case.text, type=kind, ordered=case.ordered)
        if case.invalid == "syntax":
            return "compiled"
        items = expression.typed(focus, ENVIRONMENT)
    except InvalidSyntax as error:
        return "" if case.invalid else f"raised {error}"
    except SutureError as error:
        return "" if case.invalid in ("semantic", "execution") else f"raised {error}"
    if case.invalid:
        return "no error"
    return _judge_predicate(case, expression.holds(focus, ENVIRONMENT)) if case.predicate else _judge(case, items)


def _judge_predicate(case: Case, holds: bool) -> str:
    return "" if [("boolean", str(holds).lower())] == list(case.outputs) else f"predicate {holds}"


def _judge(case: Case, items: list[tuple[str, Any]]) -> str:
    found = [(kind, _text(value)) for kind, value in items]
    wanted = list(case.outputs)
    if not case.ordered_output:
        found.sort(key=lambda one: one[1])
        wanted.sort(key=lambda one: one[1])
    same = len(found) == len(wanted) and all(_same(*pair) for pair in zip(found, wanted, strict=True))
    return "" if same else f"{found} instead of {wanted}"


def _text(value: Any) -> str:
    return str(to_string(value)) if to_string(value) is not None else repr(value)


def _same(found: tuple[str, str], wanted: tuple[str, str]) -> bool:
    kind, text = wanted
    if kind and found[0].partition(".")[2].lower() != kind.lower():
        return False
    if kind == "decimal" or (not kind and text.replace(".", "").lstrip("-").isdigit()):
        return Decimal(found[1]) == Decimal(text)
    return found[1] == text.removeprefix("@").removeprefix("T" if text.startswith("@T") else "@")
