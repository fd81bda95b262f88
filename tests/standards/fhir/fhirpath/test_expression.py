"""The door of the engine: what compile() and Expression promise."""

from __future__ import annotations

from typing import Any

import pytest

from suture.errors import InvalidSyntax
from suture.standards.fhir.fhirpath import Environment, Function, compile

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "birthDate": "1974-12-25",
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
    ],
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name.given", ["Peter", "James", "Jim"]),
        ("name.where(use = 'official').family", ["Chalmers"]),
        ("birthDate", ["1974-12-25"]),
        ("birthDate < @1980", [True]),
        ("Patient.name.given.count() = 3", [True]),
        ("name.nothing", []),
    ],
)
def test_results_are_plain_values(text: str, wanted: list[Any]) -> None:
    assert compile(text).evaluate(PATIENT) == wanted


def test_an_unknown_element_names_column_and_nearest() -> None:
    with pytest.raises(InvalidSyntax, match=r"column 14: HumanName has no element 'familie'. Did you mean 'family'\?"):
        compile("Patient.name.familie", type="Patient")


def test_locations_are_asked_of_the_environment() -> None:
    expression = compile("PID-3.1 = 'A' and PID-29.empty()", locations=True)
    assert expression.holds(None, Environment(locate=lambda place: ["A"] if place == "PID-3.1" else [""]))


def test_components_are_locations_when_their_head_is_listed() -> None:
    expression = compile("CX.5 != 'PT'", components=("CX",))
    assert expression.holds(None, Environment(locate=lambda place: [f"{place}!"]))


def test_roots_begin_a_path() -> None:
    expression = compile("message.id = 'x' and chart.name.family.exists()", roots=("message", "chart"))
    assert expression.holds(None, Environment(roots={"message": {"id": "x"}, "chart": PATIENT}))


def test_registered_functions_are_called_with_plain_values() -> None:
    functions = {"twice": Function(lambda items, by: [item * by[0] for item in items], 1, 1)}
    assert compile("name.use.twice(2)", functions=functions).evaluate(PATIENT) == ["officialofficial", "usualusual"]


def test_a_wrong_function_name_gets_the_nearest() -> None:
    with pytest.raises(InvalidSyntax, match=r"column 6: there is no function exist\(\). Did you mean exists\(\)\?"):
        compile("name.exist()")
