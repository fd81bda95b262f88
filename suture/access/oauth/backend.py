"""Programs in their own name: the client_credentials grant of SMART Backend Services (RFC 6749, 4.4).

https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

from collections.abc import Mapping

from suture.access.oauth.answer import ACCESS_PREFIX, TokenAnswer
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.scopes import narrowed
from suture.access.oauth.udap import Business
from suture.crypto import new_token
from suture.settings import Settings
from suture.store import apps, audit, grants
from suture.store.apps import ASYMMETRIC, OAuthClient
from suture.store.connection import Tx
from suture.store.database import Database

GRANT_TYPE = "client_credentials"
LONGEST_LIFE = 300.0  # seconds; SMART says that a token of a program should not live longer


class Backend:
    """Gives proven programs short tokens within what they were registered for; never a refresh token."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def grant(self, client: OAuthClient, form: Mapping[str, str], address: str = "") -> TokenAnswer:
        """A token for a client that `Clients.authenticate` has proven; its audit row is committed with it.

        Raises OAuthRefused: `unauthorized_client` for one that was not registered for this, `invalid_scope` when nothing
        of what it asks lies within its registration.
        """
        granted = narrowed(form.get("scope", "").split(), client.scopes, ("system",))
        if client.kind != ASYMMETRIC or GRANT_TYPE not in client.grant_types:
            await self._denied(client, address, "unauthorized_client")
            raise OAuthRefused("unauthorized_client", "this client is not registered for client_credentials")
        if not granted:
            await self._denied(client, address, "invalid_scope")
            raise OAuthRefused(
                "invalid_scope", "none of these scopes was allowed to this client; it asks for system/ scopes"
            )
        return await self._database.write(lambda tx: self._issue(tx, client, granted, address))

    async def _denied(self, client: OAuthClient, address: str, why: str) -> None:
        row = audit.AuditRow(f"client:{client.id}", "token", outcome=400, address=address, detail=why)
        await self._database.write(lambda tx: audit.append(tx, row))

    def _issue(self, tx: Tx, client: OAuthClient, granted: tuple[str, ...], address: str) -> TokenAnswer:
        now = apps.get(tx, client.id)
        if now is None or not now.approved:  # ended since it proved itself
            raise OAuthRefused("invalid_client", "client authentication failed", 401)
        token, life = ACCESS_PREFIX + new_token(), min(float(self._settings["oauth.backend_life"]), LONGEST_LIFE)
        base = str(self._settings["http.base_url"]).rstrip("/") + "/fhir"
        made = grants.create(tx, grants.Wanted(client.id, granted, base), life)
        grants.issue(tx, made.id, grants.ACCESS, token, life, granted)
        said = client.attributes.get("business")
        for_what, whose = (" ".join(said.purposes), said.organization) if isinstance(said, Business) else ("", "")
        row = audit.AuditRow(f"client:{client.id}", "token", id=made.id, address=address, purpose=for_what)
        audit.append(tx, row._replace(detail=f"{GRANT_TYPE} {whose}".strip()))
        return TokenAnswer(token, int(life), " ".join(granted))
