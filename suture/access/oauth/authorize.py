"""Reads an app's request for a code: what must be right before a person is asked (RFC 6749, 4.1.1; RFC 7636; SMART 2.2).

While client and redirect_uri are not both known to belong together, nothing is sent anywhere: the person gets a page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from suture.access.oauth import granted
from suture.access.oauth.authority import Authority
from suture.access.oauth.clients import OAuthClient
from suture.access.oauth.errors import OAuthRefused, plain
from suture.store import launches

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636, 4.2)
LONGEST = 12_000  # characters of all parameters together
LONGEST_STATE = 4096
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
REQUEST = "authorization request"
_RUNS = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem", "ws", "wss"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may go on; `patient` and `encounter` are filled in when they are known."""

    client: str
    redirect: str
    state: str | None
    scope: str
    challenge: str
    launch: str = ""
    nonce: str = ""
    prompt: str = ""  # words of PROMPTS
    max_age: int = -1  # seconds; -1: not asked
    at: int = 0
    patient: str = ""
    encounter: str = ""
    looked: bool = False  # the person was asked about the encounter

    def words(self) -> tuple[str, ...]:
        return granted.words(self.scope)


class SentBack(OAuthRefused):
    """A refusal the app is told, at an address that is registered for it."""

    def __init__(self, asked: Asked, error: str, description: str) -> None:
        super().__init__(error, description)
        self.asked = asked

    @property
    def location(self) -> str:
        return back(self.asked, error=self.error, error_description=plain(self.text))


def back(asked: Asked, **parameters: str) -> str:
    """The app's address with an answer in its query; `state` exactly as it came, percent-encoded."""
    told = {**parameters, **({} if asked.state is None else {"state": asked.state})}
    return f"{asked.redirect}{'&' if '?' in asked.redirect else '?'}{urlencode(told)}"


def read(authority: Authority, pairs: Sequence[tuple[str, str]]) -> Asked:
    """The request of these parameters. Raises SentBack for the app to hear, OAuthRefused for the person only."""
    given = dict(pairs)
    client = _client(authority, pairs, given)
    asked = Asked(client.id, given["redirect_uri"], given.get("state"), given.get("scope", ""), "")
    twice = _twice(pairs)
    if twice:
        raise SentBack(asked, "invalid_request", f"a parameter came twice: {twice}")
    if asked.state is not None and len(asked.state) > LONGEST_STATE:
        raise SentBack(replace(asked, state=None), "invalid_request", "state is too long")
    _check(authority, client, asked, given)
    return replace(
        asked,
        challenge=given["code_challenge"],
        launch=given.get("launch", ""),
        nonce=given.get("nonce", "")[:LONGEST_STATE],
        prompt=given.get("prompt", ""),
        max_age=int(given["max_age"]) if given.get("max_age") else -1,
        at=authority.clock.micros(),
    )


def _client(authority: Authority, pairs: Sequence[tuple[str, str]], given: dict[str, str]) -> OAuthClient:
    """The client, once its redirect_uri is known to be one it registered, letter by letter."""
    names = [name for name, _ in pairs]
    if names.count("client_id") > 1 or names.count("redirect_uri") > 1:
        raise OAuthRefused("invalid_request", "the app named itself or its address twice", mend=_MEND)
    client = authority.clients.get(given.get("client_id", ""))
    if client is None or not client.approved:
        raise OAuthRefused("invalid_client", "this app is not registered here", mend=_MEND)
    redirect = given.get("redirect_uri", "")
    if not redirect or redirect not in client.redirect_uris or not safe(redirect):
        raise OAuthRefused("invalid_request", "the app asked for an address it has not registered", mend=_MEND)
    return client


_MEND = "Nothing was sent to it. Tell whoever made the app, or begin again from the app itself."


def safe(redirect: str) -> bool:
    """Whether a browser can be sent there without running anything, whatever was registered."""
    if not redirect.isascii() or not redirect.isprintable() or " " in redirect or "#" in redirect or "\\" in redirect:
        return False
    try:
        parts = urlsplit(redirect)
    except ValueError:
        return False
    if parts.scheme in ("http", "https"):
        return bool(parts.hostname) and "@" not in parts.netloc
    return bool(parts.scheme) and parts.scheme not in _RUNS


def _twice(pairs: Sequence[tuple[str, str]]) -> str:
    names = [name for name, _ in pairs]
    return next((name for name in _KNOWN if names.count(name) > 1), "")


_KNOWN = (
    "response_type", "scope", "state", "aud", "resource", "code_challenge", "code_challenge_method", "launch", "nonce",
    "prompt", "max_age", "response_mode",
)  # fmt: skip


def _check(authority: Authority, client: OAuthClient, asked: Asked, given: dict[str, str]) -> None:
    """Raises SentBack for the first thing that is not right."""
    for error, description, wrong in _RULES:
        if wrong(authority, client, given):
            raise SentBack(asked, error, description)
    if not _launch_holds(authority, client, given):
        raise SentBack(asked, "invalid_request", "this launch was used, is too old, or belongs to another app")


def _launch_holds(authority: Authority, client: OAuthClient, given: dict[str, str]) -> bool:
    token = given.get("launch", "")
    if not token:
        return True
    found = launches.find(authority.database.read, token, authority.clock.micros())
    return found is not None and found.client == client.id


def _prompts(given: dict[str, str]) -> set[str]:
    return set(given.get("prompt", "").split())


def _aud(authority: Authority, given: dict[str, str]) -> bool:
    """Our FHIR base, with or without a slash behind it; `resource` (RFC 8707) says the same."""
    named = [given[name] for name in ("aud", "resource") if given.get(name)]
    return bool(named) and all(one in (authority.issuer, authority.issuer + "/") for one in named)


def _length(given: dict[str, str]) -> int:
    return sum(map(len, given.values()))


# error, what is wrong, and how it is seen: (authority, client, parameters) -> True when it is wrong
_RULES: tuple[tuple[str, str, Any], ...] = (
    ("unsupported_response_type", "response_type must be code", lambda a, c, g: g.get("response_type") != "code"),
    ("invalid_request", "response_mode must be query", lambda a, c, g: g.get("response_mode", "query") != "query"),
    ("request_not_supported", "request objects are not read here", lambda a, c, g: "request" in g),
    ("request_uri_not_supported", "request objects are not read here", lambda a, c, g: "request_uri" in g),
    ("unauthorized_client", "this app is not registered for codes", lambda a, c, g: "authorization_code" not in c.grant_types),
    ("invalid_request", "aud must be the FHIR base of this server", lambda a, c, g: not _aud(a, g)),
    ("invalid_request", "code_challenge_method must be S256", lambda a, c, g: g.get("code_challenge_method") != "S256"),
    ("invalid_request", "code_challenge must be a SHA-256 in base64url",
     lambda a, c, g: not CHALLENGE.fullmatch(g.get("code_challenge", ""))),
    ("invalid_request", "unknown prompt", lambda a, c, g: not _prompts(g) <= PROMPTS),
    ("invalid_request", "prompt none stands alone", lambda a, c, g: "none" in _prompts(g) and len(_prompts(g)) > 1),
    ("invalid_request", "max_age must be a number of seconds",
     lambda a, c, g: not re.fullmatch(r"[0-9]{0,9}", g.get("max_age", ""), re.ASCII)),
    ("invalid_request", "the request is too long", lambda a, c, g: _length(g) > LONGEST),
    ("invalid_scope", "the scope launch needs the launch parameter and the parameter needs the scope",
     lambda a, c, g: bool(g.get("launch")) != (granted.LAUNCH in g.get("scope", "").split(" "))),
    ("invalid_scope", "none of these scopes is known here", lambda a, c, g: not granted.words(g.get("scope", ""))),
)  # fmt: skip


def sealed(authority: Authority, asked: Asked) -> str:
    """The request on its way through sign-in and pages."""
    return authority.sealer.seal(REQUEST, asdict(asked))


def opened(authority: Authority, text: str) -> Asked:
    """The request that was sealed; raises TooOld."""
    return Asked(**authority.sealer.open(REQUEST, text))
