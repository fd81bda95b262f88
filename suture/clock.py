"""The one clock: what time it is, how long something took, and new ids that sort by time (RFC 9562, UUIDv7)."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Time as an argument, so that tests can stop and move it."""

    def now(self) -> datetime:
        """The time in UTC, aware."""
        ...

    def micros(self) -> int:
        """Microseconds since 1970, the unit of every time column."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations and time-outs."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def micros(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


class SetClock:
    """A clock for tests that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._passed = 0.0

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._start.timestamp() + self._passed, UTC)

    def micros(self) -> int:
        return int((self._start.timestamp() + self._passed) * 1_000_000)

    def monotonic(self) -> float:
        return self._passed


SYSTEM = SystemClock()


def new_id(clock: Clock = SYSTEM) -> str:
    """A UUIDv7 as text: 48 bits of milliseconds, then randomness."""
    chance = secrets.token_bytes(10).hex()
    text = f"{clock.micros() // 1000 & 0xFFFFFFFFFFFF:012x}"
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{text[:8]}-{text[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[8:]}"


@lru_cache(4096)
def instant(micros: int) -> str:
    """Microseconds as a FHIR instant in UTC, with milliseconds: `2026-11-25T08:00:00.123Z`."""
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"


@lru_cache(4096)
def http_date(seconds: int) -> str:
    """Seconds as headers want them: `Wed, 25 Nov 2026 08:00:00 GMT` (RFC 9110, 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def stamp(micros: int) -> str:
    """Microseconds as part of a file's name: `20261125T080000.123456Z`."""
    return f"{datetime.fromtimestamp(micros // 1_000_000, UTC):%Y%m%dT%H%M%S}.{micros % 1_000_000:06d}Z"
