"""uvicorn's HTTP/1.1 on httptools, with a deadline and a size limit for the head of a request (RFC 6585, 431).

https://www.uvicorn.org/
"""

from __future__ import annotations

import asyncio
import hashlib
from asyncio.events import TimerHandle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from cryptography import x509
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CERTIFICATE = "suture.certificate"  # in the scope's extensions
_CLOSING = "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """One connection; a head that comes too slowly (408) or grows too large (431) ends it.

    So does what nobody waits for: the rest of a body that was answered already, and an answer nobody takes.
    """

    head_timeout: ClassVar[float] = 10.0
    head_limit: ClassVar[int] = 32 * 1024
    write_timeout: ClassVar[float] = 30.0

    _certificate = _subject = ""
    _deadline: TimerHandle | None = None
    _stalled: TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._certificate, self._subject = _shown(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._flowing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.head_limit:
            self._end("431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        self._in_head = True
        if self._deadline is None:
            self._arm()
        super().on_message_begin()
        if self._certificate:
            self.scope["extensions"] = {CERTIFICATE: {"sha256": self._certificate, "subject": self._subject}}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers of a chunked body are dropped: nobody reads them, and they have no limit
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._disarm()
        self._in_head, self._head_bytes = False, 0
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size <= self.head_limit:
            super().on_headers_complete()
            return
        kept, self.app = self.app, _head_too_large
        super().on_headers_complete()
        self.app = kept

    def on_message_complete(self) -> None:
        self._in_head = True
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and self.cycle.response_complete and self._deadline is None:
            self._deadline = self.loop.call_later(self.head_timeout, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._flowing()
        super().resume_writing()

    def _watch(self, left: int) -> None:
        self._stalled = self.loop.call_later(self.write_timeout, self._judge, left)

    def _judge(self, before: int) -> None:
        """Goes on waiting for a caller who takes something; cuts off one who took nothing."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
        else:
            self.transport.abort()

    def _flowing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self.head_timeout, self._end, "408 Request Timeout")

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, status: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(_CLOSING.format(status=status).encode())
            self.transport.close()


def _shown(transport: asyncio.BaseTransport) -> tuple[str, str]:
    """SHA-256 and subject of the certificate the caller showed; empty when there is none."""
    shaken = transport.get_extra_info("ssl_object")
    shown = shaken.getpeercert(binary_form=True) if shaken else None
    if not shown:
        return "", ""
    return hashlib.sha256(shown).hexdigest(), x509.load_der_x509_certificate(shown).subject.rfc4514_string()


async def _head_too_large(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
