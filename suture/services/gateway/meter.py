"""Counts how much each caller used of each route, and how long answers took, in bounded memory; a minute later it is on disk.

Latencies are counted by bounds that grow by a fixed factor, so that every percentile is right to 10 percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from suture.clock import Clock
from suture.store import gateway_usage as usage
from suture.store.connection import Connection, Tx
from suture.store.gateway_usage import DAY, MICROS, MINUTE, Used

FACTOR = 1.2
_LOG = math.log(FACTOR)
LAST = 95  # the bound of 30 minutes and more
FIRST = 50e-6  # seconds
MOST_PAIRS = 5000  # of a minute in memory; more are counted together
OTHERS = "others"
PERCENTILES = (50, 90, 95, 99)


def bound_of(seconds: float) -> int:
    """The number of the smallest bound that is not below."""
    return 0 if seconds <= FIRST else min(LAST, math.ceil(math.log(seconds / FIRST) / _LOG - 1e-9))


def seconds_of(bound: int) -> float:
    return float(FIRST * FACTOR**bound)


def percentile(spread: Mapping[int, int], percent: float) -> float:
    """Seconds within which so many percent of the answers came; the middle of the bound they fall into, 0 without answers."""
    wanted, seen = sum(spread.values()) * percent / 100, 0
    for bound in sorted(spread):
        seen += spread[bound]
        if seen >= wanted and seen:
            return seconds_of(bound) / math.sqrt(FACTOR)
    return 0.0


@dataclass(frozen=True, slots=True)
class Sum:
    """One line of a report."""

    route: str
    caller: str
    used: Used


class Meter:
    """`count` each answer; `due` gives what is to be written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._now: dict[tuple[str, str], Used] = {}
        self._full: list[tuple[int, dict[tuple[str, str], Used]]] = []
        self.total: dict[tuple[str, str], Used] = {}  # (route, "") since the start of this process, for Prometheus

    def count(self, route: str, caller: str, status: int, seconds: float, size_in: int, size_out: int) -> None:
        """Adds one answer."""
        self._turn()
        key = (route, caller)
        if key not in self._now and len(self._now) >= MOST_PAIRS:
            key = (route, OTHERS)
        one = Used(
            1, int(status == 429), int(status >= 500), size_in, size_out, int(seconds * MICROS), {bound_of(seconds): 1}
        )
        self._now.setdefault(key, Used()).add(one)
        self.total.setdefault((route, ""), Used()).add(one)

    def _turn(self) -> None:
        minute = self._clock.micros() // MICROS // MINUTE * MINUTE
        if minute != self._minute:
            if self._now:
                self._full.append((self._minute, self._now))
            self._minute, self._now = minute, {}

    def due(self, everything: bool = False) -> list[tuple[int, dict[tuple[str, str], Used]]]:
        """The minutes that are over (or all); they are the caller's to write, once."""
        self._turn()
        if everything and self._now:
            self._full.append((self._minute, self._now))
            self._now = {}
        full, self._full = self._full, []
        return full

    def pending(self) -> Iterator[Sum]:
        """What is not on disk yet."""
        for pairs in (*(pairs for _, pairs in self._full), self._now):
            yield from (Sum(route, caller, used) for (route, caller), used in pairs.items())

    def again(self, minutes: list[tuple[int, dict[tuple[str, str], Used]]]) -> None:
        """Writing failed: the minutes are due again; the oldest are let go when nothing can be written for an hour."""
        self._full = [*minutes, *self._full][-60:]


def write(
    tx: Tx, minutes: Iterable[tuple[int, dict[tuple[str, str], Used]]], minutes_kept: float, days_kept: float
) -> None:
    """Adds minutes to what is on disk, and to their days."""
    for minute, pairs in minutes:
        for (route, caller), used in pairs.items():
            usage.add(tx, MINUTE, minute, route, caller, used)
            usage.add(tx, DAY, minute // DAY * DAY, route, caller, used)
    now = tx.now // MICROS
    usage.sweep(tx, now - int(minutes_kept), now - int(days_kept))


def report(connection: Connection, span: int, since: int, until: int, pending: Iterable[Sum] = ()) -> list[Sum]:
    """What was used between two moments, by route and caller, the most used first; with what is `pending`."""
    sums: dict[tuple[str, str], Used] = {}
    kept = (Sum(row.route, row.caller, row.used) for row in usage.find(connection, span, since, until))
    for one in chain(kept, pending):
        sums.setdefault((one.route, one.caller), Used()).add(one.used)
    return [Sum(r, c, used) for (r, c), used in sorted(sums.items(), key=lambda one: -one[1].requests)]
