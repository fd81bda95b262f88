"""Proves who we are to a connection: fixed credentials, or short tokens bought with a secret or a signed assertion.

https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from suture.clock import Clock
from suture.connectors.connection import Connection, origin
from suture.connectors.http_body import exchange
from suture.errors import Invalid, SendFailed, SendUnavailable

Secret = Callable[[str, str], str]  # (name, origin) -> the secret; refuses another origin than the one it is bound to

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = 240  # seconds; SMART allows 300
LARGEST_ANSWER = 1024 * 1024
_ACCEPT = {"Accept": "application/json"}
RENEW_AT = 0.8  # of a token's life


class Authorization:
    """Makes the Authorization header of one connection; tokens are kept until most of their life is over."""

    def __init__(self, connection: Connection, secret: Secret, clock: Clock, client: httpx.AsyncClient) -> None:
        self._connection = connection
        self._auth = connection.auth
        self._secret = secret
        self._clock = clock
        self._client = client
        self._token = ""
        self._renew = 0.0
        self._token_url = str(self._auth.get("token_url") or "")
        self._one = asyncio.Lock()

    @property
    def renews(self) -> bool:
        return self._auth["kind"] in _TOKENS

    def forget(self) -> None:
        """The server refused the token: the next request buys another."""
        self._token = ""

    async def headers(self) -> dict[str, str]:
        kind = self._auth["kind"]
        if kind in _TOKENS:
            return {"Authorization": f"Bearer {await self._fresh()}"}
        return _FIXED[kind](self)

    def reveal(self, field: str) -> str:
        """The secret that a field names, if it is bound to where this connection sends it."""
        return self._secret(str(self._auth[field]).removeprefix("secret:"), self._connection.secret_origin)

    def none(self) -> dict[str, str]:
        return {}

    def bearer(self) -> dict[str, str]:
        header, token = str(self._auth["header"]), self.reveal("token")
        return {header: f"Bearer {token}" if header.lower() == "authorization" else token}

    def basic(self) -> dict[str, str]:
        pair = f"{self._auth['user']}:{self.reveal('password')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    async def _fresh(self) -> str:
        async with self._one:
            if not self._token or self._clock.monotonic() >= self._renew:
                await self._buy()
            return self._token

    async def _buy(self) -> None:
        url = await self._endpoint()
        form, headers = _TOKENS[self._auth["kind"]](self, url)
        said = await self._post(url, form, headers)
        token = said.get("access_token")
        if not isinstance(token, str) or not token or not token.isprintable():
            raise SendFailed("the token endpoint gave no token", where=self._connection.id, answer="no access_token")
        life = said.get("expires_in")
        self._token = token
        self._renew = self._clock.monotonic() + RENEW_AT * (float(life) if isinstance(life, int | float) else 300.0)

    async def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        request = self._client.build_request("POST", url, data=dict(form), headers={**_ACCEPT, **headers})
        status, body = await self._ask(request, "the token endpoint cannot be reached")
        if status == 429 or status >= 500:
            raise SendUnavailable(
                f"the token endpoint answered {status}", where=self._connection.id, answer=str(status)
            )
        if status != 200:
            raise SendFailed(
                f"the token endpoint answered {status}",
                where=self._connection.id,
                mend="Check client id, key and scope with the other side.",
                answer=str(status),
            )
        return _table(body, self._connection.id)

    async def _ask(self, request: httpx.Request, what: str) -> tuple[int, bytes]:
        """Status and body; raises SendUnavailable while the other side cannot answer."""
        try:
            answer, body = await exchange(self._client, request, LARGEST_ANSWER, self._connection.id)
        except httpx.TransportError as error:
            kind = type(error).__name__
            raise SendUnavailable(f"{what} cannot be reached ({kind})", where=self._connection.id) from error
        status = answer.status_code
        if status == 429 or status >= 500:
            raise SendUnavailable(f"{what} answered {status}", where=self._connection.id, answer=str(status))
        return status, body

    async def _endpoint(self) -> str:
        """The token endpoint: as written, or discovered at the base; a discovered one must share the base's origin."""
        if not self._token_url:
            base = str(self._connection.with_["base"]).rstrip("/")
            request = self._client.build_request("GET", f"{base}/.well-known/smart-configuration", headers=_ACCEPT)
            status, body = await self._ask(request, "its SMART configuration")
            found = _table(body, self._connection.id).get("token_endpoint")
            if not isinstance(found, str) or origin(found) != self._connection.origin:
                raise SendFailed(
                    "its token endpoint is not at the same origin",
                    where=self._connection.id,
                    mend="Write the endpoint you trust under auth: token_url:",
                    answer=str(status),
                )
            self._token_url = found
        return self._token_url

    def secret_form(self, _: str) -> tuple[dict[str, str], dict[str, str]]:
        client, secret = str(self._auth["client_id"]), self.reveal("secret")
        form = {"grant_type": "client_credentials", "scope": str(self._auth["scope"])}
        if self._auth["method"] == "post":
            return {**form, "client_id": client, "client_secret": secret}, {}
        pair = base64.b64encode(f"{client}:{secret}".encode()).decode()
        return form, {"Authorization": f"Basic {pair}"}

    def assertion_form(self, url: str) -> tuple[dict[str, str], dict[str, str]]:
        form = {
            "grant_type": "client_credentials",
            "scope": str(self._auth["scope"]),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(url),
        }
        return form, {}

    def _assertion(self, url: str) -> str:
        key, algorithm = private_key(self.reveal("key"), self._connection.id)
        client, now = str(self._auth["client_id"]), self._clock.micros() // 1_000_000
        header: dict[str, Any] = {"alg": algorithm, "typ": "JWT"}
        kid = self._auth.get("key_id") or key.as_dict().get("kid")
        if kid:
            header["kid"] = kid
        if self._auth.get("jwks_url"):
            header["jku"] = self._auth["jwks_url"]
        claims = {
            "iss": client,
            "sub": client,
            "aud": url,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + ASSERTION_LIFE,
        }
        return jwt.encode(header, claims, key, algorithms=[algorithm])


def private_key(text: str, where: str) -> tuple[RSAKey | ECKey, str]:
    """The key and its algorithm, from PEM or a JWK; raises Invalid."""
    for kind, algorithm in ((RSAKey, "RS384"), (ECKey, "ES384")):
        try:
            key = kind.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if key.is_private:
            return key, algorithm
    raise Invalid(
        "the key is neither an RSA nor an EC P-384 private key",
        where=where,
        mend="Set the secret to a PEM or JWK private key.",
    )


def _table(body: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SendFailed("its answer is not JSON", where=where, answer="not JSON")
    return found


_FIXED: dict[str, Callable[[Authorization], dict[str, str]]] = {
    "none": Authorization.none,
    "bearer": Authorization.bearer,
    "basic": Authorization.basic,
}
_TOKENS: dict[str, Callable[[Authorization, str], tuple[dict[str, str], dict[str, str]]]] = {
    "client-credentials": Authorization.secret_form,
    "smart-backend": Authorization.assertion_form,
}
