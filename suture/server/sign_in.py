"""The pages for the first start, signing in and out, and what comes after: the session's cookie and a fitting page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from suture.access import passwords
from suture.access.refusals import LinkEnded, SecondFactorNeeded
from suture.errors import SutureError, Unauthenticated
from suture.server.admin import pages
from suture.server.identify import COOKIE, STEP_COOKIE, identify, local, require_same_site, set_cookie
from suture.server.route import LARGEST_FORM, Request, Response, Route, form

__all__ = ["COOKIE", "ROUTES", "complete", "identify", "require_same_site", "stepped"]

_SIGN_IN = {
    "title": "Sign in",
    "lead": "To this Suture.",
    "action": "/sign-in",
    "button": "Sign in",
    "new": False,
}
_FIRST_RUN = {
    "title": "Create the administrator",
    "lead": "The first person here. This link works once.",
    "button": "Create and sign in",
    "new": True,
    "to": "",
}


async def sign_in_page(request: Request) -> Response:
    """The form; `to` is a page of ours to go on to."""
    return _form(request, {**_SIGN_IN, "to": local(dict(request.pairs()).get("to", ""))})


async def sign_in(request: Request) -> Response:
    """The first proof: name and password."""
    require_same_site(request)
    given = dict(form(await request.body(LARGEST_FORM)))
    to = local(given.get("to", ""))
    people, agent = request.site.people, request.header(b"user-agent")
    try:
        token = await people.sign_in(
            given.get("login", ""), given.get("password", ""), request.remote, agent=agent, to=to
        )
    except SecondFactorNeeded as needed:
        return stepped(request, needed)
    except SutureError as error:
        return _form(request, {**_SIGN_IN, "to": to, "login": given.get("login", "")}, error)
    return await complete(request, token, to)


def stepped(request: Request, needed: SecondFactorNeeded) -> Response:
    """On to the second proof."""
    life = request.site.settings["login.step_life"]
    answer = pages.see("/sign-in/set-up" if needed.set_up else "/sign-in/second")
    answer.headers.append(set_cookie(request, STEP_COOKIE, needed.step, life))
    return answer


async def complete(request: Request, token: str, to: str = "") -> Response:
    """Signed in: keeps the session and goes on to where the person wanted to, or to the first page there is for it."""
    caller = await request.site.people.session(token)
    answer = pages.see(to or pages.home(caller))
    answer.headers += cookies(request, token)
    return answer


def cookies(request: Request, token: str) -> list[tuple[bytes, bytes]]:
    """The headers of a new session: its cookie, and none of the step any more."""
    life = request.site.settings["session.life"]
    return [set_cookie(request, COOKIE, token, life), set_cookie(request, STEP_COOKIE, "", 0)]


async def sign_out(request: Request) -> Response:
    """Ends the session of this browser."""
    if request.session:
        await request.site.people.sign_out(request.session)
    return Response(303, headers=[(b"location", b"/sign-in"), set_cookie(request, COOKIE, "", 0)])


async def first_run_page(request: Request) -> Response:
    """The form that creates the administrator, while its link works."""
    token = request.params["token"]
    if not request.site.people.link_works(token):
        return pages.told(request, _used_up(request))
    return _form(request, {**_FIRST_RUN, "action": f"/first-run/{quote(token)}"})


async def first_run(request: Request) -> Response:
    """Creates the administrator."""
    require_same_site(request)
    given, token = dict(form(await request.body(LARGEST_FORM))), request.params["token"]
    login, password = given.get("login", "").strip(), given.get("password", "")
    agent = request.header(b"user-agent")
    try:
        session = await request.site.people.begin(token, login, login, password, request.remote, agent=agent)
    except SecondFactorNeeded as needed:
        return stepped(request, needed)
    except Unauthenticated:
        return pages.told(request, _used_up(request))
    except SutureError as error:
        return _form(request, {**_FIRST_RUN, "action": f"/first-run/{quote(token)}", "login": login}, error)
    return await complete(request, session)


def _used_up(request: Request) -> LinkEnded:
    there = request.site.people.anybody()
    return LinkEnded("There is an administrator: sign in." if there else "Start suture again for a new one.")


def _form(request: Request, words: Mapping[str, Any], error: SutureError | None = None) -> Response:
    """The form; without any administrator it says where the link to create one is found."""
    nobody = not words["new"] and not request.site.people.anybody()
    status = error.status if error else 200
    words = {"login": "", **words, "provider": "" if words["new"] else request.site.people.sso.name}
    return pages.page(request, "form.html", status, **words, error=error, nobody=nobody, shortest=passwords.SHORTEST)


ROUTES = [
    Route("GET", "/sign-in", sign_in_page, access="anonymous", query={"to": "page to go on to"}),
    Route("POST", "/sign-in", sign_in, access="anonymous"),
    Route("POST", "/sign-out", sign_out, access="caller"),
    Route("GET", "/first-run/{token}", first_run_page, access="anonymous"),
    Route("POST", "/first-run/{token}", first_run, access="anonymous"),
]
