"""The other end of the wire: answers as a client's web server would, and keeps count of what was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.errors import SendUnavailable
from suture.ports import Answer

KEYS_URL = "https://app.example/jwks.json"


@dataclass
class Outside:
    """Answers every URL with what `say` makes of it; raises when it says an error."""

    say: Callable[[str], Answer | Exception]
    asked: list[str] = field(default_factory=list)
    slow: float = 0.0
    most: list[int] = field(default_factory=list)

    async def fetch(
        self,
        url: str,
        *,
        purpose: str,
        method: str = "GET",
        headers: Mapping[str, str] = {},
        content: bytes = b"",
        most: int = 0,
        timeout: float = 0.0,  # noqa: ASYNC109
    ) -> Answer:
        assert (purpose, method, content, dict(headers)) == ("jwks", "GET", b"", {"Accept": "application/json"})
        self.asked.append(url)
        self.most.append(most)
        await asyncio.sleep(self.slow)
        said = self.say(url)
        if isinstance(said, Exception):
            raise said
        return said


def nobody() -> Outside:
    """Nobody may be asked at all."""
    return Outside(lambda url: AssertionError(f"asked {url}"))


def keys(found: Any, cache: str | None = None, status: int = 200, **headers: str) -> Answer:
    said = {**({} if cache is None else {"cache-control": cache}), **headers}
    return Answer(status, said, found if isinstance(found, bytes) else json.dumps(found).encode())


def down() -> SendUnavailable:
    return SendUnavailable("cannot be reached")
