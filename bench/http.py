"""The FHIR API over real sockets with keys, policy, audit and fsync: rates, latencies, server CPU per request.

Run: python -m bench.http [--seconds 3]. Peers (CPU per request on such a machine): Medplum 5.1, WSO2 FHIR server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvloop

from suture import settings as settings_of
from suture.access import people
from suture.store.database import Database

PORT = 18080
PEERS = {"read": (2.6, 0.6), "create": (19.0, 8.7), "search": (5.6, 3.9), "transaction": (1700.0, 205.0)}  # ms CPU
PATIENTS, OBSERVATIONS = 100, 100


class Connection(asyncio.Protocol):
    """A keep-alive connection with one request in flight."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: asyncio.Future[int] | None = None
        self.data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head = self.data.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.data.find(b"content-length: ")
        length = int(self.data[at + 16 : self.data.index(b"\r", at)]) if 0 <= at < head else 0
        if len(self.data) >= head + 4 + length and self.waiting:
            status, self.data, waiting = int(self.data[9:12]), b"", self.waiting
            self.waiting = None
            waiting.set_result(status)

    async def send(self, raw: bytes) -> int:
        self.waiting = self.loop.create_future()
        self.transport.write(raw)
        return await self.waiting


def request(key: str, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    if body:
        head += f"content-type: application/fhir+json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drive(make: Callable[[int], bytes], connections: int, seconds: float, pid: int) -> dict[str, float]:
    """Sends as fast as answers come, on so many connections."""
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(loop), "127.0.0.1", PORT))[1] for _ in range(connections)
    ]
    times: list[float] = []
    bad, count = 0, 0
    end = time.perf_counter() + seconds

    async def one(connection: Connection) -> None:
        nonlocal bad, count
        while time.perf_counter() < end:
            count += 1
            started = time.perf_counter()
            status = await connection.send(make(count))
            times.append(time.perf_counter() - started)
            bad += status >= 300

    cpu, began = cpu_of(pid), time.perf_counter()
    await asyncio.gather(*(one(c) for c in opened))
    took, used = time.perf_counter() - began, cpu_of(pid) - cpu
    for connection in opened:
        connection.transport.close()
    times.sort()
    return {
        "rate": len(times) / took,
        "p50": times[len(times) // 2] * 1e3,
        "p99": times[int(len(times) * 0.99)] * 1e3,
        "cpu": max(used, 0.01) / len(times) * 1e3,
        "bad": bad,
    }


def processes_of(pid: int) -> list[int]:
    """The server and the web processes it has begun."""
    began = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(one) for one in began if b"--attached" in Path(f"/proc/{one}/cmdline").read_bytes())]


def cpu_of(pid: int) -> float:
    """Seconds, of all web processes together."""
    return sum(_cpu_of(one) for one in processes_of(pid))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """MB, of all web processes together."""
    return sum(_memory_of(one) for one in processes_of(pid))


def _memory_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def fsyncs(folder: Path) -> float:
    """What the disk itself does a second, this minute."""
    handle = os.open(folder / "fsync", os.O_CREAT | os.O_WRONLY)
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        os.pwrite(handle, b"x" * 4096, 0)
        os.fdatasync(handle)
        n += 1
    os.close(handle)
    return n


def coding(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(n: int, subject: str) -> dict[str, Any]:
    terminology = "http://terminology.hl7.org/CodeSystem/"
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [coding(terminology + "observation-category", "laboratory")],
        "code": {**coding("http://loinc.org", str(1000 + n % 50)), "text": "A laboratory test with a name"},
        "subject": {"reference": subject},
        "effectiveDateTime": f"20{n % 20 + 5:02d}-{n % 12 + 1:02d}-{n % 28 + 1:02d}T10:{n % 60:02d}:00Z",
        "issued": "2024-05-06T07:08:09Z",
        "valueQuantity": {
            "value": n % 200,
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
        "interpretation": [coding(terminology + "v3-ObservationInterpretation", "N")],
    }


def bundle(patient: int) -> bytes:
    url = f"urn:uuid:00000000-0000-4000-8000-{patient:012d}"
    person = {
        "resourceType": "Patient",
        "name": [{"family": f"Family{patient}", "given": ["Ann"]}],
        "identifier": [{"system": "urn:x", "value": str(patient)}],
        "gender": "female",
        "birthDate": "1980-01-02",
    }
    entries = [{"fullUrl": url, "resource": person, "request": {"method": "POST", "url": "Patient"}}]
    entries += [
        {"resource": observation(n, url), "request": {"method": "POST", "url": "Observation"}}
        for n in range(OBSERVATIONS - 1)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


async def ids(key: str, kind: str) -> list[str]:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        answer = await http.get(f"http://127.0.0.1:{PORT}/fhir/{kind}/_history?_count=1000")
        return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


async def measure(key: str, pid: int, seconds: float) -> None:
    bundles = [request(key, "POST", "/fhir", bundle(n)) for n in range(PATIENTS)]

    async def phase(kind: str, name: str, raws: list[bytes], connections: int) -> None:
        show(kind, name, await drive(in_turn(raws), connections, seconds, pid))

    await phase("transaction", "transaction of 100, 4 connections", bundles, 4)
    patients, observations = await ids(key, "Patient"), await ids(key, "Observation")
    reads = [request(key, "GET", f"/fhir/Observation/{id}") for id in observations]
    await phase("read", "read, 32 connections", reads, 32)
    await phase("read", "read, 1 connection", reads, 1)
    creates = [
        request(
            key, "POST", "/fhir/Observation", orjson.dumps(observation(n, f"Patient/{patients[n % len(patients)]}"))
        )
        for n in range(500)
    ]
    await phase("create", "create, 1 connection", creates, 1)
    await phase("create", "create, 64 connections", creates, 64)
    pages = [request(key, "GET", f"/fhir/Observation?patient={id}&_sort=-date&_count=50") for id in patients]
    await phase("search", "search page of 50, 16 connections", pages, 16)
    await phase("search", "search page of 50, 1 connection", pages, 1)


def in_turn(raws: Sequence[bytes]) -> Callable[[int], bytes]:
    """For `drive`: one after the other, again and again."""
    return lambda number: raws[number % len(raws)]


def told(name: str, found: dict[str, float]) -> str:
    """A line of what `drive` found."""
    bad = f"  BAD {found['bad']:.0f}" if found["bad"] else ""
    return f"{name:54} {found['rate']:7.0f}/s  p50 {found['p50']:8.2f} ms  p99 {found['p99']:8.2f} ms  CPU {found['cpu']:7.3f} ms{bad}"


@contextmanager
def empty() -> Iterator[tuple[Path, str]]:
    """A project of its own, and the key of a program that may do everything there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SUTURE_KEY_FILE"] = str(folder / "keys" / "key")
        os.environ["SUTURE_GATEWAY_FHIR_LIMITS"] = ""  # one caller asks more than any caller may
        database = Database.open(settings_of.read(folder))
        _, key = people.add_client(database, "bench", "system/*.cruds", "", 0)
        database.close()
        yield folder, key


def show(kind: str, name: str, found: dict[str, float]) -> None:
    medplum, wso2 = (peer / found["cpu"] for peer in PEERS[kind])
    bad = f"  BAD {found['bad']:.0f}" if found["bad"] else ""
    print(
        f"{name:36} {found['rate']:7.0f}/s  p50 {found['p50']:7.2f} ms  p99 {found['p99']:7.2f} ms  "
        f"CPU {found['cpu']:8.3f} ms  {medplum:6.1f}x Medplum {wso2:6.1f}x WSO2{bad}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    with empty() as (folder, key), serving(folder) as pid:
        print(f"disk {fsyncs(folder):.0f} fdatasync/s; memory idle {memory_of(pid):.0f} MB")
        uvloop.run(measure(key, pid, asked.seconds))
        print(f"memory after {memory_of(pid):.0f} MB")


@contextmanager
def serving(project: Path, **settings: str) -> Iterator[int]:
    """`suture serve` over a project as soon as it answers, with environment settings of these names: its process id."""
    command = [sys.executable, "-m", "suture", "serve", "--project", str(project), "--port", str(PORT)]
    began = time.perf_counter()
    with (project / "log").open("ab") as log:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    while not listening() and server.poll() is None:
        time.sleep(0.01)
    print(f"start to first answer {time.perf_counter() - began:.2f} s")
    try:
        yield server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        print("exit", server.wait(60))


def listening() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


if __name__ == "__main__":
    main()
