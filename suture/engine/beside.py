"""The serving process's side of the planner: begins it while many messages come, hands it work, does without it any time.

https://docs.python.org/3/library/asyncio-protocol.html#subprocess-protocols
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from suture.access.caller import Caller
from suture.engine import trouble
from suture.engine.plan import Step
from suture.engine.planner import first, frame, frames, job, last_write
from suture.engine.subject import Subject
from suture.engine.walk import DONE, LocalWrite, StepFailed, Version, Walk, Walking
from suture.services.interactions.door import Interactions
from suture.services.interactions.plan import Plan
from suture.settings import Settings
from suture.store.connection import Tx
from suture.store.queue.runs import Run

log = logging.getLogger("suture.engine")

CROWD = 4  # runs walked at once from which on work is shared
CROWDED = 200  # so many such runs in a row, then the second process begins
MOST = 12  # jobs that wait for it; more are planned here, so that both cores work
VAIN = 100  # so many more plans that came to nothing than others, and it is let go
AGAIN = 10.0  # seconds until it may begin again


class Beside(asyncio.SubprocessProtocol):
    """At most one planner; whoever asks for a plan may be told None, and then makes it alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._able = bool(settings["engine.planner"]) and len(os.sched_getaffinity(0)) > 1
        self._idle = float(settings["engine.planner_idle"])
        self._transport: asyncio.SubprocessTransport | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ready = self._greeted = False
        self._turned = asyncio.Event()  # it is ready, or has ended
        self._crowded = 0
        self._used = 0.0
        self._vain = 0
        self.planned = 0  # plans it made
        self._buffer = bytearray()
        self._jobs: list[bytes] = []
        self._waiting: deque[asyncio.Future[bytes | None]] = deque()

    async def plan(self, run: Run, version: Version, subject: Subject, active: int) -> bytes | None:
        """What the planner makes of a run that begins now."""
        if not self._able or not self._takes(active) or run.step or run.replay_of or last_write(version) is None:
            return None
        loop = asyncio.get_running_loop()
        self._used = loop.time()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.append(answer)
        self._jobs.append(job(version.name, subject.message, subject.charset))
        if len(self._jobs) == 1:
            loop.call_soon(self._hand_over)
        return await answer

    def _hand_over(self) -> None:
        """What one turn of the loop has gathered goes in one piece."""
        if self._ready:
            self._send(b"".join(self._jobs))
        self._jobs.clear()

    def _takes(self, active: int) -> bool:
        self._crowded = self._crowded + 1 if active >= CROWD else 0
        if self._crowded > CROWDED:
            self.begin()
        return self._ready and active >= CROWD and len(self._waiting) < MOST

    @property
    def process(self) -> int:
        """Its process number while it is ready; 0 when there is none."""
        return self._transport.get_pid() if self._ready and self._transport is not None else 0

    def begin(self) -> asyncio.Event:
        """Begins the process, unless it has begun or has ended just now; the event says that it is ready, or has failed."""
        if self._starting is None:
            self._turned.clear()
            self._starting = asyncio.get_running_loop().create_task(self._start())
        return self._turned

    async def _start(self) -> None:
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        command = [sys.executable, "-m", "suture.engine.planner"]
        loop = asyncio.get_running_loop()
        try:
            await loop.subprocess_exec(lambda: self, *command, stdin=pipe, stdout=pipe, stderr=none)
        except OSError as error:  # no memory, no process: all goes on here
            log.warning("the planner could not begin: %s", trouble.place(error))
            self.process_exited()

    def _send(self, content: bytes) -> None:
        assert self._transport is not None
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        pipe.write(content)

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._greeted = False
        self._send(frame(pickle.dumps(self._settings)))
        if not self._able:
            self.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._buffer += data
        for found in frames(self._buffer):
            if self._greeted:
                self._vain += 1 if not found else -1 if self._vain else 0
                self.planned += bool(found)
                self._give(found or None)
            else:
                self._greet()
        if self._vain > VAIN:  # most of what comes is filtered, or fails: both sides would do it
            self.close()

    def _greet(self) -> None:
        """Its first word: it is ready."""
        self._greeted, self._ready = True, self._able
        self._turned.set()
        self._used = asyncio.get_running_loop().time()
        self._look(asyncio.get_running_loop())

    def _give(self, found: bytes | None) -> None:
        answer = self._waiting.popleft()
        if not answer.done():
            answer.set_result(found)

    def process_exited(self) -> None:
        """Whatever ended it: its work is done here, and some time later it may begin again."""
        self._ready, self._transport, self._crowded, self._vain = False, None, 0, 0
        self._buffer.clear()
        self._turned.set()
        while self._waiting:
            self._give(None)
        asyncio.get_running_loop().call_later(AGAIN, self._forget)

    def _forget(self) -> None:
        self._starting = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends the planner when it has had nothing to do for long."""
        if not self._ready:
            return
        left = self._used + self._idle - loop.time()
        if left > 0:
            loop.call_later(left, self._look, loop)
        else:
            self.close()

    def close(self) -> None:
        """Its input ends, so it ends."""
        self._ready = False
        if self._transport is not None:
            pipe = self._transport.get_pipe_transport(0)
            if pipe is not None:
                pipe.close()

    async def stop(self) -> None:
        """Ends it, and waits until it is gone."""
        self._able = False
        transport = self._transport
        if self._starting is None and transport is None:
            return
        self._turned.clear()
        self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._turned.wait()
        if self._transport is not None:
            self._transport.kill()


@dataclass(frozen=True, slots=True)
class PlannedWrite(LocalWrite):
    """A local write that was planned beside; `again` plans it anew inside the transaction when something has changed."""

    plan: bytes | None = None
    again: Callable[[Interactions, Caller, Tx], Plan] | None = None

    def unit(self, chart: Interactions, caller: Caller) -> Callable[[Tx], dict[str, Any]]:
        plan, again = self.plan, self.again
        assert plan is not None
        assert again is not None
        return chart.planned_unit(caller, plan, lambda tx: again(chart, caller, tx))


def planned_steps(walk: Walk, plan: bytes) -> Walking:
    """The walk of a run whose plan is there already: it stands at its last write."""
    step = walk.at = last_write(walk.version)
    assert step is not None
    yield PlannedWrite(step, {}, None, plan, lambda *rest: _again(walk, step, *rest))
    return DONE


def _again(walk: Walk, step: Step, chart: Interactions, caller: Caller, tx: Tx) -> Plan:
    ask = first(walk.version, walk.subject, walk.budget)
    assert isinstance(ask, LocalWrite)
    try:
        return chart.plan(caller, ask.bundle, ask.merge, tx, tx.identities)
    except Exception as error:
        raise StepFailed(step, error) from error
