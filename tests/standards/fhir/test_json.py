"""Any bytes become one object, or an error of the tree that names the place."""

from __future__ import annotations

import json as stdlib
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.errors import InvalidSyntax, SutureError, TooLarge
from suture.standards.fhir import json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS | st.integers(-(2**63), 2**63 - 1) | st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=6)


def strict(raw: bytes) -> object:
    """The stdlib reader as an oracle: what it reads exactly and without a doubled key."""

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(found)) != len(found):
            raise ValueError("twice")
        return dict(found)

    def refuse(_: str) -> None:
        raise ValueError("constant")

    return stdlib.loads(raw.decode(), object_pairs_hook=pairs, parse_float=Decimal, parse_constant=refuse)


@given(st.binary() | st.text().map(lambda t: t.encode("utf-8", "surrogatepass")))
@example(b'{"a":' * 3000)
@example(b'{"a":"\\ud800"}')
@example(b'{"a":1e99999999999999999999}')
@example(b"{" + b'"a":' + b"9" * 5000 + b"}")
def test_any_bytes_are_an_object_or_an_error_of_the_tree(raw: bytes) -> None:
    try:
        value = json.read(raw)
    except SutureError:
        return
    assert value == strict(raw)


@given(OBJECTS)
def test_what_is_written_is_read_back(value: dict) -> None:
    assert json.read(json.write(value)) == value
    assert json.read(stdlib.dumps(value, default=float, indent=1).encode()).keys() == value.keys()


MESSY = st.lists(st.sampled_from([b'"a"', b'"b"', b'"\\u0061"', b'"\\u0022:"', b'":"', b"{", b"}", b"[", b"]", b":", b",", b" ", b"1", b'"\\""', b'"a":', b'{"a":', b'"\\\\":']), max_size=14)  # fmt: skip


@given(MESSY)
@example([b'{"a":1,"a":2}'])
@example([b'{"a":1,"\\u0061":2}'])
@example([b'{"a":"\\u0022","a":"b"}'])
@example([b'{"x":[{"a":"\\u0022:","b" :1,"a":2}]}'])
def test_it_refuses_exactly_what_a_slow_strict_reader_refuses(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    try:
        wanted = strict(raw)
    except ValueError:
        wanted = None
    try:
        assert json.read(raw) == wanted
    except InvalidSyntax:
        assert not isinstance(wanted, dict)


def refusal(raw: bytes, **limits: int) -> str:
    with pytest.raises(SutureError) as caught:
        json.read(raw, **limits)
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"resourceType":"Patient","name":[{"family":"A"},{"family":"B","family":"C"}]}', "Patient.name[1].family: The key is there twice"),
        (b'{"resourceType":"Patient","id":"1","id":"2"}', "Patient.id: The key is there twice"),
        (b'{"a b c":1,"a b c":2}', "?: The key is there twice"),
        (b'{"a":{"b":1,"b":2},"a":3}', "a: The key is there twice"),
        (b'{"a": NaN}', "line 1, column 7: This is not JSON: invalid character"),
        (b'{\n "a": 1,\n "b" 2}', "line 3, column 6: This is not JSON: expected ':'"),
        (b'{"a": 1', "line 1, column 8: The document ends in the middle"),
        (b'{"a": "\xff"}', "line 1, column 8: The text is not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "It is UTF-16"),
        (b"[1]", "not a JSON object"),
        (b"", "ends in the middle"),
        (b'{"a":1}{"b":2}', "This is not JSON: trailing characters"),
        (b'{"a":{"b":18446744073709551616}}', "a.b: A whole number is out of range"),
        (b'{"a":' + b"7" * 5000 + b"}", "A number is out of range"),
        (b'{"a":1e999999999}', "A number is out of range"),
        (b'{"a":0.' + b"1" * 80 + b"}", "A number is out of range"),
        (b'{"a":"\\ud800 and more"}', "utf-16 surrogate"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "more than 100 deep"),
        (b'{"a":' * 50_000, "more than 100 deep"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place(raw: bytes, says: str) -> None:
    assert says in refusal(raw)


def test_a_refusal_holds_no_value() -> None:
    assert "Smith" not in refusal(b'{"family":"Smith","family":"Smith"}') + refusal(b'{"family":"Smith" "x"')


def test_depth_and_size_have_limits() -> None:
    assert json.read(b'{"a":' + b"[" * 99 + b"]" * 99 + b"}")["a"]
    assert "more than 2 deep" in refusal(b'{"a":{"b":{}}}', max_depth=2)
    with pytest.raises(TooLarge, match="has 7 bytes; 6 are allowed"):
        json.read(b'{"a":1}', max_size=6)


@pytest.mark.parametrize("number", ["72.50", "-0.00", "0.1000000000000000055", "1.10E+5", "12345678901234567.891"])
def test_a_decimal_keeps_its_form(number: str) -> None:
    raw = f'{{"value":{number}}}'.encode()
    assert isinstance(json.read(raw)["value"], Decimal)
    assert json.write(json.read(raw)) == raw


def test_whole_numbers_are_ints() -> None:
    assert json.read(b'{"a":-9223372036854775808,"b":9223372036854775807}') == {"a": -(2**63), "b": 2**63 - 1}


def test_what_is_no_json_is_not_written() -> None:
    for value in ({"a": Decimal("NaN")}, {"a": Decimal("Infinity")}, {"a": "\ud800"}):
        with pytest.raises(InvalidSyntax):
            json.write(value)
    assert json.write({"a": "NaN"}) == b'{"a":"NaN"}'


def test_values_may_be_bounded() -> None:
    raw = b'{"a":[1,2,3],"b":4}'
    assert json.read(raw, max_values=4) == {"a": [1, 2, 3], "b": 4}
    with pytest.raises(TooLarge, match="more than 3 values"):
        json.read(raw, max_values=3)


def test_the_same_is_what_says_the_same() -> None:
    one, other = (
        json.read(b'{"a": 1.0, "b": {"c": [1, 2], "d": true}}'),
        json.read(b'{"b":{"d":true,"c":[1,2]},"a":1.0}'),
    )
    assert json.same(one, other)
    for text in (b'{"a":1.00}', b'{"a":1}', b'{"a":true}', b'{"a":[1.0]}', b'{"a":1.0,"b":null}'):
        assert not json.same({"a": one["a"]}, json.read(text)), text
    assert not json.same([1, 2], [2, 1])
