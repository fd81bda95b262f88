"""The OpenID provider we rely on: what it says of itself, its keys, its tokens for a code, and whether an id_token is good.

https://openid.net/specs/openid-connect-core-1_0.html · https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from suture.clock import Clock
from suture.errors import SendFailed, Unauthenticated
from suture.ports import Fetch
from suture.settings import Settings
from suture.standards.fhir import json
from suture.store import vault
from suture.store.database import Database

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
PURPOSE = "openid"
_KEPT = 3600.0  # seconds; keys and endpoints
_AGAIN = 30.0  # seconds; an unknown key asks again after so long
_OLDEST = 600  # seconds an id_token may be old
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Provider:
    """One issuer, as the settings name it."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, fetch: Fetch) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._fetch = fetch
        self._said: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @property
    def issuer(self) -> str:
        return str(self._settings["sso.issuer"])

    async def says(self) -> dict[str, Any]:
        """Its discovery document; raises SendFailed when it is not that of this issuer."""
        now = self._clock.monotonic()
        if self._said is None or now - self._said[0] > _KEPT:
            found = await self._json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise SendFailed("it names another issuer", where="sso.issuer", mend="Write the issuer as it does.")
            missing = [name for name in _NEEDED if not isinstance(found.get(name), str)]
            if missing:
                raise SendFailed(f"it names no {missing[0]}", where="sso.issuer")
            self._said = (now, found)
        return self._said[1]

    async def _json(self, url: str, **more: Any) -> dict[str, Any]:
        answer = await self._fetch.fetch(url, purpose=PURPOSE, **more)
        if answer.status != 200:
            raise SendFailed(f"it answered {answer.status}", where="sso", answer=str(answer.status))
        found = json.read(answer.body, max_depth=20)
        if not isinstance(found, dict):
            raise SendFailed("its answer is no object", where="sso")
        return found

    async def exchange(self, code: str, verifier: str, redirect: str) -> str:
        """The id_token for a code. The secret goes to the origin it was kept for, and to no other."""
        said = await self.says()
        to, id = str(said["token_endpoint"]), str(self._settings["sso.client_id"])
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = self._secret(to)
        if secret and "client_secret_basic" in said.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            both = f"{quote_plus(id)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(both).decode()
        else:
            given |= {"client_id": id, **({"client_secret": secret} if secret else {})}
        answer = await self._json(to, method="POST", headers=headers, content=urlencode(given).encode())
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SendFailed("it gave no id_token", where="sso")
        return token

    def _secret(self, url: str) -> str:
        name = str(self._settings["sso.secret"])
        return vault.get(self._database.read, name, origin(url)) if name else ""

    async def verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id_token that was made for this sign-in; raises Unauthenticated for any other."""
        try:
            claims = await self._signed(token)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused("its signature is not good") from error
        for good, said in self._judged(claims, nonce):
            if not good:
                raise _refused(said)
        return claims

    async def _signed(self, token: str) -> dict[str, Any]:
        """With today's keys; once more with newly fetched ones, for it may have changed them."""
        try:
            return dict(jwt.decode(token, await self._published(_KEPT), algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError):
            return dict(jwt.decode(token, await self._published(_AGAIN), algorithms=ALGORITHMS).claims)

    async def _published(self, age: float) -> KeySet:
        now = self._clock.monotonic()
        if self._keys is None or now - self._keys[0] > age:
            found = await self._json(str((await self.says())["jwks_uri"]))
            public = [key for key in found.get("keys", []) if isinstance(key, dict) and key.get("kty") in ("RSA", "EC")]
            usable = [key for key in public if key.get("use", "sig") == "sig"]
            self._keys = (now, KeySet.import_key_set({"keys": usable}))
        return self._keys[1]

    def _judged(self, claims: Mapping[str, Any], nonce: str) -> list[tuple[bool, str]]:
        id, now, skew = str(self._settings["sso.client_id"]), self._clock.micros() / 1e6, 60
        aud = claims.get("aud")
        for_us = aud == id or (isinstance(aud, list) and id in aud)
        party = claims.get("azp", "" if isinstance(aud, list) and len(aud) > 1 else id)
        said, subject = claims.get("nonce"), claims.get("sub")
        return [
            (claims.get("iss") == self.issuer, "it is of another issuer"),
            (for_us and party == id, "it is for another client"),
            (_number(claims.get("exp")) > now - skew, "it is over"),
            (now - _OLDEST <= _number(claims.get("iat")) <= now + skew, "it was not made just now"),
            (
                isinstance(said, str) and hmac.compare_digest(said.encode(), nonce.encode()),
                "it was not made for this sign-in",
            ),
            (isinstance(subject, str) and 0 < len(subject) <= 255, "it names nobody"),
        ]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _refused(said: str) -> Unauthenticated:
    return Unauthenticated(
        f"the other sign-in was not accepted: {said}", where="sso", mend="Try again, or sign in here."
    )


def origin(url: str) -> str:
    """Where a secret may go: scheme, host and port."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
