"""The one place where everything is wired: rooms are opened from the bottom up and closed from the top down."""

from __future__ import annotations

import hashlib
import hmac
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from suture.access import sso
from suture.access.oauth.authority import Authority
from suture.access.oauth.backend import Backend
from suture.access.oauth.clients import Clients
from suture.access.oauth.registrar import Registrar
from suture.access.oauth.statements import Statements
from suture.access.oauth.udap import Udap
from suture.access.people import People
from suture.access.standing import Standings
from suture.clock import SYSTEM, Clock
from suture.connectors import acme, tls
from suture.connectors.mail import Mailer
from suture.connectors.outbound import Outbound
from suture.engine import project
from suture.engine.engine import Engine
from suture.engine.turn import Turn
from suture.server import web
from suture.server.log import Log, Reports
from suture.server.site import Site
from suture.server.web import Web
from suture.services import brands
from suture.services.audit.copies import Copies, listed
from suture.services.building import Builder
from suture.services.bulk.imports import Imports
from suture.services.bulk.jobs import Exports
from suture.services.gateway.gateway import Gateway
from suture.services.interactions.door import Interactions
from suture.services.matches.watch import Watch
from suture.services.subscriptions import channels, notifier
from suture.services.subscriptions.sockets import Sockets
from suture.settings import Settings
from suture.store import keys
from suture.store.database import Database


class Part(Protocol):
    """Something that runs: the web side, the engine."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(slots=True)
class App:
    """What a process is made of. `parts` start in their order and stop in the reverse one."""

    settings: Settings
    clock: Clock
    database: Database
    people: People
    interactions: Interactions
    clients: Clients
    authority: Authority
    log: Log
    outbound: Outbound
    engine: Engine | None = None
    turn: Turn | None = None
    brands: brands.Brands | None = None
    udap: Udap | None = None
    gateway: Gateway | None = None
    exports: Exports | None = None
    imports: Imports | None = None
    sockets: Sockets | None = None
    mailer: Mailer | None = None
    parts: list[Part] = field(default_factory=list)
    reports: logging.Handler = field(init=False)

    def __post_init__(self) -> None:
        self.reports = Reports(self.log)

    @property
    def site(self) -> Site:
        """What the web side's handlers may reach."""
        takes = Registrar(self.database, self.clock, self.settings)
        statements = Statements(self.database, self.settings, takes, self.udap) if self.udap else None
        return Site(
            self.settings,
            self.clock,
            self.database,
            self.people,
            self.interactions,
            self.clients,
            Backend(self.database, self.settings),
            self.authority,
            takes,
            Standings(self.database, self.clock, self.settings),
            self.engine,
            self.brands,
            self.udap,
            statements,
            self.gateway,
            self.exports,
            self.imports,
            self.sockets,
        )

    async def start(self) -> None:
        """Starts all parts; when one can't start, those before it are stopped again."""
        logging.getLogger().addHandler(self.reports)
        started: list[Part] = []
        try:
            for part in self.parts:
                await part.start()
                started.append(part)
        except BaseException:
            for part in reversed(started):
                await part.stop()
            logging.getLogger().removeHandler(self.reports)
            raise

    async def stop(self) -> None:
        """Stops all parts, the last one first, and closes the database, even when a part fails to stop."""
        async with AsyncExitStack() as after:
            after.callback(self.database.close)
            after.push_async_callback(self.people.denials.close)
            after.push_async_callback(self.outbound.close)
            if self.mailer is not None:
                after.callback(self.mailer.close)
            after.callback(self.log.flush)
            after.callback(logging.getLogger().removeHandler, self.reports)
            for part in self.parts:
                after.push_async_callback(part.stop)


def open_rooms(settings: Settings, clock: Clock = SYSTEM, *, serving: bool = False, log: Log | None = None) -> App:
    """The rooms without a running part: what commands work with."""
    if not settings["http.base_url"]:
        settings = settings.with_values(http__base_url=web.url_of(settings))
    database = Database.open(settings, clock, serving=serving)
    interactions = Interactions(database, clock, settings, _derived(settings, b"cursors"))
    outbound = Outbound.of(settings, [*listed(settings), *sso.listed(settings)])
    people = People(database, clock, settings, outbound)
    udap = Udap.of(settings, clock)
    clients = Clients(database, clock, settings, outbound, udap)
    authority = Authority(database, clock, settings, clients, people.denials)
    people.tokens = authority.tokens.caller
    made = App(settings, clock, database, people, interactions, clients, authority, log or Log(clock), outbound)
    made.udap = udap
    return made


def open_server(
    settings: Settings,
    clock: Clock = SYSTEM,
    *,
    insecure: bool = False,
    log: Log | None = None,
    web_only: bool = False,
    attached: bool = False,
    lost: Callable[[], None] = lambda: None,
) -> App:
    """Everything that `suture serve` runs; nothing has started yet.

    `web_only`: other processes of this database run the flows; `lost` is called when this one no longer may.
    `attached`: another process on this port has begun this one, and renews certificates for both.
    """
    listening = web.bind(settings, insecure=insecure, shared=attached or settings["http.processes"] > 1)
    try:
        return _server(settings, clock, listening, insecure, log, web_only, attached, lost)
    except BaseException:
        listening.close()
        raise


def _server(
    settings: Settings,
    clock: Clock,
    listening: socket.socket,
    insecure: bool,
    log: Log | None,
    web_only: bool,
    attached: bool,
    lost: Callable[[], None],
) -> App:
    settings = settings.with_values(http__port=listening.getsockname()[1])
    if not settings["http.base_url"]:
        settings = settings.with_values(http__base_url=web.url_of(settings, listening))
    flows = project.read(settings.folder)
    flows.raise_if_wrong()
    names = brands.read(settings.folder, str(settings["http.base_url"]).rstrip("/"))
    order = None if attached else acme.order_of(settings)
    renewing: list[Part] = [acme.Acme(order, settings, clock)] if order else []
    shaken = {name: tls.of(settings, name) for name in ("http", "mllp")}
    app = open_rooms(settings, clock, serving=True, log=log)
    app.brands = names
    app.engine = Engine(app.database, app.interactions, flows, settings, clock, insecure=insecure, tls=shaken["mllp"])
    app.gateway = Gateway(
        app.database, clock, settings, flows.routes, flows.plans, flows.connections, app.engine.secret,
        app.engine.senders.require_agreement,
    )  # fmt: skip
    app.exports = Exports(app.database, clock, settings)
    app.imports = Imports(app.interactions.chart, app.outbound)
    senders, app.mailer = app.engine.senders, Mailer.of(settings, app.engine.secret)
    open_to = channels.channels(
        app.outbound, senders.require_agreement_at, app.mailer, senders.require_agreement_with, clock, settings
    )
    subscribing = notifier.wired(app.interactions.chart, app.authority.tokens, open_to)
    app.interactions.chart.topics.update(flows.topics)
    app.sockets = subscribing.sockets
    renewal = tls.Renewal(shaken.values(), settings["tls.look"])
    copies = Copies(app.database, settings, clock, app.outbound)
    alone: list[Part] = [
        copies,
        Builder(app.database),
        app.engine,
        subscribing,
        app.imports,
        Watch(app.interactions.chart),
    ]
    app.turn = Turn(app.database, alone, lost, app.engine.rest, never=web_only)
    app.parts += [
        *renewing,
        renewal,
        app.turn,
        app.exports,
        app.gateway,
        Web(app.site, app.log, listening, shaken["http"]),
    ]
    return app


def _derived(settings: Settings, purpose: bytes) -> bytes:
    """A key of its own for one purpose, from the key file."""
    return hmac.new(keys.read(settings), b"suture " + purpose, hashlib.sha256).digest()
