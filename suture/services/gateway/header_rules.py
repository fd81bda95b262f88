"""Which headers go on: what belongs to one connection stays there, credentials stay here, rules set and remove the rest.

https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suture.errors import Invalid

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"http2-settings", b"expect")
)  # fmt: skip
# of a request: what proves the caller to us, what we say ourselves, what would let a caller speak for another
OURS = frozenset(
    (b"host", b"authorization", b"x-api-key", b"cookie", b"content-length", b"forwarded", b"via", b"x-real-ip", b"x-request-id",
     b"x-http-method-override", b"x-method-override", b"x-http-method", b"x-original-url", b"x-rewrite-url")
)  # fmt: skip
# of an answer: what an upstream may not say in the name of our origin
THEIRS = frozenset(
    (b"set-cookie", b"set-cookie2", b"strict-transport-security", b"content-security-policy", b"clear-site-data", b"alt-svc",
     b"content-security-policy-report-only", b"x-frame-options", b"public-key-pins", b"server", b"x-powered-by", b"via",
     b"service-worker-allowed", b"www-authenticate", b"x-request-id", b"referrer-policy", b"x-content-type-options", b"refresh",
     b"cross-origin-resource-policy", b"cross-origin-opener-policy", b"ratelimit", b"ratelimit-policy", b"origin-agent-cluster",
     b"report-to", b"reporting-endpoints", b"nel", b"date", b"sourcemap", b"access-control-allow-credentials")
)  # fmt: skip
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\x20-\x7e\x80-\xff\t]*")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a route file says under `request` or `response`."""

    set: tuple[tuple[bytes, bytes], ...] = ()
    remove: frozenset[bytes] = frozenset()


def onward(headers: Iterable[tuple[bytes, bytes]], rules: Rules, own: Headers) -> Headers:
    """A request's headers for the upstream; `own` are those that the gateway adds."""
    return _passed(headers, rules, OURS, own, prefixes=(b"x-forwarded-", b"x-suture-"))


def back(headers: Iterable[tuple[bytes, bytes]], rules: Rules) -> Headers:
    """An answer's headers for the caller; its framing is ours."""
    return _passed(headers, rules, THEIRS | {b"content-length"}, [], prefixes=())


def _passed(
    headers: Iterable[tuple[bytes, bytes]],
    rules: Rules,
    kept: frozenset[bytes],
    own: Headers,
    prefixes: tuple[bytes, ...],
) -> Headers:
    sent = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(sent)
    replaced = {name for name, _ in rules.set} | {name for name, _ in own}
    gone = frozenset(map(_read_as, HOP_BY_HOP | kept | rules.remove | replaced | named))
    passed = [
        (name, require_clean(name, value))
        for name, value in sent
        if _read_as(name) not in gone and not (prefixes and _read_as(name).startswith(prefixes))
    ]
    return [*passed, *own, *rules.set]


def _read_as(name: bytes) -> bytes:
    """A name as CGI and its heirs read it: to them X_Who and X-Who are one (RFC 3875, 4.1.18)."""
    return name.replace(b"_", b"-")


def _named_by_connection(headers: Sequence[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Headers that Connection declares to belong to this connection only."""
    found = {word.strip().lower() for name, value in headers if name == b"connection" for word in value.split(b",")}
    return frozenset(found)


def require_clean(name: bytes, value: bytes) -> bytes:
    """The value; raises Invalid for a name or value that would make another header of it."""
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise Invalid("a header holds a line break or a forbidden character", where="headers", mend="Take it out.")
    return value


def rule(name: str, value: str) -> tuple[bytes, bytes]:
    """One `set` of a route file; raises Invalid."""
    try:
        made = name.lower().encode("ascii"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise Invalid("a header holds a character that is not Latin-1", where="headers", mend="Take it out.") from None
    require_clean(*made)
    if made[0] in HOP_BY_HOP or made[0] in (b"host", b"content-length"):
        raise Invalid(f"'{name[:40]}' is the gateway's own", where="headers", mend="Leave it out.")
    return made
