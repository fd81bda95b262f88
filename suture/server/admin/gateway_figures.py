"""The gateway at a glance: routes and how their upstreams do, who used them how much and how long it took, and the keys."""

from __future__ import annotations

from typing import TypedDict

from suture.errors import Invalid, NotFound
from suture.server.admin import asked, deeds, pages, rows
from suture.server.route import Request, Response, Route
from suture.services.gateway import keyring, meter
from suture.services.gateway.gateway import Gateway
from suture.services.gateway.meter import Sum, percentile
from suture.services.gateway.route_file import GatewayRoute
from suture.store import gateway_keys
from suture.store.gateway_keys import Key
from suture.store.gateway_usage import DAY, MICROS, MINUTE, Used

# what may be looked at -> seconds back from now, and the rows they are summed from
SPANS = {"hour": (3600, MINUTE), "day": (86_400, MINUTE), "month": (31 * 86_400, DAY)}
SPAN = {"span": "hour, day or month"}
NEW = {
    "name": "whose key it is",
    "route": "routes it opens, separated by blanks",
    "plan": "a plan of routes/*.yaml",
    "limits": "limits of its own, such as minute=60 day=5000",
    "scope": "SMART scopes, for routes to our own FHIR API",
    "patient": "the patient of patient/ scopes",
    "expires": "its life, such as 90d; empty: until it is revoked",
}
ROTATE = {"overlap": "how long the old value works on; empty: 24h"}


class RouteRow(TypedDict):
    """A route. `circuit`: closed, open (its upstream fails and is left alone) or half-open, in the process that answers."""

    id: str
    title: str
    to: str
    methods: list[str]
    opened_by: list[str]
    limits: str
    each: str
    plan: str
    circuit: str
    requests: int
    refused: int
    failed: int
    p50: float
    p95: float
    p99: float


class UseRow(TypedDict):
    """What one caller used of one route; latencies in milliseconds, right to 10 percent."""

    route: str
    caller: str
    requests: int
    refused: int
    failed: int
    bytes_in: int
    bytes_out: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


class KeyRow(TypedDict):
    """A key without its value."""

    name: str
    routes: list[str]
    plan: str
    limits: str
    scopes: list[str]
    state: str
    created: str
    expires: str
    used: str
    old_until: str


class PlanRow(TypedDict):
    """A plan of the project."""

    id: str
    limits: str


class GatewayView(TypedDict):
    """Routes, use within a span of time (of other processes up to the last whole minute), keys and plans."""

    span: str
    routes: list[RouteRow]
    use: list[UseRow]
    keys: list[KeyRow]
    plans: list[PlanRow]


class MadeKey(TypedDict):
    """A key; `key` is its value, told here and never again."""

    name: str
    key: str


def _gateway(request: Request) -> Gateway:
    found = request.site.gateway
    if found is None:
        raise NotFound("no gateway runs here")
    return found


def view(request: Request) -> GatewayView:
    """As it stands now."""
    gateway, span = _gateway(request), dict(request.pairs()).get("span") or "hour"
    if span not in SPANS:
        raise Invalid("no such span", where="span", mend=f"One of: {', '.join(SPANS)}.")
    back, of = SPANS[span]
    now = request.site.clock.micros()
    sums = meter.report(
        request.site.database.read, of, now // MICROS - back, now // MICROS + 1, gateway.meter.pending()
    )
    used: dict[str, Used] = {}
    for one in sums:
        used.setdefault(one.route, Used()).add(one.used)
    return {
        "span": span,
        "routes": [_route(gateway, one, used.get(one.id, Used())) for _, one in sorted(gateway.routes.items())],
        "use": [_use(one) for one in sums],
        "keys": [_key(one, now) for one in gateway_keys.listing(request.site.database.read)],
        "plans": [{"id": id, "limits": str(limits)} for id, limits in sorted(gateway.plans.items())],
    }


def _route(gateway: Gateway, one: GatewayRoute, used: Used) -> RouteRow:
    opened = [
        *(["keys"] if one.keys else []),
        *(["tokens"] if one.scopes or (one.local and not one.clients) or one.clients else []),
        *(["certificates"] if one.certificates else []),
    ]
    return {
        "id": one.id, "title": one.title, "to": one.to, "methods": sorted(one.methods), "opened_by": opened,
        "limits": str(one.limits), "each": str(one.each), "plan": one.plan, "circuit": gateway.circuit(one.id),
        "requests": used.requests, "refused": used.refused, "failed": used.failed,
        "p50": _ms(used, 50), "p95": _ms(used, 95), "p99": _ms(used, 99),
    }  # fmt: skip


def _use(one: Sum) -> UseRow:
    used = one.used
    return {
        "route": one.route, "caller": one.caller, "requests": used.requests, "refused": used.refused, "failed": used.failed,
        "bytes_in": used.bytes_in, "bytes_out": used.bytes_out, "mean": round(used.micros / max(1, used.requests) / 1000, 2),
        "p50": _ms(used, 50), "p90": _ms(used, 90), "p95": _ms(used, 95), "p99": _ms(used, 99),
    }  # fmt: skip


def _ms(used: Used, percent: float) -> float:
    return round(percentile(used.spread, percent) * 1000, 2)


def _key(one: Key, now: int) -> KeyRow:
    given = one.attributes
    return {
        "name": one.name, "routes": list(given.get("routes", ())), "plan": str(given.get("plan", "")),
        "limits": keyring.limits(one), "scopes": list(given.get("scopes", ())), "state": keyring.state(one, now),
        "created": rows.when(one.created), "expires": rows.when(one.expires), "used": rows.when(one.used),
        "old_until": rows.when(one.old_until) if one.old_until > now else "",
    }  # fmt: skip


async def gateway_page(request: Request) -> Response:
    """Everything on one page, with the forms for keys."""
    async with request.site.interactions.access(request.caller, "list", "Gateway"):
        return _page(request)


def _page(request: Request, made: MadeKey | None = None) -> Response:
    return pages.page(request, "gateway.html", **view(request), spans=list(SPANS), made=made)


async def gateway_json(request: Request) -> Response:
    """Routes, use by caller with percentiles, keys and plans."""
    async with request.site.interactions.access(request.caller, "list", "Gateway"):
        return pages.as_json(view(request))


async def add(request: Request) -> MadeKey:
    """A new key, told here and never again."""
    given, gateway = await asked.fields(request, NEW), _gateway(request)
    wish = keyring.Wish(
        given.get("name", ""), given.get("route", "").split(), given.get("plan", ""), given.get("limits", ""),
        given.get("scope", ""), given.get("patient", ""), given.get("expires", ""),
    )  # fmt: skip
    value, unit = keyring.add(wish, gateway.routes, gateway.plans, request.caller.id)
    made = await request.site.database.write(unit)
    return {"name": made.name, "key": value}


async def rotate(request: Request) -> MadeKey:
    """A new value of a key; the old one works on for a while."""
    overlap = (await asked.fields(request, ROTATE)).get("overlap") or "24h"
    value, unit = keyring.rotate(request.params["name"], overlap, request.caller.id)
    made = await request.site.database.write(unit)
    return {"name": made.name, "key": value}


async def revoke(request: Request) -> MadeKey:
    """Ends a key, within session.recheck in every process."""
    ended = await request.site.database.write(keyring.revoke(request.params["name"], request.caller.id))
    return {"name": ended.name, "key": ""}


async def add_page(request: Request) -> Response:
    """A new key, told on this page only."""
    return _page(request, await add(request))


async def rotate_page(request: Request) -> Response:
    """A new value of a key, told on this page only."""
    return _page(request, await rotate(request))


_LOOK, _MANAGE = "metrics.read", "gateway.manage"
ROUTES = [
    Route("GET", "/routes", gateway_page, _LOOK, query=SPAN),
    Route("POST", "/routes/keys", add_page, _MANAGE, fields=NEW),
    Route("POST", "/routes/keys/{name}/rotate", rotate_page, _MANAGE, fields=ROTATE),
    Route("POST", "/routes/keys/{name}/revoke", deeds.form(revoke, "/routes"), _MANAGE),
    Route("GET", "/api/gateway", gateway_json, _LOOK, query=SPAN, answer=GatewayView),
    Route("POST", "/api/gateway/keys", deeds.program(add), _MANAGE, fields=NEW, answer=MadeKey),
    Route("POST", "/api/gateway/keys/{name}/rotate", deeds.program(rotate), _MANAGE, fields=ROTATE, answer=MadeKey),
    Route("POST", "/api/gateway/keys/{name}/revoke", deeds.program(revoke), _MANAGE, answer=MadeKey),
]
