"""What a caller may ask for around an answer: other origins (Fetch standard, CORS) and compression (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib

import msgspec

from suture.server import formats
from suture.server.route import FHIR_JSON, FHIR_XML, JSON, XML, Request, Response
from suture.standards.fhir import xml

SMALLEST = 1400  # bytes; less fits into one packet anyway
_CALLED = ("/fhir", "/auth/token", "/auth/revoke", "/auth/introspect")
_OPEN = frozenset(
    [
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/openid-configuration",
        "/auth/jwks",
        "/brands",
        "/fhir/.well-known/udap",
    ]
)
_SHOWN = b"ETag, Location, Content-Location, Last-Modified, X-Request-Id"


def preflight(request: Request) -> Response | None:
    """The answer to a browser that asks whether a page may call; None when it may not or did not ask."""
    if b"access-control-request-method" not in request.headers or not _allowed(request):
        return None
    headers = [
        (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
        (
            b"access-control-allow-headers",
            request.headers.get(b"access-control-request-headers", b"authorization")[:500],
        ),
        (b"access-control-max-age", b"600"),
    ]
    return Response(204, headers=headers)


def allow_origin(request: Request, response: Response) -> None:
    """Lets the pages of a listed origin read the answer; cookies are never sent along by them."""
    if b"origin" in request.headers and _allowed(request):
        kept = [h for h in response.headers if h[0] != b"access-control-allow-origin"]
        origin = request.headers[b"origin"][:300]
        response.headers = [
            *kept, (b"access-control-allow-origin", origin), (b"vary", b"Origin"), (b"access-control-expose-headers", _SHOWN)
        ]  # fmt: skip


def _allowed(request: Request) -> bool:
    """Pages of listed origins and of registered apps; what says where things are, any page may read."""
    if request.path in _OPEN:
        return True
    if not request.path.startswith(_CALLED):
        return False
    listed = [origin.strip() for origin in request.site.settings["http.cors_origins"].split(",")]
    origin = request.header(b"origin")
    return "*" in listed or origin in listed or origin in request.site.authority.origins


def indent(request: Request, response: Response) -> None:
    """One element a line for whoever reads it with the eye; numbers keep their digits."""
    if not request.path.startswith("/fhir") or response.stream is not None or not response.body:
        return
    if not formats.pretty(request.query_string, request.header(b"accept")):
        return
    if response.type in (FHIR_JSON, JSON):
        response.body = msgspec.json.format(response.body, indent=2)
    elif response.type in (FHIR_XML, XML):
        response.body = xml.indented(response.body)


def compress(request: Request, response: Response) -> None:
    """Compresses answers to programs; never those to a browser with a cookie, where lengths could betray a secret."""
    if request.path.startswith("/gateway"):  # what an upstream sent goes on as it is
        return
    if len(response.body) < SMALLEST or b"cookie" in request.headers or response.stream is not None:
        return
    if b"gzip" not in request.headers.get(b"accept-encoding", b"") or not request.site.settings["http.gzip"]:
        return
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    response.body = packer.compress(response.body) + packer.flush()
    response.headers = [*response.headers, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
