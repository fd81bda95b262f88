"""Reads `routes/*.yaml`: which upstream a route leads to, who may call it, what is changed, and within which limits.

Every finding has line, column and what to write instead; docs/gateway.md is its page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

from suture import component, yaml
from suture.access import smart
from suture.access.caller import Scope
from suture.component import Component, Field
from suture.errors import InvalidFile, Problem, Problems, SutureError
from suture.services.gateway import bounds, header_rules, paths
from suture.services.gateway.bounds import Limits
from suture.services.gateway.header_rules import Rules
from suture.services.gateway.paths import Paths

ROUTE, PLAN = "route/1", "plan/1"
LOCAL = "local"  # our own FHIR API
ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
T = TypeVar("T")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")

FIELDS = Component(
    "route", "route", "Gateway route", "Lets callers reach one upstream, below /gateway/ID/.",
    (
        Field("to", "string", "id of an http or fhir connection, or local for our own FHIR API", required=True),
        Field("methods", "list", "methods that are passed on", default=["GET", "HEAD"]),
        Field("paths", "list", "path prefixes that are open (whole parts); default: all"),
        Field("strip", "string", "prefix that is taken off the path; other paths are not there"),
        Field("prepend", "string", "what is put before the path, below the connection's base"),
        Field("request", "object", "headers of the request: {set: {NAME: VALUE}, remove: [NAME]}"),
        Field("response", "object", "headers of the answer: {set: {NAME: VALUE}, remove: [NAME]}"),
        Field("caller_header", "string", "header that tells the upstream who calls"),
        Field("max_body", "size", "largest request body", default="10MiB"),
        Field("max_answer", "size", "largest answer; a longer one is cut off and the connection closed", default="256MiB"),
        Field("timeout", "duration", "how long the upstream may take to answer, and between two parts of an answer", default="30s"),
        Field("retries", "integer", "more tries for requests that may be repeated (GET, HEAD, OPTIONS, PUT, DELETE, or with Idempotency-Key)", default=2),
        Field("circuit", "object", "{failures: in a row that open the circuit, open: how long}", default={"failures": 5, "open": "30s"}),
        Field("concurrency", "integer", "requests at once to the upstream from one process", default=64),
        Field("keys", "boolean", "API keys that name this route may call", default=True),
        Field("clients", "list", "OAuth clients that may call, by id"),
        Field("scope", "string", "SMART scopes an OAuth client must hold for this route; without it no token opens the route"),
        Field("certificates", "list", "client certificates that may call: {name, fingerprint | subject, scope, plan}"),
        Field("plan", "string", "plan of callers that have none of their own"),
        Field("limits", "object", "limits of the route, all callers together: second, burst, minute, hour, day, month, concurrency"),
        Field("each", "object", "limits of each caller on this route"),
    ),
    "{suture: route/1, id: orders, to: lab-api, methods: [GET, POST], each: {minute: 60}}",
)  # fmt: skip
PLAN_FIELDS = Component(
    "plan", "plan", "Plan", "Limits of a caller over all routes.",
    (Field("limits", "object", "second, burst, minute, hour, day, month, concurrency", required=True),),
    "{suture: plan/1, id: bronze, limits: {second: 5, burst: 20, day: 10000}}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate that may call."""

    name: str
    fingerprint: str = ""  # SHA-256 of the DER form, hexadecimal
    subject: str = ""  # RFC 4514
    scopes: tuple[Scope, ...] = ()
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Circuit:
    failures: int = 5
    open: float = 30.0


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """A route file as read."""

    id: str
    to: str
    title: str = ""
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    paths: Paths = field(default_factory=Paths)
    request: Rules = field(default_factory=Rules)
    response: Rules = field(default_factory=Rules)
    caller_header: bytes = b""
    max_body: int = 10 * 1024 * 1024
    max_answer: int = 256 * 1024 * 1024
    timeout: float = 30.0
    retries: int = 2
    circuit: Circuit = field(default_factory=Circuit)
    concurrency: int = 64
    keys: bool = True
    clients: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    plan: str = ""
    limits: Limits = field(default_factory=Limits)
    each: Limits = field(default_factory=Limits)
    file: str = ""

    @property
    def local(self) -> bool:
        return self.to == LOCAL


@dataclass(frozen=True, slots=True)
class Plan:
    id: str
    limits: Limits
    title: str = ""
    file: str = ""


def lint(text: str, file: str, connections: Mapping[str, str]) -> tuple[GatewayRoute | Plan | None, list[Problem]]:
    """The route or plan as far as it can be read, and every finding; `connections` are ids and kinds."""
    problems = Problems(file)
    try:
        document = yaml.load(text, file)
    except InvalidFile as error:
        return None, list(error.problems)
    kind = document.get("suture") if isinstance(document, dict) else None
    if kind not in (ROUTE, PLAN):
        at = yaml.value_at(document, "suture") if isinstance(document, dict) else yaml.START
        problems.add(at, "neither a route nor a plan", f"Begin with: suture: {ROUTE} or suture: {PLAN}")
        return None, problems.found
    reader = _Reader(document, problems)
    return (reader.plan() if kind == PLAN else reader.route(connections)), problems.found


class _Reader:
    """One document; every part adds its findings."""

    def __init__(self, document: Mapping[str, Any], problems: Problems) -> None:
        self._doc = document
        self._problems = problems
        self._values: Mapping[str, Any] = {}

    def plan(self) -> Plan | None:
        self._values = self._read(PLAN_FIELDS)
        id = self._id()
        return Plan(id, self._limits("limits"), self._title(), self._problems.file) if id else None

    def route(self, connections: Mapping[str, str]) -> GatewayRoute | None:
        values = self._values = self._read(FIELDS)
        id, to = self._id(), self._to(connections)
        made = GatewayRoute(
            id=id,
            to=to,
            title=self._title(),
            methods=self._methods(),
            paths=self._paths(),
            request=self._rules("request"),
            response=self._rules("response"),
            caller_header=self._name("caller_header"),
            max_body=component.size(values["max_body"]),
            max_answer=component.size(values["max_answer"]),
            timeout=component.seconds(values["timeout"]),
            retries=self._between("retries", 0, 5),
            circuit=self._circuit(),
            concurrency=self._between("concurrency", 1, 10_000),
            keys=bool(values["keys"]),
            clients=self._texts("clients"),
            scopes=self._scopes(values["scope"], self._doc, "scope"),
            certificates=self._certificates(),
            plan=str(values["plan"] or ""),
            limits=self._limits("limits"),
            each=self._limits("each"),
            file=self._problems.file,
        )
        self._someone(made)
        return made if id and to else None

    def _read(self, of: Component) -> dict[str, Any]:
        own = _Part(self._doc, {str(k): v for k, v in self._doc.items() if k not in ("suture", "id", "title")})
        return component.read(of, own, self._problems)

    def _title(self) -> str:
        return str(self._doc.get("title") or "")

    def _at(self, key: str) -> tuple[int, int]:
        return yaml.value_at(self._doc, key)

    def _id(self) -> str:
        value = self._doc.get("id")
        if isinstance(value, str) and ID.fullmatch(value):
            return str(value)
        self._problems.add(self._at("id"), "an id of small letters, digits and '-' is needed", "Write id: lab-orders")
        return ""

    def _to(self, connections: Mapping[str, str]) -> str:
        to = self._values["to"]
        if to is None:
            return ""
        if to == LOCAL or connections.get(to) in ("http", "fhir"):
            return str(to)
        if to in connections:
            self._problems.add(self._at("to"), f"'{to}' is no HTTP connection", "Name one of kind http or fhir.")
            return ""
        close = get_close_matches(str(to), [LOCAL, *connections], 1)
        mend = f"Did you mean '{close[0]}'?" if close else f"Write connections/{to}.yaml, or to: {LOCAL}"
        self._problems.add(self._at("to"), f"no connection named '{to}'", mend)
        return ""

    def _methods(self) -> frozenset[str]:
        found = self._texts("methods")
        for method in found:
            if method not in METHODS:
                self._problems.add(
                    self._at("methods"), f"'{method}' is not passed on", f"There are: {', '.join(METHODS)}."
                )
        return frozenset(found)

    def _paths(self) -> Paths:
        values = self._values
        nothing: tuple[str, ...] = ()
        open_ = tuple(self._try("paths", partial(paths.prefix, one), nothing) for one in self._texts("paths"))
        strip = self._try("strip", partial(paths.prefix, str(values["strip"] or "")), nothing)
        prepend = str(values["prepend"] or "").strip("/")
        self._try("prepend", partial(paths.prefix, prepend), nothing)
        return Paths(open_ or ((),), strip, f"/{prepend}" if prepend else "")

    def _rules(self, key: str) -> Rules:
        given = self._values[key] or {}
        for name in given:
            if name not in ("set", "remove"):
                self._problems.add(yaml.at(given, name), f"'{key}' has no '{name}'", "There are: set, remove.")
        table, names = given.get("set") or {}, given.get("remove") or []
        if not isinstance(table, dict) or not isinstance(names, list):
            self._problems.add(
                self._at(key), f"'{key}' is not in this form", "Write {set: {NAME: VALUE}, remove: [NAME]}"
            )
            return Rules()
        set_ = [
            self._try_at(yaml.at(table, name), partial(header_rules.rule, str(name), str(value)), (b"", b""))
            for name, value in table.items()
        ]
        return Rules(tuple(set_), frozenset(str(name).lower().encode("latin-1", "replace") for name in names))

    def _name(self, key: str) -> bytes:
        value = self._values[key]
        return self._try(key, lambda: header_rules.rule(str(value), "")[0], b"") if value else b""

    def _circuit(self) -> Circuit:
        given = self._values["circuit"] or {}
        for name in given:
            if name not in ("failures", "open"):
                self._problems.add(yaml.at(given, name), f"'circuit' has no '{name}'", "There are: failures, open.")
        failures = given.get("failures", 5)
        if isinstance(failures, bool) or not isinstance(failures, int) or failures < 1:
            self._problems.add(
                yaml.value_at(given, "failures"), "'failures' must be a number above 0", "Write failures: 5"
            )
            failures = 5
        open_ = self._try_at(yaml.value_at(given, "open"), lambda: component.seconds(given.get("open", 30.0)), 30.0)
        return Circuit(failures, open_)

    def _certificates(self) -> tuple[Certificate, ...]:
        found = []
        for number, one in enumerate(self._values["certificates"] or []):
            at = yaml.at(self._values["certificates"], number)
            if (
                not isinstance(one, dict)
                or not one.get("name")
                or bool(one.get("fingerprint")) == bool(one.get("subject"))
            ):
                self._problems.add(
                    at,
                    "a certificate needs a name, and a fingerprint or a subject",
                    "Write {name: lab, fingerprint: …}",
                )
                continue
            for key in one:
                if key not in ("name", "fingerprint", "subject", "scope", "plan"):
                    self._problems.add(
                        yaml.at(one, key),
                        f"a certificate has no '{key}'",
                        "There are: name, fingerprint, subject, scope, plan.",
                    )
            mark = str(one.get("fingerprint") or "").replace(":", "").lower()
            if mark and not _FINGERPRINT.fullmatch(mark):
                self._problems.add(
                    yaml.value_at(one, "fingerprint"),
                    "not the SHA-256 of a certificate",
                    "Run: openssl x509 -noout -fingerprint -sha256 -in FILE",
                )
            scopes = self._scopes(one.get("scope"), one, "scope")
            found.append(
                Certificate(str(one["name"]), mark, str(one.get("subject") or ""), scopes, str(one.get("plan") or ""))
            )
        return tuple(found)

    def _scopes(self, text: Any, node: Mapping[str, Any], key: str) -> tuple[Scope, ...]:
        return self._try_at(yaml.value_at(node, key), lambda: smart.parse(str(text)), ()) if text else ()

    def _limits(self, key: str) -> Limits:
        given = self._values.get(key) or {}
        if not isinstance(given, dict):
            return Limits()
        return self._try(key, lambda: bounds.read(yaml.plain(given), key), Limits())

    def _texts(self, key: str) -> tuple[str, ...]:
        given = self._values[key] or []
        for number, one in enumerate(given):
            if not isinstance(one, str):
                self._problems.add(yaml.at(given, number), f"'{key}' is a list of texts", "Put it in quotes.")
        return tuple(str(one) for one in given)

    def _between(self, key: str, least: int, most: int) -> int:
        value = self._values[key]
        if not least <= value <= most:
            self._problems.add(self._at(key), f"'{key}' must be from {least} to {most}", f"Write {key}: {least}")
        return min(max(int(value), least), most)

    def _someone(self, made: GatewayRoute) -> None:
        if not (made.keys or made.clients or made.scopes or made.certificates):
            self._problems.add(yaml.START, "nobody may call this route", "Write keys: true, scope: or certificates:")
        if made.clients and not made.scopes and not made.local:
            self._problems.add(
                self._at("clients"), "a token opens this route only with a scope", "Write scope: system/Patient.r"
            )

    def _try(self, key: str, call: Callable[[], T], otherwise: T) -> T:
        return self._try_at(self._at(key), call, otherwise)

    def _try_at(self, at: tuple[int, int], call: Callable[[], T], otherwise: T) -> T:
        try:
            return call()
        except SutureError as error:
            self._problems.add(at, error.text, error.mend)
        except ValueError as error:
            self._problems.add(at, str(error), "")
        return otherwise


class _Part(dict[str, Any]):
    """Some keys of a table, each still at its place in the file."""

    def __init__(self, whole: Any, part: Mapping[str, Any]) -> None:
        super().__init__(part)
        self.lc = getattr(whole, "lc", None)


def cross_problems(routes: Mapping[str, GatewayRoute], plans: Mapping[str, Plan]) -> list[Problem]:
    """Plans that are named and not there."""
    return [
        Problem(route.file, 1, 1, f"no plan named '{name}'", f"Write routes/{name}.yaml: {PLAN_FIELDS.example}")
        for route in routes.values()
        for name in (route.plan, *(one.plan for one in route.certificates))
        if name and name not in plans
    ]
