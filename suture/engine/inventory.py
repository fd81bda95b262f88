"""What this installation is made of and whom it talks to: components, ports, peers, data flows, certificates.

Asset inventory and network map as the proposed HIPAA Security Rule asks for (90 FR 898, 45 CFR 164.308(a)(1)).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TypedDict

import orjson
from cryptography import x509

from suture import __version__
from suture.access.agreements import Agreements, Standing
from suture.connectors.connection import FILES, Connection
from suture.engine.plan import Flow
from suture.engine.senders import peer_of
from suture.settings import Settings
from suture.store import health

LISTENERS = {"HTTP": "http.tls_certificate", "MLLP": "mllp.tls_certificate"}


class ComponentView(TypedDict):
    """A package: what was pinned for the release and what is installed."""

    name: str
    pinned: str
    installed: str


class PortView(TypedDict):
    """A door that is open."""

    protocol: str
    host: str
    port: int
    tls: bool
    flows: list[str]


class PeerView(TypedDict):
    """The far end of a connection."""

    connection: str
    kind: str
    address: str
    partner: str
    environment: str
    live: bool
    why: str
    until: str


class FlowView(TypedDict):
    """What goes from where to where."""

    flow: str
    title: str
    source: str
    connections: list[str]


class CertificateView(TypedDict):
    """A certificate that listeners or connections use; `error` when it can't be read."""

    used_by: str
    file: str
    subject: str
    issuer: str
    ends: str
    days: int
    error: str


class InventoryView(TypedDict):
    """All of it."""

    suture: str
    python: str
    sqlite: str
    system: str
    components: list[ComponentView]
    ports: list[PortView]
    peers: list[PeerView]
    flows: list[FlowView]
    certificates: list[CertificateView]


def bill() -> bytes:
    """The bill of materials this release was made with (CycloneDX 1.6)."""
    return (files("suture") / "sbom.cdx.json").read_bytes()


def components() -> list[ComponentView]:
    """Pinned and installed versions, side by side."""
    return [_component(one["name"], one["version"]) for one in orjson.loads(bill())["components"]]


def _component(name: str, pinned: str) -> ComponentView:
    try:
        return {"name": name, "pinned": pinned, "installed": version(name)}
    except PackageNotFoundError:  # for another platform
        return {"name": name, "pinned": pinned, "installed": ""}


def programs() -> dict[str, str]:
    """What everything stands on."""
    return {
        "suture": __version__,
        "python": platform.python_version(),
        "sqlite": health.sqlite_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def peers(connections: Iterable[Connection], agreements: Agreements) -> list[PeerView]:
    return [_peer(one, agreements.standing(peer_of(one))) for one in connections]


def _peer(one: Connection, standing: Standing) -> PeerView:
    return {
        "connection": one.id, "kind": one.kind, "address": one.address, "partner": one.partner,
        "environment": one.environment, "live": standing.live, "why": standing.why, "until": standing.last,
    }  # fmt: skip


def mail(settings: Settings) -> list[PeerView]:
    """The mail server, and the partners who may be written to through it, when there is one."""
    host = str(settings["mail.host"])
    if not host:
        return []
    address, kind = f"{host}:{settings['mail.port']}", f"smtp {settings['mail.security']}"
    to = ", ".join([*str(settings["mail.own"]).split(), *str(settings["mail.partners"]).split()])
    return [
        {
            "connection": "mail", "kind": kind, "address": address, "partner": "", "environment": "production",
            "live": bool(to), "why": f"to {to}" if to else "nobody may be written to (mail.own, mail.partners)", "until": "",
        }
    ]  # fmt: skip


def data_flow(flow: Flow) -> FlowView:
    """A flow as an arrow: its source, and the connections its steps use, in their order."""
    source = f"{flow.source.uses} {flow.source.with_.get('connection') or flow.source.with_.get('port') or ''}".strip()
    named = [str(step.with_["connection"]) for step in flow.each() if step.with_.get("connection")]
    return {"flow": flow.id, "title": flow.title, "source": source, "connections": list(dict.fromkeys(named))}


def certificates(settings: Settings, connections: Mapping[str, Connection], now: datetime) -> list[CertificateView]:
    """Every certificate file that is named, with the days it has left."""
    named = [(f"{name} listener", settings[setting]) for name, setting in LISTENERS.items()]
    named += [(f"connection {one.id}", one.with_.get(f)) for one in connections.values() for f in FILES]
    return [_certificate(user, str(file), now) for user, file in named if file]


def _certificate(user: str, file: str, now: datetime) -> CertificateView:
    made: CertificateView = {
        "used_by": user, "file": Path(file).name, "subject": "", "issuer": "", "ends": "", "days": 0, "error": ""
    }  # fmt: skip
    try:
        found = min(x509.load_pem_x509_certificates(Path(file).read_bytes()), key=lambda c: c.not_valid_after_utc)
    except (OSError, ValueError) as error:
        return {**made, "error": type(error).__name__}
    return {
        **made,
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "ends": found.not_valid_after_utc.date().isoformat(),
        "days": (found.not_valid_after_utc - now).days,
    }
