"""Flow files: what is wrong is told with line, column and what to write instead; nothing makes the reader fall over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture import component
from suture.engine import flow
from suture.engine.catalog import SOURCES, STEPS
from suture.engine.flow import Known
from suture.errors import InvalidFile
from tests import docs

KNOWN = Known(
    {"pager": "http", "ehr": "fhir", "lab": "mllp", "archive": "file"},
    lambda name: "" if name.startswith("hl7v2/") else "there is no such map",
)

LAB = """suture: flow/1
id: lab-results
title: Lab results to the chart
source: {uses: mllp.listen, with: {port: 2575, messages: [ORU^R01], time_zone: America/Chicago}}
order_by: PID-3.1
steps:
  - {id: chart, uses: map, with: {map: hl7v2/ORU_R01}}
  - {id: check, uses: validate}
  - {id: save, uses: fhir.write, with: {connection: local}}
  - id: critical
    uses: branch
    cases:
      - when: chart.entry.resource.ofType(Observation).where(interpretation.coding.code.intersect('HH' | 'LL').exists()).exists()
        steps:
          - {id: page, uses: http.send, with: {connection: pager, method: POST, body: {text: "Critical result, message {{ message.id }}"}}}
on_error: {retry: {attempts: 8, backoff: 2s..10m}, then: dead-letter}
retention: {messages: 30d, show: redacted}
"""


def read(text: str) -> flow.Flow:
    return flow.read(text, "flows/lab.yaml", KNOWN)


def findings(text: str) -> str:
    return "\n".join(str(p) for p in flow.lint(text, "flows/lab.yaml", KNOWN)[1])


def test_a_flow_is_read_as_a_tree_with_its_defaults() -> None:
    lab = read(LAB)
    assert [step.id for step in lab.each()] == ["chart", "check", "save", "critical", "page"]
    assert (lab.retry.attempts, lab.retry.first, lab.retry.longest) == (8, 2.0, 600.0)
    assert (lab.order_by, lab.on_blocked, lab.keep, lab.show) == ("PID-3.1", "block", 30 * 86400.0, "redacted")
    assert lab.steps[2].with_["connection"] == "local"


def test_an_hl7_feed_keeps_order_per_patient_unless_told_otherwise() -> None:
    assert read(LAB.replace("order_by: PID-3.1\n", "")).order_by == "PID-3.1"
    assert read(LAB.replace("order_by: PID-3.1", "order_by: none")).order_by == ""


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("title:", "titel:", "3:1", "Did you mean 'title'?"),
        ("id: lab-results", "id: Lab Results", "2:5", "small letters"),
        ("flow/1", "map/1", "1:9", "Begin with: suture: flow/1"),
        ("mllp.listen", "mlpp.listen", "4:16", "Did you mean 'mllp.listen'?"),
        ("uses: validate", "uses: validate, with: {profile: us-cor}", "8:49", "no profile named 'us-cor'"),
        ("uses: validate", "uses: validate, with: {profile: us-core-patients}", "8:49", "Write us-core, us-core@7.0.0"),
        ("uses: validate", "uses: validate, with: {profile: us-core@5.0.1}", "8:49", "US Core 5.0.1 is not inside"),
        ("uses: validate", "uses: validate, with: {profil: us-core}", "8:40", "has no field 'profil'"),
        ("uses: validate", "uses: valdiate", "8:23", "Did you mean 'validate'?"),
        ("port: 2575", "prot: 2575", "4:36", "Did you mean 'port'?"),
        ("port: 2575", "port: high", "4:42", "must be an integer"),
        ("connection: local", "connexion: local", "9:41", "Did you mean 'connection'?"),
        ("connection: pager", "connection: pagr", "15:60", "Did you mean 'pager'?"),
        ("connection: pager", "connection: ehr", "15:60", "needs a connection of kind http"),
        ("connection: pager, ", "", "15:47", "'http.send' needs 'connection'"),
        ("map: hl7v2/ORU_R01", "map: own/ORU", "7:40", "there is no such map"),
        ("id: check", "id: chart", "8:10", "two steps have the id 'chart'"),
        ("id: check", "id: contains", "8:10", "a word of the expression language"),
        ("id: check", "id: message", "8:10", "a word of the expression language"),
        ("id: check, ", "", "8:5", "a step needs an id"),
        ("{{ message.id }}", "{{ message.id", "15:94", "without its '}}'"),
        ("{{ message.id }}", "{{ message. }}", "15:94", "cannot be read"),
        ("{{ message.id }}", "{{ save2.id }}", "15:123", "Did you mean 'save'?"),
        ("{{ message.id }}", "{{ mesage.id }}", "15:123", "error: 'mesage' is no step"),
        ("{{ message.id }}", "{{ mesage.id }}", "15:123", "Did you mean 'message'?"),
        ("{{ message.id }}", "{{ chart.entry.where(mesage.id = 'x').id }}", "15:141", "Did you mean 'message'?"),
        ("{{ message.id }}", "{{ nonsense }}", "15:123", "no element of a resource"),
        ("order_by: PID-3.1", "order_by: 'name.family'", "5:12", "HL7 v2 has no elements"),
        ("order_by: PID-3.1", "order_by: PID.id", "5:11", "a place such as PID-3.1"),
        ("when: chart", "when: page", "13:15", "'page' is a step that comes later"),
        ("when: chart", "when: critical", "13:15", "'critical' is a step that comes later"),
        ("2s..10m", "10m..2s", "16:42", "Write backoff: 2s..10m"),
        ("attempts: 8", "attempts: 0", "16:30", "from 1 to 1000"),
        ("30d", "long", "17:23", "not a duration"),
        ("show: redacted", "show: all", "17:34", "one of redacted, full"),
        ("order_by: PID-3.1", "order_by: PID-3..1", "5:11", "cannot be read"),
        ("then: dead-letter", "then: forget", "16:58", "one of dead-letter"),
    ],
)
def test_what_is_wrong_is_told_at_its_place_with_its_mend(old: str, new: str, place: str, said: str) -> None:
    assert old in LAB
    told = findings(LAB.replace(old, new, 1))
    assert said in told
    assert f"flows/lab.yaml:{place}: " in told


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InvalidFile) as error:
        read(LAB.replace("title:", "titel:").replace("port:", "prot:").replace("uses: validate", "uses: nothing"))
    assert len(error.value.problems) == 3


def test_a_step_may_use_what_stands_before_it_also_inside_a_branch() -> None:
    text = LAB.replace(
        "uses: branch", "uses: branch\n    else: [{id: quiet, uses: filter, with: {when: check.errors = 0}}]"
    )
    after = "  - {id: last, uses: filter, with: {when: page.status = 200 or quiet}}\non_error:"
    assert findings(text.replace("on_error:", after, 1)) == ""


WEBHOOK = """suture: flow/1
id: intake
source: {uses: http.listen, with: {secret: secret:hook, patient: mesage.id}}
steps:
  - {id: early, uses: filter, with: {when: "intake_form.name.exists() and `mesage`.exists() and Patient.name.exists()"}}
  - {id: chart, uses: map, with: {map: hl7v2/ADT_A01}}
  - {id: late, uses: filter, with: {when: "Patient.name.exists() and entry.exists() and intake_form.exists()"}}
"""


def test_what_a_head_may_be_depends_on_the_content_there() -> None:
    """JSON may hold anything but a mistyped root; what a map made is a resource."""
    told = findings(WEBHOOK)
    assert told.splitlines() == [
        "flows/lab.yaml:3:66: error: 'mesage' is no step of this flow",
        "    Did you mean 'message'? An element of that name stands in backticks: `mesage`.",
        "flows/lab.yaml:7:89: error: 'intake_form' is no step of this flow and no element of a resource",
        "    Here stand early, chart, message, original, settings.",
    ]


def test_after_a_branch_the_content_may_be_either() -> None:
    """A map in one case: the next case and what comes after may name elements; the first case may not."""
    text = (
        LAB[: LAB.index("  - {id: chart")]
        + """  - id: which
    uses: branch
    cases:
      - {when: entry.exists(), steps: [{id: a, uses: map, with: {map: hl7v2/ADT_A01}}]}
      - {when: entry.exists(), steps: [{id: b, uses: filter, with: {when: entry.exists()}}]}
  - {id: last, uses: filter, with: {when: entry.exists()}}
"""
    )
    assert [line for line in findings(text).splitlines() if "error" in line] == [
        "flows/lab.yaml:10:16: error: 'entry' is no step of this flow, and HL7 v2 has no elements"
    ]


@pytest.mark.parametrize(
    ("source", "when", "said"),
    [
        ("fhir.poll, with: {connection: ehr, type: Patient}", "birthDate.exists()", ""),
        ("fhir.poll, with: {connection: ehr, type: Patient}", "issued.exists()", "'issued' is no step"),
        ("fhir.changed, with: {types: [Observation, Patient]}", "issued.exists() or birthDate.exists()", ""),
        ("fhir.changed, with: {types: 7}", "issued.exists()", ""),
        ("fhir.changed", "statis = 'final'", "Did you mean 'status'?"),
    ],
)
def test_a_source_of_resources_says_what_they_hold(source: str, when: str, said: str) -> None:
    told = findings(
        f'suture: flow/1\nid: x\nsource: {{uses: {source}}}\nsteps: [{{id: s, uses: filter, with: {{when: "{when}"}}}}]\n'
    )
    assert said in told
    assert said or "no step" not in told


def test_a_head_in_a_folded_text_is_told_where_the_text_begins() -> None:
    text = (
        LAB[: LAB.index("  - {id: chart")] + "  - id: page\n    uses: http.send\n    with:\n      connection: pager\n"
    )
    text += "      body:\n        text: >-\n          first\n          {{ mesage.id }}\n"
    assert "flows/lab.yaml:12:15: error: 'mesage' is no step" in findings(text)


def test_secrets_are_named_not_written() -> None:
    hook = LAB.replace(LAB.splitlines()[3], "source: {uses: http.listen, with: {secret: hunter2}}")
    assert "must name a secret, not hold one" in findings(hook)


@pytest.mark.parametrize("step", [*STEPS.values()])
def test_every_step_example_in_the_catalog_is_right(step: component.Component) -> None:
    text = LAB[: LAB.index("  - {id: chart")] + f"  - {step.example}\n"
    known = Known({"lakeside-ehr": "fhir", "pager": "http", "lab": "mllp", "archive": "file"}, lambda name: "")
    assert [str(p) for p in flow.lint(text, "f", known)[1] if p.severity == "error"] == []


@pytest.mark.parametrize("source", [*SOURCES.values()])
def test_every_source_example_in_the_catalog_is_right(source: component.Component) -> None:
    text = LAB.replace(LAB.splitlines()[3], f"source: {source.example}")
    assert flow.lint(text, "f", Known({"lakeside-ehr": "fhir", "pager": "http"}, lambda name: ""))[1] == []


def test_the_page_lists_what_the_tables_hold() -> None:
    docs.check("flows.md", "sources", component.reference([*SOURCES.values()]))
    docs.check("flows.md", "steps", component.reference([*STEPS.values()]))


names = st.sampled_from(
    [
        "suture",
        "id",
        "uses",
        "with",
        "steps",
        "cases",
        "when",
        "else",
        "source",
        "on_error",
        "retry",
        "backoff",
        "retention",
        "order_by",
        "connection",
        "map",
        "body",
        "wait",
        "x",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "flow/1",
            "map",
            "branch",
            "filter",
            "http.send",
            "mllp.listen",
            "{{ a.b }}",
            "PID-3.1",
            "{{",
            "a and",
            "2s..10m",
        ]
    )
)


@settings(max_examples=300)
@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6), max_leaves=25
    )
)
def test_no_content_makes_the_reader_fall_over(content: Any) -> None:
    flow.lint(json.dumps(content), "f", KNOWN)


@settings(max_examples=200)
@given(
    st.integers(0, len(LAB)),
    st.integers(0, 30),
    st.text(alphabet=st.sampled_from(list("{}[]:,'\"|&*#-\n\t .x1")), max_size=6),
)
def test_no_slip_of_the_hand_makes_the_reader_fall_over(at: int, cut: int, typed: str) -> None:
    flow.lint(LAB[:at] + typed + LAB[at + cut :], "f", KNOWN)


def test_the_own_chart_is_followed_not_polled() -> None:
    poll = LAB.replace(LAB.splitlines()[3], "source: {uses: fhir.poll, with: {connection: local, type: Patient}}")
    assert "no connection named 'local'" in findings(poll)
