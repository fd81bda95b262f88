"""`/gateway/{route}/…`: who calls, what for, within which limits; then on to the upstream or to our own FHIR API.

https://www.rfc-editor.org/rfc/rfc9110#section-7.6
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

from suture.connectors.upstream import Exchange
from suture.errors import NotFound, SendFailed, SutureError, TooLarge, Unauthenticated, Unavailable
from suture.server.identify import shows_certificate, stood
from suture.server.route import Headers, Request, Response, Route
from suture.server.router import MethodNotOffered, Router
from suture.services.gateway import callers, header_rules, paths
from suture.services.gateway.callers import Who
from suture.services.gateway.gateway import Call, Gateway, nothing_here, require_size
from suture.services.gateway.limits import Ticket
from suture.services.gateway.route_file import METHODS, GatewayRoute
from suture.store import audit

SMALL = 64 * 1024  # an answer up to this size is sent in one piece
# what another server sends under our address runs as nobody: no script, no cookie, no console
_BOXED = [(b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'")]


@dataclass(slots=True)
class Visit:
    """One request at the gateway, from the door to the last byte of its answer."""

    request: Request
    gateway: Gateway
    started: float
    route: GatewayRoute | None = None
    who: Who | None = None
    ticket: Ticket | None = None
    size_in: int = 0
    size_out: int = 0

    def ended(self, status: int) -> None:
        """Counts it, once, and lets the next one in."""
        if self.ticket is not None:
            self.ticket.leave()
            self.ticket = None
        if self.route is not None and self.who is not None:
            took = self.request.site.clock.monotonic() - self.started
            self.gateway.meter.count(self.route.id, self.who.name, status, took, self.size_in, self.size_out)
            self.route = None

    async def noted(self, status: int, detail: str = "") -> None:
        """Leaves the audit row, before anything of the answer is sent."""
        who, request = self.who, self.request
        row = audit.AuditRow(
            who.caller.id if who else "anonymous",
            "gateway",
            type=self.route.id if self.route else "",
            query=request.method if request.method in METHODS else "",
            outcome=status,
            address=request.remote,
            detail=detail,
            client=who.caller.client if who else "",
            grant=who.caller.grant if who else "",
        )
        if who is None or status in (401, 429):  # a flood of them is counted, see access/denials.py
            await request.site.people.denials.note(row)
        else:
            await request.site.database.write(lambda tx: audit.append(tx, row))


def handlers(table: Iterable[Route]) -> list[Route]:
    """The gateway's routes; `table` are those of our own FHIR API, which a route may lead to."""
    chart = Router(route for route in table if route.pattern.startswith("/fhir"))

    async def passed(request: Request) -> Response:
        """Passes a request on."""
        return await _passed(request, chart)

    patterns = ("/gateway", "/gateway/{route}", "/gateway/{route}/{rest...}")
    methods = [method for method in METHODS if method != "HEAD"]
    return [
        Route(method, pattern, passed, access="anonymous", scope="as the route's file says: key, token or certificate")
        for pattern in patterns
        for method in methods
    ]


async def _passed(request: Request, chart: Router) -> Response:
    gateway = request.site.gateway
    if gateway is None:
        raise Unavailable("no gateway runs here")
    visit = Visit(request, gateway, request.site.clock.monotonic())
    try:
        return await _let_in(visit, chart)
    except SutureError as error:
        if not error.audited:
            await visit.noted(error.status, error.code)
            error.audited = True
        visit.ended(error.status)
        raise
    except BaseException:
        visit.ended(500)
        raise


async def _let_in(visit: Visit, chart: Router) -> Response:
    request, gateway = visit.request, visit.gateway
    id, _, below = request.raw_path.removeprefix("/gateway").removeprefix("/").partition("/")
    query = paths.checked_query(request.query_string)
    paths.require_no_key(request.raw_path, query)
    route = gateway.routes.get(id)
    visit.who = who = _who(request, gateway, route)
    request.caller = stood(request, who.caller)
    if route is None or not callers.may_call(who, route):
        raise nothing_here()
    visit.route = route
    if request.method not in route.methods:
        raise MethodNotOffered(request.method, sorted(route.methods))
    path = route.paths.rewritten(below)
    if path is None:
        raise nothing_here()
    length = _length(request)
    require_size(route, length)
    visit.ticket = await gateway.enter(who, route)
    if route.local:
        return await _chart(visit, chart, path)
    request.site.database.require_writable()  # what can't be noted isn't done
    call = Call(
        request.method, path, query, list(request.header_list), request.remote, request.secure, request.id, length,
        _counted(visit, request.parts(route.max_body)),
    )  # fmt: skip
    return await _answer(visit, route, await gateway.passed(route, who, call))


def _who(request: Request, gateway: Gateway, route: GatewayRoute | None) -> Who:
    """The caller; raises Unauthenticated, the same for whatever is wrong with a credential."""
    kind, _, token = request.header(b"authorization").partition(" ")
    key, token = request.header(b"x-api-key").strip(), token.strip()
    if key and kind:
        raise callers.refused()
    if key or token.startswith(callers.MARK):
        if not key and kind.lower() != "bearer":
            raise callers.refused()
        return gateway.keys.who(key or token)
    if kind.lower() == "bearer":
        try:
            return callers.of_token(request.site.people.bearer(token))
        except Unauthenticated:
            raise callers.refused() from None
    found = None
    if shows_certificate(request) and route is not None and not kind:
        found = callers.of_certificate(request.certificate, request.subject, route)
    if found is None:
        raise callers.refused()
    return found


def _length(request: Request) -> int | None:
    """How long the body is; None when it comes in chunks of unknown number."""
    if b"transfer-encoding" in request.headers:
        return None
    text = request.headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 19 else 0


async def _counted(visit: Visit, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in parts:
        visit.size_in += len(part)
        yield part


async def _answer(visit: Visit, route: GatewayRoute, exchange: Exchange) -> Response:
    """The upstream's answer for the caller: noted, then passed on as it comes."""
    try:
        if not 200 <= exchange.status <= 599 or (exchange.length or 0) > route.max_answer:
            raise SendFailed("the upstream's answer can't be passed on", where=f"gateway/{route.id}")
        headers = header_rules.back(exchange.headers, route.response)
        await visit.noted(exchange.status)
        return await _passed_on(visit, route, exchange, headers)
    except BaseException:
        await exchange.close()
        raise


async def _passed_on(visit: Visit, route: GatewayRoute, exchange: Exchange, headers: Headers) -> Response:
    limits = visit.ticket.headers if visit.ticket else []
    response = Response(exchange.status, b"", b"application/octet-stream", [*headers, *limits, *_BOXED])
    bodiless = visit.request.method == "HEAD" or exchange.status in (204, 304)
    if not bodiless and (exchange.length is None or exchange.length > SMALL):
        stream = _Stream(visit, exchange, route.max_answer)
        response.stream, response.close = stream, stream.aclose
        if exchange.length is not None:
            response.headers.append((b"content-length", str(exchange.length).encode()))
        return response
    if bodiless and exchange.length is not None and exchange.status != 204:
        response.headers.append((b"content-length", str(exchange.length).encode()))
    response.body = b"".join([part async for part in exchange.parts()])
    visit.size_out = len(response.body)
    await exchange.close()
    visit.ended(exchange.status)
    return response


class _Stream:
    """The body of an answer as it comes; ends with the caller, or breaks off as the upstream did."""

    def __init__(self, visit: Visit, exchange: Exchange, most: int) -> None:
        self._visit = visit
        self._exchange = exchange
        self._most = most
        self._parts = exchange.parts()
        self._gone: asyncio.Task[None] | None = None
        self._status = 499  # the caller went away

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._gone is None and self._exchange.fed:  # before that, who reads the body hears of a caller who goes
            self._gone = asyncio.create_task(self._visit.request.gone())
        if self._gone is not None and self._gone.done():
            raise StopAsyncIteration
        try:
            part = await anext(self._parts)
        except StopAsyncIteration:
            self._status = self._exchange.status
            raise
        except SendFailed:
            self._status = 502
            raise
        self._visit.size_out += len(part)
        if self._visit.size_out > self._most:
            self._status = 502
            raise TooLarge("the upstream's answer is larger than the route allows", where="max_answer")
        return part

    async def aclose(self) -> None:
        """Whatever happened: the upstream's connection is let go, the request is counted."""
        if self._gone is not None:
            self._gone.cancel()
        await self._exchange.close()
        self._visit.ended(self._status)


async def _chart(visit: Visit, chart: Router, path: str) -> Response:
    """Our own FHIR API, as this caller; policy and audit are those of /fhir."""
    request, route, ticket = visit.request, visit.route, visit.ticket
    assert route is not None
    raw = "/fhir" + (path if path != "/" else "")
    request.path = "/fhir"  # errors are OperationOutcomes
    inner = replace(request, raw_path=raw, most=route.max_body)
    found, inner.params = chart.find(request.method, raw)
    if found.access not in ("anonymous", "caller"):
        raise NotFound("nothing at this address")
    response = await found.handler(inner)
    if response.stream is None:
        visit.size_out = len(response.body)
        visit.ended(response.status)
    response.headers += ticket.headers if ticket else []
    return response
