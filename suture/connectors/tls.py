"""TLS of the listeners: 1.2 and later, forward secrecy, certificates of callers, and renewed files without a restart.

RFC 9325 (recommendations for TLS); https://docs.python.org/3/library/ssl.html
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture.errors import Unstartable
from suture.settings import Settings

log = logging.getLogger("suture.tls")
SETTINGS = {
    "http": ("http.tls_certificate", "http.tls_key", "http.tls_client_ca"),
    "mllp": ("mllp.tls_certificate", "mllp.tls_key", "mllp.tls_client_ca"),
}
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all sound


@dataclass(frozen=True, slots=True)
class Files:
    """What a listener's TLS is made of; `ca`: the authorities whose certificates callers may show."""

    name: str  # http | mllp
    certificate: str
    key: str
    ca: str
    required: bool  # whether a caller without a certificate is turned away

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes when one of the files does."""
        found = [Path(one).stat() for one in (self.certificate, self.key, self.ca) if one]
        return tuple((one.st_mtime_ns, one.st_ino) for one in found)


class Tls:
    """`context` is given to a listener once; each handshake takes the certificate that was read last."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.context = made(files)
        self._now, self._stamp = self.context, files.stamp()
        self.context.sni_callback = self._current

    def _current(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._now is not self.context:
            handshake.context = self._now

    def renew(self) -> bool:
        """Reads files that have changed; returns whether it did. What can't be used is logged, and the old goes on."""
        try:
            stamp = self.files.stamp()
            if stamp == self._stamp:
                return False
            self._now, self._stamp = made(self.files), stamp
        except (OSError, Unstartable):
            log.error("the renewed certificate of %s can't be used; the one before goes on", self.files.name)
            return False
        log.info("the certificate of %s was renewed", self.files.name)
        return True


def of(settings: Settings, name: str) -> Tls | None:
    """The TLS of the `http` or `mllp` listeners, None without a certificate; raises Unstartable for files that don't fit."""
    certificate, key, ca = (str(settings[one]) for one in SETTINGS[name])
    if not certificate:
        return None
    return Tls(Files(name, certificate, key, ca, required=name == "mllp"))


def made(files: Files) -> ssl.SSLContext:
    """A server's context; raises Unstartable when the files don't fit."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(files.certificate, files.key or None)
        if files.ca:
            context.load_verify_locations(files.ca)
            context.verify_mode = ssl.CERT_REQUIRED if files.required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        name = files.name
        raise Unstartable(
            f"the TLS certificate of the {name.upper()} listeners can't be used",
            where=f"{name}.tls_certificate",
            mend=f"Check {name}.tls_certificate, {name}.tls_key and {name}.tls_client_ca.",
        ) from error
    return context


class Renewal:
    """Looks at the files of every listener now and then."""

    def __init__(self, listeners: Iterable[Tls | None], every: float) -> None:
        self._listeners = [one for one in listeners if one is not None]
        self._every = every
        self._turning: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Begins to look, when there is something to look at."""
        if self._listeners:
            self._turning = asyncio.create_task(self._turn())

    async def stop(self) -> None:
        """Looks no more."""
        if self._turning is not None:
            self._turning.cancel()
            with suppress(asyncio.CancelledError):
                await self._turning

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            for one in self._listeners:
                one.renew()
