"""What a Subscription asks for is read whole or refused by its element; nothing that is sent breaks the reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidResource
from suture.standards.fhir import notification, subscription, topics, validate
from suture.standards.fhir.notification import Event, Part, State
from suture.standards.fhir.subscription import Wanted
from tests.notified import BACKPORT, searching
from tests.notified import subscription as asked

KNOWN = {topic.url: topic for topic in topics.SHIPPED}


def read(resource: dict[str, Any]) -> tuple[Wanted | None, str]:
    """What was read, or where it was refused."""
    try:
        return subscription.read(resource, KNOWN), ""
    except InvalidResource as error:
        return None, error.where


def test_everything_that_was_asked_for_is_read() -> None:
    made = asked(
        "https://x.example/y?z=1", "encounter-start", "full-resource", ("Encounter?patient=Patient/1",),
        heartbeat=60, timeout=7, most=3, header=["A: b", "C:  d e "], end="2030-01-01T00:00:00Z",
    )  # fmt: skip
    found = subscription.read(made, KNOWN)
    assert found.topic.url.endswith("encounter-start")
    assert found.filters == (("Encounter", "patient=Patient/1"),)
    assert (found.heartbeat, found.timeout, found.most) == (60, 7, 3)
    assert found.headers == (("A", "b"), ("C", "d e"))
    assert found.content == "full-resource"
    assert found.end > 0


@given(st.lists(st.text(max_size=30), max_size=3))
def test_no_header_smuggles_in_another(texts: list[str]) -> None:
    found, refused = read(asked("https://x.example", header=texts or None))
    assert found or refused.startswith("Subscription.channel.header")
    for name, value in found.headers if found else ():
        assert name.isascii()
        assert not set("\r\n\0") & set(name + value)


@given(st.text(max_size=60))
def test_no_filter_breaks_the_reader(text: str) -> None:
    found, refused = read(asked("https://x.example", filters=(text,)))
    assert found or refused == "Subscription.criteria.extension.valueString"


@given(
    st.sampled_from(["backport-heartbeat-period", "backport-timeout", "backport-max-count"]),
    st.one_of(st.integers(), st.booleans(), st.text(max_size=5)),
)
def test_numbers_stay_within_bounds(name: str, value: Any) -> None:
    made = asked("https://x.example")
    kind = "valuePositiveInt" if name.endswith("count") else "valueUnsignedInt"
    made["channel"]["extension"] = [{"url": BACKPORT + name, kind: value}]
    found, refused = read(made)
    assert found or refused == "Subscription.channel.extension"
    assert not found or max(found.heartbeat, found.timeout, found.most) == value


def test_notifications_are_sound_bundles() -> None:
    gone = Part("Patient", "2", "DELETE")
    here = Part("Patient", "1", "POST", {"resourceType": "Patient", "id": "1"})
    events = [Event(1, "2026-01-01T00:00:00.000Z", here, (Part("Patient", "3", "GET"),)), Event(2, "2026-01-01T00:00:00.000Z", gone), Event(3, "2026-01-01T00:00:00.000Z")]  # fmt: skip
    for content in subscription.CONTENTS:
        state = State("s1", "https://x.example/topic", "active", 3, content, "it failed")
        made = notification.bundle(
            state, notification.EVENT, "https://s.example/fhir", ["a1", "b1"], "2026-01-01T00:00:00.000Z", events
        )
        validate.require(made)
        assert len(made["entry"]) == (1 if content == "empty" else 4)
        assert ("topic" in str(made["entry"][0])) is (content != "empty")


@given(st.text(max_size=60))
def test_no_criteria_break_the_reader(text: str) -> None:
    found, refused = read(searching("https://x.example", f"Observation?{text}"))
    assert found or refused == "Subscription.criteria"


def test_a_search_is_read_as_every_version_that_fits() -> None:
    found = subscription.read(
        searching("https://x.example/fhir", "Observation?code=1&status=final", subscription.XML), KNOWN
    )
    assert (found.topic.types, found.filters) == (("Observation",), (("Observation", "code=1&status=final"),))
    assert (found.content, found.payload, found.canonical) == ("full-resource", "application/fhir+xml", "")
    bare = subscription.read(searching("https://x.example/?a=b", "Observation"), KNOWN)
    assert (bare.filters, bare.content, bare.topic) == ((), "empty", found.topic)


def test_what_a_search_does_not_know_is_refused() -> None:
    payload = {"extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": "empty"}]}
    beats = [{"url": BACKPORT + "backport-timeout", "valueUnsignedInt": 5}]
    for changed, where in [
        (searching("https://x.example/?a=b", "Patient", "application/fhir+json"), "channel.endpoint"),
        (searching("https://x.example", "Patient", "text/csv"), "channel.payload"),
        (searching("https://x.example", "Patient", _payload=payload), "channel.payload.extension"),
        (searching("https://x.example", "Patient", extension=beats), "channel.extension"),
        (searching("", "Patient", "application/fhir+json", type="websocket"), "channel.payload"),
        (searching("https://x.example", "Patient", type="sms"), "channel.type"),
        (searching("https://x.example", "Patient?name=" + "x" * 3000), "criteria"),
        (searching("https://x.example", "patient?name=x"), "criteria"),
    ]:
        assert read(changed) == (None, f"Subscription.{where}")


def test_a_filter_that_asks_a_terminology_is_refused() -> None:
    """Such codes are known to searches alone; held against one resource it would never fit."""
    made = asked("https://x.example", "observation-created", filters=("Observation?code:in=http://x.example/set",))
    assert read(made) == (None, "Subscription.criteria.extension.valueString")
