"""What is left of a limit that several processes share: each takes a slice in one unit of work, and gives back what it did not use.

Token buckets and sliding windows: https://www.rfc-editor.org/rfc/rfc2697
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from suture.store.connection import Tx

MICROS = 1_000_000
SLOTS = 10  # of a sliding window
KEPT = 40 * 86400 * MICROS  # a budget nobody has touched for so long is let go


@dataclass(frozen=True, slots=True)
class Window:
    """How much may be used in which time. kind: `bucket` (refilled steadily, `most` at once), `sliding` or `calendar`."""

    kind: str
    limit: int
    seconds: int  # of one window; 86400: days, 0: calendar months (UTC)
    most: int = 0  # capacity of a bucket


@dataclass(frozen=True, slots=True)
class Slice:
    """What a process got: `units` to use until `until`, and what everybody has left after it."""

    units: int
    left: int
    until: int  # microseconds; what is not used by then counts as used
    again: float  # seconds until something comes back, when nothing was given


def take(tx: Tx, bucket: str, window: Window, wanted: int, share: int) -> Slice:
    """Up to `wanted` units, and never more than a `share`-th of what is left (but one, while there is one)."""
    state, now = _state(tx, bucket), tx.now
    left, until, again = _KINDS[window.kind](state, window, now)
    units = min(wanted, max(1, left // share)) if left > 0 else 0
    if units:
        _use(state, window, now, units)
        _keep(tx, bucket, state)
    return Slice(units, left - units, until, again)


def give_back(tx: Tx, bucket: str, window: Window, units: int, taken: int) -> None:
    """Units of a slice that was taken at `taken` and was not used."""
    state = _state(tx, bucket)
    if window.kind == "bucket":
        state["tokens"] = min(float(window.most), state.get("tokens", 0.0) + units)
    else:
        slot = str(_slot(window, taken))
        uses = state.get("uses", {})
        if slot in uses:
            uses[slot] = max(0, uses[slot] - units)
    _keep(tx, bucket, state)


def sweep(tx: Tx) -> None:
    """Lets go what nobody uses any more."""
    tx.execute("DELETE FROM gateway_budget WHERE changed < ?", (tx.now - KEPT,))
    tx.execute("DELETE FROM gateway_running WHERE expires < ?", (tx.now,))


def hold(tx: Tx, bucket: str, process: str, limit: int, wanted: int, life: int) -> int:
    """How many requests at once this process may run under a limit now: up to `wanted`, or what the others leave."""
    row = tx.one(
        "SELECT coalesce(sum(held), 0) FROM gateway_running WHERE bucket = ? AND process <> ? AND expires > ?",
        (bucket, process, tx.now),
    )
    held = max(0, min(wanted, limit - int(row[0] if row else 0)))
    if held:
        tx.execute("INSERT OR REPLACE INTO gateway_running VALUES (?, ?, ?, ?)", (bucket, process, held, tx.now + life))
    else:
        tx.execute("DELETE FROM gateway_running WHERE bucket = ? AND process = ?", (bucket, process))
    return held


def _state(tx: Tx, bucket: str) -> dict[str, Any]:
    row = tx.one("SELECT state FROM gateway_budget WHERE bucket = ?", (bucket,))
    return dict(json.loads(row[0])) if row else {}


def _keep(tx: Tx, bucket: str, state: dict[str, Any]) -> None:
    tx.execute("INSERT OR REPLACE INTO gateway_budget VALUES (?, ?, ?)", (bucket, json.dumps(state), tx.now))


def _bucket(state: dict[str, Any], window: Window, now: int) -> tuple[int, int, float]:
    """Whole tokens now; a slice of them is used within a second or counts as used."""
    rate = window.limit / window.seconds
    tokens, at = float(state.get("tokens", window.most)), int(state.get("at", now))
    tokens = min(float(window.most), tokens + max(0, now - at) / MICROS * rate)
    state["tokens"], state["at"] = tokens, max(now, at)
    return int(tokens), now + MICROS, max(0.0, (1.0 - tokens) / rate)


def _sliding(state: dict[str, Any], window: Window, now: int) -> tuple[int, int, float]:
    """The limit less what the last `seconds` used: whole slots, and the oldest one as far as it reaches into them."""
    slots = _slots(window)
    length = window.seconds * MICROS // slots
    slot = now // length
    uses = {int(s): n for s, n in state.get("uses", {}).items() if int(s) >= slot - slots}
    state["uses"] = {str(s): n for s, n in uses.items()}
    oldest = uses.get(slot - slots, 0) * (1.0 - now % length / length)
    left = int(window.limit - sum(n for s, n in uses.items() if s > slot - slots) - oldest)
    first = min((s for s, n in uses.items() if n), default=slot)
    again = max(0.0, ((first + slots) * length - now) / MICROS) + length / MICROS / max(1, uses.get(first, 1))
    return left, (slot + 1) * length, again


def _calendar(state: dict[str, Any], window: Window, now: int) -> tuple[int, int, float]:
    slot = _slot(window, now)
    used = int(state.get("uses", {}).get(str(slot), 0))
    state["uses"] = {str(slot): used}
    end = _end(window, now)
    return window.limit - used, end, (end - now) / MICROS


def _use(state: dict[str, Any], window: Window, now: int, units: int) -> None:
    if window.kind == "bucket":
        state["tokens"] -= units
        return
    slot, uses = str(_slot(window, now)), state["uses"]
    uses[slot] = uses.get(slot, 0) + units


def _slots(window: Window) -> int:
    return SLOTS if window.seconds >= SLOTS else 1


def _slot(window: Window, at: int) -> int:
    if window.kind == "sliding":
        return at // (window.seconds * MICROS // _slots(window))
    return at // (86400 * MICROS) if window.seconds else _month(at)


def _month(at: int) -> int:
    """Months since year 0, UTC (days to civil dates, http://howardhinnant.github.io/date_algorithms.html)."""
    days = at // (86400 * MICROS) + 719468
    era, day = divmod(days, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    month = (5 * (day - (365 * year + year // 4 - year // 100)) + 2) // 153
    return (era * 400 + year) * 12 + month + 2  # March is month 0 of its year there


def _end(window: Window, at: int) -> int:
    day = 86400 * MICROS
    end = (at // day + 1) * day
    while not window.seconds and _month(end) == _month(at):
        end += day
    return end


_KINDS = {"bucket": _bucket, "sliding": _sliding, "calendar": _calendar}
