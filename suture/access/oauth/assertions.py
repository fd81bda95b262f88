"""Client assertions: a signed statement, good once, by which a client proves itself (RFC 7523, RFC 7515).

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html

Nothing in an unverified header is ever followed: keys come from the registration only. `aud` is the token endpoint's URL
as its only value, since an assertion meant for two servers could be played on by the other one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from suture.access.oauth.jwks import Key, Keys
from suture.clock import Clock
from suture.errors import SutureError
from suture.settings import Settings
from suture.standards.fhir import json
from suture.store import accounts
from suture.store.apps import OAuthClient
from suture.store.connection import Tx
from suture.store.database import Database

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS384", "ES384")  # of SMART clients
UDAP_ALGORITHMS = ("RS256", "ES256", "RS384", "ES384")
LARGEST = 32 * 1024
_PART = re.compile(r"[A-Za-z0-9_-]+")
_REFUSED = (
    "crit",
    "jwk",
    "x5u",
    "x5c",
    "b64",
    "zip",
    "enc",
)  # a header that brings or names a key, or changes the rules
_CURVES = {"ES256": "P-256", "ES384": "P-384"}
_RSA_BITS = range(2048, 8193)
_LONGEST_JTI = 256


class Signatures(jws.JWSRegistry):
    """What is signed here may carry a chain of certificates or a long jku in its header."""

    max_header_length = LARGEST


class Unproven(SutureError):
    """The assertion does not prove the client; why is told to nobody outside."""

    code, status, issue = "unproven", 401, "login"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A compact JWS that was taken apart and not verified yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        """Who it says it is from; empty when it says nothing that could be looked for."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) and len(issuer) <= 2000 else ""


def taken_apart(text: str) -> Assertion:
    """The header and claims of a compact JWS; raises Unproven for anything else, unclear base64 and double keys."""
    parts = text.split(".") if len(text) <= LARGEST and text.isascii() else []
    if len(parts) != 3:
        raise Unproven("not a compact JWS")
    header, claims, _ = (_decoded(part) for part in parts)
    try:
        return Assertion(text, json.read(header, max_depth=5), json.read(claims, max_depth=20))
    except SutureError:
        raise Unproven("header or claims are not one JSON object") from None


def _decoded(part: str) -> bytes:
    if not _PART.fullmatch(part) or len(part) % 4 == 1:
        raise Unproven("not base64url")
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise Unproven("not the one base64url spelling of its bytes")
    return raw


class Assertions:
    """Judges assertions of registered clients; each one is good once, on every process and after a restart."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, keys: Keys) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._keys = keys

    async def prove(self, assertion: Assertion, client: OAuthClient, token_url: str) -> None:
        """Returns when the assertion proves the client; raises Unproven. What is cheap is looked at first."""
        algorithm = require_header(assertion.header, client)
        self.require_claims(assertion.claims, client.id, token_url)
        kid = assertion.header["kid"]
        key = the_key(await self._keys.of(client, kid), kid, algorithm)
        require_signature(assertion, key, algorithm)
        await self.use_up(assertion)

    def require_claims(self, claims: Mapping[str, Any], client_id: str, audience: str) -> None:
        """Who, for whom, and when (RFC 7523, section 3)."""
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise Unproven("iss and sub are not the client")
        if claims.get("aud") not in (audience, [audience]):
            raise Unproven("aud is not the token endpoint alone")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
            raise Unproven("no jti")
        self._require_times(claims)

    def _require_times(self, claims: Mapping[str, Any]) -> None:
        now, skew = self._clock.micros() / 1_000_000, self._settings["oauth.clock_skew"]
        life = self._settings["oauth.assertion_life"]
        exp, iat, nbf = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
        if exp is None or not now - skew < exp <= now + life + skew:
            raise Unproven("exp is missing, over or too far ahead")
        if iat is not None and not (now - 2 * life <= iat <= now + skew and iat < exp):
            raise Unproven("iat is not a sane time")
        if nbf is not None and not (nbf <= now + skew and nbf < exp):
            raise Unproven("nbf is not a sane time")

    async def use_up(self, assertion: Assertion) -> None:
        """Takes note of the jti until the assertion has expired; raises Unproven the second time."""
        skew = self._settings["oauth.clock_skew"]
        if not await self._database.write(lambda tx: first_time(tx, assertion, skew)):
            raise Unproven("this assertion was used before")


def first_time(tx: Tx, assertion: Assertion, skew: float) -> bool:
    """Whether a jti of this issuer was not seen before, as long as it could be used; from now on it was."""
    issuer, jti, exp = (assertion.claims[name] for name in ("iss", "jti", "exp"))
    key = "jti:" + hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).hexdigest()
    return accounts.first_time(tx, key, max(exp + skew - tx.now / 1_000_000, 1.0))


def _moment(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if name in claims and type(value) is not int:
        raise Unproven(f"{name} is not a whole number of seconds")
    return value


def require_header(header: Mapping[str, Any], client: OAuthClient) -> str:
    """The algorithm of a header that says nothing but which registered key was used; raises Unproven."""
    if any(name in header for name in _REFUSED):
        raise Unproven("the header brings a key, or rules of its own")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in client.attributes.get("algorithms", ALGORITHMS):
        raise Unproven("this algorithm is not allowed for this client")
    if not isinstance(kid, str) or not kid or not isinstance(header.get("typ"), str) or header["typ"].upper() != "JWT":
        raise Unproven("the header has no kid, or its typ is not JWT")
    if "jku" in header and (not client.jwks_url or header["jku"] != client.jwks_url):
        raise Unproven("jku is not the registered URL")
    return str(algorithm)


def the_key(keys: Sequence[Key], kid: str, algorithm: str) -> RSAKey | ECKey:
    """The one key of this kid and of the kind the algorithm needs; raises Unproven for none, for two and for a weak one."""
    kty = "RSA" if algorithm.startswith("RS") else "EC"
    found = [key for key in keys if key.get("kid") == kid and key["kty"] == kty]
    if len(found) != 1 or not _meant(found[0], algorithm):
        raise Unproven("there is not exactly one key for this")
    try:
        return RSAKey.import_key(_bare(found[0])) if kty == "RSA" else ECKey.import_key(_bare(found[0]))
    except (JoseError, ValueError, TypeError, KeyError):
        raise Unproven("the key can't be read") from None


def _meant(key: Key, algorithm: str) -> bool:
    """Whether a key is for verifying signatures of this algorithm."""
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and key.get("alg", algorithm) == algorithm
        and (key["kty"] == "RSA" or key.get("crv") == _CURVES[algorithm])
        and (key["kty"] != "RSA" or (len(key["e"]) <= 6 and _bits(key["n"]) in _RSA_BITS))
    )


def _bits(number: str) -> int:
    """How long a number of a key is; a weak one, or one too large to work with, is not taken."""
    whole = len(number) % 4 != 1
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length() if whole else 0


def _bare(key: Key) -> dict[str, Any]:
    return {name: key[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in key}


def require_signature(assertion: Assertion, key: RSAKey | ECKey, algorithm: str) -> None:
    """Raises Unproven unless the key signed exactly this."""
    registry = Signatures(algorithms=[algorithm], strict_check_header=False)
    try:
        jws.deserialize_compact(assertion.text, key, algorithms=[algorithm], registry=registry)
    except (JoseError, ValueError, TypeError):
        raise Unproven("the signature is not by this key") from None
