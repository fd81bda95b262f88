"""A small OpenID provider on loopback that does what a test tells it."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.connectors.site import Got, Say

CLIENT, SECRET = "suture", "the client's secret"
Claims = dict[str, Any]


class OpenId:
    """`claims` go into the next id_token; `bend` may change them or sign another way."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.claims: Claims = {"sub": "subject-1"}
        self.bend: Callable[[OpenId, Claims], str] | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[dict[str, str]] = []
        self.issuer = ""

    def __call__(self, got: Got) -> Say:
        path = urlsplit(got.target).path
        if path == "/.well-known/openid-configuration":
            return Say(200, self.document())
        if path == "/keys":
            return Say(200, {"keys": [self.key.as_dict(private=False)]})
        return self._token(got) if path == "/token" else Say(404)

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?x=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def allow(self, url: str) -> dict[str, str]:
        """What a person who signs in there comes back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(asked)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def _token(self, got: Got) -> Say:
        given = dict(parse_qsl(got.body.decode()))
        asked = self.codes.pop(given.get("code", ""), None)
        basic = base64.b64decode(got.headers["authorization"].removeprefix("Basic ")).decode()
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).decode().rstrip("=")
        )
        if asked is None or basic != "suture:the+client%27s+secret" or challenge != asked["code_challenge"]:
            return Say(400, {"error": "invalid_grant"})
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now,
            **self.claims,
        }
        return Say(
            200, {"id_token": self.bend(self, claims) if self.bend else self.signed(claims), "access_token": "x"}
        )

    def signed(self, claims: Claims, key: RSAKey | None = None, **header: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": "k1", **header}, claims, key or self.key)


def unsigned(claims: Claims, header: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part(header)}.{part(claims)}."
