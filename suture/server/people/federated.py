"""Signing in with another house's name: on the way there, back again, and linking it to one's account."""

from __future__ import annotations

from suture.access.refusals import SecondFactorNeeded
from suture.errors import Unauthenticated
from suture.server.admin import pages
from suture.server.identify import COOKIE, cookie, local, require_fresh, set_cookie
from suture.server.people.account import PAGE, me
from suture.server.people.second import fields, place
from suture.server.route import Request, Response, Route
from suture.server.sign_in import complete, stepped
from suture.store import audit, linked
from suture.store.connection import Tx

STATE_COOKIE = "suture_sso"


async def start(request: Request) -> Response:
    """Sends the browser to the provider."""
    given = dict(request.pairs())
    began = await request.site.people.sso.begin(
        local(given.get("to", "")), again="again" in given, address=request.remote
    )
    return _with_state(request, pages.see(began.url), began.state)


def _with_state(request: Request, answer: Response, state: str) -> Response:
    life = request.site.settings["login.step_life"] if state else 0
    answer.headers.append(set_cookie(request, STATE_COOKIE, state, life))
    return answer


async def callback(request: Request) -> Response:
    """Takes what the provider sent the browser back with."""
    state, user = cookie(request, STATE_COOKIE), _signed_in(request)
    try:
        came = await request.site.people.sso.come_back(dict(request.pairs()), state, user, place(request))
    except SecondFactorNeeded as needed:
        return _with_state(request, stepped(request, needed), "")
    if not came.token:
        return _with_state(request, pages.see(f"{PAGE}?said=linked"), "")
    return _with_state(request, await complete(request, came.token, local(came.to)), "")


def _signed_in(request: Request) -> str:
    """Who is signed in in this browser; empty for nobody."""
    token = cookie(request, COOKIE)
    try:
        return request.site.people.sessions.look(token)[1].id if token else ""
    except Unauthenticated:
        return ""


async def link(request: Request) -> Response:
    """Shows the way to the provider to who wants to sign in with its name from now on.

    A page and not a redirect: what another site makes a browser ask for must link nothing.
    """
    require_fresh(request)
    await fields(request)
    began = await request.site.people.sso.begin(PAGE, me(request).id, address=request.remote)
    shown = pages.page(request, "link.html", url=began.url, provider=request.site.people.sso.name)
    return _with_state(request, shown, began.state)


async def unlink(request: Request) -> Response:
    """From now on this person signs in here only."""
    require_fresh(request)
    await fields(request)
    user = me(request)

    def unit(tx: Tx) -> None:
        linked.unlink(tx, user.id)
        audit.append(tx, audit.AuditRow(request.caller.id, "unlink-sign-in", id=user.id, address=request.remote))

    await request.site.database.write(unit)
    return pages.see(f"{PAGE}?said=unlinked")


ROUTES = [
    Route("GET", "/sso/start", start, access="anonymous", query={"to": "page to go on to", "again": "ask anew"}),
    Route(
        "GET", "/sso/callback", callback, access="anonymous", query={"code": "", "state": "", "iss": "", "error": ""}
    ),
    Route("POST", f"{PAGE}/sso", link),
    Route("POST", f"{PAGE}/sso/unlink", unlink),
]
