"""Paths that lead where they say: what several readers would read differently is refused before it is passed on.

https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from suture.errors import Invalid

KEY_MARKS = ("gk_", "sk_")  # how our own keys begin
_KEY_NAMES = {"apikey", "api_key", "api-key", "x-api-key", "access_token", "key_secret", "client_secret"}
_WRITTEN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*")
_QUERY = re.compile(r"[\x21-\x7e]*")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BAD = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")  # surrogates stand for bytes that are no UTF-8
ROUNDS = 4  # how often a part is decoded to see what others might see


@dataclass(frozen=True, slots=True)
class Paths:
    """Which paths of a route are open, and how they are written for the upstream."""

    open: tuple[tuple[str, ...], ...] = ((),)  # decoded segments of prefixes
    strip: tuple[str, ...] = ()
    prepend: str = ""

    def rewritten(self, raw: str) -> str | None:
        """The upstream's path of a path below the route; None when it isn't open. Raises Invalid."""
        segments = checked(raw)
        plain = tuple(decoded(segment) for segment in segments)
        if not any(plain[: len(prefix)] == prefix for prefix in self.open):
            return None
        if self.strip:
            if plain[: len(self.strip)] != self.strip:
                return None
            segments = segments[len(self.strip) :]
        path = "/".join(segments)
        return f"{self.prepend}/{path}" if path or not self.prepend else self.prepend


def checked(raw: str) -> list[str]:
    """The segments as they were sent; raises Invalid for any that another reader could take for something else."""
    path = raw.removeprefix("/")
    if not path:
        return []
    if not _WRITTEN.fullmatch(path) or _PERCENT.search(path):
        raise _wrong("a path holds a character that must be percent-encoded")
    segments = path.split("/")
    for number, segment in enumerate(segments):
        if not segment and number < len(segments) - 1:
            raise _wrong("a path has an empty part")
        _require_plain(segment)
    return segments


def _require_plain(segment: str) -> None:
    seen = segment
    for _ in range(ROUNDS):
        name = seen.split(";", 1)[0]
        if name.strip(" ") in (".", "..") or _BAD.search(seen):
            raise _wrong("a path climbs, or hides a slash, a control character or what is no UTF-8")
        again = decoded(seen)
        if again == seen:
            return
        seen = again
    raise _wrong("a path is encoded again and again")


def decoded(segment: str) -> str:
    """A segment as it is compared; what isn't UTF-8 keeps its bytes apart."""
    return unquote_to_bytes(segment.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def require_no_key(raw: str, query: str) -> None:
    """Raises Invalid for a key in the URL, where logs and browsers keep it (RFC 6750, 5.3; RFC 9700, 4.3.2)."""
    seen = decoded(raw + "?" + query)
    names = {decoded(pair.partition("=")[0]).lower() for pair in query.split("&")} if query else set()
    if any(mark in seen for mark in KEY_MARKS) or names & _KEY_NAMES:
        raise Invalid("a key stands in the URL", where="url", mend="Send it in the header Authorization or X-API-Key.")


def checked_query(query: bytes) -> str:
    """The query as it was sent; raises Invalid when it holds what no URL holds."""
    text = query.decode("latin-1")
    if not _QUERY.fullmatch(text) or "#" in text:
        raise Invalid("the query holds a character that must be percent-encoded", where="query")
    return text


def prefix(text: str) -> tuple[str, ...]:
    """A prefix in a route file, as decoded segments; raises Invalid."""
    return tuple(decoded(segment) for segment in checked(text.strip("/")))


def _wrong(text: str) -> Invalid:
    return Invalid(text, where="path", mend="Write each part of the path plainly, once percent-encoded.")
