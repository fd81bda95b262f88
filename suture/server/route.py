"""What a handler gets and gives: Request, Response, and the Route that joins a pattern to a handler.

ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from suture.access.caller import ANONYMOUS, Caller
from suture.errors import Invalid, SutureError, TooLarge
from suture.server.site import Site

SLOWEST = 16 * 1024  # bytes a second of a body that is passed on as it arrives
LARGEST_FORM = 128 * 1024  # bytes of a form; what stands in one is decoded in the loop
Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
FHIR_JSON = b"application/fhir+json"
FHIR_XML = b"application/fhir+xml"
XML = b"application/xml"
HTML = b"text/html; charset=utf-8"


class TooSlow(SutureError):
    """The body did not arrive in time."""

    code, status, issue, retry = "too-slow", 408, "timeout", True


class WrongType(Invalid):
    """A content type this address doesn't read."""

    code, status, issue = "wrong-content-type", 415, "not-supported"


class NotAcceptable(Invalid):
    """A format this address doesn't write."""

    code, status, issue = "not-acceptable", 406, "not-supported"


@dataclass(slots=True)
class Response:
    """An answer; `stream` (when given) is sent after `body`, chunk by chunk."""

    status: int = 200
    body: bytes = b""
    type: bytes = JSON
    headers: Headers = field(default_factory=list)
    stream: AsyncIterator[bytes] | None = None
    close: Callable[[], Awaitable[None]] | None = None  # called when the answer was sent, or could not be


@dataclass(slots=True)
class Request:
    """One request; the caller is known before the body is read."""

    site: Site
    method: str
    path: str
    query_string: bytes
    headers: Mapping[bytes, bytes]
    id: str
    remote: str
    secure: bool
    receive: Callable[[], Awaitable[Mapping[str, Any]]]
    params: dict[str, str] = field(default_factory=dict)
    caller: Caller = ANONYMOUS
    certificate: str = ""  # SHA-256 of the certificate the caller showed over TLS
    subject: str = ""  # its subject (RFC 4514)
    raw_path: str = ""  # as it was sent, still percent-encoded
    header_list: Headers = field(default_factory=list)  # as they were sent, doubled ones too
    most: int = 0  # bytes of the body, when less than http.max_body is allowed
    session: str = ""  # the session token, when the caller came by cookie
    _body: bytes | None = None

    def header(self, name: bytes) -> str:
        """A header's value, empty when it is absent."""
        return self.headers.get(name, b"").decode("latin-1")

    def pairs(self) -> list[tuple[str, str]]:
        """The query's parameters in their order; raises Invalid when it isn't UTF-8 or holds too many."""
        return form(self.query_string)

    async def body(self, most: int = 0) -> bytes:
        """The whole body, unpacked, at most `most` bytes (default: http.max_body); raises TooLarge, TooSlow, WrongType."""
        if self._body is None:
            limit = most or self.most or self.site.settings["http.max_body"]
            try:
                async with asyncio.timeout(self.site.settings["http.read_timeout"]):
                    self._body = _unpacked(await self._read(limit), self.header(b"content-encoding"), limit)
            except TimeoutError:
                raise TooSlow(
                    "the body did not arrive in time", where="body", mend="Send it faster or in parts."
                ) from None
        return self._body

    async def parts(self, most: int) -> AsyncIterator[bytes]:
        """The body as it arrives, at most `most` bytes; raises TooLarge, and TooSlow below SLOWEST bytes a second."""
        loop, patience = asyncio.get_running_loop(), float(self.site.settings["http.read_timeout"])
        begun, size, more = loop.time(), 0, True
        while more:
            try:
                async with asyncio.timeout_at(min(loop.time(), begun + size / SLOWEST) + patience):
                    event = await self.receive()
            except TimeoutError:
                raise TooSlow(
                    "the body did not arrive in time", where="body", mend="Send it faster or in parts."
                ) from None
            if event["type"] == "http.disconnect":
                raise Invalid("the connection closed inside the body", where="body")
            part, more = event.get("body", b""), event.get("more_body", False)
            size += len(part)
            if size > most:
                raise TooLarge(f"the body is larger than {most} bytes", where="body", mend="Send it in parts.")
            if part:
                yield part

    async def gone(self) -> None:
        """Returns when the caller has hung up, or the answer is sent."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _read(self, limit: int) -> bytes:
        if _length(self.headers.get(b"content-length", b"0")) > limit:
            raise TooLarge(
                f"the body is larger than {limit} bytes", where="body", mend="Send it in parts, or raise http.max_body."
            )
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise Invalid("the connection closed inside the body", where="body")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            more = event.get("more_body", False)
            if size > limit:
                raise TooLarge(
                    f"the body is larger than {limit} bytes", where="body", mend="Raise http.max_body or send less."
                )
        return parts[0] if len(parts) == 1 else b"".join(parts)


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. `pattern`: `/fhir/{type}/{id}`; a last `{name...}` takes the rest of the path.

    `access`: `anonymous` (nobody is asked), `caller` (a bearer key or a session), or a permission of roles.py such
    as `console.see`; judged before the body is read. `scope` says in words what the handler asks of policy.
    """

    method: str
    pattern: str
    handler: Handler
    access: str = "caller"
    scope: str = ""
    query: Mapping[str, str] = field(default_factory=dict)  # parameters of the URL, with what they say
    fields: Mapping[str, str] = field(default_factory=dict)  # fields of the body, with what they say
    answer: Any = None  # the shape (a TypedDict) of a JSON answer
    quiet: bool = False  # a page asks by itself; that does not keep a session awake


def _unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """A body as it was before it was compressed (RFC 9110, 8.4); never more than `limit` bytes are made."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return raw
    if name not in ("gzip", "x-gzip"):
        raise WrongType("this compression is not read here", where="Content-Encoding", mend="Send gzip, or plain.")
    unpacker = zlib.decompressobj(31)
    try:
        found = unpacker.decompress(raw, limit + 1)
    except zlib.error:
        raise Invalid(
            "the body is not gzip", where="Content-Encoding", mend="Compress it, or leave the header out."
        ) from None
    if len(found) > limit:
        raise TooLarge(
            f"the body is larger than {limit} bytes when unpacked",
            where="body",
            mend="Raise http.max_body or send less.",
        )
    if not unpacker.eof or unpacker.unused_data:
        raise Invalid("the compressed body is cut off, or more follows it", where="Content-Encoding")
    return found


def form(raw: bytes) -> list[tuple[str, str]]:
    """The pairs of a query string or a form body."""
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=500
        )
    except UnicodeDecodeError:
        raise Invalid("the parameters are not UTF-8", where="query") from None
    except ValueError:
        raise Invalid("more than 500 parameters", where="query", mend="Join values with commas.") from None


def _length(raw: bytes) -> int:
    return int(raw) if raw.isdigit() and len(raw) < 19 else 0
