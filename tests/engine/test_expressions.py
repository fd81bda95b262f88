"""Templates: what stands alone keeps its type, an empty value is an error, a structure inside a text is one too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.engine import expressions
from suture.engine.expressions import render
from suture.engine.steps.sends import with_fields
from suture.errors import Invalid, InvalidMessage, TooLarge
from suture.standards.fhir.fhirpath import Environment
from suture.standards.hl7v2.message import parse
from tests.engine.rig import adt

CONTENT = {"name": "Alma", "age": 41, "on": True, "tags": ["a", "b"], "address": {"city": "Springfield"}}


def evaluate(text: str) -> list[Any]:
    return list(expressions.compiled(text).evaluate(CONTENT, Environment()))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ age }}", 41),
        (" {{ on }} ", True),
        ("{{ address }}", {"city": "Springfield"}),
        ("{{ name }} is {{ age }}", "Alma is 41"),
        ("on: {{ on }}", "on: true"),
        ("{{ tags.first() }}{{ tags.last() }}", "ab"),
        ("{{ (nickname | name).first() }}", "Alma"),
        ("{{ '}' & name }}", "}Alma"),
        ("no template", "no template"),
        ({"a": ["{{ age }}", 1, None]}, {"a": [41, 1, None]}),
    ],
)
def test_templates_are_filled_in(template: Any, value: Any) -> None:
    assert render(template, evaluate, "body") == value


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ nothing }}", "gave no value"),
        ("a {{ tags }}", "gave 2 values"),
        ("a {{ address }}", "gave a structure"),
    ],
)
def test_a_template_without_one_plain_value_is_an_error(template: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        render({"deep": [template]}, evaluate, "body")


def test_an_error_names_the_place_inside_the_body() -> None:
    with pytest.raises(Invalid) as error:
        render({"deep": ["x", "{{ nothing }}"]}, evaluate, "send: body")
    assert error.value.where == "send: body.deep[1]"


@given(st.text(max_size=60))
def test_set_fields_smuggle_nothing(value: str) -> None:
    """Whatever a template gives, it is one field of the same message, or refused."""
    message = parse(adt())
    try:
        sent = parse(with_fields(message, {"MSH-5": value, "PID-20": value}))
    except (Invalid, InvalidMessage, TooLarge):
        return
    assert sent.names == message.names
    assert (sent.control_id, sent.get("PID-3.1")) == (message.control_id, "100234")


def test_only_whole_fields_that_are_there_can_be_set() -> None:
    message = parse(adt())
    assert parse(with_fields(message, {"MSH-5": "A|B^C"})).get("MSH-5") == "A|B^C"
    for name in ("MSH-1", "PID-3.1", "pid-3", "ZZZ-1"):
        with pytest.raises(Invalid, match=r"whole fields|no such segment"):
            with_fields(message, {name: "x"})
