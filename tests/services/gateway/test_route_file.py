"""Route and plan files: every finding has its line, column and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.engine import project
from suture.services.gateway import route_file
from suture.services.gateway.route_file import FIELDS, PLAN_FIELDS, GatewayRoute, Plan
from tests import docs

CONNECTIONS = {"lab-api": "http", "ehr": "fhir", "v2": "mllp"}
GOOD = "suture: route/1\nid: orders\nto: lab-api\n"


def found(text: str) -> list[str]:
    return [f"{p.line}:{p.column} {p.text} | {p.mend}" for p in route_file.lint(text, "routes/x.yaml", CONNECTIONS)[1]]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("suture: flow/1", "1:9 neither a route nor a plan | Begin with: suture: route/1"),
        ("[1]", "1:1 neither a route nor a plan"),
        ("suture: route/1\nid: Orders\nto: lab-api", "2:5 an id of small letters"),
        ("suture: route/1\nid: orders", "1:1 'route' needs 'to'"),
        ("suture: route/1\nid: orders\nto: lab-ap", "3:5 no connection named 'lab-ap' | Did you mean 'lab-api'?"),
        ("suture: route/1\nid: orders\nto: v2", "3:5 'v2' is no HTTP connection"),
        (GOOD + "metods: [GET]", "4:1 'route' has no field 'metods' | Did you mean 'methods'?"),
        (GOOD + "methods: [GET, POSTT]", "4:10 'POSTT' is not passed on"),
        (GOOD + "methods: [TRACE]", "4:10 'TRACE' is not passed on"),
        (GOOD + "methods: [CONNECT]", "4:10 'CONNECT' is not passed on"),
        (GOOD + "paths: [/v1, ../x]", "4:8 a path climbs"),
        (GOOD + "strip: /a/%2e%2e", "4:8 a path climbs"),
        (GOOD + "prepend: /a//b", "4:10 a path has an empty part"),
        (GOOD + "request: {put: {}}", "4:11 'request' has no 'put' | There are: set, remove."),
        (GOOD + "request: {set: {X-A: \"1\\r\\nX-B: 2\"}}", "4:17 a header holds a line break"),
        (GOOD + "request: {set: {Host: evil.example}}", "4:17 'Host' is the gateway's own"),
        (GOOD + "response: {set: {Transfer-Encoding: chunked}}", "4:18 'Transfer-Encoding' is the gateway's own"),
        (GOOD + "max_body: lots", "4:11 'max_body' is wrong"),
        (GOOD + "timeout: soon", "4:10 'timeout' is wrong"),
        (GOOD + "retries: 99", "4:10 'retries' must be from 0 to 5"),
        (GOOD + "circuit: {failures: 0}", "4:21 'failures' must be a number above 0"),
        (GOOD + "circuit: {close: 1s}", "4:11 'circuit' has no 'close'"),
        (GOOD + "each: {minutes: 5}", "4:7 no limit named 'minutes' | Did you mean 'minute'?"),
        (GOOD + "limits: {minute: 0}", "4:9 'minute' must be a whole number above 0"),
        (GOOD + "limits: {burst: 5}", "4:9 'burst' goes with 'second'"),
        (GOOD + "scope: system/Foo.r", "4:8 R4 has no resource type 'Foo'"),
        (GOOD + "certificates: [{name: lab, fingerprint: ab}]", "4:41 not the SHA-256 of a certificate"),
        (GOOD + "certificates: [{name: lab}]", "4:16 a certificate needs a name, and a fingerprint or a subject"),
        (GOOD + "keys: false", "1:1 nobody may call this route"),
        (GOOD + "clients: [abc]", "4:10 a token opens this route only with a scope"),
        ("suture: plan/1\nid: bronze", "1:1 'plan' needs 'limits'"),
        ("suture: plan/1\nid: bronze\nlimits: {day: -1}", "3:9 'day' must be a whole number above 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place_and_mend(text: str, finding: str) -> None:
    assert any(one.startswith(finding) for one in found(text)), found(text)


def test_several_findings_come_together() -> None:
    assert len(found("suture: route/1\nid: X\nto: nothing\nretries: 9\nnope: 1\n")) == 4


@pytest.mark.parametrize("part", [FIELDS, PLAN_FIELDS])
def test_the_examples_are_right(part: route_file.Component) -> None:
    made, problems = route_file.lint(part.example, "x", CONNECTIONS)
    assert problems == []
    assert isinstance(made, GatewayRoute | Plan)


@given(st.text(max_size=80))
@example(":")
@example("\n: 1")
@example("\n1: x")
def test_any_text_ends_in_findings(text: str) -> None:
    for begin in ("", GOOD):
        made, problems = route_file.lint(begin + text, "x", CONNECTIONS)
        assert made is not None or problems


def test_the_project_reads_routes_and_plans_together(tmp_path: Path) -> None:
    for name, text in {
        "connections/lab-api": "suture: connection/1\nid: lab-api\nuses: http\nbase: https://lab.example",
        "routes/a": GOOD + "plan: gold",
        "routes/b": GOOD,
        "routes/c": "suture: plan/1\nid: bronze\nlimits: {day: 1}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    read = project.read(tmp_path)
    assert (set(read.routes), set(read.plans)) == ({"orders"}, {"bronze"})
    assert {p.text for p in read.problems} == {"two files have the id 'orders'", "no plan named 'gold'"}


def test_the_page_says_what_a_route_may_say() -> None:
    docs.check("gateway.md", "route", route_file.component.reference([FIELDS, PLAN_FIELDS]))


def test_the_page_s_files_are_right() -> None:
    text = (docs.ROOT / "docs" / "gateway.md").read_text(encoding="utf-8").partition("## What a file may say")[0]
    files = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(files) == 2
    for one in files:
        made, problems = route_file.lint(one, "docs/gateway.md", CONNECTIONS)
        assert problems == []
        assert made is not None
