"""Where a browser may be sent with a code: whole https addresses, this machine, or an app's own scheme; nothing that can be read twice.

RFC 6749, 3.1.2 · RFC 8252, 7 · RFC 9700, 2.1
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 20
LONGEST = 2000
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()+,;=%-]+")  # of RFC 3986, without fragment, wildcard and backslash
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%0[0-9A-F]|%1[0-9A-F]|%7F|%5C", re.IGNORECASE)
_WEB = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?((?:/[^?]*)?(?:\?.*)?)")
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*|localhost")
_FOUR = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})")
_OWN = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/{1,2}[A-Za-z0-9._~/-]*(?:\?[A-Za-z0-9._~=&%-]*)?")


def trouble(uri: str, *, native: bool) -> str:
    """Why an address can't be registered; empty when it can. `native`: a public app, which may have a scheme of its own."""
    if len(uri) > LONGEST or not _PLAIN.fullmatch(uri) or _PERCENT.search(uri):
        return "it has a fragment, a wildcard, or characters that are none of a URI's"
    if not uri.lower().startswith(("http:", "https:")):
        return (
            ""
            if native and _OWN.fullmatch(uri)
            else "its scheme is neither https nor a public app's own (such as org.example.app:/back)"
        )
    web = _WEB.fullmatch(uri)
    if not web or int(web[3] or 1) > 65535:
        return "its scheme or host is not written plainly in small letters, it has a user or a port that is none"
    return _of_host(web[1], web[2]) or ("its path has a '.' or '..'" if _dotted(web[4]) else "")


def _of_host(scheme: str, host: str) -> str:
    if host in LOOPBACK:
        return ""
    if scheme != "https":
        return "http is for this machine only (127.0.0.1, [::1], localhost)"
    known = (_NAME.fullmatch(host) and _spelled(host)) or _FOUR.fullmatch(host)
    return "" if known else "its host is no name that others know"


def _spelled(host: str) -> bool:
    """Whether labels of other alphabets (xn--…) are the one spelling of theirs (RFC 3492)."""
    try:
        return all(label.encode().decode("idna").encode("idna").decode() == label for label in host.split(".") if label.startswith("xn--"))  # fmt: skip
    except UnicodeError:
        return False


def _dotted(rest: str) -> bool:
    path = re.sub("%2e", ".", rest.partition("?")[0], flags=re.IGNORECASE)
    return any(part in (".", "..") for part in path.split("/"))


def troubles(uris: Sequence[str], *, native: bool) -> str:
    """The first trouble of a list; empty when all can be registered."""
    if len(uris) > MOST or len(set(uris)) != len(uris):
        return f"more than {MOST} addresses, or one twice"
    return next((found for uri in uris if (found := trouble(uri, native=native))), "")
