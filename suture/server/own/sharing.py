"""Who sees the own record: who saw it, which apps may, who stands in; what was allowed can be taken back (45 CFR 164.522, 164.528)."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from suture.access.invitations import end_proxy
from suture.access.oauth import revoke
from suture.errors import Conflict, Forbidden, Invalid, SutureError
from suture.server.admin import asked, pages, rows
from suture.server.identify import fresh, require_fresh
from suture.server.own.record import standing, whose
from suture.server.people.account import me
from suture.server.people.second import fields
from suture.server.people.shapes import Invited
from suture.server.people.staff import PROXY_FIELDS, invite_proxy, proxy_row
from suture.server.route import Request, Response, Route
from suture.store import accounts, apps, audit, grants, proxies
from suture.store.audit import Entry
from suture.store.connection import Connection, Tx
from suture.store.grants import Grant

CONSOLE = "@console"  # ends the names of who uses the command line
PAGE = 200  # rows of the trail that one page tells
TYPES = {
    "AllergyIntolerance": "allergies", "Condition": "health problems", "Observation": "results and measurements",
    "MedicationRequest": "medicines", "Encounter": "visits", "DiagnosticReport": "reports", "Immunization": "vaccinations",
    "Patient": "name and address", "Coverage": "insurance", "Procedure": "procedures", "DocumentReference": "documents",
    "CarePlan": "care plans", "AuditEvent": "who looked at it", "Message": "a message", "Run": "a message on its way", "DeadLetter": "a message that failed",
}  # fmt: skip
_WHOLE = {
    "create-user": "made an account for this record", "invite": "invited somebody to this record",
    "accept-invitation": "tried to accept an invitation", "end-invitation": "took an invitation back",
    "grant-proxy": "let somebody stand in", "end-proxy": "ended that somebody stands in",
    "authorize": "allowed an app", "token": "began to use what was allowed", "refresh": "goes on to use what was allowed",
    "introspect": "asked what is allowed", "launch": "opened an app",
    "revoke": "took back what an app was allowed", "ehi-export": "exported all of it",
    "break-glass": "opened this record in an emergency", "end-glass": "ended the emergency",
    "review-glass": "looked into the emergency", "disclosures": "looked up who saw this record and what left",
}  # fmt: skip
DEEDS = {
    "read": "looked at", "vread": "looked at", "search-type": "looked at", "history-instance": "looked at", "list": "looked at",
    "reveal": "looked at", "create": "wrote", "update": "wrote", "patch": "wrote", "transaction": "wrote", "delete": "deleted",
    "send": "sent", "export": "exported", **_WHOLE,
}  # fmt: skip


# --- who saw it


async def seen_page(request: Request) -> Response:
    """Every access to this record, in plain words, the newest first."""
    patient = f"Patient/{whose(request)}"
    before = dict(request.pairs()).get("before", "")
    limit = int(before) if before.isdigit() and len(before) < 19 else 1 << 62
    async with request.site.interactions.access(request.caller, "read", "AuditEvent", query="own"):
        found = audit.find(request.site.database.read, patient=patient, before=limit, count=PAGE)
        older = f"/own/seen?before={found[-1].n}" if len(found) == PAGE else ""
        shown = {"days": _days(request, found), "older": older, **standing(request)}
        return pages.page(request, "own_seen.html", **shown)


def _deed(what: str) -> str:
    """In plain words; operations look at what they are called on."""
    return DEEDS.get(what) or ("looked at" if what.startswith("$") else what)


def _days(request: Request, found: list[Entry]) -> list[dict[str, Any]]:
    """Rows by day; equal ones that follow each other are told once, with how often."""
    return [
        {"day": day, "lines": [_told(request, list(same)) for _, same in groupby(entries, _alike)]}
        for day, entries in groupby(found, lambda one: rows.when(one.at)[:10])
    ]


def _alike(one: Entry) -> tuple[object, ...]:
    row = one.row
    return row.who, _deed(row.what), row.client, row.outcome < 400


def _told(request: Request, same: list[Entry]) -> dict[str, Any]:
    row, read = same[0].row, request.site.database.read
    return {
        "who": "You" if row.who == request.caller.id else named(read, row.who),
        "you": row.who == request.caller.id,
        "through": _app(read, row.client) if row.client else "",
        "what": f"{_deed(row.what)} {_things(same)}".strip(),
        "refused": row.outcome >= 400,
        "at": rows.when(same[-1].at),
    }


def _things(same: list[Entry]) -> str:
    """What these rows were about, each kind once."""
    found = [TYPES.get(one.row.type, one.row.type or "the record") for one in same if one.row.what not in _WHOLE]
    return ", ".join(dict.fromkeys(found))


def named(read: Connection, who: str) -> str:
    """Somebody of the trail by name."""
    kind, _, id = who.partition(":")
    if kind == "user":
        found = accounts.user(read, id)
        return found.name if found else "Somebody at the server" if id.endswith(CONSOLE) else "Somebody who worked here"
    if kind == "client":
        program = accounts.client(read, id)
        return program.name if program else _app(read, id)
    if kind == "anonymous":
        return "Somebody not signed in"
    return f"This house's systems ({id})" if kind == "flow" else "This house's systems"


def _app(read: Connection, id: str) -> str:
    found = apps.get(read, id)
    return found.name if found else "an app"


# --- apps


async def apps_page(request: Request) -> Response:
    """The apps that may see this record, with whoever allowed them."""
    said = "The app can see nothing any more." if dict(request.pairs()).get("said") == "revoked" else ""
    found = [_grant(request, one) for one in _grants(request)]
    return pages.page(request, "own_apps.html", apps=found, said=said, **standing(request))


def _grants(request: Request) -> list[Grant]:
    """What this person allowed; and, on the own record, what others allowed who stand in."""
    read, now, user = request.site.database.read, request.site.clock.micros(), me(request)
    mine = grants.of_user(read, user.id, now)
    others = grants.of_patient(read, user.patient, now) if user.patient else []
    return mine + [one for one in others if one.user and one.user != user.id]


def _grant(request: Request, one: Grant) -> dict[str, Any]:
    read = request.site.database.read
    types = sorted({_type(word) for word in one.scopes if "/" in word and not word.startswith(("launch", "http"))})
    return {
        "id": one.id,
        "name": _app(read, one.client),
        "since": rows.when(one.created),
        "until": rows.when(one.expires),
        "used": rows.when(one.used),
        "lasting": one.refresh == "offline",
        "sees": ", ".join(types) if "everything" not in types else "everything in the record",
        "by": "" if one.user == me(request).id else named(read, f"user:{one.user}"),
    }


def _type(word: str) -> str:
    type = word.partition("/")[2].partition(".")[0]
    return "everything" if type == "*" else TYPES.get(type, type)


async def revoke_app(request: Request) -> Response:
    """Takes back what was allowed to an app."""
    id = (await fields(request)).get("grant", "")
    found = next((one for one in _grants(request) if one.id == id), None)
    if found is None:
        raise Conflict("this app can see nothing any more", where="apps", mend="Look at the list again.")
    if found.user == me(request).id:
        await revoke.by_person(request.site.authority, id, found.user, request.remote)
    else:
        await request.site.database.write(lambda tx: _revoked(tx, request, found))
        request.site.authority.tokens.forget()
    return pages.see("/own/apps?said=revoked")


def _revoked(tx: Tx, request: Request, found: Grant) -> None:
    grants.revoke(tx, found.id, "patient")
    whose = f"Patient/{found.patient}"
    audit.append(tx, audit.AuditRow(request.caller.id, "revoke", id=found.id, patient=whose, address=request.remote))


# --- who stands in


async def proxies_page(request: Request) -> Response:
    """Who stands in for this patient, and the form to invite somebody."""
    return _proxies(request)


def _proxies(request: Request, error: SutureError | None = None, invited: Invited | None = None) -> Response:
    patient = _own(request)
    now = request.site.clock.micros()
    found = [proxy_row(request, one) for one in proxies.of_patient(request.site.database.read, patient)]
    open_now = [one for one in request.site.people.invitations.open() if one.patient == patient and one.relation]
    waiting = [
        {"id": one.id, "name": one.name, "relation": one.relation, "expires": rows.when(one.expires)}
        for one in open_now
    ]
    shown = {
        "fresh": fresh(request),
        "proxies": found,
        "waiting": waiting,
        "invited": invited,
        "today": rows.when(now)[:10],
    }
    return pages.page(
        request, "own_proxies.html", error.status if error else 200, error=error, **shown, **standing(request)
    )


def _own(request: Request) -> str:
    """The own record; raises Forbidden for who stands in: that one may not let in others."""
    if not request.caller.patient or request.caller.patient != me(request).patient:
        raise Forbidden(
            "only the patient lets others stand in", where="record", mend="Ask the patient, or the practice."
        )
    return request.caller.patient


async def invite(request: Request) -> Response:
    """Makes a link and a code for somebody who shall stand in; needs a fresh proof, as every change of privileges does."""
    require_fresh(request)
    given = await asked.fields(request, PROXY_FIELDS)
    try:
        return _proxies(request, invited=await invite_proxy(request, _own(request), given))
    except Invalid as error:
        return _proxies(request, error)


async def end(request: Request) -> Response:
    """Somebody stands in no longer."""
    given, patient = await fields(request), _own(request)
    await request.site.database.write(lambda tx: end_proxy(tx, given.get("proxy", ""), patient, request.caller.id))
    return pages.see("/own/proxies")


async def take_back(request: Request) -> Response:
    """Takes an invitation back."""
    id, patient, invitations = (
        (await fields(request)).get("invitation", ""),
        _own(request),
        request.site.people.invitations,
    )
    if id not in [one.id for one in invitations.open() if one.patient == patient]:
        raise Conflict("this invitation is not open any more", where="invitations", mend="Look at the list again.")
    await request.site.database.write(lambda tx: invitations.end(tx, id, request.caller.id))
    return pages.see("/own/proxies")


ROUTES = [
    Route("GET", "/own/seen", seen_page, "own.use", query={"before": "where the page before ended"}),
    Route("GET", "/own/apps", apps_page, "own.use"),
    Route("POST", "/own/apps/revoke", revoke_app, "own.use", fields={"grant": "its id"}),
    Route("GET", "/own/proxies", proxies_page, "own.use"),
    Route(
        "POST",
        "/own/proxies/invite",
        invite,
        "own.use",
        fields={k: v for k, v in PROXY_FIELDS.items() if k != "patient"},
    ),
    Route("POST", "/own/proxies/end", end, "own.use", fields={"proxy": "id of the grant"}),
    Route("POST", "/own/proxies/take-back", take_back, "own.use", fields={"invitation": "its id"}),
]
