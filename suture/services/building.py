"""Keeps the indexes of a site's own search parameters, and of full text, going: one piece after the other while there is anything to do."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from suture.errors import SutureError
from suture.store import fulltext, parameters_build
from suture.store.database import Database

log = logging.getLogger("suture.search")
LOOK = 1.0  # seconds between looks for new parameters
BREATH = 0.005  # seconds between two pieces: those who wait to write come first


class Builder:
    """Runs beside the traffic; what a stop breaks off is done at the next start."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            worked = await self._worked()
            await asyncio.sleep(BREATH if worked else LOOK)

    async def _worked(self) -> bool:
        try:
            if parameters_build.waiting(self._database.read) and await self._database.write(parameters_build.step):
                return True
            return fulltext.waiting(self._database.read) and await self._database.write(fulltext.step)
        except SutureError as error:  # a full disk, a lock: tried again
            log.warning("the index of a search waits: %s", error.code)
            return False
