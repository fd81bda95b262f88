"""Partners: to whom records go, under which agreement until when, and which connections wait for one."""

from __future__ import annotations

from typing import TypedDict

from suture.access import agreements
from suture.engine import inventory
from suture.engine.inventory import PeerView
from suture.errors import Invalid, NotFound
from suture.server.admin import asked, deeds, pages, rows
from suture.server.admin.rooms import engine
from suture.server.route import Request, Response, Route
from suture.store import partners

DAY = 86_400.0
NEW = {"id": "as connection files name it", "name": "the organisation's name", "contact": "whom to ask"}
PAPER = {
    "partner": "id of the partner",
    "kind": "BAA, DUA, TPO or other",
    "from": "first day",
    "until": "last day; empty until notice",
    "note": "where the paper is kept",
}
OVERRIDE = {"reason": "why", "days": "for how many days"}
LONGEST_OVERRIDE = 90


class AgreementView(TypedDict):
    """An agreement."""

    id: str
    kind: str
    first: str
    last: str
    state: str
    note: str
    document: str
    sha256: str
    recorded_by: str


class PartnerView(TypedDict):
    """A partner with its agreements, the newest first; `days`: left of what is in force, -1 for none, null without end."""

    id: str
    name: str
    contact: str
    ended: bool
    days: int | None
    agreements: list[AgreementView]


class OverrideView(TypedDict):
    """A connection somebody opened without an agreement."""

    connection: str
    reason: str
    who: str
    until: str


class PartnersView(TypedDict):
    """All partners, connections and open overrides."""

    partners: list[PartnerView]
    connections: list[PeerView]
    overrides: list[OverrideView]


class Recorded(TypedDict):
    """What was recorded."""

    id: str


def view(request: Request) -> PartnersView:
    """As it stands today."""
    read, running = request.site.database.read, engine(request)
    today = running.agreements.today
    left = dict(agreements.ending(read, today, 1e6))
    return {
        "partners": [_partner(request, one, today, left) for one in partners.partners(read)],
        "connections": inventory.peers(running.project.connections.values(), running.agreements),
        "overrides": [
            {"connection": o.connection, "reason": o.reason, "who": o.who, "until": rows.when(o.until)}
            for o in partners.overrides(read, now=request.site.clock.micros())
        ],
    }


def _partner(request: Request, one: partners.Partner, today: str, left: dict[str, int]) -> PartnerView:
    written = partners.agreements(request.site.database.read, one.id)
    return {
        "id": one.id,
        "name": one.name,
        "contact": one.contact,
        "ended": bool(one.ended),
        "days": left.get(one.id) if any(a.holds(today) for a in written) else -1,
        "agreements": [_agreement(a, today) for a in written],
    }


def _agreement(one: partners.Agreement, today: str) -> AgreementView:
    return {
        "id": one.id, "kind": one.kind, "first": one.first, "last": one.last,
        "state": "ended" if one.ended else "in force" if one.holds(today) else "not in force",
        "note": one.note, "document": one.document_name, "sha256": one.document_hash, "recorded_by": one.created_by,
    }  # fmt: skip


async def partners_page(request: Request) -> Response:
    """Everything on one page, with the forms to add to it."""
    warn = request.site.settings["agreements.warn"] / DAY
    words = {"kinds": agreements.KINDS, "longest": LONGEST_OVERRIDE, "warn": warn}
    async with request.site.interactions.access(request.caller, "list", "Partner"):
        return pages.page(request, "partners.html", **view(request), **words)


async def partners_json(request: Request) -> Response:
    """Partners, their agreements, and which connections may send."""
    async with request.site.interactions.access(request.caller, "list", "Partner"):
        return pages.as_json(view(request))


async def add(request: Request) -> Recorded:
    """Adds a partner."""
    given = await asked.fields(request, NEW)
    id = given.get("id", "")
    unit = agreements.add_partner(id, given.get("name", ""), given.get("contact", ""), request.caller.id)
    await request.site.database.write(unit)
    return {"id": id}


async def agree(request: Request) -> Recorded:
    """Records an agreement; connections of the partner may send from its first day on."""
    given = await asked.fields(request, PAPER)
    unit = agreements.add_agreement(
        given.get("partner", ""),
        given.get("kind") or agreements.KINDS[0],
        given.get("from", ""),
        given.get("until", ""),
        given.get("note", ""),
        request.caller.id,
    )
    return {"id": await request.site.database.write(unit)}


async def override(request: Request) -> Recorded:
    """Opens a connection without an agreement for some days, for a reason."""
    name, given = request.params["id"], await asked.fields(request, OVERRIDE)
    if name not in engine(request).project.connections:
        raise NotFound("no such connection", where="connection")
    days = given.get("days") or "7"
    if not (days.isascii() and days.isdigit() and 0 < int(days) <= LONGEST_OVERRIDE):
        raise Invalid(f"1 to {LONGEST_OVERRIDE} days", where="days")
    until = request.site.clock.micros() + int(int(days) * DAY * 1_000_000)
    unit = agreements.override(name, asked.reason(given), until, request.caller.id)
    await request.site.database.write(unit)
    return {"id": name}


async def end(request: Request) -> Recorded:
    """Ends an agreement at once; what waits for it is held."""
    id = request.params["id"]
    await request.site.database.write(agreements.end_agreement(id, request.caller.id))
    return {"id": id}


async def close(request: Request) -> Recorded:
    """Closes what an override opened."""
    name = request.params["id"]
    await request.site.database.write(agreements.end_overrides(name, request.caller.id))
    return {"id": name}


async def keep_json(request: Request) -> Response:
    """Keeps the signed paper of an agreement: the body, under the name in `name`."""
    id, name = request.params["id"], dict(request.pairs()).get("name") or "agreement.pdf"
    content = await request.body(agreements.LARGEST_DOCUMENT)
    await request.site.database.write(agreements.keep_document(id, name, content, request.caller.id))
    return pages.as_json({"id": id})


async def document(request: Request) -> Response:
    """The signed paper, to download."""
    id = request.params["id"]
    async with request.site.interactions.access(request.caller, "read", "Agreement", id):
        _, content = partners.document(request.site.database.read, id)
    return Response(
        200, content, b"application/octet-stream", [(b"content-disposition", b'attachment; filename="agreement"')]
    )


_MANAGE = "partners.manage"
ROUTES = [
    Route("GET", "/partners", partners_page, _MANAGE),
    Route("POST", "/partners", deeds.form(add, "/partners"), _MANAGE, fields=NEW),
    Route("POST", "/partners/agreements", deeds.form(agree, "/partners"), _MANAGE, fields=PAPER),
    Route("POST", "/partners/agreements/{id}/end", deeds.form(end, "/partners"), _MANAGE),
    Route("GET", "/partners/agreements/{id}/document", document, _MANAGE),
    Route("POST", "/partners/overrides/{id}", deeds.form(override, "/partners"), _MANAGE, fields=OVERRIDE),
    Route("POST", "/partners/overrides/{id}/end", deeds.form(close, "/partners"), _MANAGE),
    Route("GET", "/api/partners", partners_json, _MANAGE, answer=PartnersView),
    Route("POST", "/api/partners", deeds.program(add), _MANAGE, fields=NEW, answer=Recorded),
    Route("POST", "/api/agreements", deeds.program(agree), _MANAGE, fields=PAPER, answer=Recorded),
    Route("POST", "/api/agreements/{id}/end", deeds.program(end), _MANAGE, answer=Recorded),
    Route("GET", "/api/agreements/{id}/document", document, _MANAGE),
    Route(
        "PUT", "/api/agreements/{id}/document", keep_json, _MANAGE, query={"name": "name of the file"}, answer=Recorded
    ),
    Route("POST", "/api/overrides/{id}", deeds.program(override), _MANAGE, fields=OVERRIDE, answer=Recorded),
    Route("POST", "/api/overrides/{id}/end", deeds.program(close), _MANAGE, answer=Recorded),
]
