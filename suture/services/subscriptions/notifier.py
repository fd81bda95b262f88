"""The part that runs: numbers what happens, and sends it; one slow endpoint holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from suture.access.oauth.tokens import Tokens
from suture.access.standing import Standings
from suture.errors import SutureError
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.admission import Admission
from suture.services.subscriptions.channels import Channels
from suture.services.subscriptions.courier import Courier
from suture.services.subscriptions.owners import Owners
from suture.services.subscriptions.registry import Entry
from suture.services.subscriptions.sockets import Sockets
from suture.services.subscriptions.watch import Watch
from suture.standards.fhir.subscription import ACTIVE, ERROR, OFF, TYPE, WEBSOCKET
from suture.store import subscriptions
from suture.store.subscriptions import Subscription

log = logging.getLogger("suture.subscriptions")
LOOK = 0.2  # seconds between two looks when nothing happens
TEND = 1.0  # seconds between two looks at ends and heartbeats
AFTER_FAULT = 5.0
MOST_AT_ONCE = 200  # sends under way
SWEEP = 3600.0


class Notifier:
    """Runs in one process of an installation."""

    def __init__(self, chart: Chart, watch: Watch, courier: Courier) -> None:
        self._chart = chart
        self._watch = watch
        self._courier = courier
        self.sockets = Sockets(chart, courier)
        self._loops: list[asyncio.Task[None]] = []
        self._sends: dict[int, asyncio.Task[None]] = {}

    async def start(self) -> None:
        works = ((self._follow, 0.0), (self._send_due, LOOK), (self._tend, TEND), (self._sweep, SWEEP))
        self._loops = [asyncio.create_task(_kept(work, pause)) for work, pause in works]

    async def stop(self) -> None:
        """What is under way is broken off and sent again at the next start."""
        tasks = [*self._loops, *self._sends.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        if not await self._watch.once():
            await asyncio.sleep(LOOK)

    async def _send_due(self) -> None:
        connection = self._chart.database.read
        known = self._watch.refresh(connection)
        for kept in known.broken:
            if kept.status != ERROR:
                await self._courier.turn(kept, ERROR, "its topic or one of its filters is no longer there")
        for rid in subscriptions.waiting(connection, self._chart.clock.micros()):
            if (entry := known.entries.get(rid)) is not None:
                self._begin(entry)

    async def _tend(self) -> None:
        """Ends what is to end; heartbeats where nothing else was sent for long."""
        now = self._chart.clock.micros()
        for entry in list(self._watch.refresh(self._chart.database.read).entries.values()):
            wanted = entry.wanted
            if not wanted.end and not wanted.heartbeat:
                continue
            kept = subscriptions.get(self._chart.database.read, entry.kept.rid)
            if kept is None or kept.version != entry.kept.version:
                continue
            if wanted.end and wanted.end <= now:
                await self._courier.turn(kept, OFF, "it came to its end")
            elif _silent(entry, kept, now):
                self._begin(entry, beat=True)

    def _begin(self, entry: Entry, beat: bool = False) -> None:
        """One send of a subscription at a time keeps its order."""
        rid = entry.kept.rid
        if rid in self._sends or len(self._sends) >= MOST_AT_ONCE:
            return
        task = self._sends[rid] = asyncio.create_task(self._sent(entry, beat))
        task.add_done_callback(lambda _: self._sends.pop(rid, None))

    async def _sent(self, entry: Entry, beat: bool) -> None:
        try:
            await self._courier.tend(entry, beat)
        except Exception as error:
            log.error("a subscription waits: %s", type(error).__name__)
            await asyncio.sleep(AFTER_FAULT)

    async def _sweep(self) -> None:
        oldest = self._chart.clock.micros() - int(self._chart.settings["subscriptions.keep"] * 1_000_000)
        gone = 1
        while gone:
            gone = await self._chart.database.write(lambda tx: subscriptions.forget(tx, oldest))


def _silent(entry: Entry, kept: Subscription, now: int) -> bool:
    """Whether a heartbeat is due."""
    period = entry.wanted.heartbeat * 1_000_000
    if not period or kept.held or kept.status != ACTIVE or kept.sent < kept.events:
        return False
    return kept.due <= now and kept.beat + period <= now


def wired(chart: Chart, tokens: Tokens, open: Channels) -> Notifier:
    """Everything of this room, put together; from now on Subscriptions are looked at when they are written."""
    owners = Owners(tokens, Standings(chart.database, chart.clock, chart.settings), chart.clock)
    chart.wardens[TYPE] = Admission(chart, open)
    chart.channels = (*open, WEBSOCKET)
    return Notifier(chart, Watch(chart, owners), Courier(chart, owners, open))


async def _kept(work: Callable[[], Awaitable[None]], pause: float) -> None:
    """Does the work for ever; a fault is told, and it goes on."""
    while True:
        try:
            await work()
            await asyncio.sleep(pause)
        except SutureError as error:
            log.warning("subscriptions wait: %s", error.code)
            await asyncio.sleep(AFTER_FAULT)
        except Exception as error:
            log.error("subscriptions wait: %s", type(error).__name__)
            await asyncio.sleep(AFTER_FAULT)
