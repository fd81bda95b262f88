"""Style, script and icon of the pages: read once from the package, served under names that change with their content (RFC 9111, RFC 8246)."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from suture.errors import NotFound
from suture.server.route import Request, Response, Route

TYPES = {
    "suture.css": b"text/css; charset=utf-8",
    "console.js": b"text/javascript; charset=utf-8",
    "passkey.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}
_CONTENT = {name: files("suture.server").joinpath("static", name).read_bytes() for name in TYPES}
_HASHES = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in _CONTENT.items()}
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")


def address(name: str) -> str:
    """Where a file is served now."""
    return f"/static/{_HASHES[name]}/{name}"


async def served(request: Request) -> Response:
    """One of the files; a page made before an upgrade still gets the new one, but may not keep it."""
    name = request.params["name"]
    if name not in _CONTENT:
        raise NotFound("nothing at this address")
    kept = [_FOR_EVER] if request.params["hash"] == _HASHES[name] else []
    return Response(200, _CONTENT[name], TYPES[name], kept)


ROUTES = [Route("GET", "/static/{hash}/{name}", served, access="anonymous")]
