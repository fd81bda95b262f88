"""What all connections of one process share: interned names and codes, dictionaries, the envelope's keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from suture.clock import SYSTEM, Clock
from suture.store.envelope import Envelope

WINDOW = 2_000  # bodies by which it is told how well a dictionary fits


@dataclass(slots=True)
class Fit:
    """How small bodies become: in the first window after a training, and in the last one."""

    first: float = 0.0
    last: float = 0.0
    count: int = 0
    raw: int = 0
    packed: int = 0

    def add(self, raw: int, packed: int) -> None:
        self.count += 1
        self.raw += raw
        self.packed += packed
        if self.count == WINDOW:
            self.last = self.packed / self.raw
            self.first = self.first or self.last
            self.count = self.raw = self.packed = 0


@dataclass(slots=True)
class Shared:
    """Caches only ever hold rows that are never changed or deleted; a rolled-back unit takes its own out again."""

    path: Path  # the file; of a database on a server the folder of its key
    envelope: Envelope
    clock: Clock = SYSTEM
    where: str = ""  # the place, for errors and people; no password
    base: str = ""  # what absolute references to this server begin with; index rows are made with it
    text: str = "off"  # which full text is kept
    names: dict[str, int] = field(default_factory=dict)  # text -> number of table name
    texts: dict[int, str] = field(default_factory=dict)  # and back
    nameless: dict[str, int] = field(default_factory=dict)  # text without a number -> the newest number then
    codes: dict[tuple[str, str], int] = field(default_factory=dict)  # (system, code) -> tok.tid
    postings: dict[tuple[int, int], int] = field(default_factory=dict)  # (pid, tid) -> posting.lid
    coded: dict[tuple[int, str, str], int] = field(default_factory=dict)  # (pid, system, code) -> the same
    posted: dict[tuple[int, int], int] = field(default_factory=dict)  # (pid, tid) -> the same for readers: as committed
    rids: dict[tuple[int, bytes | str], int] = field(default_factory=dict)  # (type, id) -> row number, of late
    settled: dict[tuple[int, bytes | str], int] = field(default_factory=dict)  # the same for readers: as committed
    keys: dict[int, bytes | str] = field(default_factory=dict)  # row number -> id, of patients
    pids: dict[str, list[int]] = field(default_factory=dict)  # resource type -> numbers of its index atoms
    dictionaries: dict[int, bytes] = field(default_factory=dict)  # number -> zstd dictionary
    current: dict[str, int] = field(default_factory=dict)  # kind of body -> dictionary in use
    trained: dict[str, int] = field(default_factory=dict)  # kind of body -> rows there were at the last training
    packed: Counter[str] = field(default_factory=Counter)  # kind of body -> bodies there are, about
    fits: dict[str, Fit] = field(
        default_factory=lambda: defaultdict(Fit)
    )  # kind of body -> how well its dictionary fits
    unlisted: int = 0  # rows of the audit trail that its list has not got yet, about
    sealing: bytes = b""  # bodies are sealed with this key where pages are not encrypted
    labels: tuple[int, tuple[tuple[str, str], ...]] = (0, ())  # security labels in use, up to this tok.tid
