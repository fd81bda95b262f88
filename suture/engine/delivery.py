"""Deliveries: one queue per connection, so that a slow destination slows nobody else; retries, dead letters, lost answers.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/GuaranteedMessaging.html
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from suture.access import disclosure
from suture.access.agreements import NoAgreement
from suture.clock import Clock
from suture.engine import departures, trouble
from suture.engine.plan import Flow, Retry
from suture.engine.runner import BATCH, FOR_EVER, POLL, Runner
from suture.engine.walk import Send
from suture.errors import NotFound, SendAmbiguous, SendFailed, SutureError, Unavailable
from suture.message import DeliveryState
from suture.settings import Settings
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Attempt, Delivery
from suture.store.queue.runs import Run

log = logging.getLogger("suture.engine")

HELD = 256  # deliveries of one connection kept in memory; others are read when it is their turn
LOOK_AGAIN = 5_000_000  # microseconds until deliveries of other processes are looked for again
KEPT_ANSWER = 64 * 1024  # bytes of an answer kept with its attempt
# sent twice they do no harm: found before created, written over, or only read
REPEATABLE = frozenset({"fhir.search", "fhir.write", "file.write"})


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a destination gets: how (`head`), the exact bytes, and a key that is the same on every attempt."""

    kind: str
    head: Mapping[str, Any]
    body: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A destination's good answer: the step's output, and the bytes that are kept with the attempt."""

    output: Any
    answer: bytes = b""


class Sender:
    """How parcels reach one connection."""

    concurrency: int = 1
    on_ambiguous: str = "retry"
    partner: str = ""  # who stands behind the connection
    here: bool = True  # what goes there does not leave this machine

    allowed: Callable[[], None] = staticmethod(lambda: None)  # raises while nothing may be sent there

    async def send(self, parcel: Parcel) -> Sent:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@dataclass(slots=True)
class Pump:
    """The queue of one connection in memory."""

    name: str
    sender: Sender
    waiting: deque[tuple[Delivery, bytes | None]]
    active: int = 0


class Outbox:
    """All deliveries of the process."""

    def __init__(
        self, database: Database, runner: Runner, senders: Callable[[str], Sender], settings: Settings, clock: Clock
    ) -> None:
        self.database = database
        self.runner = runner
        self.senders = senders
        self.settings = settings
        self.clock = clock
        self._pumps: dict[str, Pump] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._news = asyncio.Event()
        self._found: set[str] = set()
        self._look_again = 0

    # --- from the run's unit to the wire

    def enqueue(self, tx: Tx, run: Run, send: Send, lane: str) -> Delivery:
        """A row with the exact bytes; taken at once when its connection has room in memory."""
        pump = self._pumps.get(send.connection)
        room = not self._stopped and (pump is None or len(pump.waiting) < HELD)
        taken = {"owner": self.runner.owner, "lease": FOR_EVER} if room else {}
        return deliveries.enqueue(
            tx, run=run.run, mid=run.mid, step=send.step.id, connection=send.connection, content=send.body,
            content_type=send.kind, lane=lane, attributes=dict(send.head), **taken,  # type: ignore[arg-type]
        )  # fmt: skip

    def committed(self, delivery: Delivery, send: Send) -> None:
        """The row is on disk: what was taken goes out."""
        if delivery.state is DeliveryState.SENDING:
            self._offer(delivery, send.body)

    def _offer(self, delivery: Delivery, body: bytes | None) -> None:
        pump = self._pump(delivery.connection)
        pump.waiting.append((delivery, body))
        self._start(pump)

    def _pump(self, connection: str) -> Pump:
        pump = self._pumps.get(connection)
        if pump is None:
            pump = self._pumps[connection] = Pump(connection, self._sender(connection), deque())
        elif isinstance(pump.sender, _Missing):  # perhaps its secret is there now
            pump.sender = self._sender(connection)
        return pump

    def _sender(self, connection: str) -> Sender:
        try:
            return self.senders(connection)
        except SutureError as error:
            return _Missing(error)

    def _start(self, pump: Pump) -> None:
        while pump.waiting and pump.active < pump.sender.concurrency and not self._stopped:
            delivery, body = pump.waiting.popleft()
            pump.active += 1
            task = asyncio.get_running_loop().create_task(self._deliver(pump, delivery, body))
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._ended(pump, task))

    def _ended(self, pump: Pump, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if found := trouble.of_task(task):
            log.error("a delivery ended unexpectedly: %s", found)

    # --- one delivery

    async def _deliver(self, pump: Pump, delivery: Delivery, body: bytes | None) -> None:
        try:
            started = self.clock.micros()
            outcome = await self._attempt(pump.sender, delivery, body)
        finally:
            pump.active -= 1
            self._start(pump)
        took = self.clock.micros() - started
        await self._record(lambda: self._unit(delivery, body, outcome, started, took))

    async def _attempt(self, sender: Sender, delivery: Delivery, body: bytes | None) -> Sent | SutureError:
        try:
            sender.allowed()
            content = deliveries.content(self.database.read, delivery.did) if body is None else body
            if not sender.here:
                disclosure.require(self.database.read, sender.partner, delivery.mid, content, delivery.connection)
            return await sender.send(
                Parcel(delivery.content_type, delivery.attributes, content, key_of(delivery, content))
            )
        except SutureError as error:
            return error
        except Exception as error:  # a fault of ours must not lose the delivery
            log.error("sending to %s failed unexpectedly: %s", delivery.connection, trouble.place(error))
            return SendFailed(f"an error of Suture itself: {type(error).__name__}", where=delivery.connection)

    async def _record(self, make: Callable[[], Callable[[Tx], Callable[[], None]]]) -> None:
        """Writes down what happened, however long our own database takes to come back."""
        while True:
            try:
                then = await self.database.write(make())
            except Unavailable as error:
                await asyncio.sleep(error.after)
                continue
            then()
            self._news.set()
            return

    def _unit(
        self, delivery: Delivery, body: bytes | None, outcome: Sent | SutureError, at: int, took: int
    ) -> Callable[[Tx], Callable[[], None]]:
        if isinstance(outcome, Sent):
            attempt = Attempt(at, took, DeliveryState.DELIVERED, outcome.answer[:KEPT_ANSWER])
            go_on = self.runner.delivered(delivery, outcome.output)
            return lambda tx: self._delivered(tx, delivery, body, attempt, go_on)
        return lambda tx: self._failed(tx, delivery, body, outcome, at, took)

    def _delivered(
        self,
        tx: Tx,
        delivery: Delivery,
        body: bytes | None,
        attempt: Attempt,
        go_on: Callable[[Tx], Callable[[], None]],
    ) -> Callable[[], None]:
        deliveries.delivered(tx, delivery.did, attempt)
        departures.note(tx, delivery, body, self._partner(delivery))
        return go_on(tx)

    def _failed(
        self, tx: Tx, delivery: Delivery, body: bytes | None, error: SutureError, at: int, took: int
    ) -> Callable[[], None]:
        """Again later, parked for a person, or a dead letter."""
        departures.note(tx, delivery, body, self._partner(delivery), error)
        answer = error.answer.encode() if isinstance(error, SendFailed) else b""
        flow = self._flow(tx, delivery)
        tried = delivery.attempts + 1
        due = self._due(flow, tried, error)
        blocked = flow is not None and flow.on_blocked == "dead-letter" and runs.lane_waits(tx, delivery.run)
        lost = isinstance(error, SendAmbiguous)
        if lost and self._policy(delivery) == "park":
            deliveries.ambiguous(tx, delivery.did, Attempt(at, took, DeliveryState.AMBIGUOUS, answer, str(error)))
            return self._aside(tx, delivery, flow)
        if error.retry and due and not blocked:
            if lost:
                deliveries.ambiguous(
                    tx, delivery.did, Attempt(at, took, DeliveryState.AMBIGUOUS, answer, str(error)), at=due
                )
            else:
                deliveries.retry(tx, delivery.did, Attempt(at, took, DeliveryState.RETRYING, answer, str(error)), due)
            return self._aside(tx, delivery, flow)
        deliveries.dead(tx, delivery.did, Attempt(at, took, DeliveryState.DEAD, answer, str(error)))
        return self.runner.died(tx, delivery, error)

    def _aside(self, tx: Tx, delivery: Delivery, flow: Flow | None) -> Callable[[], None]:
        """`on_blocked: park`: what can't go on leaves its lane, so that the others can."""
        if flow is None or flow.on_blocked != "park":
            return lambda: None
        deliveries.leave_lane(tx, delivery.did)
        following = runs.leave_lane(tx, delivery.run)
        run = runs.claim(tx, following, self.runner.owner, FOR_EVER) if following else None
        return lambda: self.runner.begin(run) if run else None

    def _flow(self, tx: Tx, delivery: Delivery) -> Flow | None:
        run = runs.get(tx, delivery.run)
        try:
            return self.runner.versions.get(tx, run.version).flow if run else None
        except SutureError:
            return None

    def _policy(self, delivery: Delivery) -> str:
        return str(delivery.attributes.get("on_ambiguous") or self._pump(delivery.connection).sender.on_ambiguous)

    def _partner(self, delivery: Delivery) -> str:
        return self._pump(delivery.connection).sender.partner

    def _due(self, flow: Flow | None, tried: int, error: SutureError) -> int:
        """When the next attempt is due; 0 when there is none."""
        retry = flow.retry if flow else Retry()
        most = retry.attempts or int(self.settings["engine.retry_attempts"])
        if tried >= most and not isinstance(error, NoAgreement):  # never sent: it waits for the agreement
            return 0
        first = self.settings["engine.retry_first"] if retry.first is None else retry.first
        longest = self.settings["engine.retry_longest"] if retry.longest is None else retry.longest
        asked = error.after if isinstance(error, SendFailed | Unavailable) else 0.0
        wait = max(backoff(tried, first, longest), asked)
        return self.runner.steady.now() + int(wait * 1_000_000)

    # --- what waits in the database

    async def poll(self) -> None:
        """Takes deliveries that are due and for which there is room; never ends."""
        while True:
            try:
                found = await self._take_due()
            except Unavailable as error:
                await asyncio.sleep(error.after)
                continue
            if not found:
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):  # wait_for may swallow a cancellation
                        await self._news.wait()

    async def _take_due(self) -> int:
        """One look at every connection that has deliveries; each look is one probe of an index."""
        found, now = 0, self.runner.steady.now()
        for name in self._targets(now):
            pump = self._pump(name)
            due = deliveries.next_due(self.database.read, name)
            if not 0 < due <= now or len(pump.waiting) >= HELD:
                continue
            taken = await self._take(name, now)
            for delivery in taken:
                self._offer(delivery, None)
            found += len(taken)
        return found

    def _targets(self, now: int) -> list[str]:
        """The connections that were sent to since the start, and those with deliveries of earlier processes."""
        if now >= self._look_again:
            self._look_again = now + LOOK_AGAIN
            self._found = set(deliveries.targets(self.database.read))
        return list(self._found | set(self._pumps))

    async def _take(self, name: str, now: int) -> list[Delivery]:
        return await self.database.write(lambda tx: deliveries.take(tx, name, self.runner.owner, FOR_EVER, BATCH, now))

    def recover(self, tx: Tx) -> None:
        """At the start: what another process was sending when it ended may or may not have arrived."""
        for delivery in deliveries.release_others(tx, self.runner.owner):
            lost = Attempt(tx.now, 0, DeliveryState.AMBIGUOUS, b"", "the process ended while it was sending")
            departures.note(tx, delivery, None, self._partner(delivery), SendAmbiguous(lost.error))
            if delivery.content_type in REPEATABLE or self._policy(delivery) == "retry":
                deliveries.ambiguous(tx, delivery.did, lost, at=tx.now)
            else:
                deliveries.ambiguous(tx, delivery.did, lost)

    async def stop(self) -> None:
        """Lets what is on the wire come to its answer; the rest stays in the database."""
        self._stopped = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.settings["engine.send_timeout"])
        await trouble.ended(self._tasks)
        await self._give_back([delivery.did for pump in self._pumps.values() for delivery, _ in pump.waiting])
        for pump in self._pumps.values():
            await pump.sender.close()

    async def _give_back(self, unsent: list[int]) -> None:
        """What was taken but never went out is as it was; otherwise the next start would take it for sent."""
        try:
            await self.database.write(lambda tx: deliveries.give_back(tx, unsent))
        except Unavailable as error:
            log.warning("deliveries that were not sent will be listed as ambiguous: %s", error.code)


class _Missing(Sender):
    """A connection that is not there: every delivery to it says so."""

    concurrency = 64

    def __init__(self, error: SutureError) -> None:
        self._error = error

    async def send(self, parcel: Parcel) -> Sent:
        raise NotFound(self._error.text, where=self._error.where, mend=self._error.mend)

    async def close(self) -> None:
        """Nothing is open."""


def backoff(tried: int, first: float, longest: float) -> float:
    """Seconds before the next attempt: doubled each time up to the longest, less up to a quarter at random."""
    return float(min(first * 2.0 ** min(tried - 1, 60), longest)) * (1.0 - 0.25 * random.random())


def key_of(delivery: Delivery, body: bytes) -> str:
    """The idempotency key: the same for the same bytes of the same message's step, also when it is replayed."""
    digest = hashlib.sha256(f"{delivery.mid}\0{delivery.step}\0{delivery.connection}\0".encode() + body)
    return digest.hexdigest()[:32]
