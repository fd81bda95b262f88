"""What a Subscription asks for is read whole or refused by its element; nothing that is sent breaks the reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidResource
from suture.standards.fhir import notification, subscription, topics, validate
from suture.standards.fhir.notification import Event, Part, State
from suture.standards.fhir.subscription import Wanted
from tests.notified import BACKPORT
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
