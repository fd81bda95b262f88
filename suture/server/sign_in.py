"""Who sends a request (bearer key or session cookie), and the plain pages for signing in and the first start.

Cookies: RFC 6265bis. Forged requests from other sites are told by Sec-Fetch-Site and Origin.
"""

from __future__ import annotations

import html
from dataclasses import replace

from suture.access.caller import ANONYMOUS
from suture.access.people import SHORTEST_PASSWORD
from suture.access.policy import require_role
from suture.errors import Forbidden, SutureError, Unauthenticated
from suture.server.route import HTML, Headers, Request, Response, Route, form

COOKIE = "suture_session"
_SAFE = ("GET", "HEAD", "OPTIONS")
_FORM_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-hashes'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
)


async def identify(request: Request, route: Route) -> None:
    """Sets the request's caller; raises Unauthenticated or Forbidden when the route asks for more."""
    if route.access == "anonymous":
        return
    try:
        await _identify(request)
        if route.access != "caller":
            require_role(request.caller, route.access)
    except (Unauthenticated, Forbidden) as error:
        await request.site.denied(request.caller, request.remote, error.status)
        raise


async def _identify(request: Request) -> None:
    kind, _, key = request.header(b"authorization").partition(" ")
    if kind.lower() == "bearer":
        caller = request.site.people.bearer(key.strip())
    elif kind:
        raise Unauthenticated("this kind of credential is not taken", mend="Send Authorization: Bearer KEY.")
    else:
        request.session = _cookie(request)
        if not request.session:
            raise Unauthenticated("this needs a bearer key or a session", mend="Send Authorization: Bearer KEY.")
        caller = await request.site.people.session(request.session)
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
    return _page("Sign in", "/sign-in", ("login", "password"))


async def sign_in(request: Request) -> Response:
    require_same_site(request)
    given = dict(form(await request.body()))
    try:
        token = await request.site.people.sign_in(given.get("login", ""), given.get("password", ""), request.remote)
    except SutureError as error:
        return _page("Sign in", "/sign-in", ("login", "password"), error)
    return _signed_in(request, token)


async def sign_out(request: Request) -> Response:
    if request.session:
        await request.site.people.sign_out(request.session)
    return Response(303, headers=[(b"location", b"/sign-in"), _set_cookie(request, "", 0)])


async def first_run_page(request: Request) -> Response:
    token = request.params["token"]
    if not request.site.people.link_works(token):
        raise Unauthenticated("this link was used or is too old", mend="Start suture again for a new one.")
    return _page("Create the administrator", f"/first-run/{html.escape(token)}", ("login", "password"))


async def first_run(request: Request) -> Response:
    require_same_site(request)
    given, token = dict(form(await request.body())), request.params["token"]
    try:
        session = await request.site.people.begin(
            token, given.get("login", "").strip(), given.get("login", ""), given.get("password", ""), request.remote
        )
    except Unauthenticated:
        raise
    except SutureError as error:
        return _page("Create the administrator", f"/first-run/{html.escape(token)}", ("login", "password"), error)
    return _signed_in(request, session)


def _signed_in(request: Request, token: str) -> Response:
    life = int(request.site.settings["session.life"])
    return Response(303, headers=[(b"location", b"/"), _set_cookie(request, token, life)])


def _set_cookie(request: Request, token: str, life: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if request.secure or request.site.settings["http.base_url"].startswith("https:") else ""
    return b"set-cookie", f"{COOKIE}={token}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}".encode()


def _page(title: str, action: str, fields: tuple[str, ...], error: SutureError | None = None) -> Response:
    said = f'<p role="alert">{html.escape(f"{error.text}. {error.mend}")}</p>' if error else ""
    hint = f"<p>The password needs at least {SHORTEST_PASSWORD} characters.</p>" if "first-run" in action else ""
    inputs = "".join(
        f'<p><label for="{name}">{name}</label> <input id="{name}" name="{name}" required '
        f'type="{"password" if name == "password" else "text"}" autocomplete="off"></p>'
        for name in fields
    )
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · Suture</title><h1>{title}</h1>{said}'
        f'{hint}<form method="post" action="{action}">{inputs}<p><button>{title}</button></p></form></html>'
    )
    headers: Headers = [_FORM_POLICY]
    return Response(error.status if error else 200, text.encode(), HTML, headers)


ROUTES = [
    Route("GET", "/sign-in", sign_in_page, access="anonymous"),
    Route("POST", "/sign-in", sign_in, access="anonymous"),
    Route("POST", "/sign-out", sign_out, access="caller"),
    Route("GET", "/first-run/{token}", first_run_page, access="anonymous"),
    Route("POST", "/first-run/{token}", first_run, access="anonymous"),
]
__all__ = ["ANONYMOUS", "COOKIE", "ROUTES", "identify", "require_same_site"]
