"""Accepts messages durably and walks them through their flows: what a run does commits together with its progress.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/ProcessManager.html
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from suture.access import policy
from suture.access.caller import Caller
from suture.clock import Clock
from suture.connectors.fhir import next_link
from suture.engine import trouble
from suture.engine.beside import Beside, planned_steps
from suture.engine.steady import Steady
from suture.engine.steps import ACTIONS
from suture.engine.steps.fhir import compact
from suture.engine.subject import Subject
from suture.engine.versions import Versions
from suture.engine.walk import (
    FILTERED,
    LocalCheck,
    LocalSearch,
    LocalWrite,
    Request,
    Send,
    StepFailed,
    Version,
    Walk,
    Walking,
)
from suture.errors import SutureError, Unavailable
from suture.message import MessageState, RunState
from suture.services.interactions.answer import Answer
from suture.services.interactions.door import Interactions
from suture.settings import Settings
from suture.standards.fhir import json
from suture.store import messages
from suture.store.commit import run_unit
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.queue import dead, runs
from suture.store.queue.deliveries import Delivery
from suture.store.queue.runs import Run

log = logging.getLogger("suture.engine")

FOR_EVER = 1 << 60  # a lease of the one serving process; release_others ends it when the process is gone
MOST_SUSPENDED = 5000  # walks kept in memory while they wait for a delivery; others are walked again
POLL = 0.5  # seconds between looks for runs that are due: retries, replays from another process
BATCH = 64


class Outbox(Protocol):
    """Where deliveries go: enqueued in the run's own unit, sent once that is on disk."""

    def enqueue(self, tx: Tx, run: Run, send: Send, lane: str) -> Delivery: ...

    def committed(self, delivery: Delivery, send: Send) -> None: ...


@dataclass(slots=True)
class Going:
    """A run on its way: its walk, and the outputs that are not on disk yet."""

    run: Run
    walk: Walk
    steps: Walking
    turn: int = 1  # number of the next kept step
    pending: list[runs.Step] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """What a unit came to: who goes on after the commit."""

    search: LocalSearch | None = None  # the walk needs this before it goes on
    delivery: tuple[Delivery, Send] | None = None  # the run waits for it
    sent: list[tuple[Delivery, Send]] = field(default_factory=list)
    following: Run | None = None  # the next run of the lane


class Runner:
    """The engine's heart; made for one event loop and one serving process."""

    def __init__(
        self, database: Database, chart: Interactions, versions: Versions, settings: Settings, clock: Clock, owner: str
    ) -> None:
        self.database = database
        self.chart = chart
        self.versions = versions
        self.settings = settings
        self.clock = clock
        self.owner = owner
        self.steady = Steady(clock)
        self.beside = Beside(settings)
        self.outbox: Outbox
        self._ready: deque[tuple[Run, Subject | None]] = deque()
        self._active = 0
        self._workers = int(settings["engine.workers"])
        self._tasks: set[asyncio.Task[None]] = set()
        self._suspended: dict[int, Going] = {}
        self._stopped = False
        self.resting = False  # another process runs the flows
        self._due = asyncio.Event()
        self._waiting_in_database = False

    # --- the queue in memory

    @property
    def crowded(self) -> bool:
        """Enough runs are in memory: further ones stay in the database until their turn."""
        return self.resting or len(self._ready) > 20 * self._workers

    def begin(self, run: Run, subject: Subject | None = None) -> None:
        """Walks a run that is leased to this process, as soon as a worker is free."""
        self._ready.append((run, subject))
        self._start()

    def _start(self) -> None:
        while self._ready and self._active < self._workers and not self._stopped:
            run, subject = self._ready.popleft()
            self._active += 1
            task = asyncio.get_running_loop().create_task(self._walk(run, subject))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if self._waiting_in_database and len(self._ready) < self._workers:
            self._due.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._active -= 1
        if found := trouble.of_task(task):
            log.error("a run ended unexpectedly: %s", found)
        self._start()

    async def poll(self) -> None:
        """Takes runs that are due: retries, replays, and what waited in the database; never ends."""
        while True:
            due = runs.next_due(self.database.read)
            now = self.steady.now()
            self._waiting_in_database = 0 < due <= now
            if not self._waiting_in_database or self.crowded:
                await self._nap()
                continue
            try:
                taken = await self._lease(now)
            except Unavailable as error:
                await asyncio.sleep(error.after)
                continue
            for run in taken:
                self.begin(run)

    async def _lease(self, now: int) -> list[Run]:
        return await self.database.write(lambda tx: runs.lease(tx, self.owner, FOR_EVER, count=BATCH, now=now))

    async def _nap(self) -> None:
        """Until there is room for what waits in the database, or it is time to look again."""
        self._due.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):  # wait_for may swallow a cancellation
                await self._due.wait()

    async def stop(self) -> None:
        """Lets what is being walked come to its commit; the rest stays in the database."""
        self._stopped = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        await trouble.ended(self._tasks)
        await self.beside.stop()

    # --- one run

    async def _walk(self, run: Run, subject: Subject | None) -> None:
        wait = 0.5
        while not self._stopped:
            try:
                await self._once(run, subject)
                return
            except Unavailable as error:  # our own database: the run stays as it is there, and is walked again
                wait = min(max(wait * 2, error.after), 10.0)
                await asyncio.sleep(wait)

    async def _once(self, run: Run, subject: Subject | None) -> None:
        try:
            going = await self._begun(run, subject)
        except Unavailable:
            raise
        except Exception as error:
            await self._give_up(run, error)
            return
        await self.drive(going, None)

    async def _give_up(self, run: Run, error: Exception) -> None:
        """A run that cannot even begin: its version or message is gone."""
        following = await self.database.write(lambda tx: self._fail(tx, run, "", error))
        if following is not None:
            self.begin(following)

    async def _begun(self, run: Run, subject: Subject | None) -> Going:
        """The walk of a run; what it writes may be planned already, beside."""
        read = self.database.read
        version = self.versions.get(read, run.version)
        if subject is None:
            subject = Subject(messages.message(read, run.mid), version.flow.source.with_.get("charset"))
        going = self._going(run, version, subject)
        if plan := await self.beside.plan(run, version, subject, self._active):
            going.steps = planned_steps(going.walk, plan)
        return going

    def _going(self, run: Run, version: Version, subject: Subject) -> Going:
        """The walk of a run, with the outputs it has kept so far."""
        read = self.database.read
        kept = runs.steps(read, run.run) if run.step or run.replay_of else []
        outputs = {step.step: json.read(step.output)["output"] for step in kept if not step.error}
        walk = Walk(version, subject, ACTIONS, int(self.settings["fhirpath.steps"]), outputs)
        return Going(run, walk, walk.steps(), turn=len(kept) + 1)

    async def drive(self, going: Going, answer: Any) -> None:
        """Walks on until the run ends or waits; each round ends in one commit."""
        ask: Request | str | StepFailed = advance(going, answer)
        while True:
            if isinstance(ask, LocalSearch):
                ask = await self._searched(going, ask)
                continue
            if isinstance(ask, LocalCheck):
                ask = self._checked(self.database.read, going, ask)
                continue
            progress = await self.database.write(self._prepared(going, ask))
            self.committed(going, progress)
            if progress.search is None:
                return
            ask = progress.search

    async def _searched(self, going: Going, ask: LocalSearch) -> Request | str | StepFailed:
        """What comes after a search of the own chart."""
        try:
            output = await self._pages(policy.flow_caller(going.run.flow), ask)
        except Unavailable:
            raise
        except Exception as error:
            return StepFailed(ask.step, error)
        keep(going, ask.step.id, output, self.clock.micros())
        return advance(going, output)

    def _checked(self, connection: Connection, going: Going, ask: LocalCheck) -> Request | str | StepFailed:
        """What comes after content was held against a stored profile; what was found is kept like any output."""
        try:
            output = ask.answer(self.chart, connection)
        except StepFailed as failed:
            return failed
        keep(going, ask.step.id, output, self.clock.micros())
        return advance(going, output)

    async def _pages(self, caller: Caller, ask: LocalSearch) -> dict[str, Any]:
        """The matches of up to `pages` pages as one searchset."""
        found = found_in(await self.chart.search(caller, ask.type, ask.pairs))
        page = found
        for _ in range(ask.pages - 1):
            following = urlsplit(next_link(page)).query
            if not following:
                break
            page = found_in(await self.chart.search(caller, ask.type, parse_qsl(following)))
            found["entry"] = [*found.get("entry", []), *page.get("entry", [])]
        return found

    def _prepared(self, going: Going, ask: Request | str | StepFailed) -> Callable[[Tx], Progress]:
        """The unit for what the walk asks; a write is checked and indexed before the transaction."""
        write = None
        if isinstance(ask, LocalWrite):
            try:
                write = self._transaction(going, ask)
            except Exception as error:
                if isinstance(error, SutureError) and error.retry:
                    raise
                ask = StepFailed(ask.step, error)
        return lambda tx: self.advance_in(tx, going, ask, write)

    def _transaction(self, going: Going, ask: LocalWrite) -> Callable[[Tx], dict[str, Any]]:
        return ask.unit(self.chart, policy.flow_caller(going.run.flow))

    # --- inside a unit

    def advance_in(
        self, tx: Tx, going: Going, ask: Request | str | StepFailed, write: Callable[[Tx], dict[str, Any]] | None = None
    ) -> Progress:
        """Goes on inside a unit: effects, progress and what fails commit together; a failure undoes this unit's effects."""
        try:
            return run_unit(tx, lambda inner: self._perform(inner, going, ask, write))
        except StepFailed as failed:
            return Progress(following=self._fail(tx, going.run, failed.step.id, failed.error))
        except SutureError:
            raise
        except Exception as error:  # a fault of ours: the lane must not wait for a run that cannot end
            step = going.walk.at.id if going.walk.at else ""
            return Progress(following=self._fail(tx, going.run, step, error))

    def _perform(
        self, tx: Tx, going: Going, ask: Request | str | StepFailed, write: Callable[[Tx], dict[str, Any]] | None
    ) -> Progress:
        progress = Progress()
        while True:
            if isinstance(ask, StepFailed):
                raise ask
            if isinstance(ask, str):
                progress.following = self._finish(tx, going, ask)
                return progress
            if isinstance(ask, LocalSearch):
                self._keep(tx, going, ask.step.id)
                progress.search = ask
                return progress
            if isinstance(ask, LocalCheck):
                ask = self._checked(tx, going, ask)
                continue
            if isinstance(ask, LocalWrite):
                answer: Any = self._write(tx, going, ask, write)
                write = None
            else:
                answer = self._send(tx, going, ask, progress)
                if progress.delivery is not None:
                    return progress
            kept = compact(answer) if isinstance(ask, LocalWrite) else answer
            keep(going, ask.step.id, kept, tx.now)
            ask = advance(going, answer)

    def _write(
        self, tx: Tx, going: Going, ask: LocalWrite, write: Callable[[Tx], dict[str, Any]] | None
    ) -> dict[str, Any]:
        try:
            return (write or self._transaction(going, ask))(tx)
        except Unavailable:  # our own database: the run stays as it is there
            raise
        except SutureError as error:
            raise StepFailed(ask.step, error) from error

    def _send(self, tx: Tx, going: Going, ask: Send, progress: Progress) -> dict[str, Any]:
        run = going.run
        delivery = self.outbox.enqueue(tx, run, ask, f"{run.flow}\x1f{run.lane}" if run.lane else "")
        if ask.step.wait:
            keep_steps(tx, going)
            runs.wait(tx, run.run, self.owner, step=ask.step.id)
            progress.delivery = (delivery, ask)
        else:
            progress.sent.append((delivery, ask))
        return {"delivery": delivery.id}

    def _keep(self, tx: Tx, going: Going, step: str) -> None:
        runs.progress(tx, going.run.run, self.owner, going.pending, step=step, first=going.turn)
        going.turn += len(going.pending)
        going.pending.clear()

    def _finish(self, tx: Tx, going: Going, how: str) -> Run | None:
        run = going.run
        keep_steps(tx, going)
        filtered = how == FILTERED
        said = f"filtered at {going.walk.at.id}" if filtered and going.walk.at else ""
        following = runs.finish(tx, run.run, self.owner, RunState.DONE, said, filtered=filtered)
        self._settle(tx, run, MessageState.FILTERED if filtered else MessageState.DONE)
        return self._claim(tx, following)

    def _fail(self, tx: Tx, run: Run, step: str, error: Exception) -> Run | None:
        """Ends a run as failed, with its dead letter; what could not be done is never dropped."""
        code = error.code if isinstance(error, SutureError) else "internal"
        reason = str(error) if isinstance(error, SutureError) else f"an error of Suture itself: {type(error).__name__}"
        if code == "internal":
            log.error("step %s of flow %s failed unexpectedly: %s", step, run.flow, trouble.place(error))
        following = runs.finish(tx, run.run, self.owner, RunState.FAILED, reason)
        dead.bury(tx, mid=run.mid, run=run.run, flow=run.flow, step=step, code=code, reason=reason)
        messages.set_state(tx, run.mid, MessageState.FAILED)
        return self._claim(tx, following)

    def _settle(self, tx: Tx, run: Run, how: MessageState) -> None:
        """The message's state after one of its runs has ended well."""
        others = [] if runs.alone(tx, run.mid, run.run) else runs.find(tx, mid=run.mid)
        others = [other for other in others if other.run != run.run and not other.replayed_by]
        if any(other.state is RunState.FAILED for other in others):
            how = MessageState.FAILED
        elif any(other.state in (RunState.RUNNING, RunState.WAITING) for other in others):
            return
        elif any(not other.filtered for other in others):
            how = MessageState.DONE
        messages.settle(tx, run.mid, how)

    def _claim(self, tx: Tx, run: int) -> Run | None:
        return runs.claim(tx, run, self.owner, FOR_EVER) if run else None

    # --- after the commit

    def committed(self, going: Going, progress: Progress) -> None:
        if progress.following is not None:
            self.begin(progress.following)
        if progress.delivery is not None and len(self._suspended) < MOST_SUSPENDED:
            self._suspended[going.run.run] = going
        for delivery, send in (*progress.sent, *([progress.delivery] if progress.delivery else [])):
            self.outbox.committed(delivery, send)

    # --- when a delivery has come to its end

    def delivered(self, delivery: Delivery, output: Any) -> Callable[[Tx], Callable[[], None]]:
        """The part of the delivery's unit that lets its run go on; returns what to do after the commit."""
        going = self._suspended.pop(delivery.run, None)
        if going is not None and (going.walk.at is None or going.walk.at.id != delivery.step):
            going = None

        def unit(tx: Tx) -> Callable[[], None]:
            run = runs.get(tx, delivery.run)
            if run is None or run.state is not RunState.WAITING or run.step != delivery.step:
                if run is None or run.ended:
                    messages.settle(tx, delivery.mid, MessageState.DONE)
                return lambda: None
            row = runs.Step(delivery.step, json.write({"output": output}), tx.now, 0)
            if going is None:
                turn = len(runs.steps(tx, run.run, outputs=False)) + 1
                runs.keep_steps(tx, run.run, [row], turn)
                runs.wake(tx, run.run)
                return lambda: None
            runs.claim(tx, run.run, self.owner, FOR_EVER)
            going.pending.append(row)
            progress = self.advance_in(tx, going, advance(going, output))
            return lambda: self._go_on(going, progress)

        return unit

    def _go_on(self, going: Going, progress: Progress) -> None:
        self.committed(going, progress)
        if progress.search is not None:
            self.begin(going.run)

    def died(self, tx: Tx, delivery: Delivery, error: SutureError) -> Callable[[], None]:
        """A delivery gave up: its run, if it waits for it, has failed; otherwise only the dead letter is listed."""
        self._suspended.pop(delivery.run, None)
        run = runs.get(tx, delivery.run)
        following: Run | None = None
        if run is not None and run.state is RunState.WAITING and run.step == delivery.step:
            runs.claim(tx, run.run, self.owner, FOR_EVER)
            following = self._claim(tx, runs.finish(tx, run.run, self.owner, RunState.FAILED, str(error)))
        flow = run.flow if run else ""
        dead.bury(
            tx,
            mid=delivery.mid,
            run=delivery.run,
            flow=flow,
            step=delivery.step,
            code=error.code,
            reason=str(error),
            did=delivery.did,
        )
        messages.set_state(tx, delivery.mid, MessageState.FAILED)
        return lambda: self.begin(following) if following else None


def found_in(answer: Answer) -> dict[str, Any]:
    """The searchset of an answer of the own chart."""
    return json.read(answer.body)


def advance(going: Going, answer: Any) -> Request | str | StepFailed:
    """The walk's next request, how it ended, or what failed."""
    try:
        return going.steps.send(answer)
    except StopIteration as ended:
        return str(ended.value)
    except StepFailed as failed:
        return failed
    except Exception as error:  # a fault of ours: the message must not be lost for it
        at = going.walk.at or going.walk.version.flow.steps[0]
        return StepFailed(at, error)


def keep(going: Going, step: str, output: Any, now: int) -> None:
    """Remembers an effect's output; it goes to disk with the next unit, if the run has not ended by then."""
    going.pending.append(runs.Step(step, json.write({"output": output}), now, 0))


def keep_steps(tx: Tx, going: Going) -> None:
    if going.pending:
        runs.keep_steps(tx, going.run.run, going.pending, going.turn)
        going.turn += len(going.pending)
        going.pending.clear()
