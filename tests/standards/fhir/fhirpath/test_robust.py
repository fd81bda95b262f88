"""Whatever comes in: a text compiles or is refused with its column, an evaluation ends with a list or a told error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import InvalidSyntax, SutureError, TooCostly
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.fhirpath.functions import FUNCTIONS

NAMES = ["name", "given", "birthDate", "value", "Patient", "extension", "active", "contained", "id", "photo", "size"]
LITERALS = ["1", "0", "2.50", "'a'", "true", "{}", "@2015-02", "@2015-02-04T14:34Z", "@T10:30", "4 days", "5 'mg'", "$this",
            "$index", "$total", "%resource", "%ucum", "'(a+)+'"]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "div", "mod", "&", "|", "=", "!=", "~", "!~", "<", ">", "<=", ">=", "in", "contains", "and",
             "or", "xor", "implies"]  # fmt: skip
TYPES = ["Quantity", "string", "System.String", "Patient", "HumanName", "date"]


def _calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def arguments(name: str) -> st.SearchStrategy[str]:
        row = FUNCTIONS[name]
        if name in ("ofType", "as", "is"):
            return st.sampled_from(TYPES)
        most = min(row.most, row.least + 1)
        return st.lists(inner, min_size=row.least, max_size=most).map(", ".join)

    names = st.sampled_from(sorted(FUNCTIONS))
    return names.flatmap(lambda name: st.tuples(inner, arguments(name)).map(lambda p: f"({p[0]}).{name}({p[1]})"))


EXPRESSIONS = st.recursive(
    st.sampled_from(NAMES + LITERALS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(NAMES)).map(lambda p: f"({p[0]}).{p[1]}"),
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, st.sampled_from(["is", "as"]), st.sampled_from(TYPES)).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda one: f"(-{one})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        _calls(inner),
    ),
    max_leaves=8,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*NAMES, "_birthDate", "_given", "valueQuantity", "valueString", "resourceType", "url", "reference"]),
        inner, max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip
RESOURCES = _JSON | st.dictionaries(
    st.sampled_from(["name", "birthDate", "_birthDate", "active", "contained", "extension", "photo", "id"]), _JSON
).map(lambda found: {"resourceType": "Patient"} | found)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*NAMES, *LITERALS, *OPERATORS, ".", "(", ")", "[", "]", ","])).map(" ".join)
)
@settings(max_examples=300)
def test_any_text_compiles_or_names_a_column(text: str) -> None:
    for locations in (False, True):
        try:
            compile(text, locations=locations)
        except InvalidSyntax as error:
            assert error.where.startswith("column ")  # noqa: PT017 - both ways are right, a third is not


@given(EXPRESSIONS, RESOURCES, st.sampled_from(["", "", "Patient", "HumanName", "Extension", "string"]))
@settings(max_examples=400)
def test_any_expression_on_any_content_ends(text: str, resource: Any, kind: str) -> None:
    try:
        expression = compile(text, type=kind)
        assert isinstance(expression.evaluate(resource, Environment(steps=20_000)), list)
        assert expression.holds(resource, Environment(steps=20_000)) in (True, False)
        assert isinstance(expression.typed(resource, Environment(steps=20_000)), list)
    except SutureError as error:
        assert error.text  # noqa: PT017 - both ways are right, a third is not


@pytest.mark.parametrize(
    "text",
    ["(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "a" + ".a" * 5000, "1" + "+1" * 5000, "a[" * 5000, "f(" * 5000,
     "a.where(" * 200 + "true" + ")" * 200],
)  # fmt: skip
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(InvalidSyntax, match="nesting"):
        compile(text)


def test_long_chains_of_or_and_union_are_flat() -> None:
    assert compile(" or ".join(["false"] * 2000)).holds(None) is False
    assert compile(" | ".join(map(str, range(2000)))).evaluate(None) == list(range(2000))


@pytest.mark.parametrize(
    "text",
    [
        "repeat($this | 1 | $this.repeat($this)).repeatAll($this)",
        "1.repeatAll($this.combine($this))",
        "(1|2|3|4|5|6|7|8|9|10).aggregate($total.combine($total).combine($this).combine($total), 1).combine(1)"
        ".aggregate($total.combine($total), 1)",
        "'a'.repeatAll($this + $this)",
        "descendants().select(%resource.descendants().select(%resource.descendants()))",
        "name.select(%resource.descendants().where(%resource.descendants().where(%resource.descendants().empty()).empty()))",
    ],
)
def test_bombs_end_as_too_costly(text: str) -> None:
    patient = {"resourceType": "Patient", "name": [{"given": ["a"] * 50, "family": "b"}] * 20}
    with pytest.raises(SutureError) as caught:
        compile(text).evaluate(patient, Environment(steps=300_000))
    assert isinstance(caught.value, TooCostly) or "grows past" in caught.value.text


def test_deep_content_is_told_not_crashed() -> None:
    deep: dict[str, Any] = {"resourceType": "Patient"}
    for _ in range(5000):
        deep = {"resourceType": "Bundle", "entry": [{"resource": deep}]}
    with pytest.raises(TooCostly, match="nested too deeply"):
        compile("descendants().distinct()").evaluate(deep)
