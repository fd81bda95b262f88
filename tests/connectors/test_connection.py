"""Connection files: what is wrong is told with line, column and mend; no secret ever stands in one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture import component
from suture.connectors import connection
from suture.errors import InvalidFile
from tests import docs

GOOD = "{suture: connection/1, id: pager, uses: http, base: 'https://pager.example/api', auth: {kind: bearer, token: 'secret:pager'}}"


def test_a_connection_is_read_with_its_defaults_and_origin() -> None:
    found = connection.read(GOOD, "c.yaml")
    assert (found.id, found.kind, found.origin) == ("pager", "http", "https://pager.example")
    assert found.auth["header"] == "Authorization"
    assert found.with_["on_ambiguous"] == "retry"


@pytest.mark.parametrize("kind", [*connection.KINDS.values()])
def test_every_example_in_the_catalog_is_right(kind: component.Component) -> None:
    assert connection.lint(kind.example, "example")[1] == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("uses: http", "uses: htpp"), "Did you mean 'http'?"),
        (("base: 'https://pager.example/api'", "bas: x"), "Did you mean 'base'?"),
        (("base: 'https://pager.example/api', ", ""), "'http' needs 'base'"),
        (("'secret:pager'", "hunter2"), "must name a secret, not hold one"),
        (("https://pager", "http://pager"), "in the clear"),
        (("https://pager.example", "https://user:word@pager.example"), "holds no user"),
        (("https://pager.example", "ftp://pager.example"), "not an http or https URL"),
        (("https://pager.example", "https://pager.example:99999"), "a port that is none"),
        (("bearer", "barer"), "'auth' needs a kind"),
        (("uses: http", "uses: http, certificate: own.pem"), "a certificate needs its key"),
        (("id: pager", "id: local"), "not 'local'"),
        (("connection/1", "flow/1"), "Begin with: suture: connection/1"),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(change: tuple[str, str], finding: str) -> None:
    with pytest.raises(InvalidFile) as error:
        connection.read(GOOD.replace(*change), "connections/pager.yaml")
    assert finding in str(error.value)
    assert "connections/pager.yaml:1:" in str(error.value)


def test_mllp_to_another_machine_needs_tls() -> None:
    text = "{suture: connection/1, id: lab, uses: mllp, host: lab.example, port: 2575}"
    assert "in the clear" in str(connection.lint(text, "f")[1][0])
    assert connection.lint(text.replace("port", "tls: true, port"), "f")[1] == []


def test_the_loopback_may_go_without_tls() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        text = f"{{suture: connection/1, id: own, uses: fhir, base: 'http://{host}:8080/fhir'}}"
        assert connection.lint(text, "f")[1] == []


@pytest.mark.parametrize(
    ("url", "origin"),
    [("HTTPS://Pager.Example:443/a", "https://pager.example"), ("http://h:8080/x", "http://h:8080")],
)
def test_origins_are_compared_as_rfc_6454_says(url: str, origin: str) -> None:
    assert connection.origin(url) == origin


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["suture", "id", "uses", "base", "auth", "kind", "token", "host", "port", "x"])
                | st.text(max_size=5),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_nothing_makes_the_reader_fall_over(value: object) -> None:

    connection.lint(json.dumps(value), "f")


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    connection.lint(text, "f")


def test_the_page_lists_what_the_tables_hold() -> None:
    docs.check("connections.md", "kinds", component.reference([*connection.KINDS.values()]))
    docs.check("connections.md", "auth", component.reference([*connection.AUTH.values()]))


@pytest.mark.parametrize("odd", [": x", "1: x", "null: x", "2026-01-01: x", "true: x"])
def test_a_key_that_is_no_text_is_a_finding(odd: str) -> None:
    _, problems = connection.lint(f"suture: connection/1\nid: lab\nuses: http\nbase: https://lab.example\n{odd}\n", "x")
    assert [p.severity for p in problems] == ["error"]
    assert "has no field" in problems[0].text
