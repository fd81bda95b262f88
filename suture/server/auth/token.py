"""The addresses programs call: token, introspection, revocation; JSON in RFC 6749's words, never kept by anybody.

https://www.rfc-editor.org/rfc/rfc6749#section-5 · https://www.rfc-editor.org/rfc/rfc7662 · https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from typing import Any

import orjson

from suture.access.caller import ANONYMOUS
from suture.access.oauth import codes, introspect, refresh, revoke
from suture.access.oauth.answer import TokenAnswer
from suture.access.oauth.clients import OAuthClient
from suture.access.oauth.errors import OAuthRefused
from suture.errors import Invalid
from suture.server.route import JSON, LARGEST_FORM, Headers, Request, Response, Route, form

NOT_KEPT: Headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
GRANTS = ("authorization_code", "refresh_token", "client_credentials")


async def token(request: Request) -> Response:
    """A code, a refresh token or a signed assertion for an access token."""
    try:
        given = await _form(request)
        answer = await _granted(request, given)
    except (OAuthRefused, Invalid) as error:
        return await _refused(request, error)
    return _json(answer.body())


async def _granted(request: Request, given: dict[str, str]) -> TokenAnswer:
    kind, authority = given.get("grant_type", ""), request.site.authority
    if not kind:
        raise OAuthRefused("invalid_request", "grant_type is missing")
    if kind not in GRANTS:
        raise OAuthRefused("unsupported_grant_type", f"grant_type is one of {', '.join(GRANTS)}")
    client = await _client(request, given)
    if kind == "client_credentials":
        return await request.site.backend.grant(client, given, request.remote)
    if kind not in client.grant_types:
        raise OAuthRefused("unauthorized_client", "this client is not registered for this grant_type")
    grant = codes.exchange if kind == "authorization_code" else refresh.refresh
    return await grant(authority, client, given, request.remote)


async def _client(request: Request, given: dict[str, str]) -> OAuthClient:
    """The client, proven; an assertion is meant for the token endpoint, wherever it is shown."""
    authority, header = request.site.authority, request.header(b"authorization")
    shown = given if header else refresh.named(authority, given)
    return await authority.clients.authenticate(shown, header, authority.address("/auth/token"))


async def asked_about(request: Request) -> Response:
    """What a token is good for."""
    try:
        given = await _form(request)
        who, bound = await introspect.who_asks(request.site.authority, given, request.header(b"authorization"))
        if not given.get("token"):
            raise OAuthRefused("invalid_request", "token is missing")
        told = await introspect.introspect(request.site.authority, who, bound, given["token"], request.remote)
    except (OAuthRefused, Invalid) as error:
        return await _refused(request, error)
    return _json(told)


async def revoked(request: Request) -> Response:
    """The end of a token; 200 also when it had none left."""
    try:
        given = await _form(request)
        client = await _client(request, given)
        if not given.get("token"):
            raise OAuthRefused("invalid_request", "token is missing")
        await revoke.revoke(request.site.authority, client, given["token"], request.remote)
    except (OAuthRefused, Invalid) as error:
        return await _refused(request, error)
    return Response(200, b"", JSON, list(NOT_KEPT))


async def _form(request: Request) -> dict[str, str]:
    """The parameters of the body; one without a value counts as left out, one that comes twice is refused."""
    if request.header(b"content-type").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthRefused("invalid_request", "send application/x-www-form-urlencoded")
    pairs = [pair for pair in form(await request.body(LARGEST_FORM)) if pair[1]]
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise OAuthRefused("invalid_request", "a parameter came twice")
    return dict(pairs)


def _json(content: dict[str, Any], status: int = 200, headers: Headers | None = None) -> Response:
    return Response(status, orjson.dumps(content), JSON, [*NOT_KEPT, *(headers or [])])


async def _refused(request: Request, error: OAuthRefused | Invalid) -> Response:
    """The refusal in RFC 6749's words; a failed authentication leaves its row here, all else where it was decided."""
    if not isinstance(error, OAuthRefused):
        return _json({"error": "invalid_request", "error_description": "the form can't be read"}, error.status)
    if error.status == 401:
        await request.site.denied(ANONYMOUS, request.remote, 401)
        kind = "Bearer" if error.error == "invalid_token" else "Basic"
        challenge = f'{kind} realm="suture"' + (', error="invalid_token"' if kind == "Bearer" else "")
        return _json(error.body(), 401, [(b"www-authenticate", challenge.encode())])
    return _json(error.body(), error.status)


ROUTES = [
    Route("POST", "/auth/token", token, access="anonymous"),
    Route("POST", "/auth/introspect", asked_about, access="anonymous"),
    Route("POST", "/auth/revoke", revoked, access="anonymous"),
]
