"""Imports as durable jobs: files of NDJSON arrive whole, then their lines are written as their sender may write them.

Each part is one commit: its resources, the audit row, the faults of its lines and how far the job is. So a crash neither loses
nor repeats anything; and what is sent twice makes no second version. https://hl7.org/fhir/uv/bulkdata/STU2/ (NDJSON)
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import suture.services.interactions.write as write
from suture.access import policy
from suture.access.caller import Caller
from suture.clock import new_id
from suture.connectors.outbound import Outbound
from suture.errors import Forbidden, NotFound, SutureError
from suture.services.bulk import sources
from suture.services.bulk.arriving import Reading, cut
from suture.services.bulk.fetching import Fetcher
from suture.services.bulk.jobs import owner_of, too_many
from suture.services.bulk.lines import Line, read, told
from suture.services.bulk.sources import Asked, Input, Sources, asked_of
from suture.services.bulk.standing import stands
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import Incoming, prepared
from suture.standards.fhir import json
from suture.store import import_files, uploads, whose
from suture.store.connection import Tx
from suture.store.import_files import File
from suture.store.index import Batch
from suture.store.row import Row
from suture.store.uploads import Job

log = logging.getLogger(__name__)
MOST_FAULTS = 10_000  # told one by one; more are counted
WORD = "import"


class Imports:
    """The imports of an installation; `start` begins to work on them."""

    def __init__(self, chart: Chart, outbound: Outbound) -> None:
        self.chart = chart
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fetcher = Fetcher(chart, outbound, self._wake.set)

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())
        await self._fetcher.start()

    async def stop(self) -> None:
        await self._fetcher.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def take(self, caller: Caller, url: str, parts: AsyncIterator[bytes], *, packed: bool = False) -> str:
        """Keeps a file and returns the id of its import; raises TooMany, Forbidden, TooLarge, and Invalid for broken gzip."""
        id = await self._accepted(Asked(url, caller), uploads.ARRIVING)
        try:
            await self._keep(id, Reading(parts, self.chart.settings["bulk.import_size"], said=packed))
        except BaseException:
            await asyncio.shield(self.chart.database.write(lambda tx: uploads.end(tx, id, uploads.GONE)))
            raise
        self._wake.set()
        return id

    async def fetch(self, caller: Caller, url: str, asked: Sources) -> str:
        """Writes down which files to fetch and returns the id of the import; raises TooMany, Forbidden, Invalid."""
        self._fetcher.check(asked)
        id = await self._accepted(Asked(url, caller, asked.source), uploads.FETCHING, asked.inputs)
        self._fetcher.wake.set()
        return id

    async def _accepted(self, asked: Asked, state: str, files: Sequence[Input] = ()) -> str:
        chart, id, caller = self.chart, new_id(self.chart.clock), asked.caller
        async with chart.access(caller, f"{WORD}-request") as access:
            if not any("u" in scope.letters for scope in caller.scopes):
                raise policy.refusal(caller, "update", "*")
            most, life, owner = chart.settings["bulk.max_jobs"], chart.settings["bulk.life"], owner_of(caller)
            access.detail = f"{len(files)} addresses" if files else ""

            def unit(tx: Tx) -> None:
                if uploads.open_of(tx, owner) >= most:
                    raise too_many(f"{most} imports of yours are not done yet", 30)
                uploads.add(tx, id, owner, sources.written(asked), life, state)
                import_files.add(tx, id, 0, [sources.written(one) for one in files])
                access.append(tx)

            await chart.database.write(unit)
        return id

    async def _keep(self, id: str, reading: Reading) -> None:
        n = 0
        async for raw in cut(reading.pieces(), self.chart.settings["http.max_body"]):
            n = await self._put(id, n, raw)
        await self.chart.database.write(lambda tx: uploads.arrived(tx, id, n))

    async def _put(self, id: str, n: int, raw: bytes) -> int:
        await self.chart.database.write(lambda tx: uploads.put(tx, id, n, raw))
        return n + 1

    def find(self, caller: Caller, id: str) -> Job:
        """An import of this caller; raises NotFound for every other."""
        found = uploads.find(self.chart.database.read, id)
        gone = found is None or found.state == uploads.GONE or found.expires < self.chart.clock.micros()
        if found is None or gone or found.owner != owner_of(caller):
            raise NotFound(
                "no such import", where="import", mend="It has expired, was deleted, or is another caller's."
            )
        return found

    async def drop(self, caller: Caller, id: str) -> None:
        """Ends an import; what is stored stays."""
        self.find(caller, id)
        await self.chart.database.write(lambda tx: uploads.end(tx, id, uploads.GONE))

    async def _work(self) -> None:
        while True:
            try:
                job = uploads.waiting(self.chart.database.read)
                if job is not None:
                    await self._step(job)
                    continue
                if await self.chart.database.write(uploads.sweep):
                    continue
            except SutureError as error:  # a full disk, a lock: tried again
                log.warning("imports wait: %s", error.code)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.chart.settings["bulk.look"])
            self._wake.clear()

    async def _step(self, job: Job) -> None:
        try:
            await self._part(job)
        except SutureError as error:
            if error.retry:
                raise
            await self._fail(job, f"the import failed: {error.text}")
        except Exception:
            log.exception("an import failed")
            await self._fail(job, "the import failed by a fault of the server")

    async def _fail(self, job: Job, text: str) -> None:
        await self.chart.database.write(lambda tx: uploads.end(tx, job.id, uploads.FAILED, text))

    async def _part(self, job: Job) -> None:
        """Reads and checks a part in a thread, then writes it."""
        chart, caller = self.chart, asked_of(job).caller
        if not stands(chart.database.read, caller):
            raise Forbidden("the access it was asked with has ended")
        raw = uploads.part(chart.database.read, job.id, job.done) or b""
        file = import_files.of_part(chart.database.read, job.id, job.done)
        before, of = (job.line - file.line, sources.input_of(file)) if file else (job.line, None)
        lines = await asyncio.to_thread(lambda: list(read(chart, raw, before, of)))
        lines = [self._admitted(caller, line) for line in lines]
        await chart.database.write(lambda tx: self._written(tx, job, file, caller, lines, raw.count(b"\n")))

    def _admitted(self, caller: Caller, line: Line) -> Line:
        """What a type with a keeper of its own lets in."""
        warden = self.chart.wardens.get(line.found.type) if isinstance(line.found, Incoming) else None
        if warden is None or not isinstance(line.found, Incoming):
            return line
        try:
            admitted = warden.admit(caller, line.found.resource)
            return line._replace(found=prepared(admitted, json.write(admitted), self.chart.database.base))
        except SutureError as error:
            return line._replace(found=error)

    def _written(self, tx: Tx, job: Job, file: File | None, caller: Caller, lines: list[Line], count: int) -> None:
        """The part in one unit."""
        if not uploads.require_at(tx, job):
            return
        access, batch = self.chart.access(caller, WORD), Batch(tx)
        counts: Counter[str] = Counter()
        rows: list[Row] = []
        faults: list[bytes] = []
        for line in lines:
            try:
                done = _one(tx, caller, line, batch)
            except SutureError as error:
                if error.retry:
                    raise
                counts["failed"] += 1
                if job.failed + len(faults) < MOST_FAULTS:
                    faults.append(told(line.number, error))
                continue
            for one in done:
                access.concerns(one.patients)
            rows += [one.row for one in done if one.row is not None]
        counts.update(row.change for row in rows)
        batch.flush()
        for row in rows:
            write.kept(self.chart, tx, caller, row)
        access.concerns(whose.of_rows(tx, rows))
        access.detail = f"{len(rows)} resources"
        access.append(tx)
        uploads.advance(tx, job, count, counts, b"".join(faults))
        if file is not None and counts["failed"]:
            import_files.faulty(tx, file, counts["failed"])


def _one(tx: Tx, caller: Caller, line: Line, batch: Batch) -> list[write.Outcome]:
    """Judged before and after, then written; raises what keeps it out."""
    if isinstance(line.found, SutureError):
        raise line.found
    if isinstance(line.found, Incoming):
        policy.require(caller, "update", line.found.type)
        return [write.updating(tx, caller, line.found, line.id, batch=batch)]
    for type, _ in line.found:
        policy.require(caller, "delete", type)
    return [write.deleting(tx, caller, type, id) for type, id in line.found]
