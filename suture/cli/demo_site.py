"""The three systems of the demo: Suture, a second Suture that plays the practice's EHR, and the billing system."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import uvicorn

from suture import crypto
from suture import settings as settings_of
from suture.access import people as accounts
from suture.app import App, open_server
from suture.cli.demo_load import family
from suture.clock import SYSTEM
from suture.engine.engine import hook_origin
from suture.sandbox.billing import Billing
from suture.sandbox.walk import FORM_SECRET
from suture.server.log import Log
from suture.store import vault

PORTS = {"http": 8080, "ehr": 8081, "billing": 8082, "mllp": 2575}
EVERYTHING = "system/*.cruds"


@dataclass(slots=True)
class Site:
    """What runs, where, and the keys made for it."""

    suture: App
    ehr: App
    billing: Billing
    ports: dict[str, int]
    form_secret: str
    key: str  # bearer key of a client that may do everything
    link: str  # creates the administrator, once
    receiver: uvicorn.Server
    receiving: asyncio.Task[None]
    family: int  # resources of the family's records, which were there before the flows

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"


async def start(place: Path, seed: int) -> Site:
    """Writes the project, opens both databases, starts all three."""
    ports = {name: _free(port) for name, port in PORTS.items()}
    project, ehr_folder = place / "hub", place / "ehr"
    _write_project(project, ports)
    ehr_folder.mkdir(parents=True, exist_ok=True)
    ehr = _server(ehr_folder, place / "keys" / "ehr.key", ports["ehr"], ports["mllp"])
    ehr_key = accounts.add_client(ehr.database, "suture", EVERYTHING, "", 0)[1]
    hub = _server(project, place / "keys" / "hub.key", ports["http"], ports["mllp"])
    key, secret = accounts.add_client(hub.database, "demo", EVERYTHING, "", 0)[1], crypto.new_token()
    _keep(hub, FORM_SECRET, secret, hook_origin("intake"))
    _keep(hub, "practice-ehr", ehr_key, f"http://127.0.0.1:{ports['ehr']}")
    billing = Billing(seed=seed)
    receiver, receiving = await _receive(billing, ports["billing"])
    loaded = await family(hub.interactions, seed)
    await ehr.start()
    await hub.start()
    return Site(hub, ehr, billing, ports, secret, key, hub.people.first_run_link(), receiver, receiving, loaded)


async def stop(site: Site) -> None:
    """Ends all three; what is not delivered stays on disk."""
    await site.suture.stop()
    await site.ehr.stop()
    site.receiver.should_exit = True
    await site.receiving


def _server(folder: Path, key_file: Path, port: int, mllp: int) -> App:
    settings = settings_of.read(folder, {})
    settings = settings.with_values(
        http__port=port, mllp__port=mllp, key_file=str(key_file), login__second_factor="optional"
    )
    log = (folder / "access.log").open("a", encoding="utf-8")
    return open_server(settings, log=Log(SYSTEM, log))


def _keep(app: App, name: str, value: str, origin: str) -> None:
    app.database.write_now(lambda tx: vault.put(tx, name, value, origin))


async def _receive(billing: Billing, port: int) -> tuple[uvicorn.Server, asyncio.Task[None]]:
    config = uvicorn.Config(billing.application(), port=port, log_config=None, access_log=False, lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    return server, asyncio.create_task(_receiving(server))


async def _receiving(server: uvicorn.Server) -> None:
    await server.main_loop()
    await server.shutdown()


def _free(port: int) -> int:
    """The port, or another one when somebody holds it."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("an ephemeral port is always there")


def _write_project(folder: Path, ports: dict[str, int]) -> None:
    for name, source in _files(files("suture") / "templates" / "demo", ""):
        text = source.read_text(encoding="utf-8")
        for system in ("ehr", "billing"):
            text = text.replace(f"127.0.0.1:{PORTS[system]}", f"127.0.0.1:{ports[system]}")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace(f"port: {PORTS['mllp']}", f"port: {ports['mllp']}"), encoding="utf-8")


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item
