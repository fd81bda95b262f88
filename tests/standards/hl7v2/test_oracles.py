"""For well-formed messages python-hl7 and hl7apy read the same values as we do."""

from __future__ import annotations

from typing import Any

import hl7
import pytest
from hl7apy import parser

from suture.sandbox import traffic
from suture.standards.hl7v2.message import Message, parse

MESSAGES = [*traffic.mixed(11, 45), *traffic.oru(12, 5, obx=30)]


def leaves(message: Message) -> list[tuple[str, int, int, int, int, str]]:
    """Every value with its segment, field, repetition, component and subcomponent."""
    found = []
    for segment in message.segments:
        for number in range(3 if segment.name == "MSH" else 1, len(segment.fields)):
            for repetition, text in enumerate(segment.repetitions(number), 1):
                for component, part in enumerate(text.split("^"), 1):
                    for sub in range(1, part.count("&") + 2):
                        value = segment.get(number, component, sub, repetition)
                        found.append((segment.where(), number, repetition, component, sub, value))
    return found


def test_python_hl7_finds_every_value_where_we_do() -> None:
    for raw in MESSAGES:
        theirs = hl7.parse(raw.decode())
        for where, number, repetition, component, sub, value in leaves(parse(raw)):
            name, _, nth = where.partition("[")
            field = theirs.segments(name)[int(nth.rstrip("]") or 1) - 1][number]
            found = _part(_part(_part(field, repetition), component), sub)
            assert theirs.unescape(str(found)) == value, (where, number, repetition, component, sub)


def _part(container: Any, number: int) -> Any:
    if isinstance(container, str):
        assert number == 1
        return container
    return container[number - 1]


@pytest.mark.slow
def test_hl7apy_finds_every_field_where_we_do() -> None:
    for raw in MESSAGES[:12]:
        theirs = parser.parse_message(raw.decode(), find_groups=False)
        ours = parse(raw)
        assert [child.name for child in theirs.children] == ours.names
        for segment, child in zip(ours.segments, theirs.children, strict=True):
            if segment.name == "PID":
                continue  # it writes XTN's numbers without their leading zeros
            assert child.to_er7().rstrip("|") == segment.text.rstrip("|")
