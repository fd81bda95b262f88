"""MLLP acknowledgements per second with 1, 10 and 50 senders, beside python-hl7's server: `python -m bench.mllp`.

`durable` is the engine of `suture serve`: every message is journalled with fsync before its acknowledgement; `bare` accepts at once, which is
what the connector alone costs. python-hl7 parses, acknowledges and keeps nothing. The senders run in a process of their
own, each waits for its answer before the next message. The machine's fsync rate of the same minute stands beside.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import hl7.mllp
import uvloop

from suture import settings
from suture.app import open_rooms
from suture.clock import new_id
from suture.connectors.mllp import Listener
from suture.engine import project
from suture.engine.engine import Engine
from suture.ports import Receipt
from suture.sandbox import traffic

FLOW = """suture: flow/1
id: door
source: {uses: mllp.listen, with: {messages: [ZZZ^Z01]}}
steps: [{id: none, uses: filter, with: {when: "PV1-2 = 'I'"}}]
"""
SECONDS = 2.0
ROW = "{:<12} {:>8} {:>12} {:>12} {:>8} {:>8} {:>10} {:>16}"
PEER: dict[int, float] = {}  # CPU seconds of python-hl7 by senders


async def bare(source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
    return Receipt(new_id())


def serve(kind: str, pipe: Pipe, folder: str) -> None:
    uvloop.run({"bare": connector, "durable": product, "python-hl7": theirs}[kind](kind, pipe, folder))


async def connector(kind: str, pipe: Pipe, folder: str) -> None:
    listener = Listener(bare, source="mllp:0", port=0)
    await listener.start()
    await report(pipe, listener.port)
    await listener.stop()


async def product(kind: str, pipe: Pipe, folder: str) -> None:
    """The engine as `suture serve` runs it; the flow claims none of these messages, so that only the door is measured."""
    flows = Path(folder) / "flows"
    flows.mkdir()
    (flows / "door.yaml").write_text(FLOW)
    configured = settings.read(Path(folder), {"SUTURE_KEY_FILE": f"{folder}/key"}).with_values(mllp__port=0)
    rooms = open_rooms(configured)
    engine = Engine(rooms.database, rooms.interactions, project.read(Path(folder)), configured, rooms.clock)
    await engine.start()
    await report(pipe, engine.listeners[0].port)
    await engine.stop()
    rooms.database.close()


async def theirs(kind: str, pipe: Pipe, folder: str) -> None:
    async def handle(reader: Any, writer: Any) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()

    server = await hl7.mllp.start_hl7_server(handle, "127.0.0.1", 0, encoding="utf-8")
    await report(pipe, server.sockets[0].getsockname()[1])


async def report(pipe: Pipe, port: int) -> None:
    """Tells the port, then the CPU seconds used whenever asked."""
    pipe.send(port)
    while True:
        question = await asyncio.to_thread(pipe.recv)
        if question == "stop":
            return
        pipe.send(time.process_time())


class Client(asyncio.Protocol):
    """One sender: the next message leaves when the answer is there."""

    def __init__(self, work: list[bytes], end: float, times: list[float]) -> None:
        self.work, self.end, self.times = work, end, times
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        if time.perf_counter() > self.end or not self.work:
            self.transport.close()
            self.done.set_result(None)
            return
        self.sent = time.perf_counter()
        self.transport.write(self.work.pop())

    def data_received(self, data: bytes) -> None:
        assert b"MSA|AA|" in data
        self.times.append(time.perf_counter() - self.sent)
        self.next()


async def load(port: int, clients: int, frames: list[bytes]) -> list[float]:
    loop, times, end = asyncio.get_running_loop(), list[float](), time.perf_counter() + SECONDS
    made = [
        (await loop.create_connection(lambda: Client(frames, end, times), "127.0.0.1", port))[1] for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for client in made))
    return times


def fsyncs(folder: str) -> float:
    """fsync of a 4 KB append, per second, on this machine just now."""
    with open(f"{folder}/fsync", "wb", buffering=0) as file:
        count, end = 0, time.perf_counter() + 0.5
        while time.perf_counter() < end:
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            count += 1
    return count / 0.5


def measure(kind: str, frames: Callable[[], list[bytes]]) -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        here, there = context.Pipe()
        server = context.Process(target=serve, args=(kind, there, folder), daemon=True)
        server.start()
        port = here.recv()
        for clients in (1, 10, 50):
            work, rate = frames(), fsyncs(folder)
            here.send("cpu")
            before = here.recv()
            start = time.perf_counter()
            times = sorted(uvloop.run(load(port, clients, work)))
            wall = time.perf_counter() - start
            here.send("cpu")
            cpu = (here.recv() - before) / len(times)
            if kind == "python-hl7":
                PEER[clients] = cpu
            p99 = times[len(times) * 99 // 100] * 1000
            print(ROW.format(kind, clients, f"{len(times) / wall:,.0f}", f"{cpu * 1e6:.0f}", f"{times[len(times) // 2] * 1000:.2f}", f"{p99:.2f}", f"{rate:,.0f}", f"{PEER[clients] / cpu:.1f}x"))  # fmt: skip
        here.send("stop")
        server.join(3)
        server.terminate()


def main() -> None:
    """Prints messages per second, the server's CPU per message, latencies and the fsync rate."""
    seeds = iter(range(1, 1000))

    def frames() -> list[bytes]:
        return [b"\x0b" + raw + b"\x1c\r" for raw in traffic.adt(next(seeds), 12_000)] * 3

    print(ROW.format("", "senders", "messages/s", "CPU µs/msg", "p50 ms", "p99 ms", "fsync/s", "CPU of the peer"))
    for kind in ("python-hl7", "bare", "durable"):
        measure(kind, frames)


if __name__ == "__main__":
    main()
