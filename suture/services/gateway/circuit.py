"""Leaves an upstream alone that fails again and again, and tries it with one request after a while.

https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

from suture.clock import Clock
from suture.errors import Unavailable
from suture.services.gateway.route_file import Circuit

LONGEST = 300.0  # seconds; each failed try doubles the wait up to this


class Breaker:
    """One route's circuit in this process. `enter` before, `worked` or `failed` after each try; `left` when neither is known."""

    def __init__(self, circuit: Circuit, clock: Clock, where: str) -> None:
        self._circuit = circuit
        self._clock = clock
        self._where = where
        self._failures = 0
        self._wait = circuit.open
        self._opened = 0.0
        self._open = False
        self._probing = False

    @property
    def state(self) -> str:
        if not self._open:
            return "closed"
        return "half-open" if self._probing or self._rest <= 0 else "open"

    @property
    def _rest(self) -> float:
        return self._opened + self._wait - self._clock.monotonic()

    def enter(self) -> None:
        """Raises Unavailable while the circuit is open; lets one request through when the wait is over."""
        if not self._open:
            return
        if self._rest > 0 or self._probing:
            raise Unavailable(
                "the upstream fails and is left alone for a while", where=self._where, after=max(1.0, self._rest)
            )
        self._probing = True

    def worked(self) -> None:
        self._failures, self._open, self._probing = 0, False, False
        self._wait = self._circuit.open

    def failed(self) -> None:
        self._failures += 1
        if self._probing:
            self._wait = min(LONGEST, self._wait * 2)
        if self._probing or (not self._open and self._failures >= self._circuit.failures):
            self._open, self._probing, self._opened = True, False, self._clock.monotonic()

    def left(self) -> None:
        """The request ended without telling anything about the upstream: another one may try."""
        self._probing = False
