"""A second process that maps messages and plans their writes, while the serving process takes messages in and commits.

It only reads: each plan names the versions it saw, and the serving process looks again inside the transaction
(services/interactions/plan.py). It ends when its input does. https://docs.python.org/3/library/pickle.html
"""

from __future__ import annotations

import gc
import marshal
import os
import pickle
import signal
from contextlib import suppress
from functools import lru_cache
from typing import Any

from suture.access import policy
from suture.clock import SYSTEM
from suture.engine import project
from suture.engine.plan import Step
from suture.engine.steps import ACTIONS
from suture.engine.steps.validate import pure as reads_nothing
from suture.engine.subject import Subject
from suture.engine.versions import Versions
from suture.engine.walk import LocalWrite, Version, Walk
from suture.message import Message
from suture.services.interactions.door import Interactions
from suture.services.interactions.wire import write as wired
from suture.settings import Settings
from suture.store.database import Database
from suture.store.resources import Committed

PURE = frozenset({"map", "branch", "filter", "validate"})
READ = 1 << 20
NAMED = 1_000  # resources of late that are kept read
SIZE = 4  # bytes before each frame that say how long it is


def job(version: str, message: Message, charset: str | None) -> bytes:
    """A message and the version of the flow that it walks, as a frame."""
    return frame(marshal.dumps((version, charset, *(getattr(message, name) for name in Message.__slots__))))


@lru_cache(256)
def last_write(version: Version) -> Step | None:
    """The local write a flow ends with, when all before it is pure: only such flows are planned beside."""
    last = version.flow.steps[-1]
    if last.uses != "fhir.write" or last.with_["connection"] != "local":
        return None
    pure = all(step.uses in PURE and reads_nothing(step) for step in version.flow.each() if step is not last)
    return last if pure else None


def frame(raw: bytes) -> bytes:
    """What goes through the pipe, with its length before it."""
    return len(raw).to_bytes(SIZE, "big") + raw


def frames(buffer: bytearray) -> list[bytes]:
    """What has come whole; the rest stays in the buffer."""
    found, at = [], 0
    while len(buffer) - at >= SIZE:
        end = at + SIZE + int.from_bytes(buffer[at : at + SIZE], "big")
        if len(buffer) < end:
            break
        found.append(bytes(memoryview(buffer)[at + SIZE : end]))
        at = end
    del buffer[:at]
    return found


class Planner:
    """What the second process knows: the same rooms, and what identifiers named of late."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database.open(settings)
        self.chart = Interactions(self.database, SYSTEM, settings, b"")
        self.versions = Versions(project.read(settings.folder))
        self.budget = int(settings["fhirpath.steps"])
        self.identities = Committed(self.database.read, NAMED)

    def answer(self, asked: bytes) -> bytes:
        """The plan; nothing when the message does not come to its write: the serving process then walks and tells why."""
        with suppress(Exception), self.database.snapshot() as read:
            name, charset, *message = marshal.loads(asked)  # noqa: S302 - our own process wrote it
            version = self.versions.get(read, name)
            ask = first(version, Subject(Message(*message), charset), self.budget)
            if isinstance(ask, LocalWrite) and ask.step is last_write(version):
                return self._planned(version, ask) or b""
        return b""

    def _planned(self, version: Version, ask: LocalWrite) -> bytes | None:
        caller, read = policy.flow_caller(version.flow.id), self.database.read
        planned = self.chart.plan(caller, ask.bundle, ask.merge, read, self.identities)
        for criteria, named in planned.lookups.known.values():
            if criteria.identifier and named is not None:
                self.identities.keep(criteria.key, named)
        return wired(planned)


def first(version: Version, subject: Subject, budget: int) -> Any:
    """The first effect that a message asks for."""
    return next(Walk(version, subject, ACTIONS, budget).steps())


def serve(source: int, sink: int) -> None:
    """Answers one job after the other; the first frame holds the settings."""
    planner: Planner | None = None
    buffer = bytearray()
    while some := os.read(source, READ):
        buffer += some
        for asked in frames(buffer):
            if planner is None:
                planner = Planner(pickle.loads(asked))  # noqa: S301 - our own process wrote it
                gc.freeze()
                gc.set_threshold(20_000, 20, 20)
                send(sink, b"ready")
            else:
                send(sink, planner.answer(asked))


def send(sink: int, raw: bytes) -> None:
    left = memoryview(frame(raw))
    while left:
        left = left[os.write(sink, left) :]


def main() -> None:
    """Ctrl-C is for the serving process; nothing but frames goes out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sink = os.dup(1)
    os.dup2(2, 1)
    serve(0, sink)


if __name__ == "__main__":
    main()
