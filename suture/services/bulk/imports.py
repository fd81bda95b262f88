"""Imports as durable jobs: a file of NDJSON arrives whole, then its lines are written as their sender may write them.

Each part is one commit: its resources, the audit row, the faults of its lines and how far the job is. So a crash neither loses
nor repeats anything; and what is sent twice makes no second version. https://hl7.org/fhir/uv/bulkdata/STU2/ (NDJSON)
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

import suture.services.interactions.write as write
from suture.access import policy
from suture.access.caller import Caller
from suture.clock import new_id
from suture.errors import Forbidden, Invalid, NotFound, SutureError, TooLarge
from suture.services.bulk.jobs import owner_of, too_many
from suture.services.bulk.standing import stands
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import Incoming, accept, prepared, require_id, require_type
from suture.standards.fhir import json, outcome
from suture.store import uploads, whose
from suture.store.connection import Tx
from suture.store.index import Batch
from suture.store.row import Row
from suture.store.uploads import Job

log = logging.getLogger(__name__)
PART = 128 << 10  # bytes of one commit: what others wait for
MOST_FAULTS = 10_000  # told one by one; more are counted
_CONTENT = uuid.UUID("2b6b8d5e-54a1-5c0e-8f43-6f0e9b6a3d11")  # ids of resources that came without one
WORD = "import"


class Asked(msgspec.Struct, frozen=True):
    """Who sent a file, and where to."""

    url: str
    caller: Caller


class Line(NamedTuple):
    """A line of the file: what is to be written, or why not."""

    number: int
    found: Incoming | SutureError
    id: str = ""


_encode, _decode = msgspec.json.Encoder(), msgspec.json.Decoder(Asked)


class Imports:
    """The imports of an installation; `start` begins to work on them."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def take(self, caller: Caller, url: str, arriving: AsyncIterator[bytes]) -> str:
        """Keeps a file and returns the id of its import; raises TooMany, Forbidden, TooLarge."""
        chart, id = self.chart, new_id(self.chart.clock)
        async with chart.access(caller, f"{WORD}-request") as access:
            if not any("u" in scope.letters for scope in caller.scopes):
                raise policy.refusal(caller, "update", "*")
            most, life, owner = chart.settings["bulk.max_jobs"], chart.settings["bulk.life"], owner_of(caller)

            def unit(tx: Tx) -> None:
                if uploads.open_of(tx, owner) >= most:
                    raise too_many(f"{most} imports of yours are not done yet", 30)
                uploads.add(tx, id, owner, _encode.encode(Asked(url, caller)), life)
                access.append(tx)

            await chart.database.write(unit)
        try:
            await self._keep(id, arriving)
        except BaseException:
            await asyncio.shield(chart.database.write(lambda tx: uploads.end(tx, id, uploads.GONE)))
            raise
        self._wake.set()
        return id

    async def _keep(self, id: str, arriving: AsyncIterator[bytes]) -> None:
        rest, n, longest = b"", 0, self.chart.settings["http.max_body"]
        async for some in arriving:
            rest += some
            while cut := _cut(rest):
                n = await self._put(id, n, rest[:cut])
                rest = rest[cut:]
            if len(rest) > longest:
                raise TooLarge("a line is too long", mend="One resource stands on one line.")
        n = await self._put(id, n, rest)
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
        lines = await asyncio.to_thread(self._read, raw, job.line)
        lines = [self._admitted(caller, line) for line in lines]
        await chart.database.write(lambda tx: self._written(tx, job, caller, lines, raw.count(b"\n")))

    def _read(self, raw: bytes, before: int) -> list[Line]:
        return [self._line(n, text) for n, text in enumerate(raw.split(b"\n"), before + 1) if text.strip()]

    def _line(self, number: int, text: bytes) -> Line:
        try:
            resource = self.chart.read_json(text)
            type = resource.get("resourceType")
            if not isinstance(type, str):
                raise Invalid("a line is a resource", where="resourceType", mend="Write one resource on each line.")
            require_type(type)
            found = accept(text, type, base=self.chart.database.base, read=self.chart.read_json)
            id = str(resource.get("id") or uuid.uuid5(_CONTENT, text.decode()))
            require_id(id)
            return Line(number, found, id)
        except SutureError as error:
            return Line(number, error)

    def _admitted(self, caller: Caller, line: Line) -> Line:
        """What a type with a keeper of its own lets in."""
        warden = None if isinstance(line.found, SutureError) else self.chart.wardens.get(line.found.type)
        if warden is None or isinstance(line.found, SutureError):
            return line
        try:
            admitted = warden.admit(caller, line.found.resource)
            return line._replace(found=prepared(admitted, json.write(admitted), self.chart.database.base))
        except SutureError as error:
            return line._replace(found=error)

    def _written(self, tx: Tx, job: Job, caller: Caller, lines: list[Line], count: int) -> None:
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
                    faults.append(_told(line.number, error))
                continue
            access.concerns(done.patients)
            if done.row is not None:
                counts[done.row.change] += 1
                rows.append(done.row)
        batch.flush()
        for row in rows:
            write.kept(self.chart, tx, caller, row)
        access.concerns(whose.of_rows(tx, rows))
        access.detail = f"{len(rows)} resources"
        access.append(tx)
        uploads.advance(tx, job, count, counts, b"".join(faults))


def _cut(raw: bytes) -> int:
    """Where a part of whole lines ends; 0 when more has to come."""
    if len(raw) < PART:
        return 0
    return raw.rfind(b"\n", 0, PART) + 1 or raw.find(b"\n") + 1


def _one(tx: Tx, caller: Caller, line: Line, batch: Batch) -> write.Outcome:
    """Judged before and after, then written; raises what keeps it out."""
    if isinstance(line.found, SutureError):
        raise line.found
    policy.require(caller, "update", line.found.type)
    return write.updating(tx, caller, line.found, line.id, batch=batch)


def _told(number: int, error: SutureError) -> bytes:
    """An OperationOutcome on one line; where in the file it was comes first."""
    made = outcome.from_error(error)
    for issue in made["issue"]:
        issue["location"] = [f"line {number}", *issue.get("location", [])]
    return json.write(made) + b"\n"


def asked_of(job: Job) -> Asked:
    return _decode.decode(job.asked)
