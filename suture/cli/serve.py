"""`suture serve`: flows, their listeners and the web side in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from suture import settings as settings_of
from suture.app import App, open_server
from suture.cli import serve_beside
from suture.engine.senders import peer_of
from suture.store import vault

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
ENDING = 5.0  # seconds, beyond http.stop_timeout
_EXAMPLE = "Example: `suture serve` or `suture serve my-feed --port 8080`"


@app.command(epilog=_EXAMPLE)
def serve(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[PROJECT]", help="the project folder; default: this one", exists=True, file_okay=False),
    ] = None,
    host: Annotated[str, typer.Option(help="address of the web side; default: the setting http.host")] = "",
    port: Annotated[int | None, typer.Option(help="port of the web side; default: the setting http.port")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="listen on a reachable address without TLS")] = False,
    web_only: Annotated[
        bool, typer.Option("--web-only", help="leave the flows to other processes of this PostgreSQL database")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(help="web processes on the port (PostgreSQL only); default: the setting http.processes"),
    ] = None,
    attached: Annotated[bool, typer.Option("--attached", hidden=True)] = False,
    project: Annotated[Path, typer.Option(help="the project folder", exists=True, file_okay=False)] = Path(),
) -> None:
    """Runs the project's flows and their listeners, FHIR R4 under /fhir and the console; stops gracefully at SIGTERM
    or Ctrl-C.
    """
    settings = settings_of.read(folder or project)
    if host:
        settings = settings.with_values(http__host=host)
    if port is not None:
        settings = settings.with_values(http__port=port)
    if processes is not None:
        settings = settings.with_values(http__processes=processes)
    serve_beside.require(settings)
    running = open_server(
        settings,
        insecure=insecure,
        web_only=web_only,
        attached=attached,
        lost=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    _tell(running)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(running, _beside(running, insecure), attached))


def _beside(running: App, insecure: bool) -> serve_beside.Beside:
    settings, console = running.settings, Console(highlight=False, stderr=True)
    return serve_beside.Beside(
        serve_beside.command(settings.folder, settings["http.host"], settings["http.port"], insecure=insecure),
        settings["http.processes"] - 1,
        settings["http.stop_timeout"] + ENDING,
        lambda status: console.print(f"Note        a web process ended ({status}), another one begins"),
    )


async def _until_told(running: App, beside: serve_beside.Beside, attached: bool) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told.set)
    if attached:  # nobody writes there: it ends with the process that has begun this one
        loop.add_reader(sys.stdin.fileno(), told.set)
    await running.start()
    await beside.start()
    _tell_flows(running)
    Console(highlight=False).print("Ready       Ctrl-C stops it", soft_wrap=True)
    gc.collect()
    gc.freeze()  # what start-up made stays; the collector need not walk it again
    gc.set_threshold(20_000, 20, 20)  # resources hold no circles: look for some less often
    await told.wait()
    if attached:
        loop.remove_reader(sys.stdin.fileno())
    await asyncio.gather(running.stop(), beside.stop())


def _tell(running: App) -> None:
    console, site = Console(highlight=False, stderr=False), running.site
    for notice in running.database.notices:
        console.print(f"[bold]Note[/] {notice}", soft_wrap=True)
    console.print(f"Console     {running.settings['http.base_url']}/", soft_wrap=True)
    console.print(f"FHIR R4     {site.fhir_url}", soft_wrap=True)
    console.print(f"Capability  {site.fhir_url}/metadata", soft_wrap=True)
    link = running.people.first_run_link()
    if link:
        url = f"{running.settings['http.base_url']}/first-run/{link}"
        console.print(f"First start: open this once to create the administrator:\n  [bold]{url}[/]", soft_wrap=True)


def _tell_flows(running: App) -> None:
    """Each door with the flows behind it, and the secrets that they will miss."""
    console, engine = Console(highlight=False, markup=False), running.engine
    if engine is None or not engine.versions.active:
        console.print("Flows       none in this folder; suture init DIR makes a project", soft_wrap=True)
        return
    if running.turn is not None and not running.turn.ours:
        console.print("Standby     the flows are run by another process of this database", soft_wrap=True)
    ports = {one.source: f"{one.host}:{one.port}" for one in engine.listeners}
    for source, found in engine.accept.doors.flows.items():
        kind, address = ("MLLP", ports[source]) if source in ports else ("Flow", source)
        console.print(f"{kind:<12}{address}  {', '.join(one.flow.id for one in found)}", soft_wrap=True)
    known = {one.name for one in vault.listing(running.database.read)}
    for one in engine.project.connections.values():
        standing = engine.agreements.standing(peer_of(one))
        if not standing.live:
            console.print(
                f"Held        connection {one.id}: {standing.why}. See: suture connection list", soft_wrap=True
            )
    for name, option in engine.project.secrets():
        if name not in known:
            console.print(f"Missing     secret:{name}. Run: suture secret set {name} {option}", soft_wrap=True)
