"""Invitations: links that work once, within their life, and let somebody in: staff, a patient, a proxy; or set a new password.

Patients and proxies also show what the letter with the link does not say: a birth date, or a code given separately
(NIST SP 800-63A, 4). Of link and proof only hashes are kept.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from suture.access import passwords, staff
from suture.access.refusals import LinkEnded
from suture.access.roles import PATIENT, PROXY, require_roles
from suture.access.sessions import From, Sessions
from suture.clock import Clock
from suture.crypto import new_token, token_hash
from suture.errors import Conflict, Forbidden, Invalid
from suture.settings import Settings
from suture.store import accounts, audit, grants, proxies
from suture.store.accounts import Link, User
from suture.store.connection import Connection, Tx
from suture.store.database import Database

PURPOSE = staff.INVITATION
STAFF, OWN, STAND_IN, RESET = "staff", "patient", "proxy", "reset"
TRIES = 5  # wrong proofs before an invitation ends
BIRTH_DATE, CODE = "birth date", "code"
_DIGITS = "23456789"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link stands for. `asks`: what must be shown besides it; empty for nothing."""

    id: str
    kind: str
    name: str
    roles: tuple[str, ...]
    by: str
    expires: int
    login: str = ""
    user: str = ""  # of a reset: whose password
    patient: str = ""
    relation: str = ""
    until: int = 0  # of a proxy: when it ends; 0 for never
    asks: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A new invitation: its token goes into the link, the code (if any) another way. Both are shown once."""

    token: str
    code: str = ""


class WrongProof(Invalid):
    """The link is good, what should go with it is not."""

    code, status, issue = "wrong-proof", 403, "login"


class Invitations:
    """Makes, lists, takes back and accepts invitations."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, sessions: Sessions) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._sessions = sessions

    # --- made

    def staff(self, tx: Tx, login: str, name: str, roles: Sequence[str], by: str) -> Made:
        """Invites somebody who works here, under a login name that is free."""
        passwords.require_login(login)
        require_roles(roles)
        if PATIENT in roles or PROXY in roles:
            raise Invalid("patients and proxies are invited for a record", where="role", mend="Invite them as such.")
        _require_free(tx, login)
        kept = {"kind": STAFF, "login": login, "name": name or login, "roles": list(roles)}
        return self._make(tx, kept, by, "login.invitation_life")

    def patient(self, tx: Tx, patient: str, name: str, birth_date: str, by: str) -> Made:
        """Invites a patient to the own record. Asks for the birth date, or without one for a code."""
        kept = {"kind": OWN, "name": name, "roles": [PATIENT], "patient": patient}
        return self._make(tx, kept, by, "login.invitation_life", birth_date, CODE if not birth_date else BIRTH_DATE)

    def proxy(self, tx: Tx, patient: str, name: str, relation: str, until: int, by: str) -> Made:
        """Invites somebody to stand in for a patient until `until`; asks for a code."""
        if not name or not relation:
            raise Invalid("say who it is, and what to the patient", where="relation", mend="Such as: mother.")
        if until and until <= tx.now:
            raise Invalid("this end lies in the past", where="until", mend="Take a later day.")
        kept = {"kind": STAND_IN, "name": name[:100], "roles": [PROXY], "patient": patient, "relation": relation[:60]}
        return self._make(tx, {**kept, "until": until}, by, "login.invitation_life", "", CODE)

    def reset(self, tx: Tx, user: User, by: str) -> Made:
        """A link with which a person sets a new password; until then the old one goes on."""
        kept = {"kind": RESET, "login": user.login, "name": user.name, "roles": list(user.roles), "user": user.id}
        return self._make(tx, kept, by, "login.reset_life")

    def _make(self, tx: Tx, kept: dict[str, Any], by: str, life: str, proof: str = "", asks: str = "") -> Made:
        token, code = new_token(), ""
        if asks == CODE:
            code = "".join(secrets.choice(_DIGITS) for _ in range(8))
        told = {**kept, "by": by, "asks": asks, "proof": _proof(token, code or proof) if asks else "", "tries": 0}
        accounts.create_link(tx, token, PURPOSE, self._settings[life], told)
        whose = f"Patient/{kept['patient']}" if kept.get("patient") else ""
        row = audit.AuditRow(
            by,
            "invite",
            id=str(kept.get("user", "")),
            patient=whose,
            detail=f"{kept['kind']}: {' '.join(kept['roles'])}",
        )
        audit.append(tx, row)
        return Made(token, f"{code[:4]} {code[4:]}" if code else "")

    # --- looked at

    def open(self) -> list[Invitation]:
        """Invitations that nobody has accepted yet, those that end first first."""
        return [_read(one) for one in accounts.links(self._database.read, PURPOSE, self._clock.micros())]

    def look(self, token: str) -> Invitation:
        """What a link stands for; raises LinkEnded when it was used, taken back, or is too old."""
        return self._found(self._database.read, token, self._clock.micros())

    def _found(self, connection: Connection, token: str, now: int) -> Invitation:
        kept = accounts.link(connection, token, PURPOSE, now)
        if kept is None:
            raise _ended()
        return _read(Link(token_hash(token), 0, kept))

    def end(self, tx: Tx, id: str, by: str) -> None:
        """Takes an invitation back."""
        found = next((one for one in accounts.links(tx, PURPOSE, tx.now) if one.hash.hex() == id), None)
        if found is None:
            raise Conflict("this invitation is not open any more", where="invitations", mend="Look at the list again.")
        accounts.end_link(tx, found.hash)
        whose = f"Patient/{found.attributes['patient']}" if found.attributes.get("patient") else ""
        audit.append(tx, audit.AuditRow(by, "end-invitation", patient=whose, detail=str(found.attributes["kind"])))

    # --- accepted

    async def accept(self, token: str, login: str, password: str, proof: str, place: From) -> str:
        """Lets the person in under a name and password of its own; raises SecondFactorNeeded as signing in does."""
        found = self.look(token)
        wanted = login if found.kind in (OWN, STAND_IN) else found.login
        passwords.require_login(wanted)
        passwords.require(password, wanted)
        await self._show(token, proof)
        hashed = await asyncio.to_thread(passwords.hashed, password)
        user = await self._database.write(lambda tx: self._entered(tx, token, wanted, hashed))
        return await self._sessions.open(user, "password", place)

    async def join(self, token: str, user: User, proof: str) -> None:
        """A patient or proxy who is here already stands in for one more."""
        found = self.look(token)
        if found.kind != STAND_IN or not {PATIENT, PROXY} & set(user.roles):
            raise Forbidden("this invitation needs an account of its own", mend="Sign out, then open the link again.")
        await self._show(token, proof)

        def unit(tx: Tx) -> None:
            self._used(tx, token)
            if PROXY not in user.roles:
                accounts.add_role(tx, user.id, PROXY)
            self._stands_in(tx, found, user)

        await self._database.write(unit)

    async def _show(self, token: str, proof: str) -> None:
        """Judges what goes with the link; a wrong one is on disk before the next is looked at. Raises WrongProof."""

        def unit(tx: Tx) -> int:
            kept = accounts.link(tx, token, PURPOSE, tx.now)
            if kept is None:
                return 0
            if not kept["asks"] or hmac.compare_digest(str(kept["proof"]), _proof(token, proof)):
                return -1
            tries = int(kept["tries"]) + 1
            accounts.change_link(tx, token_hash(token), {**kept, "tries": tries})
            if tries >= TRIES:
                accounts.end_link(tx, token_hash(token))
            row = audit.AuditRow("anonymous", "accept-invitation", patient=f"Patient/{kept['patient']}", outcome=403)
            audit.append(tx, row)
            return TRIES - tries

        left = await self._database.write(unit)
        if left >= 0:
            mend = f"{left} more tries, then the invitation ends." if left else "It has ended; ask for a new one."
            raise WrongProof("this does not go with the invitation", where="proof", mend=mend)

    def _used(self, tx: Tx, token: str) -> None:
        if accounts.use_link(tx, token, PURPOSE) is None:
            raise _ended()

    def _entered(self, tx: Tx, token: str, login: str, hashed: str) -> User:
        """The link used up and the person there, in one unit."""
        found = self._found(tx, token, tx.now)
        self._used(tx, token)
        if found.kind == RESET:
            user = staff.by_id(tx, found.user)
            return staff.set_password(tx, user, hashed, by=f"user:{user.id}")
        own = found.patient if found.kind == OWN else ""
        user = staff.create(tx, login, found.name, hashed, found.roles, patient=own, by=found.by)
        if found.kind == STAND_IN:
            self._stands_in(tx, found, user)
        return user

    def _stands_in(self, tx: Tx, found: Invitation, user: User) -> None:
        proxies.grant(tx, user.id, found.patient, found.relation, found.by, found.until)
        whose = f"Patient/{found.patient}"
        audit.append(tx, audit.AuditRow(found.by, "grant-proxy", id=user.id, patient=whose, detail=found.relation))


def end_proxy(tx: Tx, id: str, patient: str, by: str) -> None:
    """Somebody stands in for a patient no longer; raises Conflict when it is not one of this patient's."""
    found = proxies.get(tx, id)
    if found is None or found.patient != patient:
        raise Conflict("nobody stands in like this", where="proxies", mend="Look at the list again.")
    proxies.end(tx, id)
    for grant in grants.of_user(tx, found.user, tx.now):
        if grant.patient == patient:
            grants.revoke(tx, grant.id, "proxy ended")
    audit.append(tx, audit.AuditRow(by, "end-proxy", id=found.user, patient=f"Patient/{patient}"))


def _require_free(connection: Connection, login: str) -> None:
    if accounts.user_by_login(connection, login):
        raise Conflict("this login name is taken", where="users", mend="Take another.")


def _read(link: Link) -> Invitation:
    kept = link.attributes
    return Invitation(
        id=link.hash.hex(),
        kind=str(kept["kind"]),
        name=str(kept["name"]),
        roles=tuple(kept["roles"]),
        by=str(kept["by"]),
        expires=link.expires,
        login=str(kept.get("login", "")),
        user=str(kept.get("user", "")),
        patient=str(kept.get("patient", "")),
        relation=str(kept.get("relation", "")),
        until=int(kept.get("until", 0)),
        asks=str(kept["asks"]),
    )


def _proof(token: str, text: str) -> str:
    """What is kept of a proof: bound to the link, so that its few possible values can't be tried without it."""
    return token_hash(f"{token} {''.join(letter for letter in text if letter.isdigit())}").hex()


def _ended() -> LinkEnded:
    return LinkEnded("Were you in already? Then sign in. Otherwise ask for a new link where you got this one.")
