"""The demo's walk: what is sent to a running Suture, and how its senders fared (docs/demo.md)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from suture.clock import Clock, instant
from suture.connectors.mllp_sender import Sender
from suture.sandbox import forms, people, traffic
from suture.sandbox.people import Person
from suture.standards.hl7v2 import message as hl7v2

FORM_SECRET = "intake-form"  # noqa: S105  (the name under which the vault keeps it)
NEWCOMER = 100_000  # number of a person whom no other system knows


@dataclass(slots=True)
class Sent:
    """What the senders saw."""

    acknowledged: int = 0
    forms: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)  # seconds until each acknowledgement

    def wait(self, share: float) -> float:
        """Milliseconds within which this share of the acknowledgements came."""
        ordered = sorted(self.waits) or [0.0]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def feed(seed: int, count: int) -> Iterator[bytes]:
    """The hospital's messages; the one in the middle names no patient, so that nobody can chart it."""
    for number, message in enumerate(itertools.islice(traffic.mixed(seed, count), count)):
        yield nobody(message) if number == count // 2 else message


def nobody(message: bytes) -> bytes:
    """The message without any patient identifier, under a control id of its own."""
    parsed = hl7v2.parse(message)
    lines = [segment.text for segment in parsed.segments]
    for row, line in enumerate(lines):
        fields = line.split("|")
        if fields[0] == "PID":
            fields[2:5] = ["", "", ""]
        elif fields[0] == "MSH":
            fields[9] += "X"
        lines[row] = "|".join(fields)
    return ("\r".join(lines) + "\r").encode(parsed.charset)


async def send_feed(port: int, messages: list[bytes], sent: Sent, told: Callable[[], None]) -> None:
    """Sends over one MLLP connection, each message after the acknowledgement of the one before."""
    sender, began = Sender("127.0.0.1", port), time.monotonic()
    try:
        for message in messages:
            left = time.monotonic()
            await sender.send(message)
            sent.waits.append(time.monotonic() - left)
            sent.acknowledged += 1
            told()
    finally:
        sent.seconds = time.monotonic() - began
        await sender.close()


def visitors(seed: int, known: int) -> list[Person]:
    """Who fills in forms: some whom the EHR knows, and one newcomer."""
    return [*itertools.islice(people.people(seed, known), known), people.person(seed, NEWCOMER)]


async def send_forms(base: str, secret: str, persons: list[Person], clock: Clock, sent: Sent) -> None:
    """Posts one signed intake form for each person to the webhook of the flow `intake`."""
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        for number, person in enumerate(persons):
            content = forms.form(person, number, instant(clock.micros()))
            body, headers = forms.signed(content, secret, content["id"])
            (await client.post("/hooks/intake", content=body, headers=headers)).raise_for_status()
            sent.forms += 1
