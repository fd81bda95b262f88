"""Everybody's own page: who I am here, my second factors, my sessions, my password."""

from __future__ import annotations

from typing import Any

from suture.access import passwords
from suture.access.refusals import TooManyAttempts
from suture.access.roles import ROLES
from suture.access.sessions import id_of
from suture.access.webauthn import Party
from suture.errors import Conflict, Invalid, SutureError, Unauthenticated
from suture.server.admin import pages, rows
from suture.server.identify import COOKIE, fresh, require_fresh, set_cookie
from suture.server.people.second import at, codes_page, fields, offered, required
from suture.server.route import Request, Response, Route
from suture.store import linked
from suture.store.accounts import Session, User

PAGE = pages.ACCOUNT
SAID = {
    "password": "Your password is changed. All other sessions have ended.",
    "session": "That session has ended.",
    "others": "All other sessions have ended.",
    "removed": "It is removed.",
    "linked": "From now on you can sign in with it, too.",
    "unlinked": "You sign in here only.",
}


def me(request: Request) -> User:
    """The person of this session; raises Unauthenticated for programs."""
    return request.site.people.sessions.look(request.session)[1]


async def account_page(request: Request) -> Response:
    """The page; `said` names what a form before it came to."""
    return _page(request, said=SAID.get(dict(request.pairs()).get("said", ""), ""))


def _page(request: Request, error: SutureError | None = None, **more: Any) -> Response:
    people, (mine, user) = request.site.people, request.site.people.sessions.look(request.session)
    shown: dict[str, Any] = {
        "user": user,
        "roles": [(role, ROLES[role].says) for role in user.roles if role in ROLES],
        "factors": [_factor(one) for one in people.second.of_user(user.id)],
        "codes": people.second.codes_left(user.id),
        "required": people.sessions.required(user),
        "sessions": [session_row(one, mine) for one in people.sessions.of_user(user.id)],
        "has_password": user.password != passwords.NONE,
        "shortest": passwords.SHORTEST,
        "provider": people.sso.name,
        "linked": bool(linked.of_user(request.site.database.read, user.id)),
        "fresh": fresh(request),
        "said": "",
        **more,
    }
    return pages.page(request, "account.html", error.status if error else 200, error=error, **shown)


def _factor(one: Any) -> dict[str, str]:
    return {
        "id": one.id,
        "name": one.name,
        "kind": "passkey" if one.kind == "passkey" else "app",
        "created": rows.when(one.created),
        "used": rows.when(one.used),
    }


def session_row(one: Session, mine: Session | None = None) -> dict[str, Any]:
    """A session as lists show it."""
    return {
        "id": id_of(one),
        "from": str(one.attributes.get("address") or ""),
        "browser": browser(str(one.attributes.get("agent") or "")),
        "began": rows.when(one.created),
        "seen": rows.when(one.seen),
        "this": mine is not None and mine.hash == one.hash,
    }


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


def browser(agent: str) -> str:
    """What a browser calls itself, in words a person knows."""
    name = next((word for mark, word in _BROWSERS if mark in agent), "")
    system = next((word for mark, word in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if name and system else name or system or "unknown"


async def change_password(request: Request) -> Response:
    """A new password for who knows the old one."""
    given = await fields(request)
    try:
        await request.site.people.change_password(
            request.session, given.get("old", ""), given.get("new", ""), request.remote
        )
    except (Unauthenticated, TooManyAttempts, Invalid) as error:
        me(request)
        return _page(request, error)
    return pages.see(f"{PAGE}?said=password")


async def end_session(request: Request) -> Response:
    """Ends one of one's own sessions."""
    given = await fields(request)
    await request.site.people.sessions.end_one(me(request).id, given.get("session", ""), request.caller.id)
    return pages.see(f"{PAGE}?said=session")


async def end_others(request: Request) -> Response:
    """Signs out everywhere else."""
    await fields(request)
    await request.site.people.sessions.end_all(me(request).id, request.caller.id, request.session)
    return pages.see(f"{PAGE}?said=others")


async def end_everywhere(request: Request) -> Response:
    """Signs out everywhere, here too."""
    await fields(request)
    await request.site.people.sessions.end_all(me(request).id, request.caller.id)
    return Response(303, headers=[(b"location", b"/sign-in"), set_cookie(request, COOKIE, "", 0)])


# --- second factors: each change needs a fresh proof


async def factor_page(request: Request) -> Response:
    """The page to set another one up."""
    if not fresh(request):
        return pages.see(f"/confirm?to={PAGE}/second-factor")
    return await offered(request, me(request), f"{PAGE}/second-factor", first=False)


async def add_app(request: Request) -> Response:
    """Keeps another authenticator app."""
    given, user = await _fresh_fields(request), me(request)
    token = given.get("offer", "")
    try:
        second = request.site.people.second
        codes = await second.add_app(user, token, given.get("code", ""), request.remote, first=False)
    except Invalid as error:
        return await offered(request, user, f"{PAGE}/second-factor", first=False, token=token, error=error)
    return await _strengthened(request, "totp", codes)


async def add_passkey(request: Request) -> Response:
    """Keeps another passkey."""
    given, user = await _fresh_fields(request), me(request)
    try:
        here: Party = required(at(request))
        second, text, name = request.site.people.second, given.get("credential", ""), given.get("name", "")
        codes = await second.add_passkey(user, text, name, here, request.remote, first=False)
    except Invalid as error:
        return await offered(request, user, f"{PAGE}/second-factor", first=False, error=error)
    return await _strengthened(request, "passkey", codes)


async def _strengthened(request: Request, kind: str, codes: list[str]) -> Response:
    """The session goes on as one with this proof."""
    token = await request.site.people.sessions.strengthen(request.session, kind, request.remote)
    shown = codes_page(request, codes, PAGE)
    shown.headers.append(set_cookie(request, COOKIE, token, request.site.settings["session.life"]))
    return shown


async def remove(request: Request) -> Response:
    """Takes one away."""
    given = await _fresh_fields(request)
    try:
        await request.site.people.second.remove(me(request), given.get("factor", ""), request.remote)
    except Conflict as error:
        return _page(request, error)
    return pages.see(f"{PAGE}?said=removed")


async def new_codes(request: Request) -> Response:
    """New recovery codes, shown once; the old ones work no more."""
    await _fresh_fields(request)
    try:
        codes = await request.site.people.second.new_codes(me(request), request.remote)
    except Conflict as error:
        return _page(request, error)
    return codes_page(request, codes, PAGE)


async def _fresh_fields(request: Request) -> dict[str, str]:
    require_fresh(request)
    return await fields(request)


ROUTES = [
    Route("GET", PAGE, account_page, query={"said": "what a form before it came to"}),
    Route("POST", f"{PAGE}/password", change_password, fields={"old": "the old one", "new": "the new one"}),
    Route("POST", f"{PAGE}/sessions", end_session, fields={"session": "its id"}),
    Route("POST", f"{PAGE}/sessions/others", end_others),
    Route("POST", f"{PAGE}/sessions/all", end_everywhere),
    Route("GET", f"{PAGE}/second-factor", factor_page),
    Route("POST", f"{PAGE}/second-factor/app", add_app, fields={"offer": "the secret", "code": "a code"}),
    Route("POST", f"{PAGE}/second-factor/passkey", add_passkey, fields={"credential": "the new passkey"}),
    Route("POST", f"{PAGE}/second-factor/remove", remove, fields={"factor": "its id"}),
    Route("POST", f"{PAGE}/second-factor/codes", new_codes),
]
