"""Kills a serving process under load, again and again, and compares what was acknowledged with what is kept and delivered."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suture import settings as settings_of
from suture.clock import new_id
from suture.connectors.mllp import Listener
from suture.connectors.mllp_sender import Sender
from suture.errors import SendFailed
from suture.message import DeliveryState
from suture.ports import Receipt
from suture.standards.hl7v2.message import parse
from suture.store import messages
from suture.store.connection import Connection
from suture.store.database import Database
from suture.store.queue import deliveries, runs
from tests import stores

ROOT = Path(__file__).parents[2]
EACH = 25  # messages that are acknowledged between two kills, at least
FLOWS = {
    "forward": """suture: flow/1
id: forward
source: {{uses: mllp.listen, with: {{port: {port}}}}}
steps: [{{id: send, uses: mllp.send, with: {{connection: sink}}}}]
on_error: {{retry: {{attempts: 100, backoff: 100ms..1s}}}}
""",
    "chart": """suture: flow/1
id: chart
source: {{uses: mllp.listen, with: {{port: {port}}}}}
steps:
  - {{id: chart, uses: map, with: {{map: hl7v2/ADT_A01}}}}
  - {{id: save, uses: fhir.write}}
""",
}
MESSAGE = (
    "MSH|^~\\&|ADT|LAKESIDE|SUTURE|CLINIC|20261125080000||ADT^A08^ADT_A01|{id}|P|2.5.1\r"
    "EVN|A08|20261125080000\rPID|1||{lane}^^^LAKESIDE^MR||Testperson^Alma^{number}\rPV1|1|O\r"
)


@dataclass
class Outcome:
    """What happened: for the test to judge, for the bench to print."""

    acknowledged: list[str] = field(default_factory=list)
    arrived: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # lane -> control ids in order
    restarts: list[float] = field(default_factory=list)  # seconds from kill to first acknowledgement
    kills: int = 0

    @property
    def arrivals(self) -> Counter[str]:
        return Counter(id for ids in self.arrived.values() for id in ids)


class Victim:
    """`suture serve` as its own process."""

    def __init__(self, folder: Path, port: int, sink: int) -> None:
        self.folder, self.port = folder, port
        (folder / "flows").mkdir(parents=True)
        (folder / "connections").mkdir()
        for name, text in FLOWS.items():
            (folder / "flows" / f"{name}.yaml").write_text(text.format(port=port))
        (folder / "connections" / "sink.yaml").write_text(
            f"{{suture: connection/1, id: sink, uses: mllp, host: 127.0.0.1, port: {sink}, connections: 4, timeout: 5s}}"
        )
        self.environment = {**os.environ, "SUTURE_KEY_FILE": str(folder / "key"), "PYTHONPATH": str(ROOT)}
        self.environment |= {"SUTURE_DATABASE": stores.address(folder), "PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None

    def beside(self) -> Victim:
        """Another process of the same project and database."""
        return copy(self)

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "suture", "serve", "--port", "0", "--project", str(self.folder),
                env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip

    def ready(self) -> int:
        """How often one of the processes of this project has said that it is."""
        return (self.folder / "log").read_bytes().count(b"Ready ")

    async def until_ready(self, times: int) -> None:
        for _ in range(1200):
            if self.ready() >= times:
                return
            await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    async def kill(self) -> None:
        assert self._process is not None
        assert self._process.returncode is None, (self.folder / "log").read_text()[-2000:]
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """Gently; returns when it has ended."""
        assert self._process is not None
        self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 60)

    def database(self) -> Database:
        """Its database, while or after it runs."""
        return Database.open(settings_of.read(self.folder, self.environment))


class Sink:
    """The receiver behind it: takes everything, and remembers the order."""

    def __init__(self, outcome: Outcome, delay: float = 0.0) -> None:
        self.outcome, self.delay = outcome, delay
        self.listener = Listener(self._take, source="sink", port=0)

    async def _take(self, source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
        message = parse(original)
        self.outcome.arrived[message.get("PID-3.1")].append(message.control_id)
        if self.delay:
            await asyncio.sleep(self.delay)
        return Receipt(new_id())


class Load:
    """Senders that behave as hospitals do: one message at a time, sent again until it is acknowledged."""

    def __init__(self, port: int, outcome: Outcome, lanes: int = 6) -> None:
        self.port, self.outcome = port, outcome
        self.stopped = False
        self.last = time.monotonic()
        self.tasks = [asyncio.create_task(self._lane(f"P{n}")) for n in range(lanes)]

    async def _lane(self, lane: str) -> None:
        sender = Sender("127.0.0.1", self.port)
        for number in itertools.count():
            id = f"{lane}-{number}"
            while not await self._sent(sender, MESSAGE.format(id=id, lane=lane, number=number).encode()):
                sender = Sender("127.0.0.1", self.port)
                await asyncio.sleep(0.02)
            self.outcome.acknowledged.append(id)
            self.last = time.monotonic()
            if self.stopped:
                await sender.close()
                return

    async def _sent(self, sender: Sender, message: bytes) -> bool:
        try:
            await sender.send(message)
        except SendFailed:
            await sender.close()
            return False
        return True

    async def stop(self) -> None:
        """Each sender ends with an acknowledged message."""
        self.stopped = True
        await asyncio.wait_for(asyncio.gather(*self.tasks), 60)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def kill_again_and_again(folder: Path, kills: int, seed: int, nodes: int = 1) -> tuple[Outcome, Victim]:
    """Runs the load over `kills` kills at random moments, then lets everything come to its end.

    With several nodes the one that runs the flows is killed, another takes over, and the dead one comes back to wait.
    """
    outcome, chance = Outcome(), random.Random(seed)
    sink = Sink(outcome, delay=0.002)
    await sink.listener.start()
    victim = Victim(folder, free_port(), sink.listener.port)
    await victim.start()
    load = Load(victim.port, outcome)
    await _first_answer(load, time.monotonic(), 120)
    waiting = [victim.beside() for _ in range(nodes - 1)]
    for other in waiting:
        await other.start()
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.02, 0.6))
        if waiting:
            await victim.until_ready(nodes + outcome.kills)  # who takes over must be there
        await _acknowledged(outcome, EACH * (outcome.kills + 1), 60)
        await victim.kill()
        outcome.kills += 1
        killed = time.monotonic()
        if waiting:
            outcome.restarts.append(await _first_answer(load, killed, 120))
        await victim.start()
        if waiting:
            waiting.append(victim)
            victim = waiting.pop(0)
        else:
            outcome.restarts.append(await _first_answer(load, killed, 120))
    await load.stop()
    await _quiet(victim, 60)
    for one in (*waiting, victim):
        await one.stop()
    await sink.listener.stop()
    return outcome, victim


async def _acknowledged(outcome: Outcome, count: int, patience: float) -> None:
    end = time.monotonic() + patience
    while len(outcome.acknowledged) < count:
        assert time.monotonic() < end, "too little is acknowledged"
        await asyncio.sleep(0.01)


async def _first_answer(load: Load, since: float, patience: float) -> float:
    while load.last <= since:
        assert time.monotonic() < since + patience, "no acknowledgement after the restart"
        await asyncio.sleep(0.01)
    return load.last - since


async def _quiet(victim: Victim, patience: float) -> None:
    """Until no run is open."""
    end = time.monotonic() + patience
    database = victim.database()
    try:
        while database.read.one("SELECT 1 FROM run WHERE open = 1 LIMIT 1"):
            assert time.monotonic() < end, "runs are still open"
            await asyncio.sleep(0.1)
    finally:
        database.close()


def judge(outcome: Outcome, read: Connection) -> None:
    """Every acknowledged message is kept and delivered, in order in its lane; twice only where an answer was lost."""
    kept = Counter(one.control_id for one in messages.find(read, count=1_000_000))
    assert set(outcome.acknowledged) <= set(kept), "an acknowledged message is not in the journal"
    assert set(kept.values()) <= {1}, "a message was taken twice"
    assert set(outcome.acknowledged) <= set(outcome.arrivals), "an acknowledged message was not delivered"
    for lane, ids in outcome.arrived.items():
        first = [int(id.rpartition("-")[2]) for id in dict.fromkeys(ids)]
        assert first == sorted(first), f"lane {lane} is out of order"
    lost = ambiguous(read)
    twice = {id for id, times in outcome.arrivals.items() if times > 1}
    assert twice <= lost, f"sent twice though an answer was there: {sorted(twice - lost)[:5]}"
    assert [one.error for one in runs.find(read, count=1_000_000) if one.error] == []


def ambiguous(read: Connection) -> set[str]:
    """Control ids of messages with a delivery whose answer was lost once."""
    found = set()
    for one in deliveries.find(read, count=1_000_000):
        if any(attempt.outcome is DeliveryState.AMBIGUOUS for attempt in deliveries.attempts(read, one.did)):
            entry = messages.entry_of(read, one.mid)
            found.add(entry.control_id if entry else "")
    return found
