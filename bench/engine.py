"""Messages end to end through a real `suture serve`: `python -m bench.engine [adt oru relay pace] [--messages 4000]`.

HL7 v2 comes in over MLLP on ten connections, from a process of its own; `adt` and `oru` (10 OBX) become charts by the
packaged maps, `relay` changes a field and goes out over ten MLLP connections, `pace` is `relay` at 500 a second. With
access, validation and audit; counted until every message is done. Beside it: CPU of the server process per message, the
ratio to MessageFoundry 0.5 (a Python engine; 12 ms, receives, transforms and forwards), and fsync/s of the same minute.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import uvloop

from suture import settings as settings_of
from suture.message import MessageState
from suture.sandbox import traffic
from suture.store import messages
from suture.store.connection import Connection
from suture.store.database import Database

PEER = 0.012  # CPU seconds a message of MessageFoundry 0.5
CONNECTIONS = 10
WARM = 400
PORT = 18090
CHART = """suture: flow/1
id: hospital
source:
  uses: mllp.listen
  with: {{port: {port}, messages: [ADT^*, ORU^R01], time_zone: America/Chicago, system: "urn:suture:lakeside"}}
order_by: PID-3.1
steps:
  - id: kind
    uses: branch
    cases:
      - when: message.type = 'ADT^A40'
        steps: [{{id: merge, uses: map, with: {{map: hl7v2/ADT_A39}}}}]
      - when: message.type = 'ORU^R01'
        steps: [{{id: result, uses: map, with: {{map: hl7v2/ORU_R01}}}}]
    else:
      - {{id: admission, uses: map, with: {{map: hl7v2/ADT_A01}}}}
  - {{id: chart, uses: fhir.write, with: {{connection: local}}}}
"""
RELAY = """suture: flow/1
id: relay
source: {{uses: mllp.listen, with: {{port: {port}, messages: [ADT^*]}}}}
order_by: PID-3.1
steps:
  - {{id: out, uses: mllp.send, with: {{connection: sink, set: {{MSH-5: SINK, MSH-6: "{{{{ PID-3.1.first() }}}}"}}}}}}
"""
SINK = "{{suture: connection/1, id: sink, uses: mllp, host: 127.0.0.1, port: {port}, connections: 10, environment: sandbox}}"
ROW = "{:<22} {:>9} {:>10} {:>11} {:>9} {:>9} {:>9} {:>9} {:>7} {:>8}"
HEAD = ("", "messages", "done/s", "CPU µs/msg", "peer/CPU", "ACK p50", "ACK p99", "fsync/s", "failed", "memory")


@dataclass
class Way:
    """What is measured."""

    title: str
    flow: str
    rate: float = 0.0  # messages a second; 0: as fast as the answers come
    obx: int = 0


WAYS = {
    "adt": Way("ADT into FHIR", CHART),
    "oru": Way("ORU, 10 OBX, into FHIR", CHART, obx=10),
    "relay": Way("in, set, MLLP out", RELAY),
    "pace": Way("the same at 500/s", RELAY, rate=500),
}


# --- the senders, and the receiver at the other end


@dataclass
class Work:
    """Frames to send, at once or at a rate, and how long each answer took."""

    frames: Iterator[bytes]
    rate: float
    began: float = field(default_factory=time.perf_counter)
    taken: int = 0
    times: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One sender: the next message leaves when the answer is there, and not before its time."""

    def __init__(self, work: Work) -> None:
        self.work, self.sent = work, 0.0
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        frame = next(self.work.frames, None)
        if frame is None:
            self.transport.close()
            self.done.set_result(None)
            return
        due = self.work.began + self.work.taken / self.work.rate if self.work.rate else 0.0
        self.work.taken += 1
        wait = due - time.perf_counter()
        if wait > 0:
            self.loop.call_later(wait, self.send, frame, due)
        else:
            self.send(frame, due)

    def send(self, frame: bytes, due: float) -> None:
        self.sent = due or time.perf_counter()  # at a rate, the time it should have left: no omission
        self.transport.write(frame)

    def data_received(self, data: bytes) -> None:
        assert b"MSA|AA|" in data, data
        self.work.times.append(time.perf_counter() - self.sent)
        self.next()


async def load(work: Work) -> list[float]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Client(work), "127.0.0.1", PORT + 1) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(client.done for _, client in made))
    return work.times


class Receiver(asyncio.Protocol):
    """Acknowledges every message."""

    def __init__(self) -> None:
        self.data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *frames, self.data = (self.data + data).split(b"\x1c\r")
        for frame in frames:
            control_id = frame.split(b"|", 10)[9]
            self.transport.write(b"\x0bMSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|" + control_id + b"\r\x1c\r")


def receive(pipe: Pipe) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", PORT + 2)
        pipe.send("ready")
        await server.serve_forever()

    uvloop.run(run())


# --- the server process and what it costs


def family(pid: int) -> list[int]:
    """The server process and what it has begun: the planner."""
    return [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_of(pid: int) -> float:
    """CPU seconds of the server and its planner, ended ones included."""
    parts = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in family(pid)]
    return sum(int(ticks) for part in parts for ticks in part[11:15]) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Their share of memory (PSS) in MB."""
    lines = [line for one in family(pid) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def fsyncs(folder: Path) -> float:
    """What the disk itself does a second, this minute."""
    with (folder / "fsync").open("wb", buffering=0) as file:
        count, end = 0, time.perf_counter() + 0.5
        while time.perf_counter() < end:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            count += 1
    return count / 0.5


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(folder: Path, way: Way) -> Iterator[int]:
    """A `suture serve` over a project with this one flow."""
    for name in ("flows", "connections"):
        (folder / name).mkdir()
    (folder / "flows" / "flow.yaml").write_text(way.flow.format(port=PORT + 1))
    (folder / "connections" / "sink.yaml").write_text(SINK.format(port=PORT + 2))
    command = [sys.executable, "-m", "suture", "serve", "--project", str(folder), "--port", str(PORT)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        while not listening(PORT):
            if server.poll() is not None:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.02)
        try:
            yield server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def wait_done(read: Connection) -> None:
    while messages.find(read, state=MessageState.RECEIVED, count=1):
        time.sleep(0.01)


def measure(name: str, count: int, seed: int) -> None:
    way = WAYS[name]
    make = traffic.oru(seed, count + WARM, way.obx) if way.obx else traffic.adt(seed, count + WARM)
    frames = iter([b"\x0b" + raw + b"\x1c\r" for raw in make])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["SUTURE_KEY_FILE"] = str(folder / "keys" / "key")
        with serving(folder, way) as pid:
            read = Database.open(settings_of.read(folder)).reader()
            uvloop.run(load(Work(iter([next(frames) for _ in range(WARM)]), 0.0)))
            wait_done(read)
            synced, before, began = fsyncs(folder), cpu_of(pid), time.perf_counter()
            times = sorted(uvloop.run(load(Work(frames, way.rate))))
            wait_done(read)
            wall, cpu = time.perf_counter() - began, (cpu_of(pid) - before) / count
            failed = len(messages.find(read, state=MessageState.FAILED, count=count))
            memory = memory_of(pid)
        p50, p99 = (times[len(times) * part // 100] * 1000 for part in (50, 99))
        print(ROW.format(way.title, count, f"{count / wall:,.0f}", f"{cpu * 1e6:,.0f}", f"{PEER / cpu:.1f}x", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{synced:,.0f}", failed, f"{memory:.0f} MB"), flush=True)  # fmt: skip


def main() -> None:
    """Prints messages done per second, the server's CPU per message, the answers' latencies and the fsync rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="*", default=list(WAYS))
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    sink = multiprocessing.get_context("spawn").Process(target=receive, args=(there,), daemon=True)
    sink.start()
    here.recv()
    print(ROW.format(*HEAD))
    for name in asked.paths:
        measure(name, asked.messages, asked.seed)
    sink.terminate()


if __name__ == "__main__":
    main()
