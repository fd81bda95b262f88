"""How far the audit trail was copied off this machine, by the name of the place it is copied to."""

from __future__ import annotations

from typing import NamedTuple

from suture.settings import Settings
from suture.store import audit
from suture.store.connection import Connection, Tx
from suture.store.vault import set_watermark, watermark

PLACES = ("file", "syslog", "webhook")


class Lag(NamedTuple):
    """How far a copy is behind: rows, and for how many seconds the oldest of them waits."""

    rows: int
    seconds: float


def mark(connection: Connection, place: str) -> int:
    """The number of the last row that is certainly there; 0 when none is."""
    return int(watermark(connection, f"audit-copy:{place}") or 0)


def set_mark(tx: Tx, place: str, n: int) -> None:
    set_watermark(tx, f"audit-copy:{place}", str(n))


def named(settings: Settings) -> list[str]:
    """The places that the settings name."""
    return [name for name in PLACES if settings[f"audit.{name}"]]


def lag(connection: Connection, name: str, now: int) -> Lag:
    """How far the copy to a place is behind."""
    done, head = mark(connection, name), audit.head(connection).n
    waiting = next(audit.entries(connection, done, 1), None)
    return Lag(head - done, max(0, now - waiting[0].at) / 1e6) if waiting else Lag(0, 0.0)
