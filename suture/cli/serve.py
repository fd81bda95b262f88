"""`suture serve`: the web side (and whatever else is wired in app.py) in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from suture import settings as settings_of
from suture.app import App, open_server

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
_EXAMPLE = "Example: `suture serve --port 8080`"


@app.command(epilog=_EXAMPLE)
def serve(
    host: Annotated[str, typer.Option(help="address to listen on; default: the setting http.host")] = "",
    port: Annotated[int, typer.Option(help="port to listen on; default: the setting http.port")] = -1,
    insecure: Annotated[bool, typer.Option("--insecure", help="listen on a reachable address without TLS")] = False,
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
) -> None:
    """Serves FHIR R4 under /fhir; stops gracefully at SIGTERM or Ctrl-C."""
    settings = settings_of.read(project)
    if host:
        settings = settings.with_values(http__host=host)
    if port >= 0:
        settings = settings.with_values(http__port=port)
    running = open_server(settings, insecure=insecure)
    _tell(running)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(running))


async def _until_told(running: App) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told.set)
    await running.start()
    Console(highlight=False).print("Ready       Ctrl-C stops it", soft_wrap=True)
    gc.collect()
    gc.freeze()  # what start-up made stays; the collector need not walk it again
    gc.set_threshold(20_000, 20, 20)  # resources hold no circles: look for some less often
    await told.wait()
    await running.stop()


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
