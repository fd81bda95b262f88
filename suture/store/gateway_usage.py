"""How much the gateway was used, by route and caller, per minute and per day; minutes are kept for a while, days for long.

Latencies are counts by upper bound, so that those of several processes and spans can be added up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from suture.store.connection import Connection, Tx

MINUTE, DAY = 60, 86400
MICROS = 1_000_000


@dataclass(slots=True)
class Used:
    """What one caller used of one route in one span of time."""

    requests: int = 0
    refused: int = 0  # turned away by a limit
    failed: int = 0  # 5xx, ours or the upstream's
    bytes_in: int = 0
    bytes_out: int = 0
    micros: int = 0  # all latencies together
    spread: dict[int, int] = field(default_factory=dict)  # number of a latency's bound -> how many

    def add(self, other: Used) -> None:
        self.requests += other.requests
        self.refused += other.refused
        self.failed += other.failed
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.micros += other.micros
        for bound, count in other.spread.items():
            self.spread[bound] = self.spread.get(bound, 0) + count


@dataclass(frozen=True, slots=True)
class Row:
    at: int  # seconds, the beginning of the span
    route: str
    caller: str
    used: Used


_SUMS = "requests, refused, failed, bytes_in, bytes_out, micros, spread"


def add(tx: Tx, span: int, at: int, route: str, caller: str, used: Used) -> None:
    """Adds to what is there already, of this process or another."""
    row = tx.one(
        f"SELECT {_SUMS} FROM gateway_usage WHERE span = ? AND at = ? AND route = ? AND caller = ?",
        (span, at, route, caller),
    )
    total = _used(row) if row else Used()
    total.add(used)
    tx.execute(
        "INSERT OR REPLACE INTO gateway_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            span, at, route, caller, total.requests, total.refused, total.failed, total.bytes_in, total.bytes_out,
            total.micros, json.dumps({str(bound): count for bound, count in sorted(total.spread.items())}),
        ),
    )  # fmt: skip


def sweep(tx: Tx, minutes_before: int, days_before: int) -> None:
    """Lets go minutes and days that begin before these seconds."""
    tx.execute("DELETE FROM gateway_usage WHERE span = ? AND at < ?", (MINUTE, minutes_before))
    tx.execute("DELETE FROM gateway_usage WHERE span = ? AND at < ?", (DAY, days_before))


def find(connection: Connection, span: int, since: int, until: int, route: str = "", caller: str = "") -> Iterable[Row]:
    """The rows of a span of time, oldest first."""
    rows = connection.all(
        f"SELECT at, route, caller, {_SUMS} FROM gateway_usage WHERE span = ? AND at >= ? AND at < ? "
        "AND (?4 = '' OR route = ?4) AND (?5 = '' OR caller = ?5) ORDER BY at",
        (span, since, until, route, caller),
    )
    return [Row(row[0], row[1], row[2], _used(row[3:])) for row in rows]


def _used(row: tuple[Any, ...]) -> Used:
    spread = {int(bound): int(count) for bound, count in json.loads(row[6]).items()}
    return Used(row[0], row[1], row[2], row[3], row[4], row[5], spread)
