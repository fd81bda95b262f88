"""Binaries in their own media type, beside FHIR's: read, create and update (https://hl7.org/fhir/R4/binary.html#rest)."""

from __future__ import annotations

from suture.errors import Invalid
from suture.server import formats
from suture.server.route import Headers, NotAcceptable, Request, Response
from suture.services.interactions.binary import TYPE, Content, content, resource
from suture.standards.fhir import json
from suture.store.resources import Row

# whatever the bytes are, a browser must neither run nor guess them
_SAFE = [
    (b"content-disposition", b"attachment"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]
__all__ = ["TYPE", "native", "sent", "shown"]


def native(request: Request) -> bool:
    """Whether the bytes are asked for, not the resource: no FHIR format is named by `_format` or Accept."""
    if b"_format" in request.query_string:
        return False
    return not any(name in formats.FHIR_NAMES for name, _ in formats.ranges(request.header(b"accept")))


def shown(request: Request, row: Row, headers: Headers) -> Response:
    """The bytes; raises NotAcceptable when Accept names other types only."""
    found = content(row)
    if not formats.accepts(request.header(b"accept"), found.type):
        raise NotAcceptable(
            "the content is of another type",
            where="Accept",
            mend=f"Ask for {found.type[:100]}, or for application/fhir+json.",
        )
    context = [(b"x-security-context", found.context.encode())] if found.context.isascii() and found.context else []
    return Response(200, found.raw, found.type.encode("ascii", "replace"), [*headers, *_SAFE, *context])


async def sent(request: Request, id: str = "") -> bytes | None:
    """The Binary of bytes that were sent as they are; None when a resource was sent."""
    kind = request.header(b"content-type").strip()
    if not kind or formats.is_fhir(kind):
        return None
    if len(kind) > 200 or not kind.isascii() or "/" not in kind:
        raise Invalid("not a media type", where="Content-Type", mend="Write application/pdf.")
    made = Content(await request.body(), kind, request.header(b"x-security-context").strip())
    return json.write(resource(made, id))
