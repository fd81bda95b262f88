"""Passkeys: registered and checked with user verification, each challenge good for one answer (W3C Web Authentication, level 3)."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import options_to_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from suture.crypto import new_token
from suture.errors import Invalid
from suture.settings import Settings
from suture.store import accounts, factors
from suture.store.accounts import User
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.factors import Factor

CHALLENGE = "passkey-challenge"
LARGEST = 32 * 1024
_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_VERIFIED = UserVerificationRequirement.REQUIRED
_BROKEN = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Party(NamedTuple):
    """Under which name browsers know this server; a passkey belongs to it."""

    id: str  # a host name; never an address
    origin: str


def party(base_url: str, host: str) -> Party | None:
    """The party of this server; None where it is spoken to by an address, which passkeys don't allow.

    Only `localhost` is believed from the Host header, and only when the server is on this machine.
    """
    parts = urlsplit(base_url)
    name = parts.hostname or ""
    if not _is_address(name):
        return Party(name, f"{parts.scheme}://{parts.netloc}") if name else None
    if ipaddress.ip_address(name).is_loopback and host.partition(":")[0] == "localhost":
        return Party("localhost", f"{parts.scheme}://{host}")
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Passkeys:
    """Challenges and answers."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def to_register(self, user: User, at: Party) -> str:
        """What a browser needs to make a passkey, as JSON."""
        known = [_descriptor(one) for one in factors.of_user(self._database.read, user.id) if one.kind == "passkey"]
        options = webauthn.generate_registration_options(
            rp_id=at.id,
            rp_name="Suture",
            user_name=user.login,
            user_display_name=user.name,
            user_id=user.id.encode(),
            challenge=await self._challenge(user),
            authenticator_selection=AuthenticatorSelectionCriteria(
                user_verification=_VERIFIED, resident_key=ResidentKeyRequirement.PREFERRED
            ),
            supported_pub_key_algs=_ALGORITHMS,
            exclude_credentials=known,
        )
        return options_to_json(options)

    async def to_show(self, user: User, at: Party) -> str:
        """What a browser needs to show a passkey, as JSON; empty when the person has none."""
        known = [_descriptor(one) for one in factors.of_user(self._database.read, user.id) if one.kind == "passkey"]
        if not known:
            return ""
        options = webauthn.generate_authentication_options(
            rp_id=at.id, challenge=await self._challenge(user), allow_credentials=known, user_verification=_VERIFIED
        )
        return options_to_json(options)

    async def _challenge(self, user: User) -> bytes:
        token, life = new_token(), self._settings["login.step_life"]
        await self._database.write(lambda tx: accounts.create_link(tx, token, CHALLENGE, life, {"user": user.id}))
        return _bytes(token)

    def add(self, tx: Tx, user: User, text: str, name: str, at: Party) -> str:
        """Keeps the passkey a browser made; raises Invalid for anything else. Returns the factor's id."""
        try:
            found = webauthn.verify_registration_response(
                credential=_read(text),
                expected_challenge=self._used(tx, user, text),
                expected_rp_id=at.id,
                expected_origin=at.origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except _BROKEN as error:
            raise Invalid("this passkey was not accepted", where="passkey", mend="Try again, or use an app.") from error
        kept = {"credential": _text(found.credential_id), "party": at.id}
        return factors.add(
            tx, user.id, "passkey", name.strip()[:60] or "Passkey", found.credential_public_key, found.sign_count, kept
        )

    def good(self, tx: Tx, user: User, text: str, at: Party) -> bool:
        """Whether a passkey of this person signed a challenge that was put to it and not answered yet."""
        try:
            credential = _read(text)
            challenge = self._used(tx, user, text)
            known = [
                one for one in factors.of_user(tx, user.id) if one.attributes.get("credential") == credential["id"]
            ]
            return bool(known) and self._signed(tx, known[0], credential, challenge, at)
        except _BROKEN:
            return False

    def _signed(self, tx: Tx, factor: Factor, credential: dict[str, Any], challenge: bytes, at: Party) -> bool:
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=at.id,
            expected_origin=at.origin,
            credential_public_key=factor.secret,
            credential_current_sign_count=factor.mark,
            require_user_verification=True,
        )
        if found.new_sign_count:  # a copied passkey shows a count that was seen before
            return factors.advance(tx, factor, found.new_sign_count)
        factors.used(tx, factor)
        return True

    def _used(self, tx: Tx, user: User, text: str) -> bytes:
        """The challenge the answer names, used up; raises ValueError when it was not put to this person, or is answered."""
        client = json.loads(_bytes(str(_read(text)["response"]["clientDataJSON"])))
        token = str(client["challenge"])
        kept = accounts.use_link(tx, token, CHALLENGE)
        if kept is None or kept["user"] != user.id:
            raise ValueError("no open challenge")
        return _bytes(token)


def _read(text: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise ValueError("too long")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _descriptor(factor: Factor) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(id=_bytes(str(factor.attributes["credential"])))


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
