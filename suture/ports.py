"""The calls that go up the house: a lower floor names what it needs here, app.py wires the real thing in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from suture.errors import SendFailed, SutureError


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a source may answer after its message is committed with fsync."""

    message_id: str
    duplicate: bool = False
    answer: bytes = b""  # the stored acknowledgement, when the source keeps one
    rejected: str = ""  # why the content was refused (broken in structure); it is kept all the same
    error: SutureError | None = None  # the refusal with its place, for senders that can be told it


class Accept(Protocol):
    """Journals one original durably; raises Unavailable when it could not be made durable."""

    async def __call__(self, source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt: ...


class Write(Protocol):
    """Runs a unit of work inside the next group commit; returns its result after the fsync."""

    async def __call__(self, unit: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What another server said."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Fetch(Protocol):
    """One request to an address a user may have written: connectors/outbound.py, wired in by app.py.

    `purpose` is a key of its PURPOSES (jwks, openid, subscription, webhook, cds …). Redirects come back as answers and are not
    followed. Raises Invalid (the URL), OutboundRefused (not allowed), SendUnavailable or SendFailed (no answer, too large).
    """

    async def fetch(
        self,
        url: str,
        *,
        purpose: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        most: int = 0,  # bytes of the answer; 0: outbound.max_answer
        timeout: float = 0.0,  # noqa: ASYNC109 - seconds for all of it; 0: outbound.timeout
    ) -> Answer: ...


class Expander(Protocol):
    """Codes of value sets and of hierarchies, for searches with :in, :not-in, :above and :below; wired in by app.py."""

    def expand(self, url: str) -> Collection[tuple[str, str]] | None:
        """Every (system, code) of a value set (`url` or `url|version`); None when it is not known, or can't be listed."""
        ...

    def related(self, system: str, code: str, *, above: bool) -> Collection[str] | None:
        """The code with all above (else below) it; None when the hierarchy or the code is not known."""
        ...


class Nowhere:
    """The Fetch of a process that calls nobody."""

    async def fetch(
        self,
        url: str,
        *,
        purpose: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        most: int = 0,
        timeout: float = 0.0,  # noqa: ASYNC109 - as in Fetch
    ) -> Answer:
        """Raises SendFailed."""
        raise SendFailed("nothing is fetched in this process", where=purpose)
