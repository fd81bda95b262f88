"""Exports as durable jobs: accepted, worked on one after another, gone on with after a crash, forgotten in time.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-export-operation-request-flow
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice

import msgspec

from suture.access.caller import Caller
from suture.clock import Clock, new_id
from suture.errors import NotFound, SutureError
from suture.services.bulk import concerned, faults, select
from suture.services.bulk.blocks import Blocks
from suture.services.bulk.request import Wanted
from suture.services.bulk.select import Found, Selection, require
from suture.services.gateway.limits import TooMany
from suture.settings import Settings
from suture.store import exports
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.exports import File, Job
from suture.store.holes import Unread

log = logging.getLogger(__name__)
LEASE = 60.0  # seconds after which another worker takes over what nobody goes on with
TOLD_EVERY = 20_000  # resources between two notes of how far it is
POLLS = 10  # of one export in one second
_encode, _decode = msgspec.json.Encoder(), msgspec.json.Decoder(Wanted)


def too_many(text: str, after: int) -> TooMany:
    """Too many exports, or asked too often."""
    return TooMany(text, where="$export", after=after, headers=[(b"retry-after", b"%d" % after)])


class Cancelled(Exception):
    """The caller needs the export no more."""


class Exports:
    """The exports of an installation; `start` begins to work on them."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._polls: dict[str, deque[float]] = {}

    async def start(self) -> None:
        if not self._database.read.far:  # a file is served by one process: nobody else is at work
            await self._database.write(exports.release)
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def accept(self, wanted: Wanted) -> str:
        """Writes an export down and returns its id; raises TooMany, Forbidden."""
        require(wanted.caller, wanted)
        id, owner = new_id(self._clock), owner_of(wanted.caller)
        raw, life, most = _encode.encode(wanted), self._settings["bulk.life"], self._settings["bulk.max_jobs"]

        def unit(tx: Tx) -> None:
            if exports.open_of(tx, owner) >= most:
                raise too_many(f"{most} exports of yours are not done yet", 30)
            exports.add(tx, id, owner, raw, life)

        await self._database.write(unit)
        self._wake.set()
        return id

    def find(self, caller: Caller, id: str) -> Job:
        """An export of this caller; raises NotFound for every other."""
        found = exports.find(self._database.read, id)
        if found is None or found.owner != owner_of(caller) or found.expires < self._clock.micros():
            raise NotFound(
                "no such export", where="export", mend="It has expired, was deleted, or is another caller's."
            )
        return found

    def polled(self, id: str) -> None:
        """Raises TooMany for who asks how far it is again and again."""
        now = self._clock.monotonic()
        recent = self._polls.setdefault(id, deque(maxlen=POLLS))
        if len(recent) == POLLS and now - recent[0] < 1.0:
            raise too_many("the state of this export is asked for too often", 1)
        recent.append(now)
        if len(self._polls) > 1000:
            self._polls.pop(next(iter(self._polls)))

    async def drop(self, caller: Caller, id: str) -> None:
        """Ends an export and forgets its files."""
        self.find(caller, id)
        await self._database.write(lambda tx: exports.drop(tx, id))

    def files(self, job: Job) -> list[File]:
        return exports.files(self._database.read, job.jid)

    async def _work(self) -> None:
        while True:
            try:
                job = await self._database.write(self._next)
                if job is not None:
                    await self._run(job)
            except SutureError as error:  # nothing can be noted just now: its lease will end
                log.warning("exports wait: %s", error.code)
                job = None
            if job is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._settings["bulk.look"])
                self._wake.clear()

    def _next(self, tx: Tx) -> Job | None:
        exports.expire(tx)
        while (job := exports.take(tx, LEASE)) is not None and job.tries > faults.TRIES:
            exports.fail(tx, job.jid, faults.of_endless(faults.TRIES))
        return job

    async def _run(self, job: Job) -> None:
        """One try: what was only in the way is tried again, a few times; all else ends it, and says why."""
        try:
            await asyncio.to_thread(self._select, job, asyncio.get_running_loop())
        except Cancelled:
            return
        except SutureError as error:
            log.warning("an export failed, try %d: %s", job.tries, error.code)
            await self._database.write(self._after(job, error))
        except Exception as error:
            log.exception("an export failed")
            fault = faults.of_error(error, job.tries)
            await self._database.write(lambda tx: exports.fail(tx, job.jid, fault))

    def _after(self, job: Job, error: SutureError) -> Callable[[Tx], None]:
        if error.retry and job.tries < faults.TRIES:
            pause = faults.PAUSE * 2 ** (job.tries - 1)
            return lambda tx: exports.again(tx, job.jid, f"try {job.tries} failed: {error.code}; tried again", pause)
        fault = faults.of_error(error, job.tries)
        return lambda tx: exports.fail(tx, job.jid, fault)

    def _select(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: what belongs into the files, then the files, in one commit."""
        wanted = asked_of(job)
        connection = self._database.reader()
        try:
            moment, most = moment_of(job, wanted), self._settings["bulk.file_resources"]
            told = Teller(self._database, job, loop)
            found = Selection(connection, wanted, moment, told).run()
            blocks = filled(Blocks(connection, wanted, moment).of(found), most) if wanted.organized else None
            made = told_whose(connection, moment, files_of(found, most, blocks), found.unread, told.further)
            said = faults.lines(connection, wanted, found.unread, select.missing(connection, wanted, moment))
        finally:
            connection.close()

        def unit(tx: Tx) -> None:
            if not exports.tell(tx, job.jid, "writing files", LEASE):
                raise Cancelled
            for file, rows, patients in made:
                exports.put(tx, job.jid, file, rows, patients)
            exports.add_faults(tx, job.jid, said, faults.MORE)
            exports.finish(tx, job.jid)

        asyncio.run_coroutine_threadsafe(self._database.write(unit), loop).result()


class Teller:
    """Notes how far an export is, now and then; ends it when it was cancelled."""

    def __init__(self, database: Database, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._job = job
        self._loop = loop
        self._next = TOLD_EVERY
        self._seen = 0

    def further(self, count: int) -> None:
        """So many more were looked at."""
        self(self._seen + count)

    def __call__(self, seen: int) -> None:
        self._seen = seen
        if seen < self._next:
            return
        self._next = seen + TOLD_EVERY
        work = self._database.write(lambda tx: exports.tell(tx, self._job.jid, f"{seen} resources looked at", LEASE))
        if not asyncio.run_coroutine_threadsafe(work, self._loop).result():
            raise Cancelled


def owner_of(caller: Caller) -> str:
    """Whose an export is: of a person or program, through one app."""
    return f"{caller.id} {caller.client}"


def asked_of(job: Job) -> Wanted:
    return _decode.decode(job.asked)


def moment_of(job: Job, wanted: Wanted) -> int:
    """The export shows the chart as it was then: when it was accepted, or earlier when `_until` says so."""
    return min(job.moment, wanted.until) if wanted.until else job.moment


def type_of(file: File) -> str:
    """What all of its rows are; nothing where they are mixed."""
    return file.type if file.kind == exports.OUTPUT else ""


def files_of(found: Found, most: int, blocks: Iterator[list[int]] | None = None) -> Iterator[tuple[File, list[int]]]:
    """The files of types, each of at most so many rows, or those of whole blocks (see `filled`)."""
    kinds = [(exports.OUTPUT, type, rows) for type, rows in sorted(found.rows.items())]
    by_type = (row for row in kinds) if blocks is None else ((exports.OUTPUT, "", rows) for rows in blocks)
    n = 0
    for kind, type, rows in chain(by_type, [(exports.DELETED, "Bundle", found.deleted)]):
        left = iter(rows)
        while part := list(islice(left, most)) if type else list(left):
            yield File(n, kind, type, len(part)), part
            n += 1


def told_whose(
    connection: Connection,
    moment: int,
    made: Iterable[tuple[File, list[int]]],
    unread: Unread,
    told: Callable[[int], None],
) -> list[tuple[File, list[int], list[int]]]:
    """The files with the patients they are about. What can't be read when it is asked whose it is stands in none."""
    found = [
        (file, rows, concerned.of_rows(connection, moment, type_of(file), rows, unread, told)) for file, rows in made
    ]
    return [(*_sound(file, rows, unread), patients) for file, rows, patients in found] if unread else found


def _sound(file: File, rows: list[int], unread: Unread) -> tuple[File, list[int]]:
    left = [rid for rid in rows if rid not in unread]
    return file._replace(lines=len(left)), left


def filled(blocks: Iterator[list[int]], most: int) -> Iterator[list[int]]:
    """Blocks together up to `most` lines; none is split, a larger one stands alone."""
    rows: list[int] = []
    for block in blocks:
        if rows and len(rows) + len(block) > most:
            yield rows
            rows = []
        rows += block
    if rows:
        yield rows
