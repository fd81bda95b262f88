"""What handlers can reach: the rooms below, wired once by app.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from suture.access.caller import Caller
from suture.access.oauth.authority import Authority
from suture.access.oauth.backend import Backend
from suture.access.oauth.clients import Clients
from suture.access.oauth.registrar import Registrar
from suture.access.oauth.statements import Statements
from suture.access.oauth.udap import Udap
from suture.access.people import People
from suture.access.standing import Standings
from suture.clock import Clock
from suture.engine.engine import Engine
from suture.server.figures import Figures
from suture.services.brands import Brands
from suture.services.bulk.imports import Imports
from suture.services.bulk.jobs import Exports
from suture.services.gateway.gateway import Gateway
from suture.services.interactions.door import Interactions
from suture.services.subscriptions.sockets import Sockets
from suture.settings import Settings
from suture.store import audit
from suture.store.database import Database


@dataclass(slots=True)
class Site:
    """The rooms a handler may call; a part that is not running is not here."""

    settings: Settings
    clock: Clock
    database: Database
    people: People
    interactions: Interactions
    clients: Clients
    backend: Backend
    authority: Authority
    registrar: Registrar
    standings: Standings
    engine: Engine | None = None
    brands: Brands | None = None
    udap: Udap | None = None
    statements: Statements | None = None
    gateway: Gateway | None = None
    exports: Exports | None = None
    imports: Imports | None = None
    sockets: Sockets | None = None
    figures: Figures = field(default_factory=Figures)

    @property
    def fhir_url(self) -> str:
        """The FHIR base as the outside world sees it."""
        return str(self.settings["http.base_url"]).rstrip("/") + "/fhir"

    async def denied(self, caller: Caller, address: str, status: int) -> None:
        """Leaves an audit row for a request that was turned away at the door."""
        row = audit.AuditRow(
            caller.id, "denied", outcome=status, address=address, purpose=caller.purpose, client=caller.client,
            grant=caller.grant,
        )  # fmt: skip
        await self.people.denials.note(row)
