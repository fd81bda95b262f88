"""Who calls the gateway: an API key, an OAuth client's token, or a client certificate; and whether that opens a route.

https://datatracker.ietf.org/doc/html/rfc8705 (certificates)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from suture.access import smart
from suture.access.caller import Caller, Scope
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Unauthenticated
from suture.services.gateway import bounds
from suture.services.gateway.bounds import Limits
from suture.services.gateway.route_file import Certificate, GatewayRoute
from suture.settings import Settings
from suture.store import gateway_keys
from suture.store.database import Database
from suture.store.gateway_keys import Key

MARK = "gk_"
MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Who:
    """A caller of the gateway. `routes` are those a key names; None for callers that a route itself names."""

    caller: Caller
    name: str  # as usage is counted: key:…, client:…, certificate:…
    plan: str = ""
    limits: Limits = field(default_factory=Limits)
    routes: frozenset[str] | None = None


def new_key() -> str:
    """256 random bits, with a mark by which leaked ones are found."""
    return MARK + new_token()


def refused() -> Unauthenticated:
    """The one answer for no key, an unknown, a revoked and an expired one."""
    return Unauthenticated("no credential that is good", mend="Send X-API-Key: KEY or Authorization: Bearer KEY.")


class Keys:
    """Keys by their value; a revoked one stops within session.recheck."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._recheck = float(settings["session.recheck"])
        self._known: dict[str, tuple[float, int, str, Who | None]] = {}  # until, end of the key, its id
        self._came: dict[str, int] = {}

    def who(self, value: str) -> Who:
        """The caller of a key; raises Unauthenticated, alike for every reason."""
        now = self._clock.monotonic()
        known = self._known.get(value)
        if known is None or known[0] < now:
            found = gateway_keys.by_value(self._database.read, value, self._clock.micros())
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            kept = (found.expires, found.id, _of(found)) if found else (0, "", None)
            known = self._known[value] = (now + self._recheck, *kept)
        _, expires, id, who = known
        if who is None or (expires and expires <= self._clock.micros()):
            raise refused()
        self._came[id] = self._clock.micros()
        return who

    def came(self) -> Mapping[str, int]:
        """When which key last came, since the last call."""
        came, self._came = self._came, {}
        return came


def _of(key: Key) -> Who:
    given = key.attributes
    scopes = smart.parse(" ".join(given.get("scopes", ())))
    caller = Caller(f"key:{key.id}", "client", key.name, scopes, given.get("patient") or None)
    limits = Limits(tuple((str(name), int(count)) for name, count in given.get("limits", ())))
    return Who(caller, f"key:{key.name}", str(given.get("plan", "")), limits, frozenset(given.get("routes", ())))


def of_token(caller: Caller) -> Who:
    """A caller whose token the authorization server gave out."""
    return Who(caller, f"client:{caller.client or caller.id.removeprefix('client:')}")


def of_certificate(mark: str, subject: str, route: GatewayRoute) -> Who | None:
    """The caller that a route names by the SHA-256 or the subject of a certificate, which TLS has verified."""
    for one in route.certificates:
        if (one.fingerprint and one.fingerprint == mark) or (one.subject and one.subject == subject):
            return _named(one)
    return None


def _named(one: Certificate) -> Who:
    caller = Caller(f"certificate:{one.name}", "client", one.name, one.scopes)
    return Who(caller, f"certificate:{one.name}", one.plan)


def may_call(who: Who, route: GatewayRoute) -> bool:
    """Whether this route is open to this caller."""
    if who.name.startswith("key:"):
        return route.keys and who.routes is not None and route.id in who.routes
    if who.name.startswith("certificate:"):
        return True  # of_certificate found it in this route
    if route.clients and who.name.removeprefix("client:") not in route.clients:
        return False
    if not route.scopes:
        return route.local  # policy judges there; an upstream needs a scope that says so
    return all(any(_covers(held, wanted) for held in who.caller.scopes) for wanted in route.scopes)


def _covers(held: Scope, wanted: Scope) -> bool:
    return (
        held.context == wanted.context
        and held.type in ("*", wanted.type)
        and set(wanted.letters) <= set(held.letters)
        and not held.query
    )


def limits_of(who: Who, route: GatewayRoute, plans: Mapping[str, Limits]) -> tuple[bounds.Bound, ...]:
    """Everything this request must pass: the route's, each caller's on it, the caller's own and its plan's."""
    found = route.limits.bounds(f"route:{route.id}") + route.each.bounds(f"route:{route.id}/{who.name}")
    found += who.limits.bounds(who.name)
    plan = who.plan or route.plan
    return found + plans[plan].bounds(f"plan:{plan}/{who.name}") if plan in plans else found
