"""Speaks HTTP to one connection: only its origin, never a redirect, bounded answers, errors that say whether to retry.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import httpx

from suture.clock import Clock
from suture.component import size
from suture.connectors import authorities
from suture.connectors.allowed import Allowed
from suture.connectors.connection import Connection, origin
from suture.connectors.connection_auth import Authorization, Secret
from suture.connectors.gate import Resolve, Transport, system_resolve
from suture.connectors.headers import CONTROL, checked_headers
from suture.connectors.http_body import exchange
from suture.errors import Invalid, SendAmbiguous, SendFailed, SendUnavailable
from suture.ports import Answer

_LATER = {408, 425, 429}
_REPEATABLE = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request below a connection's base; `repeatable` when sending it twice does no harm."""

    method: str
    path: str = ""
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeatable: bool = False


class HttpSender:
    """One connection's client, with its credentials; a token is renewed once when the server refuses it."""

    def __init__(
        self,
        connection: Connection,
        secret: Secret,
        clock: Clock,
        timeout: float = 30.0,
        resolve: Resolve = system_resolve,
    ) -> None:
        self.connection = connection
        self.base = str(connection.with_["base"]).rstrip("/")
        self.origin = connection.origin
        self._clock = clock
        self._most = size(connection.with_.get("max_answer") or "16MiB")
        self._client = httpx.AsyncClient(
            timeout=connection.seconds("timeout", timeout),
            follow_redirects=False,
            trust_env=False,
            transport=Transport(
                Allowed(connection.origins),
                tls_context(connection, secret),
                resolve,
                connections=int(connection.with_.get("concurrency") or 4),
            ),
        )
        self._authorization = Authorization(connection, secret, clock, self._client)
        self._headers = checked_headers(connection.with_.get("headers") or {})

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, request: Request, accepted: Sequence[int] = ()) -> Answer:
        """The answer when it is 2xx or an accepted status; otherwise the error that says whether to retry."""
        answer = await self._once(request)
        if answer.status == 401 and self._authorization.renews:
            self._authorization.forget()
            answer = await self._once(request)
        if 200 <= answer.status < 300 or answer.status in accepted:
            return answer
        raise self._refused(answer)

    def url(self, path: str) -> str:
        """The address of a path, which must stay below the base."""
        if path.startswith((self.base + "/", self.base + "?")) or path == self.base:
            path = path[len(self.base) :]
        if CONTROL.search(path) or "\\" in path or urlsplit(path).scheme or path.startswith("//"):
            raise Invalid(
                "a path leaves its connection",
                where=self.connection.id,
                mend="Write a path below the base, such as /patients.",
            )
        where = path.split("?", 1)[0].split("#", 1)[0]
        if any(
            part.replace("%2e", ".").replace("%2E", ".") in ("..", ".") for part in re.split(r"/|%2[fF]|%5[cC]", where)
        ):
            raise Invalid("a path climbs out of its connection", where=self.connection.id, mend="Leave out '..'.")
        joined = path if not path or path[0] in "/?" else f"/{path}"
        url = self.base + joined
        if origin(url) != self.origin:
            raise Invalid("a path leaves its connection", where=self.connection.id, mend="Write a path below the base.")
        return url

    async def _once(self, request: Request) -> Answer:
        headers = {**self._headers, **checked_headers(request.headers), **await self._authorization.headers()}
        url = httpx.URL(self.url(request.path))
        if request.query:
            url = url.copy_merge_params(list(request.query))
        built = self._client.build_request(request.method, url, headers=headers, content=request.body or None)
        try:
            return await self._exchange(built)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise SendUnavailable(
                f"cannot be reached ({type(error).__name__})",
                where=self.connection.id,
                mend="Check that it runs, its address and its certificate.",
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._lost(request, error) from error

    async def _exchange(self, built: httpx.Request) -> Answer:
        answer, body = await exchange(self._client, built, self._most, self.connection.id)
        return Answer(answer.status_code, answer.headers, body)

    def _lost(self, request: Request, error: Exception) -> SendFailed:
        text = f"no answer ({type(error).__name__})"
        if request.repeatable or request.method in _REPEATABLE:
            return SendUnavailable(text, where=self.connection.id)
        return SendAmbiguous(
            text, where=self.connection.id, mend="Look there whether it arrived; then retry or cancel."
        )

    def _refused(self, answer: Answer) -> SendFailed:
        said = str(answer.status)
        if answer.status in _LATER or answer.status >= 500:
            return SendUnavailable(f"answered {said}", where=self.connection.id, answer=said, after=self._after(answer))
        if 300 <= answer.status < 400:
            return SendFailed(
                f"answered {said}, a redirect; redirects are not followed",
                where=self.connection.id,
                mend="Put the final address into the connection's base.",
                answer=said,
            )
        return SendFailed(
            f"answered {said}",
            where=self.connection.id,
            mend=_MENDS.get(answer.status, "The request itself must change; then replay it."),
            answer=said,
        )

    def _after(self, answer: Answer) -> float:
        """Seconds that Retry-After asks for, at most a day."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isdigit():
            return min(float(text), 86400.0)
        try:
            wanted = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return 0.0
        wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        return min(max((wanted - _now(self._clock)).total_seconds(), 0.0), 86400.0)


_MENDS = {
    401: "Check the connection's auth and its secret.",
    403: "Ask the other side for the permission this needs.",
    404: "Check the path and the connection's base.",
    409: "The other side has something that conflicts.",
    412: "The other side's version is another one; read it again, then replay.",
}


def _now(clock: Clock) -> datetime:
    return clock.now()


def tls_context(connection: Connection, secret: Secret) -> ssl.SSLContext:
    """TLS 1.2 or newer, checked against the system's authorities or the connection's own; with the own certificate."""
    given = connection.with_
    if not given.get("ca") and not given.get("certificate"):
        return authorities.of_the_system()
    try:
        context = authorities.context(str(given.get("ca") or ""))
        if given.get("certificate"):
            key = secret(str(given["key"]).removeprefix("secret:"), connection.secret_origin)
            with_certificate(context, str(given["certificate"]), key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"its certificates cannot be read ({type(error).__name__})",
            where=connection.id,
            mend="Name PEM files below the project folder, and the key that belongs to the certificate.",
        ) from error
    return context


def with_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Loads the own certificate with a key from the vault; the key's file exists only while it is read."""
    with NamedTemporaryFile("w", encoding="ascii", prefix="suture-", suffix=".pem") as file:
        file.write(key)
        file.flush()
        context.load_cert_chain(certificate, file.name)
