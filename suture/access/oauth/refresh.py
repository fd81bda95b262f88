"""Refresh tokens: each good once, for the next one; an old one that comes again ends the whole family.

https://www.rfc-editor.org/rfc/rfc6749#section-6 · https://www.rfc-editor.org/rfc/rfc9700#section-4.14
"""

from __future__ import annotations

from collections.abc import Mapping

from suture.access.oauth.answer import TokenAnswer
from suture.access.oauth.authority import Authority
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.granted import subset
from suture.access.oauth.who import open_to
from suture.store import accounts, apps, audit, grants
from suture.store.apps import OAuthClient
from suture.store.connection import Tx
from suture.store.grants import Grant


async def refresh(authority: Authority, client: OAuthClient, form: Mapping[str, str], address: str = "") -> TokenAnswer:
    """New tokens for a refresh token. Raises OAuthRefused: `invalid_grant`, or `invalid_scope` for more than was granted."""
    if not form.get("refresh_token"):
        raise OAuthRefused("invalid_request", "refresh_token is missing")
    done = await authority.database.write(lambda tx: _refresh(authority, tx, client, form, address))
    if isinstance(done, OAuthRefused):
        authority.tokens.forget()
        raise done
    return done


def named(authority: Authority, form: Mapping[str, str]) -> Mapping[str, str]:
    """The form with the client its refresh token belongs to: a public app need not name itself (RFC 6749, 6; SMART, step 7).

    A confidential one that proves nothing stays unnamed, and is refused where clients prove themselves.
    """
    if form.get("grant_type") != "refresh_token" or any(form.get(name) for name in _NAMES):
        return form
    found = grants.token(authority.database.read, form.get("refresh_token", ""))
    return {**form, "client_id": found[0].client} if found and found[1].kind == grants.REFRESH else form


_NAMES = ("client_id", "client_secret", "client_assertion", "client_assertion_type")


def _refresh(
    authority: Authority, tx: Tx, client: OAuthClient, form: Mapping[str, str], address: str
) -> TokenAnswer | OAuthRefused:
    """The unit; a refusal is returned, so that what it ends is committed."""
    found = grants.token(tx, form["refresh_token"])
    if found is None or found[1].kind != grants.REFRESH or found[0].client != client.id:
        return _refused(authority, tx, client, address, "unknown-refresh-token")
    grant, token = found
    if token.used:
        grants.revoke(tx, grant.id, "refresh-reuse")
        return _refused(authority, tx, client, address, "refresh-reuse", grant)
    why = _closed(authority, tx, client, grant, token.expires)
    if why:
        return _refused(authority, tx, client, address, why, grant)
    words = tuple(form.get("scope", "").split()) or grant.scopes
    if not subset(words, grant.scopes):
        _audit(tx, client, address, "invalid-scope", grant, 400)
        return OAuthRefused("invalid_scope", "more than was granted can't be asked for later")
    grants.use_token(tx, form["refresh_token"])
    _audit(tx, client, address, "refresh_token", grant)
    return authority.tokens.issue(tx, grant, words, refresh=True)


def _closed(authority: Authority, tx: Tx, client: OAuthClient, grant: Grant, expires: int) -> str:
    """Why a token that was good can't be used now; empty when it can."""
    if expires <= tx.now or not grant.live(tx.now):
        return "ended"
    if grant.aud != authority.issuer:
        return "another-base"
    app, user = apps.get(tx, client.id), accounts.user(tx, grant.user)
    if app is None or not app.approved or user is None or not user.active:
        return "ended"
    if not open_to(tx, user, grant.patient, tx.now):
        return "record-closed"
    if grant.refresh == "online" and not accounts.session_lives(tx, grant.session, tx.now):
        return "session-ended"
    return ""


def _refused(
    authority: Authority, tx: Tx, client: OAuthClient, address: str, why: str, grant: Grant | None = None
) -> OAuthRefused:
    authority.refused(tx, _row(client, address, why, grant, 400), client, grant)
    return OAuthRefused("invalid_grant", "the refresh token is not good any more, or not yours")


def _audit(tx: Tx, client: OAuthClient, address: str, detail: str, grant: Grant | None, outcome: int = 200) -> None:
    audit.append(tx, _row(client, address, detail, grant, outcome))


def _row(client: OAuthClient, address: str, detail: str, grant: Grant | None, outcome: int) -> audit.AuditRow:
    row = audit.AuditRow(f"client:{client.id}", "refresh", address=address, detail=detail, outcome=outcome)
    if grant is None:
        return row
    return row._replace(id=grant.id, grant=grant.id, patient=f"Patient/{grant.patient}" if grant.patient else "")
