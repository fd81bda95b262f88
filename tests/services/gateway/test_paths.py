"""Paths and queries of the gateway: one reading only, or none."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid
from suture.services.gateway import paths
from suture.services.gateway.paths import Paths

CLIMBING = ["..", "../x", "a/../b", "a/..", "./a", "a/./b", "%2e%2e", "a/%2e%2e/b", "a/.%2e/b", "a/%2E./b", "..;/x", "a/..;v=1/b", "a/%2e%2e;/b", "%252e%252e/x", "%25252e%25252e/x", "a%2fb", "a%2Fb", "a%5cb", "a%5Cb", "..%2fx", "..%5cx", "%2e%2e%2fx", "a%252fb", "a%255cb", "a%00", "a%0ab", "a%0d%0aX:%201", "a%7f", "a%1f", "a//b", "//a", "a/b//c", "a\\b", "a|b", "a^b", "a`b", "a{b}", "a<b>", 'a"b', "a%zz", "a%", "a%2", "%%32%65", "%20../x", "..%20/x", "..%2520/x", "a%25252525252525b", "%c0%ae%c0%ae/.."]  # fmt: skip


@pytest.mark.parametrize("raw", [*CLIMBING, "a b", "a\tb", "a\r\nb", "é", "a\x00b"])
def test_what_climbs_hides_or_is_read_in_two_ways_is_refused(raw: str) -> None:
    with pytest.raises(Invalid, match="a path"):
        Paths().rewritten(raw)


@pytest.mark.parametrize(
    "raw", ["", "a", "a/", "a/b.c", "a..b", "...", "a;b=c", "~a", "a%20b", "a:b@c", "%C3%A9", "a%25b", "a+b", "*"]
)
def test_plain_paths_go_on_as_they_were_written(raw: str) -> None:
    assert Paths().rewritten(raw) == f"/{raw}"


@given(st.text(st.sampled_from("./%2eEfF5cC;\\a "), max_size=14))
def test_nothing_that_passes_climbs_however_often_it_is_decoded(raw: str) -> None:
    try:
        passed = Paths(((),), (), "/kept").rewritten(raw)
    except Invalid:
        return
    assert passed is not None
    seen = passed
    for _ in range(6):
        parts = [part.split(";")[0] for part in seen.replace("\\", "/").split("/")]
        assert ".." not in parts
        assert "." not in parts
        seen = unquote(seen)
    assert passed.startswith("/kept")


def test_prefixes_are_whole_parts_and_compared_as_they_are_meant() -> None:
    one = Paths((paths.prefix("/v1/or ders".replace(" ", "%20")),), paths.prefix("v1"), "/api")
    assert one.rewritten("v1/or%20ders/7") == "/api/or%20ders/7"
    assert one.rewritten("v1/%6fr%20ders") == "/api/%6fr%20ders"
    assert [one.rewritten(raw) for raw in ("v1/or%20dersX", "v1/or", "v1", "", "V1/or%20ders")] == [None] * 5


@pytest.mark.parametrize(
    ("raw", "query"),
    [("x", "api_key=1"), ("x", "API_KEY=1"), ("x", "a=1&apikey=2"), ("x", "access_token=1"), ("x", "%61pi_key=1"), ("x", "a=gk_1"),
     ("x", "a=sk_1"), ("gk_1", ""), ("a/%67k_1", ""), ("x", "a=%67%6b%5f1"), ("x", "client_secret=1")],
)  # fmt: skip
def test_keys_in_addresses_are_seen(raw: str, query: str) -> None:
    with pytest.raises(Invalid, match="a key stands in the URL"):
        paths.require_no_key(raw, query)


@pytest.mark.parametrize("query", ["", "a=1", "q=key", "_id=1&_count=2", "token=x", "a=%2F"])
def test_other_queries_pass(query: str) -> None:
    paths.require_no_key("Patient/1", query)
    assert paths.checked_query(query.encode()) == query


@pytest.mark.parametrize("query", [b"a b", b"a\r\nX: 1", b"a\x00", b"\xe9", b"a#b"])
def test_queries_that_no_url_holds_are_refused(query: bytes) -> None:
    with pytest.raises(Invalid, match="the query holds"):
        paths.checked_query(query)
