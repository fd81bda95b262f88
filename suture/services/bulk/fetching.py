"""Fetches the files of imports: from allowed origins only, within bounds, gone on with after a break, one file after another.

What a file brings is kept in parts of whole lines, each in one commit with how far the file is; imports.py stores them when all
files are there. https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from suture.connectors.outbound import Arriving, Outbound
from suture.errors import Forbidden, Invalid, OutboundRefused, SendFailed, SendUnavailable, SutureError
from suture.services.bulk import arriving, lines, sources
from suture.services.bulk.sources import MANIFEST, Input, Sources
from suture.services.bulk.standing import stands
from suture.services.interactions.chart import Chart
from suture.standards.fhir import json
from suture.store import import_files, uploads
from suture.store.connection import Tx
from suture.store.import_files import File
from suture.store.uploads import Job

log = logging.getLogger(__name__)
PURPOSE = "import"  # of outbound requests
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds before the next try of a file; after the last one it is given up
MANIFEST_SIZE = 16 << 20
AT_ONCE = 8  # imports whose files are fetched at a time, one of each caller
NOTHING_MORE = 416  # https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
WHOLE = "~"
_LATER = frozenset((202, 408, 425, 429, 500, 502, 503, 504))


class Ended(Exception):
    """Nobody needs the import any more."""


class Fetcher:
    """Works on imports with files to fetch; `ready` is called when those of one are there."""

    def __init__(self, chart: Chart, outbound: Outbound, ready: Callable[[], None]) -> None:
        self.chart = chart
        self._outbound = outbound
        self._ready = ready
        self.wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Ends at once: what is kept is gone on with."""
        tasks = [*self._busy.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._busy.clear()

    def check(self, asked: Sources) -> None:
        """Raises Invalid for an address that may not be contacted, before anything is written down."""
        for one in asked.inputs:
            self._check(one)

    def _check(self, asked: Input) -> None:
        try:
            self._outbound.check(asked.url, PURPOSE)
        except (OutboundRefused, Invalid) as error:
            raise Invalid(error.text, where=_place(asked), mend=error.mend) from error

    async def _work(self) -> None:
        while True:
            try:
                for job in import_files.fetching(self.chart.database.read):
                    self._begin(job)
            except SutureError as error:
                log.warning("imports wait: %s", error.code)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), self.chart.settings["bulk.look"])
            self.wake.clear()

    def _begin(self, job: Job) -> None:
        if len(self._busy) < AT_ONCE and job.owner not in self._busy:
            task = asyncio.get_running_loop().create_task(self._turn(job))
            self._busy[job.owner] = task
            task.add_done_callback(lambda _: self._end(job.owner))

    def _end(self, owner: str) -> None:
        self._busy.pop(owner, None)
        self.wake.set()

    async def _turn(self, job: Job) -> None:
        """All files of an import."""
        try:
            while (file := import_files.following(self.chart.database.read, job.id)) is not None:
                await self._tried(job, file)
        except Ended:
            return
        except SutureError as error:
            if error.retry:  # a full disk, a lock: the next look goes on
                log.warning("an import waits: %s", error.code)
                await asyncio.sleep(PAUSES[0])
                return
            await self._fail(job, f"the import failed: {error.text}")
        except Exception:
            log.exception("an import failed")
            await self._fail(job, "the import failed by a fault of the server")
        self._ready()

    async def _fail(self, job: Job, text: str) -> None:
        await self.chart.database.write(lambda tx: uploads.end(tx, job.id, uploads.FAILED, text))

    async def _tried(self, job: Job, file: File) -> None:
        """One try of a file; one that can't be had is told and passed over."""
        if not stands(self.chart.database.read, sources.asked_of(job).caller):
            raise Forbidden("the access it was asked with has ended")
        asked = sources.input_of(file)
        try:
            async with asyncio.timeout(self.chart.settings["bulk.fetch_time"]):
                await self._fetched(file, asked)
        except (SendUnavailable, TimeoutError) as error:
            if file.tries < len(PAUSES):
                await self.chart.database.write(lambda tx: import_files.tried(tx, file))
                await asyncio.sleep(PAUSES[file.tries])
                return
            text = error.text if isinstance(error, SutureError) else "it took too long"
            await self._given_up(file, asked, SendFailed(text))
        except SutureError as error:
            if error.retry:
                raise
            await self._given_up(file, asked, error)

    async def _given_up(self, file: File, asked: Input, error: SutureError) -> None:
        told = Invalid(f"a file was not fetched whole: {error.text}", where=_place(asked), mend=error.mend)
        fault = lines.told(0, told)
        await self.chart.database.write(lambda tx: self._closed(tx, file, import_files.FAILED, fault))

    def _closed(self, tx: Tx, file: File, state: str, fault: bytes = b"") -> None:
        import_files.opened(tx, file)
        import_files.closed(tx, file, state, fault)

    async def _fetched(self, file: File, asked: Input) -> None:
        self._check(asked)
        headers = _headers(file, asked)
        async with self._outbound.stream(asked.url, purpose=PURPOSE, headers=headers) as answer:
            _require_fine(answer, file)
            if asked.kind == MANIFEST:
                await self._manifest(file, answer)
            else:
                await self._kept(file, answer)

    async def _manifest(self, file: File, answer: Arriving) -> None:
        raw = b"".join([part async for part in arriving.Reading(answer.parts, MANIFEST_SIZE).pieces()])
        found = sources.of_manifest(json.read(raw))
        for one in found:
            self._check(one)

        def unit(tx: Tx) -> None:
            known = import_files.of_job(tx, file.id)
            if len(known) + len(found) > sources.MOST:
                raise Invalid(f"more than {sources.MOST} files", where="output", mend="Export them in parts.")
            seen = {sources.input_of(one).url for one in known if sources.input_of(one).kind == MANIFEST}
            fresh = [one for one in found if one.kind != MANIFEST or one.url not in seen]
            import_files.add(tx, file.id, len(known), [sources.written(one) for one in fresh])
            self._closed(tx, file, import_files.DONE)

        await self.chart.database.write(unit)

    async def _kept(self, file: File, answer: Arriving) -> None:
        """Part after part, each in one commit with how far the file is."""
        ahead = answer.status == 206
        most = self.chart.settings["bulk.import_size"] - import_files.kept(self.chart.database.read, file.id)
        reading = arriving.Reading(answer.parts, most + (0 if ahead else file.size))
        fresh = reading.pieces() if ahead else arriving.skipped(reading.pieces(), file.size)
        if answer.status != NOTHING_MORE:
            async for raw in arriving.cut(fresh, self.chart.settings["http.max_body"]):
                await self._grown(file, raw, _mark(answer, reading.packed))
        await self.chart.database.write(lambda tx: self._closed(tx, file, import_files.DONE))

    async def _grown(self, file: File, raw: bytes, mark: str) -> None:
        whole = raw if raw.endswith(b"\n") or not raw else raw + b"\n"

        def unit(tx: Tx) -> bool:
            import_files.opened(tx, file)
            return import_files.grown(tx, file, whole, mark)

        if not await self.chart.database.write(unit):
            raise Ended


def _headers(file: File, asked: Input) -> dict[str, str]:
    """What is asked for: the rest of a file that was broken off, when the other side can tell that it is the same."""
    kind = (
        "application/json" if asked.kind == MANIFEST else "application/fhir+ndjson, application/gzip;q=0.9, */*;q=0.5"
    )
    if file.size and file.mark and not file.mark.startswith(WHOLE):
        rest = {"range": f"bytes={file.size}-", "if-range": file.mark, "accept-encoding": "identity"}
        return {"accept": kind, **rest}
    return {"accept": kind, "accept-encoding": "gzip"}


def _mark(answer: Arriving, packed: bool) -> str:
    """The name of this version of a file; WHOLE before it when parts of it can't be asked for."""
    tag = answer.headers.get("etag", "") or answer.headers.get("last-modified", "")
    ranged = tag.startswith('"') and not packed and "content-encoding" not in answer.headers
    return (tag if ranged else WHOLE + tag)[:200]


def _require_fine(answer: Arriving, file: File) -> None:
    """Raises SendUnavailable for what may come later, SendFailed for what won't."""
    status, asked = answer.status, bool(_headers(file, Input("")).get("range"))
    if status in _LATER:
        raise SendUnavailable(f"it is not there yet ({status})", where=PURPOSE)
    if 300 <= status < 400:
        raise SendFailed(
            f"the answer is a redirect ({status})",
            where=PURPOSE,
            mend="Name the address it leads to: none is followed.",
        )
    if asked and status == 206:
        if not answer.headers.get("content-range", "").startswith(f"bytes {file.size}-"):
            raise SendFailed("another part came than was asked for", where=PURPOSE)
        return
    if status != 200 and not (asked and status == NOTHING_MORE):
        raise SendFailed(f"the answer was {status}", where=PURPOSE, mend="Look whether the address still leads there.")
    before, now = file.mark.removeprefix(WHOLE), _mark(answer, True).removeprefix(WHOLE)
    if file.size and before and now and before != now and status == 200:
        raise SendFailed("it changed while it was fetched", where=PURPOSE, mend="Ask for the import again.")


def _place(asked: Input) -> str:
    """Where an address was named; the address itself may be a secret."""
    return f"{asked.where}.url" if "[" in asked.where else asked.where
