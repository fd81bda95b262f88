"""What a token is good for, told to those who may ask (RFC 7662; SMART App Launch 2.2, token introspection).

A confidential client and a program with a token of its own may ask about any token, a person's app about its own ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.access.caller import Caller
from suture.access.oauth.authority import Authority
from suture.access.oauth.clients import PUBLIC
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.granted import OPENID
from suture.access.oauth.tokens import launch_context
from suture.store import audit, grants
from suture.store.connection import Tx
from suture.store.grants import Grant, Token

INACTIVE: dict[str, Any] = {"active": False}
MICROS = 1_000_000
_NOBODY = OAuthRefused("invalid_client", "client authentication failed", 401)


async def who_asks(authority: Authority, form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    """Id of whoever asks, and the client it is bound to ('' for any); raises OAuthRefused `invalid_client`."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() == "bearer":
        return _bearer(authority.tokens.caller(token.strip()))
    client = await authority.clients.authenticate(form, authorization, authority.address("/auth/token"))
    if client.kind == PUBLIC:
        raise _NOBODY
    return f"client:{client.id}", ""


def _bearer(caller: Caller | None) -> tuple[str, str]:
    if caller is None:
        raise OAuthRefused("invalid_token", "the access token is not good", 401)
    return caller.id, "" if caller.kind == "client" else caller.client


async def introspect(authority: Authority, who: str, bound: str, text: str, address: str = "") -> dict[str, Any]:
    """The answer; what is unknown, has ended, or is not theirs to know is inactive, and nothing else is said."""
    now = authority.clock.micros()
    found = grants.token(authority.database.read, text)
    live = found is not None and _lives(authority, text, *found, now) and bound in ("", found[0].client)

    def unit(tx: Tx) -> None:
        row = audit.AuditRow(who, "introspect", address=address)
        grant = found[0] if found and live else None
        audit.append(tx, row._replace(id=grant.id, grant=grant.id, patient=_patient(grant)) if grant else row)

    await authority.database.write(unit)
    return _told(authority, *found) if found is not None and live else dict(INACTIVE)


def _lives(authority: Authority, text: str, grant: Grant, token: Token, now: int) -> bool:
    """An access token is as live as it would be at the FHIR API; a refresh token as far as it stands here."""
    if token.kind == grants.ACCESS:
        return authority.tokens.caller(text) is not None
    client = authority.clients.get(grant.client)
    return not token.used and token.expires > now and grant.live(now) and client is not None and client.approved


def _told(authority: Authority, grant: Grant, token: Token) -> dict[str, Any]:
    found: dict[str, Any] = {
        **launch_context(grant),
        "active": True,
        "scope": " ".join(token.scopes),
        "client_id": grant.client,
        "exp": token.expires // MICROS,
        "iat": token.created // MICROS,
        "aud": grant.aud,
        "iss": authority.issuer,
        "sub": grant.user or grant.client,
    }
    if token.kind == grants.ACCESS:
        found |= {"token_type": "Bearer"}
    if OPENID in grant.scopes and grant.fhir_user:
        found["fhirUser"] = f"{authority.issuer}/{grant.fhir_user}"
    return found


def _patient(grant: Grant) -> str:
    return f"Patient/{grant.patient}" if grant.patient else ""
