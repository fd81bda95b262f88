"""Who sends a request (bearer key or session cookie), and the pages for signing in and the first start.

Cookies: RFC 6265bis. Forged requests from other sites are told by Sec-Fetch-Site and Origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from suture.access.people import SHORTEST_PASSWORD
from suture.access.policy import require_permission
from suture.errors import Forbidden, SutureError, Unauthenticated
from suture.server.admin import pages
from suture.server.route import LARGEST_FORM, Request, Response, Route, form

COOKIE = "suture_session"
_SAFE = ("GET", "HEAD", "OPTIONS")
_SIGN_IN = {
    "title": "Sign in",
    "lead": "To the console of this Suture.",
    "action": "/sign-in",
    "button": "Sign in",
    "new": False,
}
_FIRST_RUN = {
    "title": "Create the administrator",
    "lead": "The first person here. This link works once.",
    "button": "Create and sign in",
    "new": True,
}


async def identify(request: Request, route: Route) -> None:
    """Sets the request's caller; raises Unauthenticated or Forbidden when the route asks for more."""
    if route.access == "anonymous":
        return
    try:
        await _identify(request, keep=not route.quiet)
        if route.access != "caller":
            require_permission(request.caller, route.access)
    except (Unauthenticated, Forbidden) as error:
        await request.site.denied(request.caller, request.remote, error.status)
        raise


async def _identify(request: Request, *, keep: bool) -> None:
    kind, _, key = request.header(b"authorization").partition(" ")
    if kind.lower() == "bearer":
        caller = request.site.people.bearer(key.strip())
    elif kind:
        raise Unauthenticated("this kind of credential is not taken", mend="Send Authorization: Bearer KEY.")
    else:
        request.session = _cookie(request)
        if not request.session:
            raise Unauthenticated("this needs a bearer key or a session", mend="Send Authorization: Bearer KEY.")
        caller = await request.site.people.session(request.session, keep=keep)
        require_same_site(request)
    request.caller = replace(caller, address=request.remote, request=request.id)


def _cookie(request: Request) -> str:
    for part in request.header(b"cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def require_same_site(request: Request) -> None:
    """Raises Forbidden for a changing request that another site may have caused."""
    if request.method in _SAFE:
        return
    site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
    own = origin.partition("://")[2] == request.header(b"host") if origin else False
    if site != "same-origin" and not (own and not site):
        raise Forbidden("this request came from another site", mend="Send it from Suture's own pages, or with a key.")


async def sign_in_page(request: Request) -> Response:
    return _form(request, _SIGN_IN)


async def sign_in(request: Request) -> Response:
    require_same_site(request)
    given = dict(form(await request.body(LARGEST_FORM)))
    try:
        token = await request.site.people.sign_in(given.get("login", ""), given.get("password", ""), request.remote)
    except SutureError as error:
        return _form(request, _SIGN_IN, error)
    return _signed_in(request, token)


async def sign_out(request: Request) -> Response:
    if request.session:
        await request.site.people.sign_out(request.session)
    return Response(303, headers=[(b"location", b"/sign-in"), _set_cookie(request, "", 0)])


async def first_run_page(request: Request) -> Response:
    token = request.params["token"]
    if not request.site.people.link_works(token):
        return pages.told(request, _used_up())
    return _form(request, {**_FIRST_RUN, "action": f"/first-run/{quote(token)}"})


async def first_run(request: Request) -> Response:
    require_same_site(request)
    given, token = dict(form(await request.body(LARGEST_FORM))), request.params["token"]
    login = given.get("login", "").strip()
    try:
        session = await request.site.people.begin(token, login, login, given.get("password", ""), request.remote)
    except Unauthenticated as error:
        return pages.told(request, error)
    except SutureError as error:
        return _form(request, {**_FIRST_RUN, "action": f"/first-run/{quote(token)}"}, error)
    return _signed_in(request, session)


def _used_up() -> Unauthenticated:
    return Unauthenticated("this link was used or is too old", mend="Start suture again for a new one.")


def _signed_in(request: Request, token: str) -> Response:
    life = int(request.site.settings["session.life"])
    return Response(303, headers=[(b"location", b"/"), _set_cookie(request, token, life)])


def _set_cookie(request: Request, token: str, life: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if request.secure or request.site.settings["http.base_url"].startswith("https:") else ""
    return b"set-cookie", f"{COOKIE}={token}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}".encode()


def _form(request: Request, words: Mapping[str, Any], error: SutureError | None = None) -> Response:
    """The form; without any administrator it says where the link to create one is found."""
    nobody = not words["new"] and not request.site.people.anybody()
    status = error.status if error else 200
    return pages.page(request, "form.html", status, **words, error=error, nobody=nobody, shortest=SHORTEST_PASSWORD)


ROUTES = [
    Route("GET", "/sign-in", sign_in_page, access="anonymous"),
    Route("POST", "/sign-in", sign_in, access="anonymous"),
    Route("POST", "/sign-out", sign_out, access="caller"),
    Route("GET", "/first-run/{token}", first_run_page, access="anonymous"),
    Route("POST", "/first-run/{token}", first_run, access="anonymous"),
]
