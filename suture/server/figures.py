"""What the web side counts: answers and how long they took, by route pattern; nothing personal."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@dataclass(slots=True)
class Spread:
    """How long the answers of one route took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


@dataclass(slots=True)
class Figures:
    """Counted by the shell, once for each request."""

    answers: dict[tuple[str, str, int], int] = field(default_factory=dict)
    spreads: dict[tuple[str, str], Spread] = field(default_factory=dict)

    def count(self, pattern: str, method: str, status: int, seconds: float) -> None:
        """Adds one answer."""
        method = method if method in _METHODS else "other"
        key = (pattern, method, status)
        self.answers[key] = self.answers.get(key, 0) + 1
        spread = self.spreads.setdefault((pattern, method), Spread())
        spread.counts[bisect_left(BOUNDS, seconds)] += 1
        spread.seconds += seconds
