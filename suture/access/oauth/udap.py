"""UDAP: trusted registration and authentication by certificates of a community (HL7 UDAP Security 1.1).

http://hl7.org/fhir/us/udap-security/

Claimed is what works: registration by software statement, and tokens for programs in their own name with the B2B extension.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jws
from joserfc.jwk import RSAKey

from suture.access.oauth import registration, trust
from suture.access.oauth.assertions import (
    UDAP_ALGORITHMS,
    Assertion,
    Signatures,
    Unproven,
    require_signature,
    taken_apart,
)
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.trust import Trust
from suture.clock import Clock, new_id
from suture.errors import Unstartable
from suture.settings import Settings
from suture.standards.fhir import json
from suture.store.apps import OAuthClient

STATEMENT_LIFE = 300  # seconds from iat to exp, of statements and assertions
METADATA_LIFE = 86_400
EXTENSION = "hl7-b2b"
_NAMED = ("crit", "jwk", "jku", "x5u", "b64", "zip", "enc")


@dataclass(frozen=True, slots=True)
class Business:
    """Who asks for which purpose, as its program vouches (B2B Authorization Extension Object)."""

    organization: str
    purposes: tuple[str, ...]


class Udap:
    """This server in a trust community; made only when certificate, key and anchors are configured."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._skew = float(settings["oauth.clock_skew"])
        self._base = str(settings["http.base_url"]).rstrip("/")
        self.community = str(settings["udap.community"])
        self.trust = Trust(trust.read(settings["udap.anchors"], "udap.anchors"))
        self._chain = trust.read(settings["udap.certificate"], "udap.certificate")
        self._key = _private_key(settings["udap.key"])
        self._require_own()

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Udap | None:
        """None when nothing is configured; raises Unstartable when something is missing or does not fit."""
        given = [name for name in ("certificate", "key", "anchors") if settings[f"udap.{name}"]]
        if not given:
            return None
        if len(given) < 3:
            raise Unstartable("certificate, key and anchors go together", where=f"udap.{given[0]}")
        return cls(settings, clock)

    def _require_own(self) -> None:
        leaf = self._chain[0]
        if self._base + "/fhir" not in trust.names(leaf):
            raise Unstartable(
                "the certificate does not name this server's FHIR address",
                where="udap.certificate",
                mend=f"It needs the URI {self._base}/fhir among its subject alternative names.",
            )
        if trust.key(leaf, "RS256").thumbprint() != self._key.thumbprint():
            raise Unstartable("the key is not the certificate's", where="udap.key")

    def address(self, path: str) -> str:
        """An address of ours as the outside world sees it."""
        return self._base + path

    def metadata(self) -> dict[str, Any]:
        """`.well-known/udap`, with its endpoints signed."""
        ends = {
            "token_endpoint": self.address("/auth/token"),
            "registration_endpoint": self.address("/auth/register"),
        }
        return {
            "udap_versions_supported": ["1"],
            "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
            "udap_authorization_extensions_supported": [EXTENSION],
            "udap_authorization_extensions_required": [EXTENSION],
            "udap_certifications_supported": [],
            "udap_certifications_required": [],
            "grant_types_supported": [registration.CREDENTIALS],
            "scopes_supported": ["system/*.rs", "system/*.read", "system/*.cruds"],
            **ends,
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(UDAP_ALGORITHMS),
            "registration_endpoint_jwt_signing_alg_values_supported": list(UDAP_ALGORITHMS),
            "signed_metadata": self._signed(ends),
        }

    def _signed(self, ends: Mapping[str, str]) -> str:
        now, issuer = self._clock.micros() // 1_000_000, self.address("/fhir")
        said = {
            "iss": issuer,
            "sub": issuer,
            "iat": now,
            "exp": now + METADATA_LIFE,
            "jti": new_id(self._clock),
            **ends,
        }
        x5c = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in self._chain]
        return jws.serialize_compact(
            {"alg": "RS256", "x5c": x5c}, json.write(said), self._key, registry=Signatures(algorithms=["RS256"])
        )

    def proven(self, assertion: Assertion, issuer: str = "") -> str:
        """The issuer whose certificate signed; raises Unproven. With `issuer` it must be that one."""
        header = assertion.header
        algorithm = header.get("alg")
        if any(name in header for name in _NAMED) or algorithm not in UDAP_ALGORITHMS:
            raise Unproven("the header names a key, rules of its own or another algorithm")
        leaf = self.trust.leaf(header.get("x5c"), self._clock.now())
        wanted = issuer or assertion.issuer
        if not wanted or wanted not in trust.names(leaf):
            raise Unproven("the certificate does not name the issuer")
        require_signature(assertion, trust.key(leaf, str(algorithm)), str(algorithm))
        self._require_short(assertion.claims)
        return wanted

    def _require_short(self, claims: Mapping[str, Any]) -> None:
        exp, iat = claims.get("exp"), claims.get("iat")
        if type(exp) is not int or type(iat) is not int or not 0 < exp - iat <= STATEMENT_LIFE:
            raise Unproven("exp is not within five minutes of iat")

    def statement(self, text: str) -> tuple[Assertion, OAuthClient, str]:
        """A verified software statement, the client it describes and its issuer; an end has no grant types.

        Raises OAuthRefused in the words of RFC 7591, 3.2.2.
        """
        try:
            found = taken_apart(text)
            issuer = self.proven(found)
            self._require_meant(found.claims)
        except trust.Untrusted:
            raise OAuthRefused(
                "unapproved_software_statement", "the certificate is of no community trusted here"
            ) from None
        except Unproven:
            raise OAuthRefused("invalid_software_statement", "the software statement proves nothing") from None
        return found, _client(found.claims, issuer, self.community), issuer

    def _require_meant(self, claims: Mapping[str, Any]) -> None:
        now, jti = self._clock.micros() / 1_000_000, claims.get("jti")
        if claims.get("sub") != claims.get("iss") or claims.get("aud") != self.address("/auth/register"):
            raise Unproven("sub or aud is another's")
        if not isinstance(jti, str) or not 0 < len(jti) <= 256:
            raise Unproven("no jti")
        if not (claims["iat"] <= now + self._skew and now - self._skew < claims["exp"]):
            raise Unproven("not now")


def _client(claims: Mapping[str, Any], issuer: str, community: str) -> OAuthClient:
    """The client a statement describes, pending."""
    if claims.get("grant_types") == []:
        return OAuthClient("", str(claims.get("client_name", ""))[:100], "confidential-asymmetric", origin="udap")
    contacts = claims.get("contacts")
    if not isinstance(contacts, list) or not any(str(one).startswith("mailto:") for one in contacts):
        raise registration.wrong("contacts has a mailto: address")
    if claims.get("grant_types") != [registration.CREDENTIALS]:
        raise registration.wrong("grant_types is client_credentials; apps for people register without UDAP here")
    if claims.get("token_endpoint_auth_method") != "private_key_jwt":
        raise registration.wrong("token_endpoint_auth_method is private_key_jwt")
    read = registration.read(claims, origin="udap", certified=True)
    kept = {**read.attributes, "udap": issuer, "community": community, "algorithms": list(UDAP_ALGORITHMS)}
    return replace(read, attributes=kept)


def business(claims: Mapping[str, Any]) -> Business:
    """The B2B extension of an assertion; raises OAuthRefused without one that says who asks and why."""
    extensions = claims.get("extensions")
    said = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    if not isinstance(said, dict) or said.get("version") != "1":
        raise OAuthRefused("invalid_grant", f"the assertion carries no {EXTENSION} extension of version 1")
    organization, purposes = said.get("organization_id"), said.get("purpose_of_use")
    if not isinstance(organization, str) or not urlsplit(organization).scheme or len(organization) > 500:
        raise OAuthRefused("invalid_grant", f"{EXTENSION}: organization_id is a URI")
    if not isinstance(purposes, list) or not 0 < len(purposes) <= 20 or not all(isinstance(one, str) and 0 < len(one) <= 200 for one in purposes):  # fmt: skip
        raise OAuthRefused("invalid_grant", f"{EXTENSION}: purpose_of_use lists codes")
    return Business(organization, tuple(purposes))


def _private_key(path: str) -> RSAKey:
    try:
        with open(path, "rb") as file:
            found = RSAKey.import_key(file.read())
    except (OSError, ValueError, TypeError) as error:
        raise Unstartable("no RSA private key can be read", where="udap.key", mend="Name a PEM file.") from error
    if not found.is_private:
        raise Unstartable("not a private key", where="udap.key")
    return found
