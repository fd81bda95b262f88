"""What a flow file says, once it is read: one source, a tree of steps, and what happens on errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tree; `with_` holds its fields with defaults filled in."""

    id: str
    uses: str
    with_: Mapping[str, Any]
    at: Place = (1, 1)
    wait: bool = True
    cases: tuple[Case, ...] = ()
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """The steps of a branch that are walked when `when` holds."""

    when: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Door:
    """The source of a flow: which kind, and its fields with defaults filled in."""

    uses: str
    with_: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a delivery is tried, and the waits between attempts in seconds; None takes the settings' values."""

    attempts: int | None = None
    first: float | None = None
    longest: float | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow file as read; `text` is the file itself and `file` where it stands."""

    id: str
    title: str
    source: Door
    steps: tuple[Step, ...]
    order_by: str = ""
    on_blocked: str = "block"  # block | park | dead-letter
    retry: Retry = Retry()
    keep: float | None = None  # seconds messages are kept; None: for ever
    show: str = "redacted"  # redacted | full
    enabled: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    text: str = ""

    def each(self) -> Iterator[Step]:
        """Every step, parents before what they hold, in file order."""
        return walk(self.steps)


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        for case in step.cases:
            yield from walk(case.steps)
        yield from walk(step.otherwise)
