"""The ASGI shell: finds the route and the caller, runs the handler, turns every error into an answer, logs.

ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import suture.services.subscriptions.binding as binding
from suture.errors import Forbidden, Invalid, SutureError, Unauthenticated, Unavailable
from suture.server import answers, subscriptions
from suture.server.extras import allow_origin, compress, indent, preflight
from suture.server.identify import identify, shown
from suture.server.log import Log
from suture.server.protocol import CERTIFICATE
from suture.server.route import Request, Response, Route
from suture.server.router import Router
from suture.server.site import Site
from suture.services.gateway.limits import TooMany
from suture.services.subscriptions.sockets import Sockets
from suture.standards.fhir.definitions import RESOURCE_TYPES

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_SINGLE = (b"authorization", b"host", b"cookie", b"content-type", b"transfer-encoding", b"x-api-key")
_NO_STORE = (b"cache-control", b"no-store")
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


class Shell:
    """The ASGI application."""

    def __init__(self, site: Site, table: Iterable[Route], log: Log) -> None:
        self._site = site
        self._router = Router(table)
        self._log = log

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] == binding.PATH and self._site.sockets is not None:
            await self._subscribed(self._site.sockets, scope, receive, send)
            return
        if scope["type"] != "http":
            await _refuse(scope, receive, send)
            return
        started = self._site.clock.monotonic()
        request = self._request(scope, receive)
        route, response = await self._answer(request, scope)
        allow_origin(request, response)
        indent(request, response)
        compress(request, response)
        await _send(request, response, send)
        took = self._site.clock.monotonic() - started
        self._site.figures.count(route.pattern if route else "", request.method, response.status, took)
        self._log.write(
            "http",
            id=request.id,
            method=request.method[:20],
            route=route.pattern if route else "",
            type=known if (known := request.params.get("type", "")) in RESOURCE_TYPES else "",
            status=response.status,
            ms=round(took * 1000, 2),
            bytes=len(response.body),
            caller=request.caller.id,
        )

    async def _subscribed(self, sockets: Sockets, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """A websocket may be opened by somebody who shows a credential; one that is not good opens nothing."""
        request = self._request({**scope, "method": "GET"}, receive)
        try:
            _require_single(scope["headers"])
            caller = await shown(request)
        except SutureError:
            await _refuse(scope, receive, send)
            return
        await subscriptions.serve(sockets, receive, send, caller)

    async def _within(self, request: Request, route: Route) -> AbstractContextManager[object]:
        """Lets a caller of our own FHIR API in, within its limits."""
        if self._site.gateway is None or route.access == "anonymous" or not route.pattern.startswith("/fhir"):
            return nullcontext()
        try:
            return await self._site.gateway.enter_chart(request.caller.id)
        except TooMany as error:
            await self._site.denied(request.caller, request.remote, error.status)
            raise

    def _request(self, scope: Mapping[str, Any], receive: Receive) -> Request:
        client, card = scope.get("client"), scope.get("extensions", {}).get(CERTIFICATE, {})
        return Request(
            site=self._site,
            method=scope["method"],
            path=scope["path"],
            query_string=scope["query_string"],
            headers=dict(scope["headers"]),
            id=secrets.token_hex(8),
            remote=client[0] if client else "",
            secure=scope.get("scheme") == "https",
            receive=receive,
            certificate=card.get("sha256", ""),
            subject=card.get("subject", ""),
            raw_path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            header_list=scope["headers"],
        )

    async def _answer(self, request: Request, scope: Mapping[str, Any]) -> tuple[Route | None, Response]:
        route: Route | None = None
        if request.method == "OPTIONS" and (response := preflight(request)):
            return None, response
        try:
            _require_host(scope)
            _require_single(scope["headers"])
            route, request.params = self._router.find(request.method, request.raw_path)
            await identify(request, route)
            with await self._within(request, route):
                return route, await route.handler(request)
        except Exception as error:
            try:
                await self._note(request, route, error)
            except Unavailable as busy:
                error = busy
            return route, answers.from_error(request, error, self._log)

    async def _note(self, request: Request, route: Route | None, error: Exception) -> None:
        """No refusal of a known address leaves without its row, wherever it was raised."""
        if route is None or not isinstance(error, Unauthenticated | Forbidden):
            return
        if not error.audited:
            await self._site.denied(request.caller, request.remote, error.status)


def _require_host(scope: Mapping[str, Any]) -> None:
    """Raises Invalid for HTTP/1.1 without Host (RFC 9112, 3.2): whom it was meant for, nobody can tell."""
    if scope.get("http_version") == "1.1" and not any(name == b"host" for name, _ in scope["headers"]):
        raise Invalid("the Host header is missing", where="headers", mend="HTTP/1.1 asks for it: send Host.")


def _require_single(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises Invalid for two hosts or two credentials: who stands before us may have read the other one (RFC 9110, 5.3)."""
    names = [name for name, _ in headers if name in _SINGLE]
    if len(names) != len(set(names)):
        raise Invalid(
            "a header that may come once came twice", where="headers", mend="Send one Host and one Authorization."
        )
    if b"transfer-encoding" in names and (b"transfer-encoding", b"chunked") not in headers:
        raise Invalid("a transfer coding nobody here reads", where="headers", mend="Send Transfer-Encoding: chunked.")


async def _send(request: Request, response: Response, send: Send) -> None:
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": _headers(request, response)})
        body = b"" if request.method == "HEAD" else response.body
        if response.stream is None or request.method == "HEAD":
            await send({"type": "http.response.body", "body": body})
            return
        await send({"type": "http.response.body", "body": body, "more_body": True})
        async for part in response.stream:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if response.close is not None:
            await response.close()


def _headers(request: Request, response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request.id.encode()), *_SAFE, *response.headers]
    names = {name for name, _ in response.headers}
    if (response.body or response.stream is not None) and b"content-type" not in names:
        headers.append((b"content-type", response.type))
    if response.stream is None and response.status != 304 and b"content-length" not in names:
        headers.append((b"content-length", str(len(response.body)).encode()))
    headers += [h for h in (_POLICY, _NO_STORE) if h[0] not in names]
    if request.secure:
        headers.append(_TRANSPORT)
    return headers


async def _refuse(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Elsewhere nothing but HTTP is spoken; a WebSocket is closed before it opens."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
