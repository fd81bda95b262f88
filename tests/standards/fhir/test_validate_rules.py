"""Every native rule says what its FHIRPath says."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable
from suture.standards.fhir.definitions import Element, Invariant, _rows, type_definition
from suture.standards.fhir.fhirpath import compile
from suture.standards.fhir.validate.moments import after
from suture.standards.fhir.validate.rules import NATIVE, Rule
from suture.standards.fhir.words import WORDS

# native rules that answer yes where R4's FHIRPath answers neither yes nor no, or stumbles (unlike units, two values)
LENIENT = {
    ("Period", "per-1"), ("Range", "rng-2"), ("Task", "inv-1"), ("MedicationDispense", "mdd-1"), ("Timing.repeat", "tim-9"),
    ("Bundle.entry", "bdl-8"),
}  # fmt: skip
ALSO = {"rng-2": "value", "obs-7": "system"}  # elements that matter though the expression does not name them
MENDED = {("Questionnaire.item.enableWhen", "que-7")}  # R4's own text can never hold
WITHOUT_RESOLVE = {("CareTeam.participant", "ctm-1")}
MOMENTS = ["2001", "2001-05", "2001-05-02", "2001-05-02T10:00:00Z", "2001-05-02T12:00:00+02:00", "2000-01-01T00:00:00Z"]
POOLS: dict[str, list[Any]] = {
    "boolean": [True, False],
    "decimal": [Decimal("-1.5"), -1, 0, 1, Decimal("2.50")],
    "integer": [-1, 0, 1],
    "positiveInt": [1, 2],
    "unsignedInt": [0, 2],
    "date": MOMENTS[:3],
    "dateTime": MOMENTS,
    "instant": MOMENTS[3:],
}


def invariant_of(name: str, key: str) -> tuple[Invariant, str, list[str]]:
    """The invariant, the type its focus has, and the quoted texts in it."""
    definition = type_definition(name)
    if definition is not None:
        found = next(i for i in definition.invariants if i.key == key)
        kind = name
    else:
        owner, _, last = name.rpartition(".")
        element = type_definition(owner).elements[last]  # type: ignore[union-attr]
        found = next(i for i in element.invariants if i.key == key)
        kind = element.types[0]
    words = re.findall(r"'([^']*)'", found.expression)
    return found, kind, [w for w in words if w] + ["http://unitsofmeasure.org", "other"]


class Maker:
    """Makes values of a type at random, with the words of the expression among them."""

    def __init__(self, seed: int, expression: str, words: list[str]) -> None:
        self.random = random.Random(seed)
        self.expression = expression
        self.words = words

    def complex(self, kind: str, depth: int) -> dict[str, Any]:
        definition = type_definition(kind)
        assert definition is not None
        made: dict[str, Any] = {"resourceType": kind} if definition.kind == "resource" else {}
        for element in definition.elements.values():
            named = re.search(rf"\b{element.name}\b", self.expression) is not None
            if self.random.random() < (0.6 if named else 0.05):
                self.put(made, element, depth)
        return made

    def put(self, made: dict[str, Any], element: Element, depth: int) -> None:
        kind = self.random.choice(element.types)
        key = element.name + kind[0].upper() + kind[1:] if element.choice else element.name
        count = self.random.choice([1, 1, 2]) if element.many else 1
        values = [self.value(kind, depth) for _ in range(count)]
        if any(value is None for value in values):
            return
        made[key] = values if element.many else values[0]
        definition = type_definition(kind)
        if definition and definition.kind == "primitive" and not element.many and self.random.random() < 0.15:
            made[f"_{key}"] = {"extension": [{"url": "urn:x", "valueCode": "y"}]}
            if self.random.random() < 0.5:
                del made[key]

    def value(self, kind: str, depth: int) -> Any:
        definition = type_definition(kind)
        if kind == "Resource":
            kind = self.random.choice(["Composition", "MessageHeader", "Patient"])
            return {"resourceType": kind} | ({"meta": {"versionId": "1"}} if self.random.random() < 0.3 else {})
        if definition is None or definition.kind == "primitive":
            return self.random.choice(POOLS.get(kind, self.words))
        if depth == 0:
            return None
        return self.complex(kind, depth - 1) or None


@pytest.mark.parametrize(("name", "key"), sorted(NATIVE), ids=lambda v: v)
def test_a_native_rule_equals_its_fhirpath(name: str, key: str) -> None:
    invariant, kind, words = invariant_of(name, key)
    if (name, key) in MENDED | WITHOUT_RESOLVE:
        return
    expression = compile(invariant.expression, type=kind)
    seen = set()
    for seed in range(6000):
        value = Maker(seed, f"{invariant.expression} {ALSO.get(key, '')}", words).complex(kind, 3)
        seen.add(compare(NATIVE[name, key], expression, value, (name, key) in LENIENT))
        if seed > 400 and len(seen) == 2:
            break
    assert seen == {True, False}


def compare(rule: Rule, expression: Any, value: dict[str, Any], lenient: bool) -> bool:
    ours = bool(rule(value))
    try:
        verdict = expression.evaluate(value)
    except Inapplicable:
        assert lenient
        return ours
    if lenient and verdict == []:
        return ours
    assert ours == (verdict == [True]), value
    return ours


def test_que_7_asks_for_a_boolean_answer() -> None:
    rule = NATIVE["Questionnaire.item.enableWhen", "que-7"]
    assert rule({"operator": "exists", "answerBoolean": True})
    assert not rule({"operator": "exists", "answerString": "x"})
    assert rule({"operator": "=", "answerString": "x"})


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        ("2001", "2000", True),
        ("2001", "2001-05", False),
        ("2001-06", "2001-05-31", True),
        ("2001-05-02", "2001-05", False),
        ("2001-05-02T10:00:01Z", "2001-05-02T12:00:00+02:00", True),
        ("2001-05-02T10:00:00Z", "2001-05-02T12:00:00+02:00", False),
        ("2001-05-02T23:00:00-10:00", "2001-05-02", False),  # still that day somewhere
        ("2001-05-04", "2001-05-02T10:00:00Z", True),
        ("2001-05-02T10:00:00.5Z", "2001-05-02T10:00:00.4Z", True),
        ("9999-12-31", "9999", False),
        ("0001-01-01", "0001", False),
    ],
)
def test_a_period_is_wrong_only_when_it_surely_ends_before_it_starts(start: str, end: str, wrong: bool) -> None:
    assert after(start, end) is wrong
    assert NATIVE["Period", "per-1"]({"start": start, "end": end}) is not wrong


@given(st.datetimes(), st.datetimes(), st.sampled_from([4, 7, 10]))
def test_cutting_precision_never_makes_a_sound_period_wrong(one: Any, two: Any, length: int) -> None:
    start, end = sorted([f"{one:%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0"), f"{two:%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")])
    assert not after(start, end)
    assert not after(start[:length], end)
    assert not after(start, end[:length])


def test_words_are_about_invariants_that_exist() -> None:
    names = (line for line in _rows("types.jsonl").lines)
    known = {i.key for name in names for i in every_invariant(name)}
    assert WORDS.keys() - known == {"sqt-1"}  # a rule of the profile SimpleQuantity


def every_invariant(name: str) -> list[Invariant]:
    definition = type_definition(name)
    assert definition is not None
    return [*definition.invariants, *(i for e in definition.elements.values() for i in e.invariants)]
