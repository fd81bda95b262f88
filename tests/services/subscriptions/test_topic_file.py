"""Topics of a site's own: what is wrong is told with line, column and mend; what is right decides what is an event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.services.subscriptions import topic_file
from suture.standards.fhir.topics import Change, Topic, fires
from tests.server.people import observation

RIGHT = """suture: topic/1
url: https://clinic.example/topics/critical
title: A critical result
triggers:
  - type: Observation
    on: [create, update]
    previous: "code:not=HH"
    current: "code=HH"
    when: "%current.status = 'final'"
filters: {Observation: [patient, code]}
includes: ["Observation:patient"]
"""


def read(text: str = RIGHT) -> Topic:
    found, problems = topic_file.lint(text, "topics/t.yaml")
    assert found is not None, problems.found
    return found


def of(code: str, **more: Any) -> dict[str, Any]:
    return observation("o1", "p1", **more) | {"code": {"coding": [{"code": code}]}}


def test_what_is_right_decides_what_is_an_event() -> None:
    topic = read()
    assert fires(topic, "Observation", Change(None, of("HH")))
    assert fires(topic, "Observation", Change(of("N"), of("HH")))
    assert not fires(topic, "Observation", Change(of("HH"), of("HH")))
    assert not fires(topic, "Observation", Change(None, of("N")))
    assert not fires(topic, "Observation", Change(of("HH"), None))
    assert not fires(topic, "Observation", Change(None, of("HH") | {"status": "preliminary"}))


def test_one_of_two_queries_is_enough_when_both_is_false() -> None:
    topic = read(RIGHT.replace("    when:", "    both: false\n    when:"))
    assert fires(topic, "Observation", Change(of("N"), of("N")))


def test_a_criterion_that_runs_away_is_no_event() -> None:
    costly = "(1 | 2).repeat($this + 1).count() > 0"
    topic = read(RIGHT.replace("%current.status = 'final'", costly))
    assert not fires(topic, "Observation", Change(None, of("HH")))


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("suture: topic/1", "suture: flow/1", (1, 1), "not a topic file"),
        ("https://clinic.example/topics/critical", "critical", (2, 6), "canonical url"),
        (
            "https://clinic.example/topics/critical",
            "https://suture.health/fhir/SubscriptionTopic/x",
            (2, 6),
            "Suture's own",
        ),
        ("type: Observation", "type: Observatory", (5, 5), "needs a resource type"),
        ("[create, update]", "[create, renamed]", (6, 9), "not what can happen"),
        ("code=HH", "codes=HH", (8, 14), "can't be used"),
        ("%current.status =", "%current.status = =", (9, 11), "not FHIRPath"),
        ("[patient, code]", "[patient, codes]", (10, 11), "no search parameter codes"),
        ("Observation:patient", "Observation:code", (11, 11), "leads to nothing"),
        ("title:", "tilte:", (3, 1), "means nothing here"),
        ("type: Observation\n", "type: Observation\n    both: maybe\n", (6, 11), "true or false"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, place: tuple[int, int], said: str) -> None:
    found, problems = topic_file.lint(RIGHT.replace(old, new), "topics/t.yaml")
    assert found is None
    told = [(p.line, p.column, p.text) for p in problems.found if said in p.text]
    assert told, problems.found
    assert told[0][:2] == place
    assert all(p.mend for p in problems.found)


@given(st.text(max_size=200), st.integers(0, len(RIGHT)), st.integers(0, 40))
def test_no_text_breaks_the_reader(text: str, at: int, cut: int) -> None:
    topic_file.lint(RIGHT[:at] + text + RIGHT[at + cut :], "topics/t.yaml")
