"""Sends syslog messages over TLS, each framed by its length (RFC 5424, RFC 5425)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from suture.errors import Invalid, SendUnavailable, Unstartable

PORT = 6514
SECONDS = 10.0
FACILITY = 13  # log audit
NOTICE, WARNING = 5, 4


def line(at: str, name: str, text: bytes, warning: bool) -> bytes:
    """One message in RFC 5424's form; `at` is an instant, `name` says what kind it is."""
    priority = FACILITY * 8 + (WARNING if warning else NOTICE)
    kind = "".join(c for c in name if 33 <= ord(c) <= 126)[:32] or "-"
    head = f"<{priority}>1 {at} {_host()} suture - {kind} - "
    return head.encode() + b"\xef\xbb\xbf" + text


def _host() -> str:
    return "".join(c for c in socket.gethostname() if 33 <= ord(c) <= 126)[:255] or "-"


def framed(messages: Sequence[bytes]) -> bytes:
    """Octet counting: each message behind its length."""
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


class Syslog:
    """One connection to a receiver, opened when it is needed.

    Syslog has no acknowledgement: what was sent counts as arrived once the other machine's TCP has taken every byte and the
    connection still stands at the next look; what a connection took with it is sent again.
    """

    def __init__(self, url: str, *, authorities: str = "", certificate: str = "", key: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "tls" or not parts.hostname:
            raise Invalid("not the address of a syslog receiver", where="audit.syslog", mend="Write tls://HOST:6514.")
        self._host, self._port = parts.hostname, parts.port or PORT
        self._tls = _context(authorities, certificate, key)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, messages: Sequence[bytes]) -> None:
        """Raises SendUnavailable when the receiver is not there or does not take it in time."""
        try:
            async with asyncio.timeout(SECONDS):
                writer = await self._open()
                writer.write(framed(messages))
                await writer.drain()
        except (OSError, TimeoutError, ssl.SSLError) as error:
            await self.close()
            raise SendUnavailable(f"the receiver can't be reached ({type(error).__name__})", where="syslog") from error

    async def _open(self) -> asyncio.StreamWriter:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._tls, server_hostname=self._host, limit=4096
            )
        return self._writer

    def arrived(self) -> bool | None:
        """True when all that was sent was taken, None while that is not known yet; False when the connection broke."""
        if self._writer is None or self._reader is None or self._reader.at_eof() or self._writer.is_closing():
            return False
        if self._reader.exception() is not None:
            return False
        transport = self._writer.transport
        return True if not transport.get_write_buffer_size() and not _unacknowledged(transport) else None

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(SECONDS):
                    await writer.wait_closed()


def _unacknowledged(transport: asyncio.BaseTransport) -> int:
    """Bytes that the other machine has not taken yet (SIOCOUTQ, Linux); 0 where that can't be asked."""
    found = transport.get_extra_info("socket")
    try:
        return int(struct.unpack("i", fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    except (OSError, AttributeError):
        return 0


def _context(authorities: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; the receiver's certificate is checked, and ours shown when there is one."""
    try:
        made = ssl.create_default_context(cafile=authorities or None)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            made.load_cert_chain(Path(certificate), Path(key) if key else None)
    except (OSError, ssl.SSLError) as error:
        raise Unstartable(
            f"a certificate file can't be read ({type(error).__name__})",
            where="audit.syslog_ca, audit.syslog_certificate, audit.syslog_key",
        ) from error
    return made
