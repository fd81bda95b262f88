"""The HTTP face of exports: kick-off, state, files, end (https://hl7.org/fhir/uv/bulkdata/STU2/export.html)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from suture.clock import http_date
from suture.errors import Invalid, NotFound, Unavailable
from suture.server import fhir, formats
from suture.server.route import JSON, NotAcceptable, Request, Response, Route
from suture.services.bulk import concerned, faults, files, manifest
from suture.services.bulk.jobs import Exports, asked_of, moment_of
from suture.services.bulk.request import read
from suture.services.interactions.rules import Preferences
from suture.services.operations.operation import Operation
from suture.services.operations.values import of_body
from suture.standards.fhir import json
from suture.store import crowds, exports
from suture.store.connection import Connection, Tx
from suture.store.exports import Job

NDJSON = b"application/fhir+ndjson"
RETRY = 1  # seconds
NAMED = 50  # patients of one file that the trail names one by one; more are named as a set
_OPEN = Operation("export", "", "", ("system",), None, open=True)  # parameters are read by services/bulk


async def system(request: Request) -> Response:
    """Exports the whole chart."""
    return await _kicked(request, "system")


async def patients(request: Request) -> Response:
    """Exports the records of all patients, or of those that are named."""
    return await _kicked(request, "patient")


async def group(request: Request) -> Response:
    """Exports the records of a group's members."""
    return await _kicked(request, "group", request.params["id"])


async def _kicked(request: Request, level: str, id: str = "") -> Response:
    formats.wanted(request.header(b"accept"))
    if "respond-async" not in request.header(b"prefer"):
        raise Invalid("an export runs in the background", where="Prefer", mend="Send Prefer: respond-async.")
    pairs: list[tuple[str, Any]] = list(fhir.pairs_of(request))
    if request.method == "POST" and await request.body():
        sent = of_body(_OPEN, json.read(await fhir.sent(request)))
        pairs += [(name, value) for name, values in sent.items() for value in values]
    lenient = Preferences.read(request.header(b"prefer")).lenient
    url = f"{request.site.fhir_url}{request.path.removeprefix('/fhir')}"
    url += "?" + request.query_string.decode("latin-1") if request.query_string else ""
    wanted = read(url, request.caller, level, id, pairs, lenient)
    type = {"system": "", "patient": "Patient", "group": "Group"}[level]
    interactions = request.site.interactions
    async with interactions.access(request.caller, "export-request", type, id, "&".join(name for name, _ in pairs)):
        if level == "group":
            await interactions.read(request.caller, "Group", id)
        job = await _exports(request).accept(wanted)
    return Response(202, headers=[(b"content-location", f"{_server(request)}/bulk/{job}".encode())])


async def state(request: Request) -> Response:
    """How far an export is; its manifest when it is done."""
    found = _exports(request)
    job = found.find(request.caller, request.params["job"])
    found.polled(job.id)
    if job.state == exports.FAILED:
        raise faults.raised(job)
    if job.state != exports.DONE:
        progress = job.progress.encode("ascii", "replace")[:99]
        return Response(202, headers=[(b"x-progress", progress), (b"retry-after", b"%d" % RETRY)])
    made = manifest.manifest(_server(request), job, found.files(job))
    expires = http_date(job.expires // 1_000_000).encode()
    return Response(200, json.write(made), JSON, [(b"expires", expires)])


async def end(request: Request) -> Response:
    """Ends an export; its files are gone."""
    await _exports(request).drop(request.caller, request.params["job"])
    return Response(202)


async def file(request: Request) -> Response:
    """One file, as it is read."""
    job = _exports(request).find(request.caller, request.params["job"])
    if not formats.accepts(request.header(b"accept"), NDJSON.decode()) and not formats.accepts(
        request.header(b"accept"), "application/ndjson"
    ):
        raise NotAcceptable("the file is NDJSON", where="Accept", mend="Ask for application/fhir+ndjson.")
    connection = request.site.database.reader()
    try:
        held = exports.content(connection, job.jid, manifest.number_of(request.params["file"]))
        if held is None or manifest.name_of(held[0]) != request.params["file"]:
            raise NotFound("no such file of this export", where="file", mend="The manifest names them.")
        await _noted(request, connection, job, held)
    except BaseException:
        connection.close()
        raise
    wanted = asked_of(job)
    sent = files.Sent(connection, wanted, moment_of(job, wanted), held[0], request.caller, request.site.fhir_url)
    lines = sent.chunks(held[1])
    packed = b"gzip" in request.headers.get(b"accept-encoding", b"")
    headers = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")] if packed else []

    async def closed() -> None:
        said = sent.faults()
        await asyncio.to_thread(connection.close)
        if said:  # the manifest names from now on what could not be sent
            await request.site.database.write(lambda tx: exports.add_faults(tx, job.jid, said, faults.MORE))

    return Response(200, b"", NDJSON, headers, _streamed(_packed(lines) if packed else lines), closed)


async def _noted(request: Request, connection: Connection, job: Job, held: tuple[exports.File, bytes]) -> None:
    """The audit row, before the first byte leaves: it names the patients the file holds, or the set of them."""
    file, raw = held
    async with request.site.interactions.access(request.caller, "export", file.type, job.id) as access:
        files.require(request.caller, file)
        patients = await asyncio.to_thread(files.patients, connection, job, file, raw)
        access.detail = f"file {file.n}, {file.lines} resources of {len(patients)} patients"
        named = await asyncio.to_thread(concerned.names, connection, patients, NAMED)
        if named is not None:
            access.concerns(named)
            return

        def unit(tx: Tx) -> None:
            access.concerns([crowds.put(tx, patients)])
            access.append(tx)

        await request.site.database.write(unit)


def _packed(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


async def _streamed(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each part is read in a thread, when the one before has left."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        if part:
            yield part


def _exports(request: Request) -> Exports:
    if request.site.exports is None:
        raise Unavailable("no exports run here")
    return request.site.exports


def _server(request: Request) -> str:
    return request.site.fhir_url.removesuffix("/fhir")


_SCOPE = "rs of every type"
ROUTES = [
    *(Route(method, "/fhir/$export", system, scope=_SCOPE) for method in ("GET", "POST")),
    *(Route(method, "/fhir/Patient/$export", patients, scope=_SCOPE) for method in ("GET", "POST")),
    *(
        Route(method, "/fhir/Group/{id}/$export", group, scope=f"{_SCOPE} and of the Group")
        for method in ("GET", "POST")
    ),
    Route("GET", "/bulk/{job}", state, scope="whose export it is"),
    Route("DELETE", "/bulk/{job}", end, scope="whose export it is"),
    Route("GET", "/bulk/{job}/{file}", file, scope="whose export it is, and rs of the file's type"),
]
