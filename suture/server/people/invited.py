"""The page behind an invitation: choose a name and a password, show what goes with the link, come in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from suture.access import passwords
from suture.access.invitations import OWN, RESET, STAFF, STAND_IN, Invitation
from suture.access.refusals import SecondFactorNeeded
from suture.access.roles import PATIENT, PROXY
from suture.errors import Conflict, Forbidden, Invalid, SutureError, Unauthenticated
from suture.server.admin import pages
from suture.server.identify import COOKIE, cookie
from suture.server.people.second import fields, place
from suture.server.route import Request, Response, Route
from suture.server.sign_in import complete, stepped
from suture.store.accounts import User

WORDS = {
    STAFF: ("Welcome", "You are invited to this Suture. Choose a password.", "Come in"),
    OWN: (
        "Your health record",
        "You are invited to see your own record. Choose a name and a password.",
        "Open my record",
    ),
    STAND_IN: ("A record is shared with you", "Choose a name and a password to see it.", "Come in"),
    RESET: ("A new password", "Choose a new password. You will be signed out everywhere else.", "Set it"),
}


async def invitation_page(request: Request) -> Response:
    """The form, while the link works."""
    return _page(request, request.site.people.invitations.look(request.params["token"]))


def _page(request: Request, found: Invitation, error: SutureError | None = None, **given: str) -> Response:
    title, lead, button = WORDS[found.kind]
    here = _here(request) if found.kind == STAND_IN else None
    shown: dict[str, Any] = {
        "title": title,
        "lead": lead,
        "button": button,
        "action": f"/invitation/{quote(request.params['token'])}",
        "invitation": found,
        "shortest": passwords.SHORTEST,
        "signed_in_as": here.name if here else "",
        "given": {"login": given.get("login", "")},
    }
    return pages.page(request, "invitation.html", error.status if error else 200, error=error, **shown)


def _here(request: Request) -> User | None:
    """The patient or proxy who is signed in already in this browser."""
    token = cookie(request, COOKIE)
    try:
        user = request.site.people.sessions.look(token)[1] if token else None
    except Unauthenticated:
        return None
    return user if user and {PATIENT, PROXY} & set(user.roles) else None


async def accept(request: Request) -> Response:
    """Lets the person in."""
    given, people, token = await fields(request), request.site.people, request.params["token"]
    found = people.invitations.look(token)
    login, password, proof = given.get("login", "").strip(), given.get("password", ""), given.get("proof", "")
    try:
        session = await people.invitations.accept(token, login, password, proof, place(request))
    except SecondFactorNeeded as needed:
        return stepped(request, needed)
    except (Invalid, Conflict) as error:
        return _page(request, found, error, login=login)
    return await complete(request, session)


async def join(request: Request) -> Response:
    """Adds the record to those a person sees already."""
    given, people, token = await fields(request), request.site.people, request.params["token"]
    found, user = people.invitations.look(token), _here(request)
    if user is None:
        raise Forbidden("nobody is signed in here who could take this", mend="Open the link again.")
    try:
        await people.invitations.join(token, user, given.get("proof", ""))
    except Invalid as error:
        return _page(request, found, error)
    return pages.see("/own/choose")


_FIELDS = {"login": "name to sign in with", "password": "a password", "proof": "birth date or code"}
ROUTES = [
    Route("GET", "/invitation/{token}", invitation_page, access="anonymous"),
    Route("POST", "/invitation/{token}", accept, access="anonymous", fields=_FIELDS),
    Route("POST", "/invitation/{token}/join", join, access="anonymous", fields={"proof": "the code"}),
]
