"""The HTTP face of imports: a file of NDJSON is taken, its lines are stored afterwards; state and faults as exports have them.

https://www.rfc-editor.org/rfc/rfc7240 (respond-async) · docs/bulk-data.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from suture.clock import http_date, instant
from suture.errors import Inapplicable, Invalid, NotFound, Unavailable
from suture.server import formats
from suture.server.route import JSON, Request, Response, Route, WrongType
from suture.services.bulk import sources
from suture.services.bulk.imports import Imports
from suture.services.bulk.request import FORMATS
from suture.standards.fhir import json
from suture.store import import_files, uploads
from suture.store.connection import Connection
from suture.store.import_files import File
from suture.store.uploads import Job

MANIFESTS = ("application/json", "application/fhir+json")
NDJSON = b"application/fhir+ndjson"
FAULTS = "errors.ndjson"


async def take(request: Request) -> Response:
    """Keeps a file whose lines are resources and stores them afterwards."""
    formats.wanted(request.header(b"accept"))
    if "respond-async" not in request.header(b"prefer"):
        raise Invalid("an import runs in the background", where="Prefer", mend="Send Prefer: respond-async.")
    if request.query_string:
        raise Invalid("an import has no parameters", where="query", mend="Send the resources as the body.")
    type = request.header(b"content-type").split(";")[0].strip().lower()
    if type not in (*FORMATS, *MANIFESTS):
        mend = "Send application/fhir+ndjson, or a manifest as application/json or application/fhir+json."
        raise WrongType("only NDJSON and manifests are imported", where="Content-Type", mend=mend)
    url = f"{request.site.fhir_url}/$import"
    if type in MANIFESTS:
        asked = sources.read(json.read(await request.body()))
        job = await _imports(request).fetch(request.caller, url, asked)
    else:
        job = await _imports(request).take(request.caller, url, _parts(request), packed=_packed(request))
    return Response(202, headers=[(b"content-location", _place(request, job).encode())])


def _parts(request: Request) -> AsyncIterator[bytes]:
    return request.parts(request.site.settings["bulk.import_size"])


def _packed(request: Request) -> bool:
    said = request.header(b"content-encoding").strip().lower()
    if said not in ("", "identity", "gzip", "x-gzip"):
        raise WrongType("a file is sent plain or as gzip", where="Content-Encoding", mend="Send gzip, or leave it out.")
    return said in ("gzip", "x-gzip")


async def state(request: Request) -> Response:
    """How far an import is; what became of it when it is done."""
    job = _imports(request).find(request.caller, request.params["job"])
    if job.state == uploads.FAILED:
        raise Inapplicable(job.fault, where="import", mend="What was stored stays; send it again.")
    if job.state != uploads.DONE:
        return Response(202, headers=[(b"x-progress", _progress(request, job)), (b"retry-after", b"1")])
    expires = http_date(job.expires // 1_000_000).encode()
    return Response(200, json.write(_told(request, job)), JSON, [(b"expires", expires)])


def _progress(request: Request, job: Job) -> bytes:
    if job.state == uploads.FETCHING:
        there, done = import_files.count(request.site.database.read, job.id)
        return b"%d of %d files fetched" % (done, there)
    return b"%d lines of part %d of %d" % (job.line, job.done + 1, max(job.parts, 1))


def _told(request: Request, job: Job) -> dict[str, Any]:
    files = import_files.of_job(request.site.database.read, job.id)
    counts = {name: getattr(job, name) for name in uploads.COUNTS if name != "deleted" or files}
    return {
        "transactionTime": instant(job.made),
        "request": sources.asked_of(job).url,
        "requiresAccessToken": True,
        "output": [],
        "error": _faults_of(request, job, files),
        "extension": {"imported": counts},
    }


def _faults_of(request: Request, job: Job, files: list[File]) -> list[dict[str, Any]]:
    """A file of faults for what was sent; for files that were fetched, one for each that had any."""
    place = _place(request, job.id)
    if not files:
        return [{"type": "OperationOutcome", "url": f"{place}/{FAULTS}", "count": job.failed}] if job.failed else []
    return [
        {
            "type": "OperationOutcome",
            "inputUrl": sources.input_of(file).url,
            "url": f"{place}/{file.n}.{FAULTS}",
            "count": file.failed,
        }
        for file in files
        if file.failed
    ]


async def end(request: Request) -> Response:
    """Ends an import; what is stored stays."""
    await _imports(request).drop(request.caller, request.params["job"])
    return Response(202)


async def faults(request: Request) -> Response:
    """An OperationOutcome for each line that was not stored: of all files, or of one that was fetched."""
    job = _imports(request).find(request.caller, request.params["job"])
    first, behind = _parts_of(request, job, request.params["file"])
    connection = request.site.database.reader()

    async def closed() -> None:
        await asyncio.to_thread(connection.close)

    return Response(200, b"", NDJSON, stream=_streamed(connection, job, first, behind), close=closed)


def _parts_of(request: Request, job: Job, name: str) -> tuple[int, int]:
    """The parts of the import that a file of faults is about."""
    if name == FAULTS:
        return 0, 1 << 53
    files = import_files.of_job(request.site.database.read, job.id)
    found = next((file for file in files if name == f"{file.n}.{FAULTS}" and file.first_part >= 0), None)
    if found is None:
        raise NotFound("no such file of this import", where="file", mend="What the import answers names them.")
    return found.first_part, import_files.behind(files, found)


async def _streamed(connection: Connection, job: Job, first: int, behind: int) -> AsyncGenerator[bytes, None]:
    parts = uploads.faults(connection, job.id, first, behind)
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


def _imports(request: Request) -> Imports:
    if request.site.imports is None:
        raise Unavailable("no imports run here")
    return request.site.imports


def _place(request: Request, job: str) -> str:
    return f"{request.site.fhir_url.removesuffix('/fhir')}/bulk/import/{job}"


_WHOSE = "whose import it is"
ROUTES = [
    Route("POST", "/fhir/$import", take, scope="u of every type that is sent, row by row"),
    Route("GET", "/bulk/import/{job}", state, scope=_WHOSE),
    Route("DELETE", "/bulk/import/{job}", end, scope=_WHOSE),
    Route("GET", "/bulk/import/{job}/{file}", faults, scope=_WHOSE),
]
