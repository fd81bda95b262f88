"""Where apps register by themselves: always pending until somebody here approves (RFC 7591).

https://www.rfc-editor.org/rfc/rfc7591#section-3
"""

from __future__ import annotations

from typing import Any

import orjson

from suture.access.caller import ANONYMOUS
from suture.access.oauth import registration
from suture.access.oauth.errors import OAuthRefused
from suture.errors import Invalid, NotFound
from suture.server.route import JSON, Request, Response, Route
from suture.standards.fhir import json

LARGEST = 64 * 1024
NOT_KEPT = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]


async def register(request: Request) -> Response:
    """A new client, pending; its secret, if it has one, is told here and never again."""
    try:
        said = await _said(request)
        if "software_statement" in said:
            return await _stated(request, said)
        if not request.site.settings["oauth.register"]:
            raise NotFound(
                "apps don't register by themselves here", mend="Ask who runs this server to register the app."
            )
        made, secret = await request.site.registrar.register(said, request.remote)
    except OAuthRefused as error:
        return await _refused(request, error)
    except Invalid as error:
        return await _refused(request, registration.wrong(f"not one JSON object: {error.text}"))
    answer: dict[str, Any] = registration.told(made)
    if secret:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return Response(201, orjson.dumps(answer), JSON, list(NOT_KEPT))


async def _stated(request: Request, said: dict[str, Any]) -> Response:
    """By a software statement of a trust community: 201 for a new client, 200 for one that changed or ended its own."""
    statements, text = request.site.statements, said["software_statement"]
    if statements is None or said.get("udap") != "1" or not isinstance(text, str):
        raise OAuthRefused("unapproved_software_statement", "software statements are taken from trust communities (UDAP) that are set up here")  # fmt: skip
    made, new = await statements.register(text, request.remote)
    told = registration.told(made) | {"software_statement": text, "grant_types": list(made.grant_types)}
    return Response(201 if new else 200, orjson.dumps(told), JSON, list(NOT_KEPT))


async def metadata(request: Request) -> Response:
    """How a trust community's programs register and prove themselves; 404 where none is set up (UDAP)."""
    udap = request.site.udap
    if udap is None:
        raise NotFound("this server is in no UDAP trust community")
    community = dict(request.pairs()).get("community", "")
    if community and community != udap.community:
        return Response(204, headers=[(b"access-control-allow-origin", b"*")])
    return Response(200, orjson.dumps(udap.metadata()), JSON, [(b"access-control-allow-origin", b"*")])


async def _said(request: Request) -> dict[str, Any]:
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise registration.wrong("send the metadata as application/json")
    return json.read(await request.body(LARGEST), max_depth=10)


async def _refused(request: Request, error: OAuthRefused) -> Response:
    await request.site.denied(ANONYMOUS, request.remote, error.status)
    wait = [(b"retry-after", b"3600")] if error.status == 429 else []
    return Response(error.status, orjson.dumps(error.body()), JSON, [*NOT_KEPT, *wait])


ROUTES = [
    Route("POST", "/auth/register", register, access="anonymous"),
    Route("GET", "/fhir/.well-known/udap", metadata, access="anonymous"),
]
