"""Paths walk bare dictionaries where the type is known and typed items elsewhere: both must find the same."""

from __future__ import annotations

from typing import Any

from suture.errors import SutureError
from suture.standards.fhir import definitions, json
from suture.standards.fhir.fhirpath import Environment, compile
from tests import public

EXAMPLES = "fhir-test-cases/r4/examples"


def expressions(kind: str) -> list[str]:
    definition = definitions.type_definition(kind)
    assert definition is not None
    parameters = [one.expression for one in definitions.search_parameters(kind).values() if one.expression]
    paths = [f"{name} | {name}.extension | {name}.children()" for name in definition.elements]
    return [*parameters, *paths, *(one.expression for one in definition.invariants)]


def found(text: str, resource: Any, *, known: bool) -> Any:
    """The result, walked with or without knowledge of the type; the type of the error when it ends in one."""
    environment = Environment(roots={"root": resource}, variables={"resource": resource, "rootResource": resource})
    expression = compile(text) if known else compile(f"root.select({text})", roots=("root",))
    try:
        return sorted(map(repr, expression.typed(resource if known else None, environment)))
    except SutureError as error:
        return type(error)


def test_known_and_unknown_types_find_the_same() -> None:
    compared = 0
    for file in sorted(public.path(EXAMPLES).glob("*.json")):
        resource = json.read(file.read_bytes())
        if resource.get("resourceType") not in definitions.RESOURCE_TYPES:
            continue
        for text in expressions(resource["resourceType"]):
            items = found(text, resource, known=True)
            assert items == found(text, resource, known=False), (file.name, text)
            compared += isinstance(items, list) and len(items) > 0
    assert compared > 1000
