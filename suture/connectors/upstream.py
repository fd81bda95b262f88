"""An HTTP/1.1 client that passes bodies on as they come, both ways, over kept-alive connections to one judged origin.

The gateway's way to an upstream. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx

from suture.clock import Clock
from suture.connectors.allowed import Allowed
from suture.connectors.connection import Connection
from suture.connectors.connection_auth import Authorization, Secret
from suture.connectors.gate import Resolve, Transport, addresses, system_resolve
from suture.connectors.headers import checked_headers
from suture.connectors.http import tls_context
from suture.connectors.target import target
from suture.connectors.upstream_line import Line, Lost
from suture.errors import OutboundRefused, SendAmbiguous, SendFailed, SendUnavailable

IDLE = 4.0  # seconds; many servers close a silent connection after 5
_ONCE = ("POST", "PATCH")
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Sent:
    """One request for the upstream. `body` is whole, or parts with their `length` when it is known."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    parts: AsyncIterator[bytes] | None = None
    length: int | None = None

    def head(self, host: bytes, credentials: Headers) -> bytes:
        lines = [b"%s %s HTTP/1.1\r\nhost: %s" % (self.method.encode(), self.path.encode(), host)]
        lines += [b"%s: %s" % one for one in (*self.headers, *credentials)]
        if self.parts is not None and self.length is None:
            lines.append(b"transfer-encoding: chunked")
        elif self.length or self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(b"content-length: %d" % (len(self.body) if self.length is None else self.length))
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(slots=True)
class Exchange:
    """An answer whose head is here; `parts` are its body as it comes. `close` it, whatever happened."""

    status: int
    headers: Headers
    length: int | None
    _line: Line
    _upstream: Upstream
    _timeout: float
    _feeding: asyncio.Task[None] | None = None
    after: Callable[[], None] | None = None  # called once, when it is closed

    @property
    def fed(self) -> bool:
        """Whether the request's own body is through."""
        return self._feeding is None or self._feeding.done()

    async def parts(self) -> AsyncIterator[bytes]:
        """The body; raises SendUnavailable when it breaks off or nothing comes for too long."""
        while True:
            try:
                part = await self._line.part(self._timeout)
            except Lost as error:
                raise SendUnavailable(f"the answer broke off ({error})", where=self._upstream.id) from error
            if not part:
                return
            yield part

    async def close(self) -> None:
        """The connection goes back to be used again if both bodies were whole."""
        after, self.after = self.after, None
        if after is not None:
            after()
        fed = True
        if self._feeding is not None:
            fed = self._feeding.done() and not self._feeding.cancelled() and self._feeding.exception() is None
            if not self._feeding.done():
                self._feeding.cancel()
                await asyncio.gather(self._feeding, return_exceptions=True)
        self._upstream.take_back(self._line, fed)


@dataclass(slots=True)
class _Idle:
    line: Line
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Upstream:
    """One connection file's server."""

    def __init__(
        self,
        connection: Connection,
        secret: Secret,
        clock: Clock,
        *,
        timeout: float = 30.0,
        resolve: Resolve = system_resolve,
    ) -> None:
        self.id = connection.id
        self._to = target(str(connection.with_["base"]), connection.id)
        self.base = self._to.path.rstrip("/")
        self._host = self._to.origin.partition("://")[2].encode()
        self._allowed = Allowed(connection.origins)
        self._resolve = resolve
        self._timeout = connection.seconds("timeout", timeout)
        self._tls: ssl.SSLContext | None = None
        context = tls_context(connection, secret)
        if self._to.scheme == "https":
            self._tls = context
        self._tokens = httpx.AsyncClient(
            transport=Transport(self._allowed, context, resolve), follow_redirects=False, trust_env=False
        )
        self._authorization = Authorization(connection, secret, clock, self._tokens)
        self._fixed = [
            (n.lower().encode(), v.encode("latin-1"))
            for n, v in checked_headers(connection.with_.get("headers") or {}).items()
        ]
        self._idle: deque[_Idle] = deque()

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().line.close()
        await self._tokens.aclose()

    def forget_token(self) -> bool:
        """After a 401: whether another token can be bought."""
        self._authorization.forget()
        return self._authorization.renews

    async def open(self, sent: Sent, timeout: float) -> Exchange:  # noqa: ASYNC109 - of the head, then between two parts
        """Sends a request; returns when the head of the answer is here.

        Raises SendUnavailable when nothing was sent or it may be repeated, SendAmbiguous when it may have arrived.
        """
        credentials = [
            (n.lower().encode(), v.encode("latin-1")) for n, v in (await self._authorization.headers()).items()
        ]
        own = {name for name, _ in (*credentials, *self._fixed)}
        sent.headers = [one for one in sent.headers if one[0] not in own]
        head = sent.head(self._host, [*self._fixed, *credentials])
        while (line := self._from_idle()) is not None:
            try:
                return await self._ask(line, sent, head, timeout)
            except Lost as error:
                line.close()
                if not (error.unsent and sent.parts is None and sent.method not in _ONCE):
                    raise self._lost(sent, error) from error
        line = await self._connect(min(timeout, self._timeout))
        try:
            return await self._ask(line, sent, head, timeout)
        except Lost as error:
            line.close()
            raise self._lost(sent, error) from error

    async def _ask(self, line: Line, sent: Sent, head: bytes, timeout: float) -> Exchange:  # noqa: ASYNC109
        feeding = None
        try:
            line.begin(head + sent.body, sent.method == "HEAD")
            if sent.parts is not None:
                feeding = asyncio.create_task(line.feed(sent.parts, sent.length is None))
            await line.head(timeout, feeding)
        except BaseException:
            line.close()
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            raise
        return Exchange(line.status, line.headers, line.length, line, self, timeout, feeding)

    def _from_idle(self) -> Line | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            found = self._idle.pop()
            if found.line.usable and now - found.since < IDLE:
                return found.line
            found.line.close()
        return None

    def take_back(self, line: Line, whole: bool) -> None:
        """Keeps a connection on which nothing is left of the last exchange."""
        if not (whole and line.reusable):
            line.close()
            return
        now = asyncio.get_running_loop().time()
        self._idle.append(_Idle(line))
        while self._idle and now - self._idle[0].since > IDLE:
            self._idle.popleft().line.close()

    async def _connect(self, timeout: float) -> Line:  # noqa: ASYNC109 - name, TCP and TLS together
        loop, to = asyncio.get_running_loop(), self._to
        name = to.host if self._tls else None
        try:
            async with asyncio.timeout(timeout):
                found = await addresses(to.host, to.port, self._allowed, self._resolve)
                for number, address in enumerate(found):
                    try:
                        made = loop.create_connection(Line, str(address), to.port, ssl=self._tls, server_hostname=name)
                        return (await made)[1]
                    except OSError:
                        if number == len(found) - 1:
                            raise
        except (OSError, TimeoutError) as error:
            raise SendUnavailable(
                f"cannot be reached ({type(error).__name__})",
                where=self.id,
                mend="Check that it runs, its address and its certificate.",
            ) from error
        raise OutboundRefused("no address", where=self.id)

    def _lost(self, sent: Sent, error: Lost) -> SendFailed:
        kind = SendAmbiguous if sent.method in _ONCE else SendUnavailable
        return kind(f"no answer ({error})", where=self.id)
