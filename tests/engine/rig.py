"""A whole engine on a project in a temporary folder: real database, real sockets; only the other side is ours to script."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suture import settings as settings_of
from suture.app import App, open_rooms
from suture.clock import SYSTEM, Clock
from suture.connectors.mllp_sender import Sender
from suture.engine import delivery, project, runner, sources
from suture.engine.engine import Engine
from suture.message import RunState
from suture.store import messages
from suture.store.messages import Entry
from suture.store.queue import dead, runs
from suture.store.queue.dead import DeadLetter
from suture.store.queue.runs import Run

runner.POLL = delivery.POLL = sources.LOOK = 0.05  # seconds; else each retry that is due waits half of one
ADT = (
    "MSH|^~\\&|ADT|LAKESIDE|SUTURE|CLINIC|20261125080000||ADT^A01^ADT_A01|{id}|P|2.5.1\r"
    "EVN|A01|20261125080000\r"
    "PID|1||{patient}^^^LAKESIDE^MR||Testperson^{given}||19791104|F\r"
    "PV1|1|I|WEST^204^A\r"
)

FORWARD = """suture: flow/1
id: forward
source: {uses: mllp.listen, with: {messages: [ADT^*]}}
steps:
  - {id: send, uses: http.send, with: {connection: other, body: {id: "{{ message.control_id }}", patient: "{{ PID-3.1 }}"}}}
on_error: {retry: {attempts: 3, backoff: 20ms..50ms}}
"""


def adt(id: str = "MSG1", patient: str = "100234", given: str = "Alma") -> bytes:
    return ADT.format(id=id, patient=patient, given=given).encode()


def other(url: str, **more: Any) -> dict[str, str]:
    return {"other": json.dumps({"suture": "connection/1", "id": "other", "uses": "http", "base": url, **more})}


class Rig:
    """`async with Rig(tmp_path, flows={...}, connections={...}) as rig:`"""

    def __init__(
        self,
        folder: Path,
        flows: dict[str, str],
        connections: dict[str, str] | None = None,
        maps: dict[str, str] | None = None,
        clock: Clock = SYSTEM,
        **settings: Any,
    ) -> None:
        self.clock = clock
        self.folder = folder
        self.values = {"mllp__port": 0, "http__base_url": "http://127.0.0.1", **settings}
        for kind, texts in (("flows", flows), ("connections", connections or {}), ("maps", maps or {})):
            for name, text in texts.items():
                path = folder / kind / f"{name}.yaml"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    async def __aenter__(self) -> Rig:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        settings = settings_of.read(self.folder, {"SUTURE_KEY_FILE": str(self.folder / "key")})
        self.rooms: App = open_rooms(settings.with_values(**self.values), self.clock)
        self.engine = Engine(
            self.rooms.database,
            self.rooms.interactions,
            project.read(self.folder),
            self.rooms.settings,
            self.rooms.clock,
        )
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()
        self.rooms.database.close()

    @property
    def read(self) -> Any:
        return self.rooms.database.read

    async def send(self, *originals: bytes) -> list[str]:
        """Sends over MLLP, one after the other; the acknowledgement codes."""
        sender = Sender("127.0.0.1", self.engine.listeners[0].port)
        answers = [(await sender.send(original)).code for original in originals]
        await sender.close()
        return answers

    async def accept(self, original: bytes, source: str = "mllp:0", **attributes: Any) -> Any:
        return await self.engine.accept(source, original, attributes)

    def messages(self, **wanted: Any) -> list[Entry]:
        return messages.find(self.read, **wanted)[::-1]

    def runs(self, **wanted: Any) -> list[Run]:
        return runs.find(self.read, **wanted)[::-1]

    def letters(self, open: bool | None = True) -> list[DeadLetter]:
        return dead.find(self.read, open=open)[::-1]

    async def until(self, holds: Callable[[], Any], seconds: float = 30.0) -> None:
        """Waits until something holds; fails when it never does."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, (
                f"never came true; runs: {[(r.state, r.step, r.error) for r in self.runs()]}, letters: {[(d.step, d.reason) for d in self.letters()]}"
            )
            await asyncio.sleep(0.01)

    async def settled(self, count: int, seconds: float = 30.0) -> None:
        """Waits until `count` runs have ended."""
        ended = (RunState.DONE, RunState.FAILED, RunState.CANCELLED)
        await self.until(
            lambda: sum(run.state in ended for run in runs.find(self.read, count=100_000)) >= count, seconds
        )
