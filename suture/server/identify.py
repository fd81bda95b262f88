"""Who sends a request: a bearer key, or the cookie of a session; and whether another site may have caused it.

Cookies: RFC 6265bis. Forged requests from other sites are told by Sec-Fetch-Site and Origin.
"""

from __future__ import annotations

from urllib.parse import quote

from suture.access.caller import Caller
from suture.access.policy import require_permission
from suture.access.refusals import ConfirmationNeeded
from suture.access.roles import STRONG
from suture.errors import Forbidden, Unauthenticated
from suture.server.route import Request, Route

COOKIE = "suture_session"
STEP_COOKIE = "suture_step"  # between the first proof and the second
SAFE = ("GET", "HEAD", "OPTIONS")


async def identify(request: Request, route: Route) -> None:
    """Sets the request's caller; raises Unauthenticated or Forbidden when the route asks for more."""
    if route.access == "anonymous":
        return
    try:
        await _identify(request, keep=not route.quiet)
        if route.access != "caller":
            require_permission(request.caller, route.access)
        asked = STRONG.intersection(route.access.split(" or "))
        if asked and request.method not in SAFE and not fresh(request):
            raise ConfirmationNeeded(
                "this change needs a fresh proof that it is you",
                where="session",
                mend="Confirm it at /confirm, then do it again.",
            )
    except (Unauthenticated, Forbidden) as error:
        await request.site.denied(request.caller, request.remote, error.status)
        error.audited = True
        raise


async def shown(request: Request) -> Caller | None:
    """Who opens a websocket, by the Authorization header alone: a browser sends cookies for any page that asks it to."""
    if not request.header(b"authorization"):
        return None
    try:
        await _identify(request, keep=False)
    except (Unauthenticated, Forbidden) as error:
        await request.site.denied(request.caller, request.remote, error.status)
        raise
    return request.caller


async def _identify(request: Request, *, keep: bool) -> None:
    kind, _, key = request.header(b"authorization").partition(" ")
    if kind.lower() == "bearer":
        caller = request.site.people.bearer(key.strip())
    elif kind:
        raise Unauthenticated(
            "this kind of credential is not taken", where="Authorization", mend="Send Authorization: Bearer KEY."
        )
    elif (session := cookie(request, COOKIE)) or not shows_certificate(request):
        request.session = session
        if not request.session:
            raise Unauthenticated(
                "this needs a bearer key or a session", where="Authorization", mend="Send Authorization: Bearer KEY."
            )
        caller = await request.site.people.session(request.session, keep=keep)
        require_same_site(request)
    else:
        caller = request.site.people.certificate(request.certificate)
    request.caller = stood(request, caller)


def stood(request: Request, caller: Caller) -> Caller:
    """The caller with all that holds for this request: clearance, bounds, purpose of use, broken glass."""
    return request.site.standings.stand(caller, request.header(b"x-purpose-of-use")[:40].strip(), request.remote)


def shows_certificate(request: Request) -> bool:
    """A program's certificate counts; a browser's does not, since any page could have caused its request."""
    browser = b"origin" in request.headers or b"sec-fetch-site" in request.headers
    return bool(request.certificate) and not browser


def fresh(request: Request) -> bool:
    """Whether the person proved a short while ago, in the best way there is for that person, who it is."""
    life = int(request.site.settings["session.strong"] * 1_000_000)
    return bool(request.caller.strong) and request.site.clock.micros() - request.caller.strong < life


def require_fresh(request: Request) -> None:
    """The same for what is no permission's address: raises ConfirmationNeeded."""
    if not fresh(request):
        raise ConfirmationNeeded("this needs a fresh proof that it is you", mend="Confirm it, then do it again.")


def secure(request: Request) -> bool:
    """Whether browsers speak TLS with this server, or with what stands before it."""
    return request.secure or str(request.site.settings["http.base_url"]).startswith("https:")


def _name(request: Request, name: str) -> str:
    """Behind TLS a cookie that no other host or path can have set."""
    return f"__Host-{name}" if secure(request) else name


def cookie(request: Request, name: str) -> str:
    """The value of a cookie of ours; empty when there is none."""
    wanted = _name(request, name)
    for part in request.header(b"cookie").split(";"):
        found, _, value = part.strip().partition("=")
        if found == wanted:
            return value
    return ""


def set_cookie(request: Request, name: str, value: str, life: float) -> tuple[bytes, bytes]:
    """The header that keeps a cookie for `life` seconds; 0 takes it away."""
    flags = f"Path=/; Max-Age={int(life)}; HttpOnly; SameSite=Lax{'; Secure' if secure(request) else ''}"
    return b"set-cookie", f"{_name(request, name)}={value}; {flags}".encode()


def require_same_site(request: Request) -> None:
    """Raises Forbidden for a changing request that another site may have caused."""
    if request.method in SAFE:
        return
    site, origin = request.header(b"sec-fetch-site"), request.header(b"origin")
    own = origin.partition("://")[2] == request.header(b"host") if origin else False
    if site != "same-origin" and not (own and not site):
        raise Forbidden("this request came from another site", mend="Send it from Suture's own pages, or with a key.")


def local(to: str) -> str:
    """An address of this server to go on to; empty for any other, and for what browsers might read as another."""
    plain = to.startswith("/") and to.isascii() and to.isprintable() and len(to) <= 4000
    return to if plain and not to.startswith(("//", "/\\")) and "\\" not in to else ""


def sign_in_address(request: Request) -> str:
    """Where somebody signs in who asked for this page; comes back to it afterwards."""
    if request.method not in SAFE or request.path == "/":
        return "/sign-in"
    asked = request.path + ("?" + request.query_string.decode("latin-1") if request.query_string else "")
    return f"/sign-in?to={quote(asked, safe='')}" if local(asked) else "/sign-in"
