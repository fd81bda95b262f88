"""`suture demo`: two Sutures and a billing system on this machine, three flows walked live, then it keeps serving."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from suture.cli.demo_show import Show
from suture.cli.demo_site import Site, start, stop
from suture.cli.demo_walk import walk
from suture.sandbox.people import person

WIDE = 140  # columns of what goes into a file or a pipe

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(epilog="Example: `suture demo --exit`")
def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="print a table of figures and end instead of serving on")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="keep the demo's project here; default: a temporary folder")
    ] = None,
    messages: Annotated[int, typer.Option(help="HL7 v2 messages the hospital sends", min=10, max=100_000)] = 300,
    people: Annotated[int, typer.Option(help="synthetic patients loaded first", min=5, max=10_000)] = 60,
    seed: Annotated[int, typer.Option(help="another seed, another hospital")] = 1,
) -> None:
    """Starts the product with synthetic patients and walks three flows: a hospital's HL7 v2 feed, a practice's intake
    form with its EHR, and results for a billing system that is slow and sometimes busy. Only this machine is spoken to.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="suture-demo-"))
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_demo(place, folder, console, exit_, messages, people, seed))
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


async def _demo(
    place: Path, kept: Path | None, console: Console, exit_: bool, messages: int, people: int, seed: int
) -> None:
    told = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, told.set)
    show = Show(console)
    site = await start(place, seed)
    try:
        show.begin(kept)
        walking = asyncio.ensure_future(walk(site, show, messages, people, seed))
        stopping = asyncio.ensure_future(told.wait())
        await asyncio.wait({walking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if told.is_set():
            walking.cancel()
            return
        show.figures(await walking)
        if not exit_:
            show.invite(site, person(seed, 0).family)
            await told.wait()
    finally:
        await stop(site)


__all__ = ["Site", "app"]
