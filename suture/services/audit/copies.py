"""Copies of the audit trail off this machine: syslog over TLS, a file, a webhook; each from a durable mark on, at least once.

NIST SP 800-92, section 5.1: who can change the log on the machine cannot change it elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from suture.clock import Clock, instant
from suture.connectors import syslog
from suture.connectors.connection import origin
from suture.connectors.lines import Lines
from suture.connectors.syslog import Syslog
from suture.errors import SendFailed, SutureError, Unavailable
from suture.ports import Fetch
from suture.services.audit import line
from suture.settings import Settings
from suture.store import audit, copying, vault
from suture.store.audit import Entry
from suture.store.connection import Connection
from suture.store.database import Database

log = logging.getLogger("suture.audit")
BATCH = 200
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
KEPT = "audit-webhook"  # the secret of the vault that the webhook gets as a bearer token

Rows = Sequence[tuple[Entry, bytes]]


class Place(Protocol):
    """Where copies go."""

    name: str

    async def send(self, rows: Rows) -> None:
        """Raises SendFailed when the rows can't be said to be there; then they are sent again."""
        ...

    def arrived(self) -> bool | None:
        """Whether what was sent last is certainly there; None: not known yet; False: to be sent again."""
        ...

    async def close(self) -> None: ...


class ToFile:
    name = "file"

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def send(self, rows: Rows) -> None:
        await asyncio.to_thread(self._lines.append, [line.line(*row) for row in rows])

    def arrived(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is open."""


class ToSyslog:
    name = "syslog"

    def __init__(self, receiver: Syslog) -> None:
        self._receiver = receiver

    async def send(self, rows: Rows) -> None:
        await self._receiver.send(
            [
                syslog.line(instant(entry.at), entry.row.what, text, entry.row.outcome >= 400)
                for entry, hash in rows
                for text in line.parts(entry, hash)
            ]
        )

    def arrived(self) -> bool | None:
        return self._receiver.arrived()

    async def close(self) -> None:
        await self._receiver.close()


class ToWebhook:
    """JSON lines in one POST; any 2xx is a receipt."""

    name = "webhook"

    def __init__(self, url: str, fetch: Fetch, read: Connection) -> None:
        self._url = url
        self._fetch = fetch
        self._read = read

    async def send(self, rows: Rows) -> None:
        headers = {"content-type": "application/x-ndjson"}
        if any(secret.name == KEPT for secret in vault.listing(self._read)):
            headers["authorization"] = f"Bearer {vault.get(self._read, KEPT, origin(self._url))}"
        content = b"".join(line.line(*row) + b"\n" for row in rows)
        answer = await self._fetch.fetch(
            self._url, purpose="audit", method="POST", headers=headers, content=content, most=1 << 16
        )
        if not 200 <= answer.status < 300:
            raise SendFailed(f"answered {answer.status}", where="audit.webhook")

    def arrived(self) -> bool:
        return True

    async def close(self) -> None:
        """The connections are the door's."""


def places(settings: Settings, fetch: Fetch, read: Connection) -> list[Place]:
    """Those that the settings name."""
    found: list[Place] = []
    if settings["audit.file"]:
        path = settings.folder / str(settings["audit.file"])
        found.append(ToFile(Lines(path, int(settings["audit.file_size"]))))
    if settings["audit.syslog"]:
        files = (settings[name] for name in ("audit.syslog_ca", "audit.syslog_certificate", "audit.syslog_key"))
        ca, certificate, key = (str(settings.folder / str(path)) if path else "" for path in files)
        found.append(ToSyslog(Syslog(settings["audit.syslog"], authorities=ca, certificate=certificate, key=key)))
    if settings["audit.webhook"]:
        found.append(ToWebhook(settings["audit.webhook"], fetch, read))
    return found


def listed(settings: Settings) -> list[str]:
    """The origins that the settings name themselves, so that they need not be allowed once more."""
    return [origin(settings["audit.webhook"])] if settings["audit.webhook"] else []


class Copies:
    """One task for each place; a place that is down holds up nobody, and nothing is passed over."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, fetch: Fetch) -> None:
        self._database = database
        self._clock = clock
        self._every = float(settings["audit.copy_every"])
        self._places = places(settings, fetch, database.read)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._copy(place)) for place in self._places]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for place in self._places:
            await place.close()

    async def _copy(self, place: Place) -> None:
        wait, trouble = FIRST_WAIT, ""
        while True:
            try:
                await self._go_on(place)
                wait, trouble = FIRST_WAIT, ""
                await asyncio.sleep(self._every)
            except SutureError as error:
                if error.code != trouble:  # told once, not at every try
                    log.warning("the audit trail is not copied to the %s just now: %s", place.name, error.code)
                trouble = error.code
                await asyncio.sleep(max(wait, error.after if isinstance(error, Unavailable) else 0.0))
                wait = min(wait * 2, LONGEST_WAIT)

    async def _go_on(self, place: Place) -> None:
        """Sends what is behind the mark; the mark moves when the rows are there for certain."""
        mark = copying.mark(self._database.read, place.name)
        while rows := list(audit.entries(self._database.read, mark, BATCH)):
            await place.send(rows)
            await self._await(place)
            mark = rows[-1][0].n
            at = mark
            await self._database.write(lambda tx, at=at: copying.set_mark(tx, place.name, at))  # type: ignore[misc]

    async def _await(self, place: Place) -> None:
        """Until the rows have arrived, and the connection that took them still stands a moment later."""
        for _ in range(int(syslog.SECONDS / 0.05)):
            found = place.arrived()
            if found is False:
                break
            if found and (place.name != "syslog" or await self._stands(place)):
                return
            await asyncio.sleep(0.05)
        with suppress(SutureError):
            await place.close()
        raise SendFailed("the connection broke before all was taken", where=place.name)

    async def _stands(self, place: Place) -> bool:
        await asyncio.sleep(0.2)
        return place.arrived() is True
