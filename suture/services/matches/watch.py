"""Follows what is written of Patients, in the order of commits, and keeps the queue of pairs in step.

A version that is stored is the durable note that it has to be looked at: the place is moved only after what was found is
on disk, so a crash loses and doubles nothing. https://hl7.org/fhir/R4/patient.html#maintenance
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

import suture.services.matches.decide as decide
import suture.standards.fhir.patient_links as linking
from suture.access.caller import Caller, Scope
from suture.errors import SutureError, Unavailable
from suture.services.interactions.chart import Chart
from suture.services.matches.seek import News, keep, seek
from suture.store import matches, resources
from suture.store.bodies import Damaged
from suture.store.connection import Connection

log = logging.getLogger("suture.matches")
LOOK = 1.0  # seconds between two looks when nothing happens
PAGE = 20  # versions looked at in one go
AT_ONCE = 20  # Patients whose news are written in one commit
BEHIND = 60_000_000  # microseconds that the kept place may lag when nothing was found
AFTER_FAULT = 5.0
# who links by itself what is certain, when the settings say so
CALLER = Caller(
    "system", "system", "matching", (Scope("system", "Patient", "cruds"),), permissions=frozenset({decide.PERMISSION})
)


class Watch:
    """Runs in one process of an installation."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._at = 0
        self._tried = False  # whether those that could not be read were tried again since the start
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._ending.clear()
        if self._chart.settings["matching.on"]:
            self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """What is under way comes to its next Patient; the rest is looked at after the next start."""
        self._ending.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        wait = LOOK
        while not await self._rested(wait):
            try:
                begun = time.monotonic()
                found = await self.once()
                wait = self._pause(time.monotonic() - begun) if found else LOOK
            except SutureError as error:
                log.warning("the search for doubles waits: %s", error.code)
                wait = AFTER_FAULT
            except Exception as error:
                log.error("the search for doubles waits: %s", type(error).__name__)
                wait = AFTER_FAULT

    async def _rested(self, seconds: float) -> bool:
        """Whether it came to its end meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)
        return self._ending.is_set()

    def _pause(self, took: float) -> float:
        """Looking takes matching.load percent of the time, so that it holds up nobody else."""
        load = min(max(self._chart.settings["matching.load"], 1), 100)
        return float(took * (100 - load) / load)

    async def once(self) -> int:
        """Looks at the next versions; returns how many there were."""
        connection = self._chart.database.read
        kept = matches.place(connection)
        rows = matches.written(connection, decide.TYPE, max(kept, self._at), PAGE)
        rids = [rid for _, rid in rows]
        if not self._tried:
            rids = list(dict.fromkeys([*sorted(matches.damaged(connection)), *rids]))
        if not rids:
            return 0
        quiet = True
        for at in range(0, len(rids), AT_ONCE):
            quiet &= await self._some(rids[at : at + AT_ONCE])
            if self._ending.is_set():
                return len(rids)
        self._tried = True
        if rows:
            await self._move(kept, rows[-1][0], quiet)
        return len(rows)

    async def _some(self, rids: list[int]) -> bool:
        """Whether these Patients changed nothing in the queue."""
        found = await asyncio.to_thread(self._sought, rids)
        await self._note(rids, frozenset().union(*(news.damaged for news in found)))
        found = [news for news in found if news.kept or news.settled]
        if not found:
            return True
        certain = await self._chart.database.write(lambda tx: [n for news in found for n in keep(tx, news)])
        if self._chart.settings["matching.link_certain"]:
            for n in certain:
                await self._link(n)
        return False

    def _sought(self, rids: list[int]) -> list[News]:
        connection = self._chart.database.reader()
        try:
            some = [self._of(connection, rid) for rid in rids if not self._ending.is_set()]
        finally:
            connection.close()
        return some

    async def _note(self, looked: list[int], damaged: frozenset[int]) -> None:
        """Keeps in mind who can't be read, and who can be again. When there are too many of them, all wait."""
        known = matches.damaged(self._chart.database.read)
        now = (known - set(looked)) | damaged
        if now == known:
            return
        if len(now) > matches.MOST_DAMAGED:
            raise Damaged("very many stored Patients are damaged", mend="Run: suture verify")
        if now - known:
            log.error("left out of the search for doubles, for their bodies are damaged: %d Patients", len(now - known))
        await self._chart.database.write(lambda tx: matches.note_damaged(tx, now))

    def _of(self, connection: Connection, rid: int) -> News:
        """One Patient that can't be compared holds up nobody else."""
        try:
            return seek(self._chart, connection, rid)
        except Damaged:
            return News(damaged={rid})
        except Unavailable:
            raise
        except Exception as error:
            log.error("a Patient could not be compared: %s", getattr(error, "code", type(error).__name__))
            return News()

    async def _move(self, kept: int, upto: int, quiet: bool) -> None:
        """Without anything found the place moves in memory, and on disk now and then."""
        if not quiet or upto - kept > BEHIND:
            await self._chart.database.write(lambda tx: matches.looked(tx, upto))
        self._at = upto

    async def _link(self, n: int) -> None:
        """The older record stands."""
        pair = matches.get(self._chart.database.read, n)
        row = resources.read_rid(self._chart.database.read, pair.low) if pair else None
        if row is not None:
            try:
                await decide.link(self._chart, CALLER, n, row.id, linking.REPLACES)
            except SutureError as error:
                log.warning("a certain pair waits for a person: %s", error.code)
