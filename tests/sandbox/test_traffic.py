"""The sandbox's traffic is the same for the same seed, tells believable stories, and its odd messages are odd as meant."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from suture.errors import InvalidMessage
from suture.mapping import moments
from suture.sandbox import traffic
from suture.sandbox.traffic_variants import BROKEN, VARIANTS
from suture.standards.hl7v2 import structure
from suture.standards.hl7v2.message import Message, parse

EVENTS = ["A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A28", "A31", "A40"]


def adt(n: int = 1500) -> list[Message]:
    return [parse(raw) for raw in traffic.adt(5, n)]


def test_a_seed_always_gives_the_same_messages() -> None:
    assert list(traffic.mixed(3, 60, odd=0.5)) == list(traffic.mixed(3, 60, odd=0.5))
    assert list(traffic.mixed(3, 60)) != list(traffic.mixed(4, 60))
    assert list(islice(traffic.adt(3, 1000), 20)) == list(traffic.adt(3, 20))


def test_every_event_comes_and_persons_come_back() -> None:
    messages = adt()
    assert sorted({m.get("MSH-9.2") for m in messages}) == EVENTS
    assert len({m.control_id for m in messages}) == len(messages)
    seen = Counter(m.get("PID-3.1") for m in messages)
    assert len(seen) < len(messages) / 3
    assert all(m.get("PID-3.1") and m.get("PID-5.1") and moments.day(m.get("PID-7")) for m in messages)
    assert [m.get("EVN-2") for m in messages] == sorted(m.get("EVN-2") for m in messages)


def test_events_follow_each_other_as_in_a_hospital() -> None:
    """Nobody is discharged who is not there; a merge names two numbers that were seen before."""
    present: dict[str, bool] = {}
    for m in adt():
        number, name = m.get("PID-3.1"), m.get("MSH-9.2")
        if name in {"A02", "A03", "A06", "A07", "A11", "A12"}:
            assert present[number], name
        if name == "A40":
            assert number in present
            assert m.get("MRG-1.1") in present
            assert m.get("MRG-1.1") != number
        present[number] = name in {"A01", "A04", "A13"} or (present.get(number, False) and name not in {"A03", "A11"})


def test_late_messages_under_a_merged_number_happen() -> None:
    gone: set[str] = set()
    late = []
    for m in (parse(raw) for raw in traffic.adt(5, 3000)):
        if m.get("PID-3.1") in gone:
            late.append(m)
        if m.get("MSH-9.2") == "A40":
            gone.add(m.get("MRG-1.1"))
    assert late


def test_results_come_preliminary_final_corrected_and_late() -> None:
    messages = [parse(raw) for raw in traffic.oru(2, 400, obx=7)]
    assert {len(m.all("OBX")) for m in messages} == {7}
    stages: dict[str, str] = {}
    for m in messages:
        number = m.get("OBR-3.1")
        stages[number] = stages.get(number, "") + m.get("OBR-25")
    assert {"P", "F", "PF", "PFC"} <= set(stages.values())
    assert any("FP" in story for story in stages.values())
    flags = Counter(flag for m in messages for flag in m.values("OBX-8"))
    assert flags["N"] > flags["H"] > 0
    assert flags["L"] > 0


def test_mixed_traffic_is_about_the_same_persons() -> None:
    messages = [parse(raw) for raw in traffic.mixed(2, 300)]
    kinds = Counter(m.get("MSH-9.1") for m in messages)
    assert kinds == {"ADT": 200, "ORU": 100}
    persons = {kind: {m.get("PID-3.1") for m in messages if m.get("MSH-9.1") == kind} for kind in kinds}
    assert len(persons["ADT"] & persons["ORU"]) > 10


def test_groups_are_found_in_all_of_it() -> None:
    for raw in traffic.mixed(9, 300, odd=1.0):
        message = parse(raw)
        root = structure.groups(message)
        assert sorted(s.where() for s in root.walk()) == sorted(s.where() for s in message.segments)
        if message.get("MSH-9.1") == "ORU":
            assert len(root.find_groups("OBSERVATION")) == 10


@pytest.mark.parametrize("habit", VARIANTS)
def test_habits_of_senders_change_bytes_and_keep_the_message(habit: str) -> None:
    changed = 0
    for raw in traffic.mixed(4, 60):
        odd = VARIANTS[habit](raw)
        changed += odd != raw
        sound, message = parse(raw), parse(odd)
        assert message.encode() == odd
        assert message.control_id == sound.control_id
        assert message.type == sound.type
        assert message.get("PID-3.1") == sound.get("PID-3.1")
        assert set(sound.names) <= set(message.names)
    assert changed


@pytest.mark.parametrize("breakage", BROKEN)
def test_broken_messages_are_refused_with_their_place(breakage: str) -> None:
    for raw in traffic.mixed(4, 6):
        with pytest.raises(InvalidMessage) as caught:
            parse(BROKEN[breakage](raw))
        assert caught.value.where.startswith("MSH")
