"""Time for retries that no change of the machine's clock can stop: it follows the clock forwards, and never goes back."""

from __future__ import annotations

from suture.clock import Clock


class Steady:
    """Microseconds since 1970 as the clock says, but never less than what has passed since the start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base = clock.micros() - self._passed()

    def _passed(self) -> int:
        return int(self._clock.monotonic() * 1_000_000)

    def now(self) -> int:
        passed, wall = self._passed(), self._clock.micros()
        self._base = max(self._base, wall - passed)
        return self._base + passed
