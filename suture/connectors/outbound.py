"""The one door for every URL that a user can enter: allowed origins only, checked addresses, no redirects, bounded answers.

OWASP, Server-Side Request Forgery Prevention: https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from suture.connectors import authorities
from suture.connectors.allowed import Allowed, words
from suture.connectors.gate import Resolve, Transport, system_resolve
from suture.connectors.headers import checked_headers
from suture.connectors.http_body import exchange
from suture.connectors.target import Target, target
from suture.errors import SendAmbiguous, SendFailed, SendUnavailable, Unstartable
from suture.ports import Answer
from suture.settings import Settings

_REPEATABLE = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
_OURS = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
ALL_CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Arriving:
    """An answer whose body is read part by part, as it was packed."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    parts: AsyncIterator[bytes]


class Outbound:
    """`fetch` is the Fetch of ports.py; `check` judges a URL when it is entered, before anything is sent."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        timeout: float = 10.0,
        most: int = 1024 * 1024,
        per_origin: int = 16,
        authorities: str = "",
        resolve: Resolve = system_resolve,
    ) -> None:
        self._allowed = allowed
        self._timeout = timeout
        self._most = most
        self._per_origin = per_origin
        self._busy: Counter[str] = Counter()
        self._authorities = authorities
        self._resolve = resolve
        self._kept: httpx.AsyncClient | None = None

    @classmethod
    def of(cls, settings: Settings, listed: Iterable[str] = (), resolve: Resolve = system_resolve) -> Outbound:
        """As the settings say; `listed` are origins an operator's own files name."""
        allowed = Allowed([*words(settings["outbound.allow"]), *listed], words(settings["outbound.public"]))
        return cls(
            allowed,
            timeout=settings["outbound.timeout"],
            most=settings["outbound.max_answer"],
            per_origin=settings["outbound.concurrency"],
            authorities=settings["outbound.ca"],
            resolve=resolve,
        )

    async def close(self) -> None:
        if self._kept is not None:
            await self._kept.aclose()

    @property
    def _client(self) -> httpx.AsyncClient:
        """Made when it is first needed: reading the system's authorities takes time and memory."""
        if self._kept is None:
            transport = Transport(self._allowed, trust(self._authorities), self._resolve, connections=ALL_CONNECTIONS)
            self._kept = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
        return self._kept

    def check(self, url: str, purpose: str) -> Target:
        """Where the URL leads; raises Invalid or OutboundRefused. Nothing is resolved or sent."""
        found = target(url, purpose)
        self._allowed.permit(found, purpose)
        return found

    async def fetch(
        self,
        url: str,
        *,
        purpose: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        most: int = 0,
        timeout: float = 0.0,  # noqa: ASYNC109 - of the whole exchange, name and TLS included
    ) -> Answer:
        """The answer, whatever its status: a redirect is an answer like any other and is not followed."""
        to = self.check(url, purpose)
        sent = {name: value for name, value in checked_headers(headers or {}).items() if name.lower() not in _OURS}
        request = self._client.build_request(method, to.url, headers=sent, content=content or None)
        request.extensions = {**request.extensions, "purpose": purpose, "timeout": _none_of_its_own()}
        try:
            with self._place(to, purpose):
                async with asyncio.timeout(timeout or self._timeout):
                    answer, body = await exchange(self._client, request, most or self._most, purpose)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise SendUnavailable(f"{to.origin} cannot be reached", where=purpose) from error
        except (httpx.TransportError, TimeoutError) as error:
            raise _lost(to, purpose, method) from error
        return Answer(answer.status_code, dict(answer.headers), body)

    @asynccontextmanager
    async def stream(
        self, url: str, *, purpose: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Arriving]:
        """An answer that is read as it arrives: nothing is unpacked or followed, who reads sets the bounds.

        The head, and every part after it, must come within outbound.timeout.
        """
        to = self.check(url, purpose)
        request = self._client.build_request("GET", to.url, headers=checked_headers(headers or {}))
        request.extensions = {**request.extensions, "purpose": purpose, "timeout": _none_of_its_own()}
        try:
            with self._place(to, purpose):
                async with asyncio.timeout(self._timeout):
                    answer = await self._client.send(request, stream=True)
                try:
                    yield Arriving(answer.status_code, dict(answer.headers), self._parts(answer))
                finally:
                    await answer.aclose()
        except (httpx.TransportError, TimeoutError) as error:
            raise SendUnavailable(f"no answer from {to.origin}", where=purpose) from error

    async def _parts(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        raw = answer.aiter_raw()
        while True:
            async with asyncio.timeout(self._timeout):
                part = await anext(raw, None)
            if part is None:
                return
            yield part

    @contextmanager
    def _place(self, to: Target, purpose: str) -> Iterator[None]:
        """A slow origin holds up its own requests only."""
        if self._busy[to.origin] >= self._per_origin:
            raise SendUnavailable(f"{to.origin} answers too slowly; too many requests wait for it", where=purpose)
        self._busy[to.origin] += 1
        try:
            yield
        finally:
            self._busy[to.origin] -= 1
            if not self._busy[to.origin]:
                del self._busy[to.origin]


def _none_of_its_own() -> dict[str, float | None]:
    """httpx's own time limits are off: the one around the whole exchange holds."""
    return dict.fromkeys(("connect", "read", "write", "pool"), None)


def _lost(to: Target, purpose: str, method: str) -> SendFailed:
    kind = SendUnavailable if method in _REPEATABLE else SendAmbiguous
    return kind(f"no answer from {to.origin}", where=purpose)


def trust(further: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer, checked against the system's authorities and those of a PEM file."""
    if not further:
        return authorities.of_the_system()
    context = authorities.context()
    try:
        context.load_verify_locations(further)
    except (OSError, ssl.SSLError) as error:
        raise Unstartable("no authorities can be read", where="outbound.ca", mend="Name a PEM file.") from error
    return context
