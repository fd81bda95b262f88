"""Reads connection files: an address, how to prove oneself there, and how patient to be; never a secret itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from suture import component, yaml
from suture.component import Component, Field, seconds
from suture.connectors.target import target
from suture.errors import Invalid, InvalidFile, Problem, Problems

KIND = "connection/1"
SHARED_KEYS = ("suture", "id", "uses", "title", "partner", "environment", "auth")
CONNECTION_ID = re.compile(r"[a-z][a-z0-9-]*")
FILES = ("ca", "certificate")
ENVIRONMENTS = ("production", "sandbox", "test")

_PATIENCE = (
    Field("timeout", "duration", "how long the destination may take to answer; default: engine.send_timeout"),
    Field("on_ambiguous", "string", "a send whose answer was lost: send again, or park it for a person", default="retry", choices=("retry", "park")),
)  # fmt: skip
_WEB = (
    Field("concurrency", "integer", "requests at once", default=4),
    Field("headers", "object", "headers of every request"),
    Field("ca", "string", "PEM file of the authority that signed the server's certificate"),
    Field("certificate", "string", "PEM file with the own certificate, when the server asks for one"),
    Field("key", "secret", "secret:NAME with its private key (PEM)", secret=True),
    Field("insecure", "boolean", "allow http:// to another machine", default=False),
    Field("max_answer", "size", "largest answer that is read", default="16MiB"),
)

KINDS: dict[str, Component] = {
    c.name: c
    for c in (
        Component(
            "fhir", "connection", "FHIR R4 server", "Any FHIR R4 server: searched, polled and written to.",
            (Field("base", "string", "the server's FHIR base URL", required=True), *_WEB, *_PATIENCE),
            "{suture: connection/1, id: lakeside-ehr, uses: fhir, base: https://ehr.example/r4, "
            "auth: {kind: smart-backend, client_id: suture, key: secret:lakeside-key, scope: system/*.read}}",
        ),
        Component(
            "http", "connection", "HTTP service", "Any HTTP API. Requests stay below the base URL; redirects are not followed.",
            (Field("base", "string", "URL that every path is below", required=True), *_WEB, *_PATIENCE),
            "{suture: connection/1, id: pager, uses: http, base: https://pager.example/api, auth: {kind: bearer, token: secret:pager-token}}",
        ),
        Component(
            "mllp", "connection", "HL7 v2 receiver", "A system that takes HL7 v2 messages over MLLP.",
            (
                Field("host", "string", "name or address", required=True),
                Field("port", "integer", "TCP port", required=True),
                Field("tls", "boolean", "speak TLS", default=False),
                Field("ca", "string", "PEM file of the authority that signed the receiver's certificate"),
                Field("certificate", "string", "PEM file with the own certificate, when the receiver asks for one"),
                Field("key", "secret", "secret:NAME with the own private key (PEM)", secret=True),
                Field("insecure", "boolean", "allow another machine without TLS", default=False),
                Field("connections", "integer", "TCP connections at once; order holds inside a lane", default=1),
                *_PATIENCE,
            ),
            "{suture: connection/1, id: lab, uses: mllp, host: 127.0.0.1, port: 2576}",
        ),
        Component(
            "file", "connection", "Folder", "A folder of this machine that files are written into.",
            (Field("folder", "string", "path; relative to the project folder", required=True),),
            "{suture: connection/1, id: archive, uses: file, folder: out}",
        ),
    )
}  # fmt: skip

AUTH: dict[str, Component] = {
    c.name: c
    for c in (
        Component("none", "auth", "Nothing", "No proof.", (Field("kind", "string", "none"),), "{kind: none}"),
        Component(
            "bearer", "auth", "Bearer token", "A fixed token in the Authorization header.",
            (
                Field("kind", "string", "bearer"),
                Field("token", "secret", "secret:NAME", required=True, secret=True),
                Field("header", "string", "header that carries it, for services that want their own", default="Authorization"),
            ),
            "{kind: bearer, token: secret:pager-token}",
        ),
        Component(
            "basic", "auth", "User and password", "HTTP Basic.",
            (
                Field("kind", "string", "basic"),
                Field("user", "string", "user name", required=True),
                Field("password", "secret", "secret:NAME", required=True, secret=True),
            ),
            "{kind: basic, user: suture, password: secret:lab-password}",
        ),
        Component(
            "client-credentials", "auth", "OAuth client with a secret", "OAuth 2.0 client credentials with a client secret.",
            (
                Field("kind", "string", "client-credentials"),
                Field("client_id", "string", "client id", required=True),
                Field("secret", "secret", "secret:NAME", required=True, secret=True),
                Field("token_url", "string", "token endpoint", required=True),
                Field("scope", "string", "scopes asked for", default=""),
                Field("method", "string", "where the secret stands", default="basic", choices=("basic", "post")),
            ),
            "{kind: client-credentials, client_id: suture, secret: secret:ehr, token_url: https://auth.example/token}",
        ),
        Component(
            "smart-backend", "auth", "SMART Backend Services", "A signed assertion (private_key_jwt, RS384 or ES384) buys a short token.",
            (
                Field("kind", "string", "smart-backend"),
                Field("client_id", "string", "client id", required=True),
                Field("key", "secret", "secret:NAME with the private key (PEM or JWK)", required=True, secret=True),
                Field("key_id", "string", "`kid` of the key, when the server wants one; a JWK's own otherwise"),
                Field("jwks_url", "string", "URL of our public keys, sent as `jku`"),
                Field("token_url", "string", "token endpoint; default: discovered at the base, same origin only"),
                Field("scope", "string", "scopes asked for", default="system/*.read"),
            ),
            "{kind: smart-backend, client_id: suture, key: secret:lakeside-key, scope: system/*.rs}",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection file as read; `with_` and `auth` hold their fields with defaults filled in."""

    id: str
    kind: str
    with_: Mapping[str, Any]
    auth: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    partner: str = ""
    environment: str = "production"
    file: str = ""

    @property
    def origin(self) -> str:
        """The one origin that this connection's secrets may be sent to."""
        if self.kind == "mllp":
            return f"mllp://{self.with_['host']}:{self.with_['port']}"
        return origin(str(self.with_.get("base") or self.with_.get("folder") or ""))

    @property
    def secret_origin(self) -> str:
        """The origin its secret is sent to: the token endpoint where the secret itself buys tokens, else its own."""
        if self.auth.get("kind") == "client-credentials":
            return origin(str(self.auth["token_url"]))
        return self.origin

    @property
    def origins(self) -> tuple[str, ...]:
        """Everything its requests may go to: its own origin, and that of the token endpoint its file names."""
        token = str(self.auth.get("token_url") or "")
        return (self.origin, origin(token)) if token else (self.origin,)

    @property
    def address(self) -> str:
        """Where it leads, to show: a folder, or the origin; never a path or query, which may hold a name."""
        return str(self.with_["folder"]) if self.kind == "file" else self.origin

    @property
    def local(self) -> bool:
        """Whether it is this machine itself: a folder, or an address that nobody else has."""
        return self.kind == "file" or loopback(urlsplit(self.origin).hostname or "")

    def below(self, folder: Path) -> Connection:
        """The connection with its files named from the project folder on."""
        named = {f: str(folder / str(self.with_[f])) for f in FILES if self.with_.get(f)}
        return replace(self, with_={**self.with_, **named}) if named else self

    def seconds(self, name: str, default: float) -> float:
        value = self.with_.get(name)
        return default if value is None else seconds(value)


def origin(url: str) -> str:
    """Scheme, host and port of a URL (RFC 6454), in small letters and with the default port left out."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme.lower()}://{f'[{host}]' if ':' in host else host}{port}"


def loopback(host: str) -> bool:
    """Whether a host can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read(text: str, file: str) -> Connection:
    """The connection; raises InvalidFile with every problem."""
    found, problems = lint(text, file)
    errors = [p for p in problems if p.severity == "error"]
    if errors or found is None:
        raise InvalidFile(errors)
    return found


def lint(text: str, file: str) -> tuple[Connection | None, list[Problem]]:
    """The connection as far as it can be read, and every finding."""
    problems = Problems(file)
    try:
        document = yaml.load(text, file)
    except InvalidFile as error:
        return None, list(error.problems)
    if not isinstance(document, dict):
        problems.add(yaml.START, "a connection file is a table of keys", f"Write {KINDS['http'].example}")
        return None, problems.found
    return _connection(document, problems), problems.found


def _connection(doc: Mapping[str, Any], problems: Problems) -> Connection | None:
    if doc.get("suture") != KIND:
        problems.add(yaml.value_at(doc, "suture"), "this is not a connection file", f"Begin with: suture: {KIND}")
    kind = _kind(doc, problems)
    if kind is None:
        return None
    own = _Part(doc, {str(k): v for k, v in doc.items() if k not in SHARED_KEYS})
    values = component.read(kind, own, problems)
    found = Connection(
        id=_id(doc, problems),
        kind=kind.name,
        with_={name: yaml.plain(value) for name, value in values.items()},
        auth=_auth(doc, problems),
        title=str(doc.get("title") or ""),
        partner=str(doc.get("partner") or ""),
        environment=_environment(doc, problems),
        file=problems.file,
    )
    _check_address(found, doc, problems)
    _check_secrets(kind, values, doc, problems)
    if found.with_.get("certificate") and not found.with_.get("key"):
        problems.add(yaml.at(doc, "certificate"), "a certificate needs its key", "Write key: secret:NAME")
    return found


class _Part(dict[str, Any]):
    """Some keys of a table, each still at its place in the file."""

    def __init__(self, whole: Any, part: Mapping[str, Any]) -> None:
        super().__init__(part)
        self.lc = getattr(whole, "lc", None)


def _kind(doc: Mapping[str, Any], problems: Problems) -> Component | None:
    uses = doc.get("uses")
    if isinstance(uses, str) and uses in KINDS:
        return KINDS[uses]
    close = get_close_matches(str(uses), KINDS, 1)
    mend = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(KINDS)}."
    problems.add(
        yaml.value_at(doc, "uses"), f"no connection of kind '{uses}'" if uses else "a connection needs 'uses'", mend
    )
    return None


def _id(doc: Mapping[str, Any], problems: Problems) -> str:
    value = doc.get("id")
    if not isinstance(value, str) or not CONNECTION_ID.fullmatch(value) or value == "local":
        problems.add(
            yaml.value_at(doc, "id"),
            "a connection needs an id of small letters, digits and '-', not 'local'",
            "Write id: lakeside-ehr",
        )
        return ""
    return str(value)


def _environment(doc: Mapping[str, Any], problems: Problems) -> str:
    value = str(doc.get("environment") or ENVIRONMENTS[0])
    if value not in ENVIRONMENTS:
        problems.add(
            yaml.value_at(doc, "environment"),
            f"'environment' must be one of {', '.join(ENVIRONMENTS)}",
            "Write environment: sandbox",
        )
    return value


def _auth(doc: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    node = doc.get("auth")
    if node is None:
        return {"kind": "none"}
    kind = node.get("kind") if isinstance(node, dict) else None
    if not isinstance(kind, str) or kind not in AUTH:
        problems.add(
            yaml.value_at(doc, "auth"),
            "'auth' needs a kind",
            f"There are: {', '.join(AUTH)}. Example: {AUTH['bearer'].example}",
        )
        return {"kind": "none"}
    values = component.read(AUTH[kind], node, problems)
    _check_secrets(AUTH[kind], values, node, problems)
    if values.get("token_url"):
        _check_url(str(values["token_url"]), yaml.value_at(node, "token_url"), bool(doc.get("insecure")), problems)
    return {name: yaml.plain(value) for name, value in values.items()}


def _check_secrets(kind: Component, values: Mapping[str, Any], node: Mapping[str, Any], problems: Problems) -> None:
    for f in kind.fields:
        value = values.get(f.name)
        if f.secret and value is not None and not str(value).startswith("secret:"):
            problems.add(
                yaml.value_at(node, f.name),
                f"'{f.name}' must name a secret, not hold one",
                "Write secret:NAME, then: suture secret set NAME",
            )


def _check_address(found: Connection, doc: Mapping[str, Any], problems: Problems) -> None:
    insecure = bool(found.with_.get("insecure"))
    if found.with_.get("base") is not None:
        _check_url(str(found.with_["base"]), yaml.value_at(doc, "base"), insecure, problems)
    if (
        found.kind == "mllp"
        and found.with_["host"]
        and not (found.with_["tls"] or insecure or loopback(str(found.with_["host"])))
    ):
        problems.add(
            yaml.value_at(doc, "host"),
            "patients' data would go to another machine in the clear",
            "Write tls: true, or insecure: true if the network itself is encrypted.",
        )


def _check_url(url: str, at: tuple[int, int], insecure: bool, problems: Problems) -> None:
    if "@" in url or "?" in url or "#" in url:
        problems.add(
            at, "a base holds no user, password, query or fragment", "Put credentials under auth:, with secret:NAME."
        )
        return
    try:
        found = target(url)
    except Invalid as error:
        problems.add(at, error.text.replace("the URL", "this URL", 1), error.mend)
        return
    if found.scheme == "http" and not insecure and not loopback(found.host):
        problems.add(
            at,
            "patients' data would go to another machine in the clear",
            "Write https://, or insecure: true if the network itself is encrypted.",
        )
