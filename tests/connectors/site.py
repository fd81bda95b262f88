"""The other side: a small HTTP server on a real socket that answers as told and keeps what it got."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Got:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Say:
    """One answer; `hang_up` closes the connection instead, `ends` after it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    ends: bool = False

    def bytes(self) -> bytes:
        body = (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )
        lines = [
            f"HTTP/1.1 {self.status} X",
            f"content-length: {len(body)}",
            *(f"{k}: {v}" for k, v in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


Handler = Callable[[Got], Say | Awaitable[Say]]


class Site:
    """`async with Site(handler) as site:` serves at site.url."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.tls = tls
        self.got: list[Got] = []

    async def __aenter__(self) -> Site:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split(" ", 2)
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                got = Got(method, target, headers, body)
                self.got.append(got)
                said = self.handler(got)
                answer = said if isinstance(said, Say) else await said
                if answer.hang_up:
                    break
                writer.write(answer.bytes())
                await writer.drain()
                if answer.ends:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
