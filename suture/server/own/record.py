"""The own record: all of it on one page, the newest of each kind; every kind on a page of its own; whose record it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from suture.access.proxies import Stand, patients_of
from suture.errors import Forbidden, NotFound, SutureError
from suture.server.admin import asked, pages, rows
from suture.server.own.words import KINDS, Kind, Line, person
from suture.server.people.account import me
from suture.server.people.second import fields
from suture.server.people.staff import name_of
from suture.server.route import Request, Response, Route
from suture.standards.fhir import json

FIRST = 5  # entries of each kind on the first page
PAGE = 50


def whose(request: Request) -> str:
    """The patient whose record this session is about; raises Forbidden while none is chosen."""
    if not request.caller.patient:
        raise Forbidden("no record is open", where="record", mend="Choose whose record you want to see.")
    return request.caller.patient


def stands(request: Request) -> list[Stand]:
    """All records that are open to this person."""
    return patients_of(request.site.database.read, me(request), request.site.clock.micros())


def standing(request: Request) -> dict[str, Any]:
    """What every page of a record says above: whose it is, and whether there are others to choose from."""
    found = stands(request)
    here = next((one for one in found if one.patient == request.caller.patient), None)
    return {
        "relation": here.relation if here else "",
        "several": len(found) > 1,
        "own": bool(here and not here.relation),
    }


async def record_page(request: Request) -> Response:
    """The person and the newest entries of each kind."""
    if not request.caller.patient:
        return await choose_page(request)
    try:
        found = await request.site.interactions.read(request.caller, "Patient", whose(request))
        parts = await asyncio.gather(*(_part(request, name, kind) for name, kind in KINDS.items()))
    except NotFound as error:
        return pages.told(request, error)
    record = json.read(found.body)
    filled, empty = [one for one in parts if one["lines"]], [one for one in parts if not one["lines"]]
    return pages.page(
        request, "own.html", name=name_of(record), facts=person(record), parts=filled, empty=empty, **standing(request)
    )


async def _part(request: Request, name: str, kind: Kind) -> dict[str, Any]:
    lines, older = await _lines(request, kind, [*kind.search, ("_count", str(FIRST))])
    return {"name": name, "title": kind.title, "nothing": kind.nothing, "lines": lines, "more": bool(older)}


async def _lines(request: Request, kind: Kind, pairs: list[tuple[str, str]]) -> tuple[list[Line], str]:
    """Entries as this caller may see them, and the cursor of the next ones."""
    answer = await request.site.interactions.search(request.caller, kind.type, pairs)
    bundle = json.read(answer.body)
    found = [one["resource"] for one in bundle.get("entry", []) if one["resource"]["resourceType"] == kind.type]
    following = next((one["url"] for one in bundle.get("link", []) if one["relation"] == "next"), "")
    older = parse_qs(urlsplit(following).query).get(asked.CURSOR, [""])[0]
    return [kind.line(one) for one in found], older


async def kind_page(request: Request) -> Response:
    """All entries of one kind, page by page."""
    kind = KINDS.get(request.params["kind"])
    if kind is None:
        raise NotFound("nothing at this address")
    whose(request)
    cursor = dict(request.pairs()).get(asked.CURSOR, "")
    pairs = [(asked.CURSOR, cursor)] if cursor else [*kind.search, ("_count", str(PAGE))]
    lines, older = await _lines(request, kind, pairs)
    return pages.page(
        request, "own_kind.html", title=kind.title, nothing=kind.nothing, lines=lines,
        older=f"/own/record/{request.params['kind']}?{asked.CURSOR}={older}" if older else "", **standing(request),
    )  # fmt: skip


# --- whose record


async def choose_page(request: Request, error: SutureError | None = None) -> Response:
    """The records that are open to this person."""
    found = []
    for one in stands(request):
        seen = replace(request.caller, patient=one.patient)
        try:
            record = json.read((await request.site.interactions.read(seen, "Patient", one.patient)).body)
        except NotFound:
            continue
        until = rows.when(one.expires)
        found.append({"patient": one.patient, "name": name_of(record), "relation": one.relation, "until": until})
    return pages.page(request, "own_choose.html", error.status if error else 200, records=found, error=error)


async def choose(request: Request) -> Response:
    """This session is about one of them from now on."""
    patient = (await fields(request)).get("patient", "")
    if patient not in [one.patient for one in stands(request)]:
        return await choose_page(request, Forbidden("this record is not open to you", mend="Choose one of these."))
    await request.site.people.sessions.choose(request.session, patient)
    return pages.see("/own")


ROUTES = [
    Route("GET", "/own", record_page, "own.use"),
    Route("GET", "/own/record/{kind}", kind_page, "own.use", query={asked.CURSOR: "where the page before ended"}),
    Route("GET", "/own/choose", choose_page, "own.use"),
    Route("POST", "/own/choose", choose, "own.use", fields={"patient": "whose record"}),
]
