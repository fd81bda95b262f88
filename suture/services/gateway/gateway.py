"""The gateway of one process: lets callers in within their limits, passes requests on, tries again where that is safe, counts.

Retries and idempotency: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from suture.clock import Clock
from suture.connectors.connection import Connection
from suture.connectors.connection_auth import Secret
from suture.connectors.gate import Resolve, system_resolve
from suture.connectors.upstream import Exchange, Sent, Upstream
from suture.errors import NotFound, SendAmbiguous, SendFailed, SendUnavailable, SutureError, TooLarge, Unavailable
from suture.services.gateway import bounds, callers, header_rules, meter
from suture.services.gateway.bounds import Limits
from suture.services.gateway.callers import Keys, Who
from suture.services.gateway.circuit import Breaker
from suture.services.gateway.header_rules import Headers
from suture.services.gateway.limits import Keeper, Ticket
from suture.services.gateway.meter import Meter
from suture.services.gateway.route_file import GatewayRoute, Plan
from suture.settings import Settings
from suture.store import gateway_budgets, gateway_keys
from suture.store.connection import Tx
from suture.store.database import Database

log = logging.getLogger("suture.gateway")
SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
BUSY = frozenset({502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between tries; each is a random part of it
BUFFERED = 64 * 1024  # a body up to this size is read whole, so that it can be sent again
SWEEP = 3600.0


@dataclass(slots=True)
class Call:
    """One request for a route; `path` is below it, as the upstream shall see it."""

    method: str
    path: str
    query: str
    headers: Headers
    remote: str
    secure: bool
    id: str
    length: int | None  # of the body; 0: there is none, None: not known
    parts: AsyncIterator[bytes]

    @property
    def keyed(self) -> bool:
        """Whether the caller says that the same request may come twice (Idempotency-Key, IETF draft)."""
        return any(name == b"idempotency-key" and value for name, value in self.headers)


@dataclass(slots=True)
class _Way:
    """What a route needs in this process."""

    route: GatewayRoute
    breaker: Breaker
    turn: asyncio.Semaphore


class Gateway:
    """`start`, then `enter` and `passed` for each request; `stop` gives back and writes what is counted."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        routes: Mapping[str, GatewayRoute],
        plans: Mapping[str, Plan],
        connections: Mapping[str, Connection],
        secret: Secret,
        allow: Callable[[Connection], None],
        resolve: Resolve = system_resolve,
    ) -> None:
        self.routes = routes
        self.plans = {plan.id: plan.limits for plan in plans.values()}
        self.keys = Keys(database, clock, settings)
        self.keeper = Keeper(database, clock)
        self.meter = Meter(clock)
        self._database = database
        self._clock = clock
        self._settings = settings
        self._connections = connections
        self._secret = secret
        self._allow = allow
        self._resolve = resolve
        self._upstreams: dict[str, Upstream] = {}
        self._may_send: dict[str, float] = {}  # connection -> until when its agreement need not be looked at again
        self._ways = {
            route.id: _Way(
                route, Breaker(route.circuit, clock, f"gateway/{route.id}"), asyncio.Semaphore(route.concurrency)
            )
            for route in routes.values()
        }
        self._chart: Limits = bounds.words(settings["gateway.fhir_limits"], "gateway.fhir_limits")
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._tending = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        await self.keeper.close()
        await self._write(everything=True)
        for upstream in self._upstreams.values():
            await upstream.close()

    def circuit(self, route: str) -> str:
        return self._ways[route].breaker.state

    async def enter(self, who: Who, route: GatewayRoute) -> Ticket:
        """Lets a request in, or raises TooMany."""
        return await self.keeper.enter(callers.limits_of(who, route, self.plans))

    async def enter_chart(self, caller: str) -> Ticket:
        """The same for our own FHIR API."""
        return await self.keeper.enter(self._chart.bounds(f"fhir/{caller}"))

    async def passed(self, route: GatewayRoute, who: Who, call: Call) -> Exchange:
        """The upstream's answer, its body still to come; the caller closes it."""
        way, upstream = self._ways[route.id], self._upstream(route)
        await self._turn(way)
        try:
            exchange = await self._tried(way, upstream, await self._sent(route, who, call, upstream), call)
        except BaseException:
            way.turn.release()
            raise
        exchange.after = way.turn.release
        return exchange

    async def _turn(self, way: _Way) -> None:
        """Waits while as many requests run as the route allows; raises Unavailable after its time-out."""
        try:
            async with asyncio.timeout(way.route.timeout):
                await way.turn.acquire()
        except TimeoutError:
            raise Unavailable("the upstream has too much to do", where=f"gateway/{way.route.id}") from None

    def _upstream(self, route: GatewayRoute) -> Upstream:
        connection = self._connections[route.to]
        now = self._clock.monotonic()
        if self._may_send.get(route.to, -1.0) <= now:
            self._allow(connection)
            self._may_send[route.to] = now + float(self._settings["session.recheck"])
        found = self._upstreams.get(route.to)
        if found is None:
            found = self._upstreams[route.to] = Upstream(
                connection, self._secret, self._clock, timeout=route.timeout, resolve=self._resolve
            )
        return found

    async def _sent(self, route: GatewayRoute, who: Who, call: Call, upstream: Upstream) -> Sent:
        own: Headers = [
            (b"x-forwarded-for", call.remote.encode()),
            (b"x-forwarded-proto", b"https" if call.secure else b"http"),
            (b"x-request-id", call.id.encode()),
            (b"via", b"1.1 suture"),
        ]
        if route.caller_header:
            own.append((route.caller_header, who.caller.name.encode("latin-1", "replace")))
        headers = header_rules.onward(call.headers, route.request, own)
        path = (upstream.base + call.path if call.path != "/" or not upstream.base else upstream.base) or "/"
        sent = Sent(call.method, f"{path}?{call.query}" if call.query else path, headers)
        if call.length != 0:
            begun, whole = await _begun(call.parts)
            if whole:
                sent.body = begun
            else:
                sent.parts, sent.length = _all_of(begun, call.parts), call.length
        return sent

    async def _tried(self, way: _Way, upstream: Upstream, sent: Sent, call: Call) -> Exchange:
        """One try after the other, while repeating does no harm and there is time."""
        end, renewed = self._clock.monotonic() + way.route.timeout, False
        for number in range(way.route.retries + 2):
            last = number >= way.route.retries or sent.parts is not None
            way.breaker.enter()
            try:
                exchange = await upstream.open(_copy(sent), way.route.timeout)
            except SendFailed as error:
                way.breaker.failed()
                if last or not _repeats(error, call) or self._clock.monotonic() >= end:
                    raise
                wait = 0.0
            except BaseException:
                way.breaker.left()
                raise
            else:
                if exchange.status == 401 and sent.parts is None and not renewed and upstream.forget_token():
                    renewed = True  # the upstream refused our token, not the caller's: another one is bought
                    way.breaker.left()
                    await exchange.close()
                    continue
                if exchange.status not in BUSY:
                    way.breaker.worked()
                    return exchange
                way.breaker.failed()
                if last or not (call.method in SAFE_TO_REPEAT or call.keyed) or self._clock.monotonic() >= end:
                    return exchange
                wait = _asked(exchange.headers)
                await exchange.close()
            await asyncio.sleep(max(wait, random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**number))))
        raise SendUnavailable("no answer", where=upstream.id)

    async def _tend(self) -> None:
        swept = self._clock.monotonic()
        while True:
            await asyncio.sleep(1.0)
            try:
                await self.keeper.tend()
                await self._write()
                if self._clock.monotonic() - swept > SWEEP:
                    swept = self._clock.monotonic()
                    await self._database.write(gateway_budgets.sweep)
            except SutureError as error:
                log.warning("the gateway's figures can't be written now: %s", error.code)

    async def _write(self, everything: bool = False) -> None:
        minutes = self.meter.due(everything)
        came = self.keys.came() if minutes or everything else {}
        if not minutes and not came:
            return
        kept = float(self._settings["gateway.minutes_kept"]), float(self._settings["gateway.days_kept"])

        def unit(tx: Tx) -> None:
            meter.write(tx, minutes, *kept)
            for id, at in came.items():
                gateway_keys.touch(tx, id, at)

        try:
            await self._database.write(unit)
        except Unavailable:
            self.meter.again(minutes)
            if not everything:
                raise


async def _begun(parts: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """The beginning of a body, and whether that is all: nothing goes on before it is known to be sound so far."""
    begun = bytearray()
    async for part in parts:
        begun += part
        if len(begun) > BUFFERED:
            return bytes(begun), False
    return bytes(begun), True


async def _all_of(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for part in rest:
        yield part


def _copy(sent: Sent) -> Sent:
    """A try changes the headers it was given."""
    return Sent(sent.method, sent.path, list(sent.headers), sent.body, sent.parts, sent.length)


def _repeats(error: SendFailed, call: Call) -> bool:
    """Whether another try can do no harm: nothing arrived, or the same request may come twice."""
    return isinstance(error, SendUnavailable) or (isinstance(error, SendAmbiguous) and call.keyed)


def _asked(headers: Headers) -> float:
    """Seconds of Retry-After, as far as a caller can wait for them."""
    text = next((value for name, value in headers if name == b"retry-after"), b"")
    return min(float(text), LONGEST_WAIT) if text.isdigit() and len(text) < 6 else 0.0


def require_size(route: GatewayRoute, length: int | None) -> None:
    """Raises TooLarge before anything is sent on."""
    if length is not None and length > route.max_body:
        raise TooLarge(
            f"the body is larger than {route.max_body} bytes", where=f"gateway/{route.id}", mend="Send it in parts."
        )


def nothing_here() -> NotFound:
    """Unknown and not open to this caller look the same."""
    return NotFound("nothing at this address")
