"""A person's whole record to take along: for who may hand it out, for the person, and the public description of its format.

45 CFR 170.315(b)(10)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from suture.access import withheld
from suture.access.withheld import Withheld
from suture.errors import Invalid, NotFound
from suture.server.admin import asked, pages
from suture.server.admin.trail import patient_of
from suture.server.route import Request, Response, Route
from suture.services.ehi.archive import Archive, description
from suture.services.ehi.gather import Kept
from suture.standards.fhir import json
from suture.store import resources

ZIP = b"application/zip"
MARKDOWN = b"text/markdown; charset=utf-8"
WHOSE = {asked.PRIVATE: "id of a Patient, or an identifier"}
FORMAT = "/ehi-export"


async def whole_record(request: Request, patient: str, *, judged: bool = False) -> Response:
    """The archive of one patient (an id), streamed; its row in the trail is on disk before the first byte goes out.

    Who calls this has asked whether the caller may. `judged`: what labels and Consents keep from the caller stays here.
    """
    site = request.site
    async with site.interactions.access(request.caller, "ehi-export", "Patient", patient) as access:
        if resources.read(site.database.read, "Patient", patient) is None:
            raise NotFound("no such Patient", where="patient")
        access.concerns((f"Patient/{patient}",))
    headers = [(b"content-disposition", b'attachment; filename="record.zip"')]
    return Response(200, b"", ZIP, headers, _pieces(request, patient, judged))


async def _pieces(request: Request, patient: str, judged: bool) -> AsyncIterator[bytes]:
    """Made in a thread, piece by piece, on a reading connection of its own."""
    site = request.site
    reader = site.database.reader()
    try:
        base = str(site.settings["http.base_url"]).rstrip("/")
        away = withheld.of(reader, request.caller) if judged else None
        lets = (lambda kept: _open(away, kept)) if away is not None else None
        found = Archive(reader, patient, base, site.clock.micros(), lets).pieces()
        try:
            while (piece := await asyncio.to_thread(next, found, None)) is not None:
                if piece:
                    yield piece
        finally:
            found.close()
    finally:
        reader.close()


def _open(away: Withheld, kept: Kept) -> bool:
    """Whether every version of a resource may be seen."""
    return all(not one.body or away.lets_resource(json.reread(one.body)) for one in kept.versions)


async def record_page(request: Request) -> Response:
    """Asks of whom."""
    return pages.page(request, "ehi.html", mistake=None)


async def record_file(request: Request) -> Response:
    """One patient's whole record; a mistake is told on the page."""
    try:
        return await whole_record(request, await _asked(request))
    except (Invalid, NotFound) as error:
        return pages.page(request, "ehi.html", error.status, mistake=error)


async def record_json(request: Request) -> Response:
    """One patient's whole record as a ZIP: versions, messages, documents, audit (docs/ehi-export.md)."""
    return await whole_record(request, await _asked(request))


async def _asked(request: Request) -> str:
    given = (await asked.fields(request, WHOSE)).get(asked.PRIVATE, "")
    if not given:
        raise Invalid("say of whom", where="patient", mend="Give the id of a Patient, or an identifier.")
    return patient_of(request, given)


async def own_record(request: Request) -> Response:
    """The own whole record; or that of the person one stands in for now, but for what is kept from who does."""
    if not request.caller.patient:
        raise NotFound("no record is open", where="record", mend="Choose whose record you want to see.")
    own = request.site.people.sessions.look(request.session)[1].patient
    return await whole_record(request, request.caller.patient, judged=request.caller.patient != own)


async def format_page(request: Request) -> Response:
    """The public description of the format, for anybody."""
    return Response(200, description(), MARKDOWN)


ROUTES = [
    Route("GET", "/ehi", record_page, "ehi.export"),
    Route("POST", "/ehi", record_file, "ehi.export", fields=WHOSE),
    Route("POST", "/api/ehi", record_json, "ehi.export", fields=WHOSE),
    Route("POST", "/own/record.zip", own_record, "own.use"),
    Route("GET", FORMAT, format_page, access="anonymous"),
]
