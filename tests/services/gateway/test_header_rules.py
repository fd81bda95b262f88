"""Headers: hop-by-hop ones stay, nothing smuggles in another, what is set wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.services.gateway import header_rules
from suture.services.gateway.header_rules import HOP_BY_HOP, OURS, THEIRS, Rules


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | OURS))
def test_what_is_not_the_upstream_s_is_not_sent_on(name: bytes) -> None:
    for written in (name, name.title(), name.upper()):
        assert header_rules.onward([(written, b"1"), (b"x-kept", b"1")], Rules(), []) == [(b"x-kept", b"1")]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | THEIRS | {b"content-length"}))
def test_what_an_upstream_may_not_say_does_not_come_back(name: bytes) -> None:
    assert header_rules.back([(name.title(), b"1"), (b"X-Kept", b"1")], Rules()) == [(b"x-kept", b"1")]


def test_connection_names_headers_of_this_connection() -> None:
    sent = [(b"Connection", b"close, X-Mine ,x-other"), (b"X-MINE", b"1"), (b"x-other", b"2"), (b"x-kept", b"3")]
    assert header_rules.onward(sent, Rules(), []) == [(b"x-kept", b"3")]
    assert header_rules.back(sent, Rules()) == [(b"x-kept", b"3")]


def test_set_and_own_headers_take_the_place_of_the_caller_s() -> None:
    rules = Rules(((b"x-set", b"rule"),), frozenset({b"x-gone"}))
    sent = [(b"X-Set", b"caller"), (b"x-gone", b"1"), (b"X-Own", b"caller"), (b"x-set", b"again"), (b"accept", b"*/*")]
    assert header_rules.onward(sent, rules, [(b"x-own", b"gateway")]) == [
        (b"accept", b"*/*"), (b"x-own", b"gateway"), (b"x-set", b"rule"),
    ]  # fmt: skip


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\x00b", b"a\x7fb", b"a\x0bb"])
def test_values_with_line_breaks_are_refused_both_ways(value: bytes) -> None:
    for passed in (lambda h: header_rules.onward(h, Rules(), []), lambda h: header_rules.back(h, Rules())):
        with pytest.raises(Invalid, match="line break or a forbidden character"):
            passed([(b"x-a", value)])
    with pytest.raises(Invalid):
        header_rules.rule("x-a", value.decode("latin-1"))


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_what_passes_is_one_header(name: bytes, value: bytes) -> None:
    try:
        passed = header_rules.back([(name, value)], Rules())
    except Invalid:
        return
    assert b"\r" not in b"".join(map(b"".join, passed))
    assert b"\n" not in b"".join(map(b"".join, passed))
    assert b":" not in b"".join(n for n, _ in passed)


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "Connection", "X A", "", "x:y", "é"])
def test_rules_may_not_touch_the_framing(name: str) -> None:
    with pytest.raises(Invalid):
        header_rules.rule(name, "1")
