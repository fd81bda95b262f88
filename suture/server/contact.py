"""Whom to tell about a hole in this installation: /.well-known/security.txt (RFC 9116)."""

from __future__ import annotations

from datetime import timedelta

from suture.errors import NotFound
from suture.server.route import Request, Response, Route

_LIFE = timedelta(days=180)
TEXT = b"text/plain; charset=utf-8"


async def security_txt(request: Request) -> Response:
    """The contact of the settings; without one there is nothing at this address."""
    contacts = str(request.site.settings["security.contact"]).split()
    if not contacts:
        raise NotFound(
            "nothing at this address", mend="Set security.contact to an address such as mailto:it@example.org."
        )
    expires = (request.site.clock.now() + _LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
    base = str(request.site.settings["http.base_url"]).rstrip("/")
    lines = [f"Contact: {one}" for one in contacts]
    lines += [f"Expires: {expires}", f"Canonical: {base}/.well-known/security.txt", "Preferred-Languages: en"]
    return Response(200, ("\n".join(lines) + "\n").encode(), TEXT)


ROUTES = [Route("GET", "/.well-known/security.txt", security_txt, access="anonymous")]
