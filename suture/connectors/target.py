"""Reads a URL that somebody entered into exactly one origin and path, or refuses it: no second reading is possible.

https://url.spec.whatwg.org/ and https://www.rfc-editor.org/rfc/rfc6454
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from suture.connectors.networks import Address
from suture.errors import Invalid

LONGEST = 4096
PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_PRINTED = re.compile(r"[\x21-\x7e]+")  # what is not ASCII must come percent-encoded, a host in its xn-- form
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `host` is in small letters, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str  # with the query; begins with "/"
    address: Address | None  # when the host is an address

    @property
    def origin(self) -> str:
        return origin_of(self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        return self.origin + self.path


def origin_of(scheme: str, host: str, port: int) -> str:
    """An origin as it is compared and printed: without the default port."""
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" if port == PORTS[scheme] else f"{scheme}://{shown}:{port}"


def target(url: str, where: str = "url") -> Target:
    """The one place this URL leads to; raises Invalid for what other readers might read otherwise."""
    if not url.isascii() or not _PRINTED.fullmatch(url) or "\\" in url or len(url) > LONGEST:
        raise _wrong("holds a space, a backslash, a control or non-ASCII character, or is too long", where)
    found = _URL.fullmatch(url)
    if not found:
        raise _wrong("is not an http or https URL without a fragment", where)
    scheme, rest = found[1].lower(), found[3]
    authority = _AUTHORITY.fullmatch(found[2])
    if not authority:
        raise _wrong("has a user, a password or a host that can be read in several ways", where)
    port = int(authority[2]) if authority[2] else PORTS[scheme]
    if not 0 < port < 65536:
        raise _wrong("has a port that is none", where)
    host, address = _host(authority[1].lower(), where)
    return Target(scheme, host, port, rest if rest.startswith("/") else "/" + rest, address)


def _host(text: str, where: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        try:
            six = IPv6Address(text[1:-1])
        except AddressValueError:
            raise _wrong("has an IPv6 address that is none", where) from None
        return str(six), six
    labels = text.split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _wrong("has a host that is no name", where)
    if not _NUMBER.fullmatch(labels[-1]):
        return text, None
    try:
        return text, IPv4Address(text)  # four decimal numbers without leading zeros, nothing else
    except AddressValueError:
        raise _wrong("has an IPv4 address in a form that is read in several ways", where) from None


def _wrong(what: str, where: str) -> Invalid:
    return Invalid(f"the URL {what}", where=where, mend="Write https://host/path.")
