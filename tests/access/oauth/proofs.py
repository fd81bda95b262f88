"""Keys, assertions and clients for tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from suture.access.oauth.assertions import TYPE
from suture.clock import Clock
from suture.store import apps
from suture.store.apps import APPROVED, ASYMMETRIC, OAuthClient
from suture.store.database import Database

TOKEN_URL = "https://suture.example/auth/token"


@cache
def rsa(kid: str = "r1", bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, parameters={"kid": kid}, auto_kid=False)


@cache
def ec(kid: str = "e1", curve: str = "P-384") -> ECKey:
    return ECKey.generate_key(curve, parameters={"kid": kid}, auto_kid=False)  # type: ignore[arg-type]


def published(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """The key set as a client publishes it."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def client(id: str = "app-1", **more: Any) -> OAuthClient:
    """An approved backend client with an EC and an RSA key by value."""
    given: dict[str, Any] = {
        "kind": ASYMMETRIC,
        "status": APPROVED,
        "scopes": ("system/*.rs",),
        "grant_types": ("client_credentials",),
        "jwks": published(ec(), rsa()),
        **more,
    }
    return OAuthClient(id, given.pop("name", id), **given)


def keep(database: Database, made: OAuthClient) -> OAuthClient:
    return database.write_now(lambda tx: apps.add(tx, made))


def claims(clock: Clock, **more: Any) -> dict[str, Any]:
    now = clock.micros() // 1_000_000
    said = {"iss": "app-1", "sub": "app-1", "aud": TOKEN_URL, "exp": now + 240, "iat": now, "jti": "j1"}
    return {**said, **more}


def signed(said: Mapping[str, Any], key: RSAKey | ECKey | None = None, **header: Any) -> str:
    """A compact JWS; a header given as None is left out."""
    key = key or ec()
    algorithm = header.get("alg") or ("RS384" if key.key_type == "RSA" else "ES384")
    full = {"alg": algorithm, "typ": "JWT", "kid": key.as_dict(private=False).get("kid"), **header}
    full = {name: value for name, value in full.items() if value is not None}
    given = f"{b64(full)}.{b64(dict(said) if isinstance(said, Mapping) else said)}"
    return f"{given}.{b64(jws.JWSRegistry.algorithms[algorithm].sign(given.encode(), key))}"


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def form(assertion: str, **more: str) -> dict[str, str]:
    return {"client_assertion_type": TYPE, "client_assertion": assertion, **more}
