"""One connection to an upstream: a request out, its answer in, and nobody is read faster than the other side takes.

https://www.rfc-editor.org/rfc/rfc9112#section-9
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httptools

HIGH = 256 * 1024  # bytes of an answer that wait to be taken; then the upstream is not read
LARGEST_HEAD = 64 * 1024


class Lost(Exception):
    """The connection is of no use any more; `unsent` when surely nothing of the request was handled."""

    def __init__(self, text: str, unsent: bool = False) -> None:
        super().__init__(text)
        self.unsent = unsent


class Line(asyncio.Protocol):
    """`begin` a request, `feed` its body, await the `head`, take each `part`."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._waiting: asyncio.Future[None] | None = None  # for the head or the next part
        self._writable: asyncio.Future[None] | None = None
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._lost = ""
        self._fresh = True  # nothing of an answer was seen since begin()
        self._used = 0
        self._reset(False)

    def _reset(self, headless: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self._headless = headless  # HEAD: there is no body, whatever the headers say
        self._head_here = self._complete = False
        self._until_close = self._keep = False
        self._head_bytes = 0
        self._fresh = True

    # what the gateway calls

    @property
    def usable(self) -> bool:
        return not self._lost and self._transport is not None and not self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        return self.usable and self._complete and self._keep and not self._parts

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort() if not self._complete else self._transport.close()

    def begin(self, head: bytes, headless: bool) -> None:
        self._reset(headless)
        self._used += 1
        self._transport.write(head)

    async def feed(self, parts: AsyncIterator[bytes], chunked: bool) -> None:
        """Sends a body as it comes, no faster than the upstream takes it."""
        async for part in parts:
            if self._lost:
                raise Lost(self._lost)
            if not part:
                continue
            self._transport.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            if self._writable is not None:
                await self._writable
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    async def head(self, timeout: float, feeding: asyncio.Task[None] | None) -> None:  # noqa: ASYNC109
        """Returns when the head is here; raises Lost, or what went wrong with the request's own body."""
        try:
            async with asyncio.timeout(timeout):
                while not self._head_here:
                    if self._lost:
                        raise Lost(self._lost, unsent=self._fresh and self._used > 1)
                    await self._wait(feeding)
        except TimeoutError:
            raise Lost("too slow") from None

    async def _wait(self, feeding: asyncio.Task[None] | None) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        if feeding is None or feeding.done():
            if feeding is not None and not feeding.cancelled() and (error := feeding.exception()) is not None:
                raise error
            await self._waiting
            return
        await asyncio.wait({self._waiting, feeding}, return_when=asyncio.FIRST_COMPLETED)

    async def part(self, timeout: float) -> bytes:  # noqa: ASYNC109
        """The next piece of the body; empty at its end."""
        while not self._parts:
            if self._complete:
                return b""
            if self._lost:
                raise Lost(self._lost)
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._waiting
            except TimeoutError:
                raise Lost("too slow") from None
        part = self._parts.popleft() if len(self._parts) == 1 else self._joined()
        self._size -= len(part)
        if self._size < HIGH:
            self._transport.resume_reading()
        return part

    def _joined(self) -> bytes:
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._complete or not self._used:
            self._fail("the upstream spoke out of turn")
            return
        self._fresh = False
        if not self._head_here:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the upstream changed the protocol")
        except httptools.HttpParserError:
            self._fail("the upstream does not speak HTTP")
        if not self._head_here and self._head_bytes > LARGEST_HEAD:
            self._fail("the head of the answer is too large")

    def eof_received(self) -> None:
        if self._until_close and not self._lost:
            self._complete, self._keep = True, False
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_close and exc is None and not self._lost:
            self._complete = True
        self._lost = self._lost or "the connection closed"
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # what the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            self._fail("the upstream answered twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_here:  # trailers are dropped
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._complete or self._lost:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            if status == 101:
                self._fail("the upstream changed the protocol")
            return
        self.status, self._keep = status, self._parser.should_keep_alive()
        if not self._framed():
            return
        self._head_here = True
        if self._headless:
            self._complete, self._keep = True, False  # the parser can't be told; the next answer has a line of its own
        self._wake()

    def _framed(self) -> bool:
        """Whether the answer says in one way only where it ends."""
        lengths = {value.strip() for name, value in self.headers if name == b"content-length"}
        coded = [value for name, value in self.headers if name == b"transfer-encoding"]
        if len(lengths) > 1 or (lengths and coded) or (coded and [c.strip().lower() for c in coded] != [b"chunked"]):
            self._fail("the answer's length is said in two ways")
            return False
        if lengths and (text := lengths.pop()).isdigit() and len(text) < 19:
            self.length = int(text)
        elif not coded and self.status not in (204, 304) and not self._headless:
            self._until_close = True
        return True

    def on_body(self, body: bytes) -> None:
        if self._complete or self._lost:  # of an answer nobody asked for
            return
        self._parts.append(body)
        self._size += len(body)
        if self._size >= HIGH:
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._head_here and not self._headless and not self._lost:
            self._complete = True
            self._wake()

    def _fail(self, text: str) -> None:
        self._lost = self._lost or text
        self._keep = False
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
