"""Ending tokens: by the app (RFC 7009), and by the person who allowed it.

An access token ends alone; a refresh token, or the person's no, ends the whole grant. It holds everywhere after
`session.recheck`, in this process at once.
"""

from __future__ import annotations

from suture.access.oauth.authority import Authority
from suture.access.oauth.clients import OAuthClient
from suture.access.oauth.errors import OAuthRefused
from suture.errors import NotFound
from suture.store import audit, grants
from suture.store.connection import Tx
from suture.store.grants import Grant


async def revoke(authority: Authority, client: OAuthClient, text: str, address: str = "") -> None:
    """Ends a token of this client; one that is unknown or over is fine, another client's is refused."""

    def unit(tx: Tx) -> OAuthRefused | None:
        found = grants.token(tx, text)
        row = audit.AuditRow(f"client:{client.id}", "revoke", address=address)
        if found is None:
            authority.refused(tx, row, client, None)
            return None
        grant, token = found
        if grant.client != client.id:
            audit.append(tx, row._replace(outcome=400))
            return OAuthRefused("invalid_grant", "this token was given to another client")
        if token.kind == grants.REFRESH:
            grants.revoke(tx, grant.id, "app")
        else:
            grants.drop_token(tx, text)
        audit.append(tx, row._replace(id=grant.id, grant=grant.id, patient=_patient(grant), detail=token.kind))
        return None

    refused = await authority.database.write(unit)
    authority.tokens.forget()
    if refused:
        raise refused


async def by_person(authority: Authority, grant: str, user: str, address: str = "") -> Grant:
    """A person takes back what was allowed to an app; raises NotFound for a grant that is another one's."""

    def unit(tx: Tx) -> Grant:
        found = grants.get(tx, grant)
        if found is None or found.user != user:
            raise NotFound("no such app", where="apps")
        grants.revoke(tx, grant, "person")
        row = audit.AuditRow(f"user:{user}", "revoke", id=grant, patient=_patient(found), address=address)
        audit.append(tx, row._replace(client=found.client, grant=grant))
        return found

    found = await authority.database.write(unit)
    authority.tokens.forget()
    return found


def _patient(grant: Grant) -> str:
    return f"Patient/{grant.patient}" if grant.patient else ""
