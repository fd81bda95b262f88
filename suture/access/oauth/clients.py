"""Registered OAuth clients and how they prove themselves at the token endpoint (RFC 6749, 2.3; RFC 7523; SMART App Launch 2.2).

https://hl7.org/fhir/smart-app-launch/client-authentication.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote_plus

from suture.access.oauth.assertions import TYPE, Assertion, Assertions, Unproven, taken_apart
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.jwks import Keys
from suture.access.oauth.udap import Udap, business
from suture.clock import Clock
from suture.ports import Fetch
from suture.settings import Settings
from suture.store import apps
from suture.store.apps import ASYMMETRIC, PUBLIC, SYMMETRIC, OAuthClient
from suture.store.database import Database

_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)

__all__ = ["ASYMMETRIC", "Clients", "OAuthClient", "PUBLIC", "SYMMETRIC"]


class Clients:
    """The registered clients of this house. `fetch` reads the key sets that clients publish; without it only keys by
    value work."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        fetch: Fetch | None = None,
        udap: Udap | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._udap = udap
        self._keys = Keys(fetch, clock, settings)
        self._assertions = Assertions(database, clock, settings, self._keys)

    def get(self, id: str) -> OAuthClient | None:
        """The client of an id, in whatever state: look at `approved`."""
        return apps.get(self._database.read, id) if 0 < len(id) <= 2000 else None

    def trouble(self, client: OAuthClient) -> str:
        """Why the keys that a client publishes could not be had the last time; for whoever runs this house only."""
        return self._keys.troubles.get(client.jwks_url, "")

    async def authenticate(self, form: Mapping[str, str], authorization: str, token_url: str) -> OAuthClient:
        """The approved client that sent this form; `authorization` is the header, empty when there was none.

        Raises OAuthRefused: `invalid_request` for two proofs at once, else `invalid_client` with the same words
        for every reason. A public client is known by its client_id alone. The caller leaves the audit row.
        """
        _require_one_proof(form, authorization)
        try:
            if form.get("client_assertion") or form.get("client_assertion_type"):
                return await self._by_assertion(form, token_url)
            if authorization:
                return self._by_secret(*_basic(authorization), form.get("client_id"))
            if form.get("client_secret"):
                return self._by_secret(form.get("client_id", ""), form["client_secret"])
            return self._approved(form.get("client_id", ""), PUBLIC)
        except Unproven:
            raise OAuthRefused("invalid_client", "client authentication failed", 401) from None

    async def _by_assertion(self, form: Mapping[str, str], token_url: str) -> OAuthClient:
        if form.get("client_assertion_type") != TYPE:
            raise Unproven("not the type of assertion that is read here")
        assertion = taken_apart(form.get("client_assertion", ""))
        client = self._approved(assertion.issuer, ASYMMETRIC)
        if form.get("client_id", client.id) != client.id:
            raise Unproven("client_id and assertion are of different clients")
        if client.attributes.get("udap"):
            return await self._by_certificate(assertion, client, form, token_url)
        await self._assertions.prove(assertion, client, token_url)
        return client

    async def _by_certificate(
        self, assertion: Assertion, client: OAuthClient, form: Mapping[str, str], token_url: str
    ) -> OAuthClient:
        """A member of the trust community, with what it says of the request under `business`."""
        if self._udap is None or form.get("udap") != "1" or client.attributes.get("community") != self._udap.community:
            raise Unproven("not a request of the community it registered in")
        self._udap.proven(assertion, str(client.attributes["udap"]))
        self._assertions.require_claims(assertion.claims, client.id, token_url)
        said = business(assertion.claims)
        await self._assertions.use_up(assertion)
        return replace(client, attributes={**client.attributes, "business": said})

    def _by_secret(self, id: str, secret: str, also: str | None = None) -> OAuthClient:
        client = self._approved(id, SYMMETRIC)
        if also not in (None, "", id) or not secret:
            raise Unproven("client_id and credentials are of different clients")
        if not apps.has_secret(self._database.read, client.id, secret, self._clock.micros()):
            raise Unproven("not its secret")
        return client

    def _approved(self, id: str, kind: str) -> OAuthClient:
        client = self.get(id)
        if client is None or not client.approved or client.kind != kind:
            raise Unproven("no approved client of this kind")
        return client


def _require_one_proof(form: Mapping[str, str], authorization: str) -> None:
    proofs = (authorization, form.get("client_secret"), form.get("client_assertion"))
    if sum(1 for proof in proofs if proof) > 1:
        raise OAuthRefused("invalid_request", "more than one way of client authentication in one request")


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret of a Basic header, each form-urlencoded before it was joined (RFC 6749, 2.3.1)."""
    found = _BASIC.fullmatch(authorization.strip())
    if not found:
        raise Unproven("not a Basic header")
    try:
        id, colon, secret = base64.b64decode(found[1], validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unproven("not a Basic header") from None
    if not colon:
        raise Unproven("not a Basic header")
    return unquote_plus(id), unquote_plus(secret)
