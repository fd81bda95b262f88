"""The HTTP face of imports: a file of NDJSON is taken, its lines are stored afterwards; state and faults as exports have them.

https://www.rfc-editor.org/rfc/rfc7240 (respond-async) · docs/bulk-data.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from email.utils import formatdate
from typing import Any

from suture.clock import instant
from suture.errors import Inapplicable, Invalid, Unavailable
from suture.server import formats
from suture.server.route import JSON, Request, Response, Route, WrongType
from suture.services.bulk.imports import Imports, asked_of
from suture.services.bulk.request import FORMATS
from suture.standards.fhir import json
from suture.store import uploads
from suture.store.connection import Connection
from suture.store.uploads import Job

NDJSON = b"application/fhir+ndjson"
FAULTS = "errors.ndjson"


async def take(request: Request) -> Response:
    """Keeps a file whose lines are resources and stores them afterwards."""
    formats.wanted(request.header(b"accept"))
    if "respond-async" not in request.header(b"prefer"):
        raise Invalid("an import runs in the background", where="Prefer", mend="Send Prefer: respond-async.")
    if request.query_string:
        raise Invalid("an import has no parameters", where="query", mend="Send the resources as the body.")
    if request.header(b"content-type").split(";")[0].strip().lower() not in FORMATS:
        raise WrongType("only NDJSON is imported", where="Content-Type", mend="Send application/fhir+ndjson.")
    if request.header(b"content-encoding").strip().lower() not in ("", "identity"):
        raise WrongType("a file is sent plain", where="Content-Encoding", mend="Leave Content-Encoding out.")
    parts = request.parts(request.site.settings["bulk.import_size"])
    job = await _imports(request).take(request.caller, f"{request.site.fhir_url}/$import", parts)
    return Response(202, headers=[(b"content-location", _place(request, job).encode())])


async def state(request: Request) -> Response:
    """How far an import is; what became of it when it is done."""
    job = _imports(request).find(request.caller, request.params["job"])
    if job.state == uploads.FAILED:
        raise Inapplicable(job.fault, where="import", mend="What was stored stays; send it again.")
    if job.state != uploads.DONE:
        progress = b"%d lines of part %d of %d" % (job.line, job.done + 1, max(job.parts, 1))
        return Response(202, headers=[(b"x-progress", progress), (b"retry-after", b"1")])
    expires = formatdate(job.expires / 1_000_000, usegmt=True).encode()
    return Response(200, json.write(_told(request, job)), JSON, [(b"expires", expires)])


def _told(request: Request, job: Job) -> dict[str, Any]:
    counts = {name: getattr(job, name) for name in ("created", "updated", "unchanged", "failed")}
    faults = {"type": "OperationOutcome", "url": f"{_place(request, job.id)}/{FAULTS}", "count": job.failed}
    return {
        "transactionTime": instant(job.made),
        "request": asked_of(job).url,
        "requiresAccessToken": True,
        "output": [],
        "error": [faults] if job.failed else [],
        "extension": {"imported": counts},
    }


async def end(request: Request) -> Response:
    """Ends an import; what is stored stays."""
    await _imports(request).drop(request.caller, request.params["job"])
    return Response(202)


async def faults(request: Request) -> Response:
    """An OperationOutcome for each line that was not stored."""
    job = _imports(request).find(request.caller, request.params["job"])
    connection = request.site.database.reader()

    async def closed() -> None:
        await asyncio.to_thread(connection.close)

    return Response(200, b"", NDJSON, stream=_streamed(connection, job), close=closed)


async def _streamed(connection: Connection, job: Job) -> AsyncGenerator[bytes, None]:
    parts = uploads.faults(connection, job.id)
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
    Route("GET", f"/bulk/import/{{job}}/{FAULTS}", faults, scope=_WHOSE),
]
