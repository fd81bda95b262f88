"""Every expression that R4 itself contains compiles for the type it is meant for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from suture.errors import InvalidSyntax
from suture.standards.fhir import definitions, json
from suture.standards.fhir.fhirpath import Environment, compile
from tests import public

# (type, key) -> why: mistakes of R4 itself
KNOWN = {
    ("ChargeItemDefinition", "cid-0"): "the type has no `name`",
    ("decimal", "ras-1"): "a rule for the Range of the choice probability[x]",
}


def invariants() -> Iterator[tuple[str, definitions.Invariant]]:
    names = [*definitions.RESOURCE_TYPES, "Element", "Resource", "DomainResource", "Extension", "Quantity", "Range"]
    seen: set[str] = set()
    while names:
        name = names.pop()
        definition = definitions.type_definition(name)
        if name in seen or definition is None:
            continue
        seen.add(name)
        yield from ((name, one) for one in definition.invariants)
        for element in definition.elements.values():
            yield from ((kind, one) for kind in element.types for one in element.invariants)
            names += element.types


def test_every_invariant_compiles_for_its_type() -> None:
    wrong = {}
    for kind, one in invariants():
        try:
            compile(one.expression, type=kind)
        except InvalidSyntax as error:
            wrong[kind, one.key] = str(error)
    assert set(wrong) == set(KNOWN), wrong


def test_every_search_parameter_compiles_for_its_type() -> None:
    compiled = 0
    for kind in definitions.RESOURCE_TYPES:
        for parameter in definitions.search_parameters(kind).values():
            for expression in (parameter.expression, *(text for _, text in parameter.components)):
                if expression:
                    compile(expression, type=kind if expression == parameter.expression else "")
                    compiled += 1
    assert compiled > 2500


@pytest.mark.parametrize("kind", ["Patient", "Observation", "Bundle"])
def test_invariants_hold_for_the_official_examples(kind: str) -> None:
    checked = 0
    for file in sorted(public.path("fhir-test-cases/r4/examples").glob(f"{kind.lower()}*.json")):
        resource = json.read(file.read_bytes())
        definition = definitions.type_definition(kind)
        if resource.get("resourceType") != kind or definition is None:
            continue
        for one in definition.invariants:
            if one.severity == "error":
                assert compile(one.expression, type=kind).verdict(resource, Environment()) is not False, one.key
                checked += 1
    assert checked or kind == "Bundle"
