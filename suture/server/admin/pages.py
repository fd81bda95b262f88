"""Draws pages: templates that escape every value, and headers that let nothing run but our own files (CSP level 3).

https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from suture.access.caller import Caller
from suture.errors import SutureError
from suture.server.admin.files import address
from suture.server.route import HTML, JSON, Headers, Request, Response

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Headers = [(b"content-security-policy", POLICY), (b"cross-origin-opener-policy", b"same-origin")]
# address, title, and the permission that shows it; the first one a person may open is where signing in leads to
PLACES = (
    ("/", "Messages", "console.see"),
    ("/deadletters", "Dead letters", "console.see"),
    ("/waiting", "Waiting", "console.see"),
    ("/losses", "Loss", "console.see"),
    ("/subscriptions", "Subscriptions", "console.see"),
    ("/matches", "Matches", "matches.decide"),
    ("/launch", "Open an app", "chart.use"),
    ("/clients", "Apps", "clients.manage"),
    ("/break-glass", "Break the glass", "glass.break or audit.read"),
    ("/audit", "Audit", "audit.read"),
    ("/ehi", "Whole record", "ehi.export"),
    ("/partners", "Partners", "partners.manage"),
    ("/routes", "Gateway", "metrics.read"),
    ("/inventory", "Inventory", "inventory.read"),
    ("/people", "People", "people.manage"),
    ("/own", "Record", "own.use"),
    ("/own/seen", "Who saw it", "own.use"),
    ("/own/apps", "Apps", "own.use"),
    ("/own/proxies", "Who stands in", "own.use"),
    ("/launch", "Open an app", "own.use"),
)
ACCOUNT = "/account"  # every person's own page
_TEMPLATES = Environment(
    loader=PackageLoader("suture.server.admin"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _day(instant: str) -> str:
    return instant[:10]


def _clock(instant: str) -> str:
    return instant[11:23]


def _took(milliseconds: float) -> str:
    """A duration to read."""
    if milliseconds < 1000:
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.0f} min"


_TEMPLATES.filters |= {"day": _day, "clock": _clock, "took": _took}
_TEMPLATES.globals["static"] = address


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A whole page, or a part of one."""
    caller = request.caller
    shown = {"caller": caller, "may": caller.permissions, "signed_in": caller.kind == "user", "here": request.path}
    text = _TEMPLATES.get_template(template).render(places=places(caller), home=home(caller), **shown, **values)
    return Response(status, text.encode("utf-8", "replace"), HTML, list(HEADERS))


def places(caller: Caller) -> list[tuple[str, str]]:
    """The pages a person may open, for the navigation."""
    may = caller.permissions
    found = ((address, title) for address, title, needs in PLACES if not may.isdisjoint(needs.split(" or ")))
    return list(dict.fromkeys(found))


def home(caller: Caller) -> str:
    """Where signing in leads to: the first page there is for this person."""
    return next((address for address, _ in places(caller)), ACCOUNT)


def told(request: Request, error: SutureError) -> Response:
    """A page that says what went wrong and how to mend it."""
    return page(request, "told.html", error.status, error=error)


def see(place: str) -> Response:
    """Sends the browser on after a form (RFC 9110, 15.4.4)."""
    return Response(303, headers=[(b"location", place.encode())])


def as_json(value: object) -> Response:
    """The same view for programs."""
    return Response(200, orjson.dumps(value), JSON)
