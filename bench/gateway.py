"""The gateway over real sockets: key, limits, audit row with fsync, figures; server CPU per passed request, and what it adds.

Run: python -m bench.gateway [--seconds 3]. Peer: Kong publishes 97,208 requests/s with rate limit and key (Kong Gateway 3.6, HTTPS,
many cores, without an audit row): https://developer.konghq.com/gateway/performance/benchmarks
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import uvloop

from bench.http import Connection, cpu_of, drive
from suture import settings as settings_of
from suture.services.gateway import keyring
from suture.store.database import Database

PORT, UPSTREAM = 18080, 18081
ROUTES = {
    "plain": "to: lab\n",
    "limited": "to: lab\neach: {second: 100000, burst: 200000, minute: 5000000, day: 500000000}\nlimits: {day: 900000000}\n",
    "chart": "to: local\n",
    "post": "to: lab\nmethods: [POST]\nmax_body: 64MiB\n",
}
_UPSTREAM = """
import asyncio, sys, uvloop
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 1000\\r\\n\\r\\n" + b"x" * 1000
class Answer(asyncio.Protocol):
    def connection_made(self, t): self.t, self.head, self.left = t, b"", 0
    def data_received(self, d):
        while d:
            if self.left:
                n = min(self.left, len(d)); self.left -= n; d = d[n:]
                if not self.left: self.t.write(ANSWER)
                continue
            self.head += d; end = self.head.find(b"\\r\\n\\r\\n")
            if end < 0: return
            at = self.head.find(b"content-length: ", 0, end)
            self.left = int(self.head[at + 16 : self.head.index(b"\\r", at)]) if at >= 0 else 0
            d, self.head = self.head[end + 4 :], b""
            if not self.left: self.t.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
uvloop.run(main())
"""


def prepared(folder: Path) -> str:
    """A project with routes; the value of a key that opens them."""
    for name, text in ROUTES.items():
        file = folder / "routes" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"suture: route/1\nid: {name}\n{text}")
    (folder / "connections").mkdir()
    (folder / "connections" / "lab.yaml").write_text(
        f"suture: connection/1\nid: lab\nuses: http\nbase: http://127.0.0.1:{UPSTREAM}/api\n"
    )
    (folder / "suture.toml").write_text(f'key_file = "{folder}/keys/key"\n[http]\nport = {PORT}\n')
    database = Database.open(settings_of.read(folder))
    value, unit = keyring.add(keyring.Wish("bench", list(ROUTES), scopes="system/*.cruds"), ROUTES, (), "user:bench")
    database.write_now(unit)
    database.close()
    return value


def request(key: str, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def measured(key: str, pid: int, seconds: float) -> None:
    print(f"{'path':34} {'connections':>11} {'per second':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
    body = b"x" * 1000
    for name, raw, connections in (
        ("GET, key", request(key, "GET", "/gateway/plain/orders/7"), 1),
        ("GET, key", request(key, "GET", "/gateway/plain/orders/7"), 32),
        ("GET, key and five limits", request(key, "GET", "/gateway/limited/orders/7"), 32),
        ("POST of 1 kB, key", request(key, "POST", "/gateway/post/orders", body), 32),
        ("GET of our own chart, not there", request(key, "GET", "/gateway/chart/Patient/none"), 32),
    ):
        found = await drive(lambda _, raw=raw: raw, connections, seconds, pid)
        print(
            f"{name:34} {connections:11} {found['rate']:10.0f} {found['p50']:8.2f} {found['p99']:8.2f} {found['cpu']:8.3f}"
        )
    await direct(seconds)
    await streamed(key, pid)


async def direct(seconds: float) -> None:
    """The same upstream without the gateway."""
    loop, times = asyncio.get_running_loop(), []
    connection: Connection = (await loop.create_connection(lambda: Connection(loop), "127.0.0.1", UPSTREAM))[1]
    raw, end = b"GET /api/orders/7 HTTP/1.1\r\nhost: x\r\n\r\n", time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        await connection.send(raw)
        times.append(time.perf_counter() - began)
    connection.transport.close()
    times.sort()
    print(
        f"{'GET, direct':34} {1:11} {len(times) / seconds:10.0f} {times[len(times) // 2] * 1e3:8.2f} {times[int(len(times) * 0.99)] * 1e3:8.2f}"
    )


async def streamed(key: str, pid: int, size: int = 32 * 1024 * 1024) -> None:
    """A large body, passed on as it comes."""
    before, memory = cpu_of(pid), most_memory(pid)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as http:
        began = time.perf_counter()
        answer = await http.post("/gateway/post/x", headers={"x-api-key": key}, content=b"x" * size)
        took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    print(
        f"32 MiB up: {size / took / 1e6:.0f} MB/s, {(cpu_of(pid) - before) / size * 1e9:.2f} ns CPU a byte, most memory {memory:.0f} -> {most_memory(pid):.0f} MB"
    )


def most_memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=3.0)
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = prepared(folder)
        upstream = subprocess.Popen([sys.executable, "-c", _UPSTREAM, str(UPSTREAM)])
        server = subprocess.Popen(
            [sys.executable, "-m", "suture", "serve", "--project", name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(100):
                try:
                    httpx.get(f"http://127.0.0.1:{PORT}/health/ready")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            uvloop.run(measured(key, server.pid, seconds))
        finally:
            for process in (server, upstream):
                os.kill(process.pid, signal.SIGTERM)
                process.wait()


if __name__ == "__main__":
    main()
