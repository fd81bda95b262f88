"""Takes software statements in: a new client, a change of one's own, or its end (UDAP Dynamic Client Registration).

http://hl7.org/fhir/us/udap-security/registration.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from suture.access.oauth import registrar
from suture.access.oauth.assertions import Assertion, first_time
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.registrar import Registrar
from suture.access.oauth.udap import Udap
from suture.access.places import network
from suture.settings import Settings
from suture.store import apps, grants
from suture.store.apps import APPROVED, ENDED, PENDING, REFUSED, OAuthClient
from suture.store.connection import Tx
from suture.store.database import Database

_PASSING = ("iat", "exp", "jti", "nbf")
WHO = "system"


class Statements:
    """The registrations of one trust community."""

    def __init__(self, database: Database, settings: Settings, registrar: Registrar, udap: Udap) -> None:
        self._database = database
        self._settings = settings
        self._registrar = registrar
        self._udap = udap

    async def register(self, text: str, address: str) -> tuple[OAuthClient, bool]:
        """The client and whether it is new. Raises OAuthRefused; a statement is good once."""
        statement, asked, issuer = self._udap.statement(text)
        kept = {**asked.attributes, "statement": _lasting(statement.claims), "address": network(address)}
        wanted = replace(asked, attributes=kept)
        return await self._database.write(lambda tx: self._take(tx, statement, wanted, issuer, address))

    def _take(
        self, tx: Tx, statement: Assertion, asked: OAuthClient, issuer: str, address: str
    ) -> tuple[OAuthClient, bool]:
        if not first_time(tx, statement, self._settings["oauth.clock_skew"]):
            raise OAuthRefused("invalid_software_statement", "the software statement was used before")
        found = apps.of_issuer(tx, self._udap.community, issuer)
        live = found if found and found.status in (PENDING, APPROVED) else None
        if not asked.grant_types:
            return self._end(tx, live), False
        if live:
            return self._change(tx, live, asked), False
        self._registrar.require_room(tx, network(address))
        made = registrar.keep(tx, asked, "anonymous", address=address)
        apps.set_issuer(tx, self._udap.community, issuer, made.id)
        return self._let_in(tx, made), True

    def _end(self, tx: Tx, live: OAuthClient | None) -> OAuthClient:
        if live is None:
            raise OAuthRefused("invalid_client_metadata", "there is no registration to cancel")
        status = ENDED if live.status == APPROVED else REFUSED
        registrar.decide(tx, live.id, status, f"client:{live.id}", note="cancelled by itself")
        return replace(live, grant_types=(), status=status)

    def _change(self, tx: Tx, live: OAuthClient, asked: OAuthClient) -> OAuthClient:
        """The same again changes nothing; anything else waits again, so that nobody widens what was approved."""
        if live.attributes.get("statement") == asked.attributes["statement"]:
            return live
        apps.change(tx, replace(asked, id=live.id))
        grants.revoke_client(tx, live.id)
        registrar.changed(tx, live.id, asked.name)
        return self._let_in(tx, apps.reopen(tx, live.id))

    def _let_in(self, tx: Tx, made: OAuthClient) -> OAuthClient:
        return registrar.decide(tx, made.id, APPROVED, WHO) if self._settings["udap.approve"] else made


def _lasting(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement says apart from when it was made."""
    return {name: value for name, value in claims.items() if name not in _PASSING}
