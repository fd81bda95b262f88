"""Sessions of people: opened after every proof that is asked for, looked at, made strong again, listed, ended (NIST SP 800-63B, 7).

What stands between the first proof and the second is no session: it is a step, which opens nothing but the second proof.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from suture.access.refusals import SecondFactorNeeded
from suture.access.roles import ROLES, STRONG, permissions
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Unauthenticated, Unstartable
from suture.settings import Settings
from suture.store import accounts, audit, factors
from suture.store.accounts import Session, User
from suture.store.connection import Tx
from suture.store.database import Database

STEP = "sign-in-step"
SECOND = frozenset({"totp", "passkey", "recovery", "sso"})  # proofs that are a second factor
OPTIONAL, EVERYBODY, PRIVILEGED = "optional", "everybody", "privileged"
_TOUCH_MICROS = 60_000_000
_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class From:
    """Where somebody signs in from: what a person may know a session by."""

    address: str = ""
    agent: str = ""  # as the browser calls itself


@dataclass(frozen=True, slots=True)
class Step:
    """Somebody who showed the first proof: who, and where to go afterwards."""

    user: User
    how: str
    to: str


class Sessions:
    """All sessions of a database, for one process."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    # --- signing in

    def required(self, user: User) -> bool:
        """Whether this person may come in with a second factor only."""
        asked = self._settings["login.second_factor"]
        if asked == OPTIONAL:
            return False
        words = set(asked.replace(",", " ").split())
        return EVERYBODY in words or bool(words & set(user.roles)) or bool(permissions(user.roles) & STRONG)

    async def open(self, user: User, how: str, place: From, to: str = "", *, fresh: bool = True) -> str:
        """A new session's token after the proof `how`; raises SecondFactorNeeded with a step when that is not enough.

        Not `fresh`: the proof was given to somebody else and some time ago; changes of privileges ask for another one.
        """
        has = bool(factors.of_user(self._database.read, user.id))
        if how not in SECOND and (has or self.required(user)):
            step = new_token()
            kept = {"user": user.id, "how": how, "to": to}
            await self._database.write(
                lambda tx: accounts.create_link(tx, step, STEP, self._settings["login.step_life"], kept)
            )
            raise SecondFactorNeeded(step, set_up=not has)
        token = new_token()
        await self._database.write(lambda tx: self.begin(tx, token, user, how, place, fresh=fresh))
        return token

    def begin(self, tx: Tx, token: str, user: User, how: str, place: From, *, fresh: bool = True) -> None:
        """Puts a session into this unit; its proof was complete."""
        kept = {
            "how": how,
            "strong": tx.now if fresh else 0,
            "address": place.address,
            "agent": place.agent[:_LONGEST_AGENT],
        }
        accounts.create_session(tx, token, user.id, self._settings["session.life"], kept)
        audit.append(tx, audit.AuditRow(f"user:{user.id}", "login", address=place.address, detail=how))

    def step(self, token: str) -> Step:
        """Who is between the two proofs; raises Unauthenticated when the step is too old or was used."""
        kept = accounts.link(self._database.read, token, STEP, self._clock.micros())
        user = accounts.user(self._database.read, str(kept["user"])) if kept else None
        if kept is None or user is None or not user.active:
            raise Unauthenticated("this took too long", mend="Sign in again.")
        return Step(user, str(kept["how"]), str(kept["to"]))

    # --- while signed in

    def look(self, token: str) -> tuple[Session, User]:
        """The session of a token and its person; raises Unauthenticated when it ended, was silent, or is not enough."""
        now, idle = self._clock.micros(), self._settings["session.idle"]
        found = accounts.session(self._database.read, token, now, idle)
        user = accounts.user(self._database.read, found.user) if found else None
        if found is None or user is None or not user.active:
            raise _ended()
        if found.attributes.get("how") not in SECOND and self.required(user):
            raise _ended()
        return found, user

    async def touch(self, token: str, seen: int) -> None:
        """A sign of life, written at most once a minute."""
        now, idle = self._clock.micros(), self._settings["session.idle"]
        if now - seen > min(_TOUCH_MICROS, idle * 500_000):
            await self._database.write(lambda tx: accounts.touch_session(tx, token))

    async def strengthen(self, token: str, how: str, address: str) -> str:
        """The session goes on under a new token, with a fresh proof."""
        found, user = self.look(token)
        fresh = new_token()

        def unit(tx: Tx) -> None:
            kept = {**found.attributes, "how": how, "strong": tx.now}
            accounts.renew_session(tx, token, fresh, kept)
            audit.append(tx, audit.AuditRow(f"user:{user.id}", "confirm", address=address, detail=how))

        await self._database.write(unit)
        return fresh

    async def choose(self, token: str, patient: str) -> None:
        """This session is about the record of one patient from now on."""
        found, _ = self.look(token)
        kept: dict[str, Any] = {**found.attributes, "patient": patient}
        await self._database.write(lambda tx: accounts.change_session(tx, token, kept))

    # --- lists and ends

    def of_user(self, id: str) -> list[Session]:
        """The open sessions of a person, the one used last first."""
        return accounts.sessions(self._database.read, id, self._clock.micros(), self._settings["session.idle"])

    async def end(self, token: str) -> None:
        """Ends one session by its token."""

        def unit(tx: Tx) -> None:
            found = accounts.session(tx, token, tx.now, self._settings["session.idle"])
            accounts.end_session(tx, token)
            if found:
                audit.append(tx, audit.AuditRow(f"user:{found.user}", "logout"))

        await self._database.write(unit)

    async def end_one(self, user: str, id: str, by: str) -> bool:
        """Ends a session of a person by the id a list showed; says whether there was one."""

        def unit(tx: Tx) -> bool:
            there = accounts.end_session_of(tx, user, _hash_of(id))
            audit.append(tx, audit.AuditRow(by, "end-session", id=user, outcome=200 if there else 404))
            return there

        return await self._database.write(unit)

    async def end_all(self, user: str, by: str, but: str = "") -> None:
        """Signs a person out everywhere, but for the session with the token `but`."""

        def unit(tx: Tx) -> None:
            accounts.end_sessions(tx, user, but)
            audit.append(tx, audit.AuditRow(by, "end-sessions", id=user))

        await self._database.write(unit)


def id_of(session: Session) -> str:
    """What a list calls a session by; it opens nothing."""
    return base64.urlsafe_b64encode(session.hash).decode().rstrip("=")


def _hash_of(id: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(id + "=" * (-len(id) % 4))
    except ValueError:
        return b""


def _ended() -> Unauthenticated:
    return Unauthenticated("the session has ended", mend="Sign in again.")


def require_policy(settings: Settings, open_to_others: bool) -> None:
    """Raises Unstartable for a rule about second factors that is none, or too weak for where the server can be reached."""
    words = set(settings["login.second_factor"].replace(",", " ").split())
    unknown = words - ROLES.keys() - {OPTIONAL, EVERYBODY, PRIVILEGED}
    if unknown or not words or (OPTIONAL in words and len(words) > 1):
        raise Unstartable(
            "not a rule about second factors",
            where="login.second_factor",
            mend="Say privileged, everybody, or names of roles.",
        )
    if OPTIONAL in words and open_to_others:
        raise Unstartable(
            "second factors may be optional only on a machine that nobody else can reach",
            where="login.second_factor",
            mend="Say privileged, or listen on 127.0.0.1.",
        )
