"""The parameters of an operation: of a URL and of a Parameters resource, checked against what it declares."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid, NotAllowed, SutureError
from suture.services.interactions.answer import Answer
from suture.services.operations import values
from suture.services.operations.operation import Asked, Operation, Parameter


async def nothing(asked: Asked) -> Answer:
    return Answer(b"{}")


COUNTED = Operation(
    "counted",
    "urn:test:counted",
    "Counts.",
    ("system", "type", "instance"),
    nothing,
    types=("Patient",),
    parameters=(
        Parameter("count", "positiveInt"),
        Parameter("deep", "boolean"),
        Parameter("since", "instant", many=True),
        Parameter("coding", "Coding"),
        Parameter("resource", "Resource"),
        Parameter("status", values.SEARCH),
    ),
)  # fmt: skip


def test_an_operation_has_an_address_at_each_level() -> None:
    assert COUNTED.patterns == ("/$counted", "/Patient/$counted", "/Patient/{id}/$counted")


def test_simple_values_stand_in_a_url() -> None:
    found = values.of_url(COUNTED, [("count", "7"), ("deep", "true"), ("status", "a|b,c")])
    assert found == {"count": [7], "deep": [True], "status": ["a|b,c"]}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("many", "1")], "many: $counted has no such parameter"),
        ([("count", "0")], "count: not a positiveInt"),
        ([("count", "seven")], "count: not a positiveInt"),
        ([("count", '1,"x":2')], "count: not a positiveInt"),
        ([("deep", "yes")], "deep: not a boolean"),
        ([("since", "yesterday")], "since: not an instant"),
        ([("coding", "a|b")], "coding: coding does not fit into a URL"),
    ],
)
def test_a_wrong_value_is_named(pairs: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(SutureError) as raised:
        values.of_url(COUNTED, pairs)
    assert str(raised.value).startswith(said)


def test_lenient_passes_unknown_names_over() -> None:
    assert values.of_url(COUNTED, [("many", "1")], lenient=True) == {}


def test_a_parameters_resource_holds_values_resources_and_parts() -> None:
    body: dict[str, Any] = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "count", "valueInteger": 3},
            {"name": "coding", "valueCoding": {"code": "a"}},
            {"name": "resource", "resource": {"resourceType": "Patient"}},
            {"name": "status", "part": [{"name": "x", "valueString": "y"}]},
        ],
    }
    assert values.of_body(COUNTED, body) == {
        "count": [3],
        "coding": [{"code": "a"}],
        "resource": [{"resourceType": "Patient"}],
        "status": [{"x": ["y"]}],
    }


def test_the_one_resource_it_takes_may_be_the_body() -> None:
    assert values.of_body(COUNTED, {"resourceType": "Patient"}) == {"resource": [{"resourceType": "Patient"}]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"valueString": "x"}, "Parameters.parameter[0]: a parameter needs a name"),
        ({"name": "count"}, "Parameters.parameter[0]: a parameter has one value, resource or part"),
        ({"name": "count", "valueInteger": 1, "valueString": "1"}, "Parameters.parameter[0]: a parameter has one"),
        ({"name": "count", "valueString": "1"}, "Parameters.parameter[0].valueString: not a positiveInt"),
        ({"name": "resource", "resource": []}, "Parameters.parameter[0].resource: must be a resource"),
        ({"name": "status", "part": {}}, "Parameters.parameter[0].part: part must be a list"),
        ({"name": "status", "part": [{}]}, "Parameters.parameter[0].part[0]: a part needs a name"),
        ("x", "Parameters.parameter[0]: a parameter needs a name"),
    ],
)
def test_a_wrong_parameter_is_placed(row: Any, said: str) -> None:
    with pytest.raises(Invalid) as raised:
        values.of_body(COUNTED, {"resourceType": "Parameters", "parameter": [row]})
    assert str(raised.value).startswith(said)


def test_a_parameter_that_comes_once_comes_once() -> None:
    with pytest.raises(Invalid, match="count: this parameter comes once"):
        values.check(COUNTED, {"count": [1, 2]})
    needy = Operation("x", "u", "X.", ("system",), nothing, parameters=(Parameter("a", min=1, says="Name it."),))
    with pytest.raises(Invalid, match=r"a: \$x needs a. Name it."):
        values.check(needy, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "valueString", "valueInteger", "part", "resource", "parameter", "resourceType"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(body=st.dictionaries(st.sampled_from(["resourceType", "parameter"]), JSON | st.just("Parameters"), min_size=1))
def test_whatever_is_sent_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(Invalid):
        values.of_body(COUNTED, body)


@given(pairs=st.lists(st.tuples(st.sampled_from([p.name for p in COUNTED.parameters]), st.text(max_size=12))))
def test_whatever_stands_in_a_url_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    with suppress(Invalid, NotAllowed):
        values.of_url(COUNTED, pairs)
