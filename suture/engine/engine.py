"""Puts the engine together for one serving process: flows, doors, runner, deliveries, sources; starts and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from suture.access.agreements import Agreements
from suture.clock import Clock, new_id
from suture.component import seconds, size
from suture.connectors import http_hook
from suture.connectors.fhir import FhirSender
from suture.connectors.mllp import Listener, limits_of
from suture.connectors.tls import Tls
from suture.engine import trouble
from suture.engine.delivery import Outbox
from suture.engine.doors import Doors
from suture.engine.intake import SEAL, Intake, Seal
from suture.engine.project import Project
from suture.engine.retention import Retention
from suture.engine.runner import Runner
from suture.engine.senders import Senders
from suture.engine.sources import Changes, Poll
from suture.engine.versions import Versions
from suture.engine.walk import Version
from suture.errors import NotFound, TooLarge
from suture.ports import Receipt
from suture.services.interactions.door import Interactions
from suture.settings import Settings
from suture.store import vault
from suture.store.database import Database
from suture.store.queue import runs

log = logging.getLogger("suture.engine")
AGAIN = 5.0  # seconds before a source or queue that failed begins again


class Engine:
    """`await start()` recovers what an earlier process left, then opens the doors; `await stop()` closes them first."""

    def __init__(
        self,
        database: Database,
        chart: Interactions,
        project: Project,
        settings: Settings,
        clock: Clock,
        *,
        insecure: bool = False,
        tls: Tls | None = None,
    ) -> None:
        project.raise_if_wrong()
        self.tls = tls
        self.insecure = insecure
        self.database = database
        self.project = project
        self.settings = settings
        self.clock = clock
        self.versions = Versions(project)
        owner = f"{os.getpid()}-{new_id(clock)}"
        self.runner = Runner(database, chart, self.versions, settings, clock, owner)
        self.agreements = Agreements(database, clock, settings)
        self.senders = Senders(project, self.secret, settings, clock, self.agreements)
        self.outbox = Outbox(database, self.runner, self.senders, settings, clock)
        self.runner.outbox = self.outbox
        self.accept = Intake(database, self.runner, Doors(self.versions, int(settings["mllp.port"])), clock)
        self.listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []

    def secret(self, name: str, origin: str) -> str:
        """A secret of the vault, for exactly the origin it is bound to."""
        return vault.get(self.database.read, name, origin)

    async def start(self) -> None:
        self.runner.resting = False
        await self.database.write(self._recover)
        self._begin(self.runner.poll)
        self._begin(self.outbox.poll)
        every = float(self.settings["engine.retention_every"])
        self._begin(Retention(self.database, self.accept.doors.flows, every, self.clock).run)
        for listener in self._listeners():
            await listener.start()
            self.listeners.append(listener)
        for version in self.versions.active.values():
            self._source(version)

    def _recover(self, tx: Any) -> None:
        self.versions.keep(tx)
        self.outbox.recover(tx)
        runs.release_others(tx, self.runner.owner)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(kept(work)))

    def _source(self, version: Version) -> None:
        door = version.flow.source
        if door.uses == "fhir.poll":
            connection = self.project.connections[str(door.with_["connection"])]
            poll = Poll(
                version,
                lambda: FhirSender(self.senders.http_client(connection)),
                lambda: self.senders.require_agreement(connection),
                self.accept,
                self.database,
                self.clock,
            )
            self._begin(poll.run)
        elif door.uses == "fhir.changed":
            self._begin(Changes(version, self.accept, self.database).run)

    def _listeners(self) -> list[Listener]:
        """One listener per port, whatever number of flows share it."""
        settings = self.settings
        limits = limits_of(settings)
        return [
            Listener(
                self.accept,
                source=source,
                host=str(settings["mllp.host"]),
                port=int(source.partition(":")[2]),
                charset=flows[0].flow.source.with_.get("charset"),
                limits=limits,
                tls=self.tls.context if self.tls else None,
                insecure=self.insecure,
                clock=self.clock,
            )
            for source, flows in self.accept.doors.flows.items()
            if source.startswith("mllp:")
        ]

    def _hook_door(self, flow: str) -> Mapping[str, Any]:
        version = self.versions.active.get(flow)
        if version is None or version.flow.source.uses != "http.listen":
            raise NotFound(
                "no webhook here", where="/hooks", mend="The path is /hooks/ and the id of a flow with http.listen."
            )
        return version.flow.source.with_

    def hook_size(self, flow: str) -> int:
        """The largest body a webhook takes; raises NotFound where there is none."""
        return size(self._hook_door(flow)["max_body"])

    async def hook(self, flow: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """A webhook call: proved, then journalled; `headers` have small names. Raises when it is not to be taken."""
        door = self._hook_door(flow)
        if len(body) > size(door["max_body"]):
            raise TooLarge(
                "the body is larger than max_body", where="body", mend="Send less, or raise max_body of the source."
            )
        secret = self.secret(str(door["secret"]).removeprefix("secret:"), hook_origin(flow))
        signed = http_hook.check(door, headers, body, secret, self.clock.micros() / 1_000_000)
        event, source = headers.get(str(door["id_header"]).lower(), ""), f"hooks:{flow}"
        known: dict[str, Any] = {"event_id": event} if event else {}
        if signed:  # its time may be max_age ahead and is good for max_age then: for so long the call counts once
            known[SEAL] = Seal(f"{source}:{signed}", 2 * seconds(door["max_age"]) + 1)
        return await self.accept(source, body, known)

    def rest(self) -> None:
        """Another process runs the flows: what comes in here is journalled, and stays in the database for it."""
        self.runner.resting = True

    async def stop(self) -> None:
        """Closes the doors, lets what runs come to a commit, closes the connections."""
        for listener in self.listeners:
            await listener.stop()
        await trouble.ended(self._tasks)
        await self.runner.stop()
        await self.outbox.stop()


def hook_origin(flow: str) -> str:
    """What the secret of a webhook is bound to."""
    return f"hook:{flow}"


async def kept(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a source or queue that never ends; a fault is told, and it begins again."""
    while True:
        try:
            return await work()
        except Exception as error:
            log.error("a source or queue of the engine begins again, it failed unexpectedly: %s", trouble.place(error))
        await asyncio.sleep(AGAIN)
