"""Codes: given for what a person allowed, exchanged once for tokens; one that comes again ends what the first one began.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1 · https://www.rfc-editor.org/rfc/rfc7636 · https://www.rfc-editor.org/rfc/rfc9700
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from suture.access.oauth import who
from suture.access.oauth.answer import CODE_PREFIX, TokenAnswer
from suture.access.oauth.authority import Authority
from suture.access.oauth.authorize import Asked
from suture.access.oauth.errors import OAuthRefused
from suture.access.oauth.granted import FHIR_USER, OFFLINE, ONLINE, OPENID, PROFILE
from suture.access.oauth.oidc import id_token
from suture.crypto import new_token
from suture.store import accounts, apps, audit, grants, launches
from suture.store.accounts import Session, User
from suture.store.apps import OAuthClient
from suture.store.connection import Tx
from suture.store.grants import Code, Grant, Wanted

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1
LONGEST_CODE_LIFE = 60.0
MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a person allowed: the words, the launch context, and in which session."""

    user: User
    session: Session
    words: tuple[str, ...]
    context: Mapping[str, Any]
    address: str = ""


async def give(authority: Authority, asked: Asked, allowed: Allowed) -> str:
    """A code for the app; raises OAuthRefused when its launch was used meanwhile or the app is let in no more."""
    code = CODE_PREFIX + new_token()
    await authority.database.write(lambda tx: _give(authority, tx, asked, allowed, code))
    return code


def _give(authority: Authority, tx: Tx, asked: Asked, allowed: Allowed, code: str) -> None:
    client = apps.get(tx, asked.client)
    if client is None or not client.approved:
        raise OAuthRefused("access_denied", "this app is not let in any more")
    if asked.launch and not launches.use(tx, asked.launch, late=authority.settings["oauth.request_life"]):
        raise OAuthRefused("invalid_request", "this launch was used already")
    life = min(float(authority.settings["oauth.code_life"]), LONGEST_CODE_LIFE)
    grant = grants.create(tx, _wanted(authority, client, asked, allowed), life)
    details = {"nonce": asked.nonce, "auth_time": allowed.session.created // MICROS}
    grants.add_code(tx, code, Code(grant.id, asked.redirect, asked.challenge, details), life)
    row = audit.AuditRow(
        f"user:{allowed.user.id}", "authorize", id=grant.id, grant=grant.id, patient=_patient(grant), address=allowed.address,
        detail=client.id, client=client.id,
    )  # fmt: skip
    audit.append(tx, row)


def _wanted(authority: Authority, client: OAuthClient, asked: Asked, allowed: Allowed) -> Wanted:
    return Wanted(
        client.id,
        allowed.words,
        authority.issuer,
        allowed.user.id,
        asked.patient,
        who.fhir_user(allowed.user) if FHIR_USER in allowed.words else "",
        _refresh(client, allowed.words),
        allowed.session.hash,
        allowed.context,
    )


def _refresh(client: OAuthClient, words: tuple[str, ...]) -> str:
    if "refresh_token" not in client.grant_types:
        return ""
    return "offline" if OFFLINE in words else "online" if ONLINE in words else ""


def _patient(grant: Grant) -> str:
    return f"Patient/{grant.patient}" if grant.patient else ""


async def exchange(
    authority: Authority, client: OAuthClient, form: Mapping[str, str], address: str = ""
) -> TokenAnswer:
    """The tokens of a code, once. Raises OAuthRefused `invalid_grant` for everything that is not right about it."""
    for name in ("code", "redirect_uri", "code_verifier"):
        if not form.get(name):
            raise OAuthRefused("invalid_request", f"{name} is missing")
    key = await authority.keys.signing()  # before the unit: making one takes a while
    done = await authority.database.write(lambda tx: _exchange(authority, tx, client, form, address))
    if isinstance(done, OAuthRefused):
        authority.tokens.forget()
        raise done
    answer, grant, code = done
    if OPENID not in grant.scopes:
        return answer
    claims = _claims(authority, grant, code)
    return replace(answer, id_token=id_token(key, claims, authority.clock.micros()))


def _exchange(
    authority: Authority, tx: Tx, client: OAuthClient, form: Mapping[str, str], address: str
) -> tuple[TokenAnswer, Grant, Code] | OAuthRefused:
    """The unit; a refusal is returned, so that what it ends is committed."""
    code = grants.code(tx, form["code"])
    grant = grants.get(tx, code.grant) if code else None
    if code is None or grant is None or grant.client != client.id:
        return _refused(authority, tx, client, address, "unknown-code")
    if code.used:
        grants.revoke(tx, grant.id, "code-replay")
        return _refused(authority, tx, client, address, "code-replay", grant)
    if code.expires <= tx.now or not grant.live(tx.now):
        return _refused(authority, tx, client, address, "code-expired", grant)
    if not hmac.compare_digest(code.redirect.encode(), form["redirect_uri"].encode()):
        return _refused(authority, tx, client, address, "redirect-uri", grant)
    if not proves(form["code_verifier"], code.challenge):
        return _refused(authority, tx, client, address, "code-verifier", grant)
    now = apps.get(tx, client.id)
    user = accounts.user(tx, grant.user)
    if now is None or not now.approved or user is None or not user.active:
        return _refused(authority, tx, client, address, "ended", grant)
    grants.use_code(tx, form["code"])
    answer = authority.tokens.issue(tx, grant, grant.scopes, refresh=bool(grant.refresh))
    audit.append(tx, _row(client, "token", address, "authorization_code", grant))
    return answer, grant, code


def _refused(
    authority: Authority, tx: Tx, client: OAuthClient, address: str, why: str, grant: Grant | None = None
) -> OAuthRefused:
    authority.refused(tx, _row(client, "token", address, why, grant)._replace(outcome=400), client, grant)
    return OAuthRefused("invalid_grant", "the code is not good, not yours, or not for this redirect_uri and verifier")


def _row(client: OAuthClient, what: str, address: str, detail: str, grant: Grant | None) -> audit.AuditRow:
    row = audit.AuditRow(f"client:{client.id}", what, address=address, detail=detail)
    return row._replace(id=grant.id, grant=grant.id, patient=_patient(grant)) if grant else row


def proves(verifier: str, challenge: str) -> bool:
    """Whether the verifier is the one of the challenge: S256, nothing else."""
    if not VERIFIER.fullmatch(verifier):
        return False
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode())


def _claims(authority: Authority, grant: Grant, code: Code) -> dict[str, Any]:
    """What an id_token says; a person the chart does not know has no fhirUser."""
    user = accounts.user(authority.database.read, grant.user)
    claims: dict[str, Any] = {"iss": authority.issuer, "sub": grant.user, "aud": grant.client}
    claims |= {name: value for name, value in code.details.items() if value}
    if grant.fhir_user:
        claims["fhirUser"] = f"{authority.issuer}/{grant.fhir_user}"
    if PROFILE in grant.scopes and user is not None:
        claims["name"] = user.name
        claims |= {"profile": claims["fhirUser"]} if grant.fhir_user else {}
    return claims
