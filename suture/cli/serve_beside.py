"""Further web processes of `suture serve` on its port: begun with it, begun anew when one ends, and ended with it.

The kernel spreads connections over all that listen there: https://man7.org/linux/man-pages/man7/socket.7.html (SO_REUSEPORT)
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from suture.errors import Invalid
from suture.settings import Settings
from suture.store.postgres.server import is_address

AGAIN = 1.0  # seconds until one that ended is begun anew
MOST = 64


def require(settings: Settings) -> None:
    """Raises Invalid for a number of processes that can't be."""
    count, place = settings["http.processes"], "http.processes"
    if not 1 <= count <= MOST:
        raise Invalid(f"{count} web processes can't be run", where=place, mend=f"Take a number from 1 to {MOST}.")
    if count > 1 and not is_address(str(settings["database"])):
        raise Invalid(
            "several web processes need a database on a server",
            where=place,
            mend="Set SUTURE_DATABASE=postgresql://…, or leave the number at 1: a file is served by one process.",
        )


def command(project: Path, host: str, port: int, *, insecure: bool) -> list[str]:
    """What begins one more process on this port."""
    made = [sys.executable, "-m", "suture", "serve", "--project", str(project), "--host", host, "--port", str(port)]
    return [*made, "--web-only", "--processes", "1", "--attached", *(["--insecure"] if insecure else [])]


class Beside:
    """`count` processes; `told` hears that one has ended by itself."""

    def __init__(self, command: list[str], count: int, patience: float, told: Callable[[int], None]) -> None:
        self._command = command
        self._count = count
        self._patience = patience  # seconds that they may take to end
        self._told = told
        self._running: set[Process] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep()) for _ in range(self._count)]

    async def stop(self) -> None:
        """They finish what runs, as this one does; who takes longer is killed."""
        self._ending.set()
        for process in self._running:
            with suppress(ProcessLookupError):
                process.terminate()
        if self._tasks and (await asyncio.wait(self._tasks, timeout=self._patience))[1]:
            for process in self._running:
                with suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*self._tasks)

    async def _keep(self) -> None:
        while not self._ending.is_set():
            # its input stays open as long as this process lives: that is how it hears of an end nobody could tell it of
            process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=DEVNULL)
            self._running.add(process)
            if self._ending.is_set():
                process.terminate()
            status = await process.wait()
            self._running.discard(process)
            if not self._ending.is_set():
                self._told(status)
                await asyncio.sleep(AGAIN)
