"""The audit trail and, for one patient, who saw and what left: pages to look at, print and take along (45 CFR 164.312(b), 164.528)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypedDict
from urllib.parse import urlencode

from suture.clock import instant
from suture.component import moment
from suture.errors import Invalid, InvalidSearch, NotFound
from suture.server.admin import asked, pages
from suture.server.admin.asked import Asked
from suture.server.route import Request, Response, Route
from suture.services import patients
from suture.services.audit import disclosures, export, table, words
from suture.services.audit.disclosures import Period, Report
from suture.store import audit, whose
from suture.store.audit import SORTS, Entry, Filter
from suture.store.connection import Connection

PAGE = 100
FILTERS = {
    "who": "a caller, such as user:0193… or flow:lab-results",
    "what": "what was done: read, search-type, send, login, denied …",
    "outcome": "a status, or `refused`",
    "since": "2h, 2026-11-25 or 2026-11-25T08:00 (UTC)",
    "until": "the same",
    "sort": "at, who, what, type, patient or outcome",
    "order": "newest or oldest first: desc or asc",
}
SEARCH = {**FILTERS, asked.PRIVATE: "id of a Patient, or an identifier"}
PERIOD = {asked.PRIVATE: "id of a Patient, or an identifier", "since": FILTERS["since"], "until": FILTERS["until"]}
CURSOR = {asked.CURSOR: "the cursor of the page before; then no filter"}
FORMAT = {"format": "ndjson or csv"}
TYPES = {"ndjson": b"application/x-ndjson", "csv": b"text/csv; charset=utf-8"}
_TARGET, _PATIENT = "audit", "audit/patient"


class TrailRow(TypedDict):
    """A row of the trail."""

    n: int
    at: str
    who: str
    name: str
    client: str
    done: str
    what: str
    type: str
    id: str
    patients: list[str]
    query: str
    outcome: int
    purpose: str
    address: str
    detail: str


class TrailPage(TypedDict):
    """Rows of the trail; `older` is the cursor of the next page, empty on the last."""

    rows: list[TrailRow]
    older: str


class SeenRow(TypedDict):
    """Somebody or something that saw or changed the record."""

    who: str
    name: str
    through: str
    what: list[str]
    purpose: list[str]
    times: int
    first: str
    last: str


class LeftRow(TypedDict):
    """A disclosure."""

    n: int
    at: str
    to: str
    partner: str
    agreement: str
    connection: str
    what: str
    purpose: str
    how: str
    by: str


class PatientReport(TypedDict):
    """Who saw a patient's record and what of it left the house; `cut`: there was more than a report holds."""

    patient: str
    seen: list[SeenRow]
    left: list[LeftRow]
    cut: bool


# --- the trail


def find(request: Request, wanted: Asked) -> TrailPage:
    """A page of rows."""
    read, asked_for = request.site.database.read, _filter(request, wanted)
    found = audit.search(read, replace(asked_for, count=PAGE + 1))
    following = 0
    if len(found) > PAGE:
        following = asked_for.skip + PAGE if asked_for.sort else found[PAGE - 1].n
    older = asked.sealed(request, _TARGET, wanted.pairs, following) if following else ""
    return {"rows": [_row(read, entry) for entry in found[:PAGE]], "older": older}


def _filter(request: Request, wanted: Asked) -> Filter:
    now, outcome, sort = request.site.clock.micros(), wanted["outcome"], wanted["sort"]
    if sort not in ("", "at", *SORTS):
        raise InvalidSearch("no column of this name", where="sort", mend=FILTERS["sort"])
    if outcome not in ("", "refused") and not (outcome.isascii() and outcome.isdigit()):
        raise InvalidSearch("no outcome of this name", where="outcome", mend="Write such as 403, or refused.")
    made = Filter(
        wanted["who"], _keys(request, wanted), (wanted["what"],) if wanted["what"] else (),
        outcome=int(outcome) if outcome.isdigit() else 0, refused=outcome == "refused",
        since=moment(wanted["since"], now), until=moment(wanted["until"], now) or asked.FIRST,
        ascending=wanted["order"] == "asc", sort=sort if sort in SORTS else "",
    )  # fmt: skip
    if wanted.before == asked.FIRST:
        return made
    if made.sort:
        return replace(made, skip=wanted.before)
    return replace(made, after=wanted.before) if made.ascending else replace(made, before=wanted.before)


def _keys(request: Request, wanted: Asked) -> tuple[str, ...]:
    given = wanted[asked.PRIVATE]
    return whose.keys_of(request.site.database.read, patient_of(request, given)) if given else ()


def _row(read: Connection, entry: Entry) -> TrailRow:
    row = entry.row
    client = words.program(read, row.client.removeprefix("client:")) if row.client else ""
    patients = list(row.patients or filter(None, (row.patient,)))
    return {
        "n": entry.n, "at": instant(entry.at), "who": row.who, "name": words.who(read, row.who), "client": client,
        "done": words.done(row), "what": row.what, "type": row.type, "id": row.id, "patients": patients,
        "query": row.query, "outcome": row.outcome, "purpose": row.purpose, "address": row.address, "detail": row.detail,
    }  # fmt: skip


def patient_of(request: Request, given: str) -> str:
    """The id of the Patient with this id or identifier; raises NotFound for none, Invalid for several."""
    return patients.named(request.site.database.read, given)


async def trail_page(request: Request) -> Response:
    """The trail, newest first."""
    mistake = None
    try:
        wanted = asked.of_url(request, _TARGET, FILTERS)
        _filter(request, wanted)
    except Invalid as error:
        wanted, mistake = Asked(), error
    return await _trail(request, wanted, mistake)


async def _trail(request: Request, wanted: Asked, mistake: Exception | None = None) -> Response:
    async with request.site.interactions.access(request.caller, "list", "AuditEvent", query=wanted.names) as access:
        access.concerns(_concerned(request, wanted))
        page = find(request, wanted)
        older = f"/audit?{asked.CURSOR}={page['older']}" if page["older"] else ""
        cursor = asked.sealed(request, _TARGET, wanted.pairs)
        status = getattr(mistake, "status", 200)
        shown: dict[str, Any] = {**page, "older": older, "wanted": wanted, "mistake": mistake, "cursor": cursor}
        return pages.page(request, "trail.html", status, sorts=("at", *SORTS), **shown)


def _concerned(request: Request, wanted: Asked) -> Sequence[str]:
    return _keys(request, wanted)[:1]


async def filter_page(request: Request) -> Response:
    """The filter form: goes on to an address that names no patient."""
    given = await asked.fields(request, SEARCH)
    pairs = asked.checked([pair for pair in given.items() if pair[1]], SEARCH)
    if asked.PRIVATE in dict(pairs):
        return pages.see(f"/audit?{asked.CURSOR}={asked.sealed(request, _TARGET, pairs)}")
    return pages.see("/audit" + ("?" + urlencode(pairs) if pairs else ""))


async def list_json(request: Request) -> Response:
    """Rows of the audit trail."""
    wanted = asked.of_url(request, _TARGET, FILTERS)
    return await _listed(request, wanted)


async def search_json(request: Request) -> Response:
    """Rows of the audit trail by filters in the body; the only way to ask by patient."""
    given = await asked.fields(request, SEARCH)
    return await _listed(request, Asked(asked.checked([pair for pair in given.items() if pair[1]], SEARCH)))


async def _listed(request: Request, wanted: Asked) -> Response:
    async with request.site.interactions.access(request.caller, "list", "AuditEvent", query=wanted.names) as access:
        access.concerns(_concerned(request, wanted))
        return pages.as_json(find(request, wanted))


# --- the trail as a file


async def export_file(request: Request) -> Response:
    """The rows of the audit trail that the filters name, as JSON lines or CSV, in their order."""
    format = dict(request.pairs()).get("format", "ndjson")
    if format not in TYPES:
        raise Invalid("no such format", where="format", mend=f"One of: {', '.join(TYPES)}.")
    wanted = _without(request, "format")
    async with request.site.interactions.access(request.caller, "export-audit", "AuditEvent") as access:
        access.query, access.detail = wanted.names, format
        access.concerns(_concerned(request, wanted))
        asked_for = replace(_filter(request, wanted), before=1 << 62, after=0)
    last = audit.head(request.site.database.read).n
    pieces = _pieces(request, replace(asked_for, before=last + 1), format)
    return Response(200, b"", TYPES[format], [_attachment(f"audit.{format}")], pieces)


def _without(request: Request, name: str) -> Asked:
    """What was asked for, the parameter `name` apart; a cursor may stand beside it."""
    request.query_string = urlencode([pair for pair in request.pairs() if pair[0] != name]).encode()
    return asked.of_url(request, _TARGET, FILTERS)


async def _pieces(request: Request, wanted: Filter, format: str) -> AsyncIterator[bytes]:
    """Read in a thread, a chunk at a time."""
    reader = request.site.database.reader()
    try:
        found: Iterator[bytes] = export.chunks(reader, wanted, format)
        while (piece := await asyncio.to_thread(next, found, None)) is not None:
            yield piece
    finally:
        reader.close()


def _attachment(name: str) -> tuple[bytes, bytes]:
    return b"content-disposition", f'attachment; filename="{name}"'.encode()


# --- one patient: who saw, what left


async def patient_form(request: Request) -> Response:
    """Asks of whom; goes on to an address that names nobody."""
    given = await asked.fields(request, PERIOD)
    pairs = asked.checked([pair for pair in given.items() if pair[1]], PERIOD)
    return pages.see(f"/audit/patient?{asked.CURSOR}={asked.sealed(request, _PATIENT, pairs)}")


async def patient_page(request: Request) -> Response:
    """Who saw, what left."""
    if not request.query_string:
        return pages.page(request, "trail_patient.html", report=None, cursor="", period=("", ""), mistake=None)
    wanted = asked.of_url(request, _PATIENT, ())
    period = (wanted["since"], wanted["until"])
    try:
        found = await _report(request, wanted)
    except (Invalid, NotFound) as error:
        return pages.page(
            request, "trail_patient.html", error.status, report=None, cursor="", period=period, mistake=error
        )
    cursor = asked.sealed(request, _PATIENT, wanted.pairs)
    return pages.page(request, "trail_patient.html", report=found, cursor=cursor, period=period, mistake=None)


async def _report(request: Request, wanted: Asked) -> Report:
    """The report, with its own row in the trail; the work is done in a thread."""
    site, now = request.site, request.site.clock.micros()
    async with site.interactions.access(request.caller, "disclosures", "Patient") as access:
        access.id = patient_of(request, wanted[asked.PRIVATE])
        access.concerns((f"Patient/{access.id}",))
        period = Period(moment(wanted["since"], now), moment(wanted["until"], now) or asked.FIRST)
        return await site.interactions.slowly(lambda read: disclosures.report(read, access.id, period))


async def patient_csv(request: Request) -> Response:
    """The accounting of disclosures as a table."""
    found = await _report(request, asked.of_url(request, _PATIENT, ()))
    rows = [disclosures.LEFT_COLUMNS, *map(disclosures.left_cells, found.left)]
    return Response(200, table.lines(rows), TYPES["csv"], [_attachment("disclosures.csv")])


async def seen_csv(request: Request) -> Response:
    """Who saw the record, as a table."""
    found = await _report(request, asked.of_url(request, _PATIENT, ()))
    rows = [disclosures.SEEN_COLUMNS, *map(disclosures.seen_cells, found.seen)]
    return Response(200, table.lines(rows), TYPES["csv"], [_attachment("seen.csv")])


async def patient_json(request: Request) -> Response:
    """Who saw a patient's record and what of it left the house."""
    given = await asked.fields(request, PERIOD)
    found = await _report(request, Asked(asked.checked([pair for pair in given.items() if pair[1]], PERIOD)))
    left = [one._asdict() for one in found.left]
    return pages.as_json(
        {"patient": found.patient, "seen": [asdict(one) for one in found.seen], "left": left, "cut": found.cut}
    )


_READ, _EXPORT = "audit.read", "audit.export"
ROUTES = [
    Route("GET", "/audit", trail_page, _READ, query={**FILTERS, **CURSOR}),
    Route("POST", "/audit", filter_page, _READ, fields=SEARCH),
    Route("GET", "/audit/export", export_file, _EXPORT, query={**FILTERS, **CURSOR, **FORMAT}),
    Route("GET", "/audit/patient", patient_page, _READ, query=CURSOR),
    Route("POST", "/audit/patient", patient_form, _READ, fields=PERIOD),
    Route("GET", "/audit/patient/disclosures.csv", patient_csv, _EXPORT, query=CURSOR),
    Route("GET", "/audit/patient/seen.csv", seen_csv, _EXPORT, query=CURSOR),
    Route("GET", "/api/audit", list_json, _READ, query={**FILTERS, **CURSOR}, answer=TrailPage),
    Route("POST", "/api/audit/_search", search_json, _READ, fields=SEARCH, answer=TrailPage),
    Route("GET", "/api/audit/export", export_file, _EXPORT, query={**FILTERS, **CURSOR, **FORMAT}),
    Route("POST", "/api/audit/patient", patient_json, _READ, fields=PERIOD, answer=PatientReport),
]
