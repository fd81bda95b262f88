"""Apps and programs: who waits to be approved and for how long, what each may do, and the end of it."""

from __future__ import annotations

from typing import Any, TypedDict

from suture.access.oauth import registrar, registration
from suture.access.oauth.registrar import NOTICE_DAYS
from suture.crypto import new_token
from suture.errors import Invalid, NotFound
from suture.server.admin import asked, deeds, pages, rows
from suture.server.route import LARGEST_FORM, Request, Response, Route, form
from suture.standards.fhir import json
from suture.store import accounts, apps, grants
from suture.store.apps import APPROVED, ENDED, PENDING, REFUSED, SYMMETRIC, OAuthClient

APPROVE = {"scope": "scopes to allow, of those it asked for; all when left out"}
REASON = {"reason": "why"}
ROTATE = {"keep": "hours that the old secret goes on to work; 0: it ends at once"}
NEW = {
    "client_name": "the app's name",
    "token_endpoint_auth_method": "none, client_secret_basic or private_key_jwt",
    "grant_types": "authorization_code, refresh_token, client_credentials, separated by blanks",
    "redirect_uris": "separated by blanks",
    "scope": "scopes it may be granted",
    "initiate_login_uri": "where it is opened from here",
    "jwks_uri": "where its keys are",
    "jwks": "its keys as JSON",
    "contacts": "whom to ask, separated by commas",
    "logo_uri": "its picture",
}
LONGEST_KEEP = 24 * 30


class ClientRow(TypedDict):
    """An app or program. `waits`: whole working days since it registered, while nobody decided."""

    id: str
    name: str
    kind: str
    status: str
    origin: str
    created: str
    decided: str
    waits: int
    scopes: list[str]
    grants: int
    contacts: list[str]


class KeyRow(TypedDict):
    """A program with a bearer key."""

    id: str
    name: str
    scopes: list[str]
    active: bool
    created: str
    used: str


class ClientsView(TypedDict):
    """Those who wait first, then the others; and programs with a bearer key. `notice`: working days a decision may take."""

    notice: int
    clients: list[ClientRow]
    keys: list[KeyRow]


class ClientView(TypedDict):
    """One app: its registration in the words of RFC 7591, the dates of its secrets, and trouble with its published keys."""

    client: ClientRow
    registration: dict[str, Any]
    note: str
    address: str
    secrets: list[dict[str, str]]
    trouble: str


class Decided(TypedDict):
    """What was decided. `secret` only where one was made."""

    id: str
    status: str
    secret: str


def view(request: Request) -> ClientsView:
    """All, those who wait longest first."""
    found = apps.find(request.site.database.read)
    order = {PENDING: 0, APPROVED: 1, ENDED: 2, REFUSED: 3}
    return {
        "notice": NOTICE_DAYS,
        "clients": [_row(request, one) for one in sorted(found, key=lambda one: order[one.status])],
        "keys": [_key(one) for one in accounts.clients(request.site.database.read)],
    }


def _row(request: Request, one: OAuthClient) -> ClientRow:
    now = request.site.clock.micros()
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "status": one.status,
        "origin": one.origin,
        "created": rows.when(one.created),
        "decided": rows.when(one.decided),
        "waits": registrar.business_days(one.created, now) if one.status == PENDING else 0,
        "scopes": list(one.scopes),
        "grants": len(grants.of_client(request.site.database.read, one.id, now)) if one.approved else 0,
        "contacts": list(one.contacts),
    }


def _key(one: accounts.Client) -> KeyRow:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": list(one.scopes),
        "active": one.active,
        "created": rows.when(one.created),
        "used": rows.when(one.used),
    }


def _found(request: Request) -> OAuthClient:
    found = request.site.clients.get(request.params["id"])
    if found is None:
        raise NotFound("no such client", where="clients")
    return found


def one_view(request: Request) -> ClientView:
    """One app with everything but its secrets."""
    one = _found(request)
    secrets = apps.secrets(request.site.database.read, one.id)
    return {
        "client": _row(request, one),
        "registration": registration.told(one),
        "note": str(one.attributes.get("note", "")),
        "address": str(one.attributes.get("address", "")),
        "secrets": [{"created": rows.when(made), "ends": rows.when(end)} for made, end in secrets],
        "trouble": request.site.clients.trouble(one),
    }


async def clients_page(request: Request) -> Response:
    """Who waits, who may, who may no longer."""
    async with request.site.interactions.access(request.caller, "list", "Client"):
        return pages.page(request, "clients.html", **view(request))


async def clients_json(request: Request) -> Response:
    """Apps and programs, those who wait for a decision first."""
    async with request.site.interactions.access(request.caller, "list", "Client"):
        return pages.as_json(view(request))


async def client_page(request: Request) -> Response:
    """One app, with the forms to decide on it."""
    async with request.site.interactions.access(request.caller, "read", "Client", request.params["id"]):
        return _one(request)


def _one(request: Request, secret: str = "") -> Response:
    return pages.page(request, "client.html", **one_view(request), secret=secret, notice=NOTICE_DAYS)


async def client_json(request: Request) -> Response:
    """One app's registration, without secrets."""
    async with request.site.interactions.access(request.caller, "read", "Client", request.params["id"]):
        return pages.as_json(one_view(request))


async def approve(request: Request) -> Decided:
    """Lets an app in, with all scopes it asked for or with some of them."""
    given = await _approval(request)
    wanted = given["scope"].split() if "scope" in given else None
    return await _turned(request, APPROVED, "", wanted)


async def _approval(request: Request) -> dict[str, str]:
    """The fields; of a form, all boxes that are ticked. A form without one allows nothing, and that is told."""
    if request.header(b"content-type").partition(";")[0].strip() == "application/json":
        return await asked.fields(request, APPROVE)
    pairs = form(await request.body(LARGEST_FORM))
    await asked.fields(request, (*APPROVE, "choice"))
    ticked = " ".join(value for name, value in pairs if name == "scope")
    return {"scope": ticked} if pairs else {}


async def _turned(request: Request, status: str, note: str, scopes: list[str] | None = None) -> Decided:
    id, who = request.params["id"], request.caller.id
    made = await request.site.database.write(lambda tx: registrar.decide(tx, id, status, who, note=note, scopes=scopes))
    return {"id": made.id, "status": made.status, "secret": ""}


async def refuse(request: Request) -> Decided:
    """Does not let an app in; it has to register anew."""
    return await _turned(request, REFUSED, asked.reason(await asked.fields(request, REASON)))


async def end(request: Request) -> Decided:
    """Ends an app with everything it holds: grants, tokens and secrets."""
    return await _turned(request, ENDED, asked.reason(await asked.fields(request, REASON)))


async def rotate(request: Request) -> Decided:
    """A new secret, told here and never again."""
    hours = (await asked.fields(request, ROTATE)).get("keep") or "0"
    if not (hours.isascii() and hours.isdigit() and int(hours) <= LONGEST_KEEP):
        raise Invalid(f"0 to {LONGEST_KEEP} hours", where="keep")
    one, who, keep = _found(request), request.caller.id, int(hours) * 3600.0
    secret = await request.site.database.write(lambda tx: registrar.rotate(tx, one.id, who, keep))
    return {"id": one.id, "status": one.status, "secret": secret}


async def register(request: Request) -> Decided:
    """Registers an app; it waits to be approved like all others."""
    read = registration.read(_metadata(await asked.fields(request, NEW)), origin="console")
    secret, who = new_token() if read.kind == SYMMETRIC else "", request.caller.id
    made = await request.site.database.write(lambda tx: registrar.keep(tx, read, who, secret))
    return {"id": made.id, "status": made.status, "secret": secret}


def _metadata(given: dict[str, str]) -> dict[str, Any]:
    """A form's texts as registration metadata."""
    said: dict[str, Any] = {name: value for name, value in given.items() if value}
    for name in ("grant_types", "redirect_uris"):
        if name in said:
            said[name] = said[name].split()
    if "contacts" in said:
        said["contacts"] = [one.strip() for one in said["contacts"].split(",") if one.strip()]
    if "jwks" in said:
        said["jwks"] = json.read(said["jwks"].encode(), max_depth=10)
    return said


async def rotate_page(request: Request) -> Response:
    """A new secret, told on this page only."""
    return _one(request, (await rotate(request))["secret"])


async def register_page(request: Request) -> Response:
    """Registers an app; its secret, if it has one, is told on this page only."""
    made = await register(request)
    request.params["id"] = made["id"]
    return _one(request, made["secret"]) if made["secret"] else pages.see(f"/clients/{made['id']}")


_MANAGE = "clients.manage"
ROUTES = [
    Route("GET", "/clients", clients_page, _MANAGE),
    Route("POST", "/clients", register_page, _MANAGE, fields=NEW),
    Route("GET", "/clients/{id}", client_page, _MANAGE),
    Route("POST", "/clients/{id}/approve", deeds.form(approve, "/clients/{id}"), _MANAGE, fields=APPROVE),
    Route("POST", "/clients/{id}/refuse", deeds.form(refuse, "/clients/{id}"), _MANAGE, fields=REASON),
    Route("POST", "/clients/{id}/end", deeds.form(end, "/clients/{id}"), _MANAGE, fields=REASON),
    Route("POST", "/clients/{id}/rotate-secret", rotate_page, _MANAGE, fields=ROTATE),
    Route("GET", "/api/clients", clients_json, _MANAGE, answer=ClientsView),
    Route("POST", "/api/clients", deeds.program(register), _MANAGE, fields=NEW, answer=Decided),
    Route("GET", "/api/clients/{id}", client_json, _MANAGE, answer=ClientView),
    Route("POST", "/api/clients/{id}/approve", deeds.program(approve), _MANAGE, fields=APPROVE, answer=Decided),
    Route("POST", "/api/clients/{id}/refuse", deeds.program(refuse), _MANAGE, fields=REASON, answer=Decided),
    Route("POST", "/api/clients/{id}/end", deeds.program(end), _MANAGE, fields=REASON, answer=Decided),
    Route("POST", "/api/clients/{id}/rotate-secret", deeds.program(rotate), _MANAGE, fields=ROTATE, answer=Decided),
]
