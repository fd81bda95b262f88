"""How the web side ends: at once when nothing runs, and what runs is answered first or cut off in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from suture.server.web import Web
from tests.server.running import Running, serving

BODY = b'{"resourceType": "Patient", "id": "p"}'


def web(server: Running) -> Web:
    return next(part for part in server.app.parts if isinstance(part, Web))


@asynccontextmanager
async def line(server: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def begin(server: Running, writer: asyncio.StreamWriter) -> None:
    """A request whose body is half there; returns when the server waits for the rest."""
    key = server.http.headers["authorization"]
    head = f"PUT /fhir/Patient/p HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Type: application/fhir+json\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:10])
    running = web(server)._server
    assert running is not None
    for _ in range(1000):
        if running.server_state.tasks:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the request never came")


async def test_a_request_that_runs_is_answered_and_idle_callers_hold_nothing_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, line(server) as (idle, _), line(server) as (reader, writer):
        assert (await server.http.get("/health/live")).status_code == 200
        await begin(server, writer)
        ending = asyncio.create_task(web(server).stop())
        assert await idle.read() == b""
        assert not ending.done()
        writer.write(BODY[10:])
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert b"connection: close" in answer.lower()
        await ending
        host, port = server.url.removeprefix("http://").split(":")
        refused = await asyncio.gather(asyncio.open_connection(host, int(port)), return_exceptions=True)
        assert isinstance(refused[0], ConnectionRefusedError)


async def test_a_request_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, http__stop_timeout=0) as server, line(server) as (_, writer):
        await begin(server, writer)
        await web(server).stop()
        server.app.log.flush()
        assert "Requests that ran past http.stop_timeout were cut off" in server.log.getvalue()
