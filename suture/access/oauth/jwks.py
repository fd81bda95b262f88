"""A client's public keys, by value or from its own URL, kept no longer than its Cache-Control allows (RFC 7517, RFC 9111).

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from suture.clock import Clock
from suture.errors import Invalid, SendFailed, SutureError, TooLarge
from suture.ports import Answer, Fetch
from suture.settings import Settings
from suture.standards.fhir import json
from suture.store.apps import OAuthClient

MOST_KEYS = 50
MOST_URLS = 1000  # whose answers are kept
WINDOW = 60.0  # seconds; `oauth.jwks_fetches` are allowed in one
_HEADERS = {"Accept": "application/json"}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_PLAIN = re.compile(r"[!-~]{1,2000}")
_BASE64 = re.compile(r"[A-Za-z0-9_-]{1,1600}")
_MAX_AGE = re.compile(r'(?:^|,)\s*max-age\s*=\s*"?(\d{1,10})"?\s*(?=,|$)', re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\b", re.IGNORECASE)

Key = Mapping[str, Any]


@dataclass(slots=True)
class _Kept:
    """What a URL answered last; without keys it could not be used. `until` and `asked` are monotonic seconds."""

    keys: tuple[Key, ...] | None
    asked: float
    until: float


class Keys:
    """Finds the keys of a client; one request at a time per URL, and never more than the settings allow."""

    def __init__(self, fetch: Fetch | None, clock: Clock, settings: Settings) -> None:
        self._fetch = fetch
        self._clock = clock
        self._settings = settings
        self._kept: dict[str, _Kept] = {}
        self._asked: dict[str, list[float]] = {}
        self._flights: dict[str, asyncio.Task[_Kept]] = {}
        self.troubles: dict[str, str] = {}  # URL -> why its last answer could not be used, for whoever runs this house

    async def of(self, client: OAuthClient, kid: str) -> Sequence[Key]:
        """The keys in which `kid` is to be looked for; none when they can't be had."""
        if client.jwks is not None:
            return _sound(client.jwks) or ()
        if not client.jwks_url:
            return ()
        return await self._published(client.jwks_url, kid)

    async def _published(self, url: str, kid: str) -> Sequence[Key]:
        now, kept = self._clock.monotonic(), self._kept.get(url)
        if kept is not None:
            fresh, young = now < kept.until, now < kept.asked + self._settings["oauth.jwks_interval"]
            failed = kept.keys is None
            known = kept.keys is not None and any(key.get("kid") == kid for key in kept.keys)
            if (failed and young) or (fresh and (known or young)):
                return kept.keys or ()
        found = await self._flight(url)
        return found.keys or () if found else ()

    async def _flight(self, url: str) -> _Kept | None:
        """Asks the URL, together with all who want it at this moment; None when it was asked too often."""
        running = self._flights.get(url)
        if running is None:
            if not self._may_ask(url):
                return None
            running = self._flights[url] = asyncio.create_task(self._ask(url))
            running.add_done_callback(lambda _: self._flights.pop(url, None))
        return await asyncio.shield(running)

    def _may_ask(self, url: str) -> bool:
        now = self._clock.monotonic()
        recent = [at for at in self._asked.get(url, []) if now - at < WINDOW]
        if len(recent) >= self._settings["oauth.jwks_fetches"]:
            return False
        if len(self._asked) >= MOST_URLS:
            self._asked.clear()
        self._asked[url] = [*recent, now]
        return True

    async def _ask(self, url: str) -> _Kept:
        asked = self._clock.monotonic()
        keys, life = await self._answer(url)
        kept = _Kept(keys, asked, asked + life)
        if len(self._kept) >= MOST_URLS:
            self._kept.clear()
        self._kept[url] = kept
        return kept

    async def _answer(self, url: str) -> tuple[tuple[Key, ...] | None, float]:
        """The keys and for how many seconds they may be kept."""
        self.troubles.pop(url, None)
        try:
            answer = await self._asked_for(url)
            return tuple(require_set(json.read(answer.body, max_depth=20))), self._life(answer.headers)
        except (SutureError, TimeoutError) as error:
            if len(self.troubles) < MOST_URLS:
                self.troubles[url] = str(error) or "no answer in time"
            return None, 0.0

    async def _asked_for(self, url: str) -> Answer:
        seconds, most = self._settings["oauth.jwks_timeout"], self._settings["oauth.jwks_size"]
        if self._fetch is None:
            raise SendFailed("nothing is fetched in this process", where="jwks")
        async with asyncio.timeout(seconds):
            answer = await self._fetch.fetch(url, purpose="jwks", headers=_HEADERS, most=most, timeout=seconds)
        if answer.status != 200:
            raise SendFailed(f"it answered {answer.status}", where="jwks", answer=str(answer.status))
        if len(answer.body) > most:
            raise TooLarge("the answer is larger than allowed", where="jwks", mend="Raise oauth.jwks_size.")
        return answer

    def _life(self, headers: Mapping[str, str]) -> float:
        """How long an answer may be kept: as Cache-Control says, never longer than the settings say."""
        said = headers.get("cache-control", "")
        if _NOT_KEPT.search(said):
            return 0.0
        ages = [int(age) for age in _MAX_AGE.findall(said)]
        life = float(min(ages)) if ages else float(self._settings["oauth.jwks_life"])
        age = headers.get("age", "").strip()
        older = float(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0.0
        return min(max(0.0, life - older), float(self._settings["oauth.jwks_longest"]))


def _sound(found: Mapping[str, Any]) -> tuple[Key, ...] | None:
    """The keys of a set; None for a set that nothing may be taken from."""
    try:
        return tuple(require_set(found))
    except Invalid:
        return None


def require_set(found: Mapping[str, Any]) -> list[Key]:
    """The RSA and EC keys of a key set; raises Invalid for one that is none, is too large or holds a private key.

    Keys of other kinds may stand in it and are passed over, so that a client can serve several servers.
    """
    keys = found.get("keys")
    if not isinstance(keys, list) or not keys:
        raise Invalid("a key set has a list named keys", where="jwks", mend='{"keys": [{"kty": "RSA", …}]}')
    if len(keys) > MOST_KEYS:
        raise Invalid(f"more than {MOST_KEYS} keys", where="jwks", mend="Take the old ones out.")
    for at, key in enumerate(keys):
        if not isinstance(key, dict) or not isinstance(key.get("kty"), str):
            raise Invalid("a key names its kty", where=f"jwks.keys[{at}]")
        if any(name in key for name in _PRIVATE):
            raise Invalid("a private or secret key", where=f"jwks.keys[{at}]", mend="Send public keys only, and replace this one: others have seen it.")  # fmt: skip
    return [key for key in keys if _bare(key)]


def _bare(key: Key) -> bool:
    """Whether a key is an RSA or EC one with all it needs as plain text."""
    members = _MEMBERS.get(key["kty"])
    if members is None or not isinstance(key.get("kid"), str) or not key["kid"]:
        return False
    return all(isinstance(key.get(name), str) and _BASE64.fullmatch(key[name]) for name in members)


def require_url(url: str, *, loopback_allowed: bool = False) -> str:
    """An address where keys may be published: https, or http on this machine where that is allowed. Raises Invalid."""
    if not _address(url, loopback_allowed):
        raise Invalid("keys are fetched from https only", where="jwks_uri", mend="https://…/jwks.json")
    return url


def _address(url: str, loopback_allowed: bool) -> bool:
    if not _PLAIN.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    local = loopback_allowed and parts.hostname in ("127.0.0.1", "::1", "localhost")
    bare = named and "#" not in url and parts.username is None
    return bare and (parts.scheme == "https" or (parts.scheme == "http" and local))
