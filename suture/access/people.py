"""Who is calling: bearer keys of programs, tokens of apps, sessions of people; signing in, with waiting times for guessers.

NIST SP 800-63B. Rooms beside this one: passwords, staff, sessions, second_factor, webauthn, sso, invitations, proxies, programs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from suture.access import passwords, smart, staff
from suture.access.caller import Caller
from suture.access.denials import Denials
from suture.access.invitations import Invitations
from suture.access.places import network
from suture.access.programs import KEY_PREFIX, add_client, client_caller, of_certificate, revoke_client
from suture.access.proxies import patients_of
from suture.access.refusals import SecondFactorNeeded, TooManyAttempts
from suture.access.roles import ADMINISTRATOR, ROLES, permissions
from suture.access.second_factor import SecondFactor
from suture.access.sessions import From, Sessions
from suture.access.sso import SingleSignOn
from suture.access.staff import add_user, reset_password
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import InvalidToken, Unauthenticated
from suture.ports import Fetch, Nowhere
from suture.settings import Settings
from suture.store import accounts, audit
from suture.store.accounts import Session, User
from suture.store.connection import Tx
from suture.store.database import Database

__all__ = [
    "People", "SecondFactorNeeded", "TooManyAttempts", "add_client", "add_user", "client_caller", "reset_password",
    "revoke_client", "user_caller",
]  # fmt: skip

FIRST_RUN = "first-run"
FORGET = 3600.0  # seconds after which failures of an address count no longer


class People:
    """Turns credentials into callers. A revoked key stops within `session.recheck` on every path."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, fetch: Fetch | None = None) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: dict[str, tuple[float, int, Caller]] = {}
        self._one_at_a_time = asyncio.Lock()  # so that guesses sent at once are counted one after the other
        self.denials = Denials(database, clock)
        self.sessions = Sessions(database, clock, settings)
        self.second = SecondFactor(database, clock, settings, self.sessions)
        self.invitations = Invitations(database, clock, settings, self.sessions)
        self.sso = SingleSignOn(database, clock, settings, self.sessions, fetch or Nowhere())
        self.tokens: Callable[[str], Caller | None] | None = None  # who reads access tokens of apps, when there is one

    # --- callers

    def bearer(self, key: str) -> Caller:
        """The caller of a bearer key or access token; raises Unauthenticated, the same for unknown, revoked and expired."""
        if self.tokens is not None and not key.startswith(KEY_PREFIX):
            found = self.tokens(key)
            if found is None:
                raise _not_good()
            return found
        return self._program(key)

    def certificate(self, fingerprint: str) -> Caller:
        """The program of a client certificate (SHA-256); raises Unauthenticated like `bearer`."""
        return self._program(of_certificate(fingerprint))

    def _program(self, key: str) -> Caller:
        now = self._clock.monotonic()
        known = self._known.get(key)
        if known is None or known[0] < now:
            known = (now + self._settings["session.recheck"], *self._client(key))
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = known
        _, expires, caller = known
        if expires and expires <= self._clock.micros():
            raise _not_good()
        return caller

    def _client(self, key: str) -> tuple[int, Caller]:
        client = accounts.client_by_key(self._database.read, key)
        if client is None:
            raise _not_good()
        return int(client.attributes.get("expires") or 0), client_caller(client)

    async def session(self, token: str, *, keep: bool = True) -> Caller:
        """The person of a session; raises Unauthenticated when it ended or was silent too long.

        Without `keep` this look does not count as a sign of life.
        """
        found, user = self.sessions.look(token)
        if keep:
            await self.sessions.touch(token, found.seen)
        caller = user_caller(user, self._patient(found, user))
        return replace(caller, strong=int(found.attributes.get("strong") or 0))

    def _patient(self, session: Session, user: User) -> str:
        """Whose record the session is about: the one chosen, while that is still open; else the only one there is."""
        chosen = str(session.attributes.get("patient") or "")
        open_now = [one.patient for one in patients_of(self._database.read, user, self._clock.micros())]
        if chosen:
            return chosen if chosen in open_now else ""
        return open_now[0] if len(open_now) == 1 else ""

    # --- signing in

    async def sign_in(self, login: str, password: str, address: str, *, agent: str = "", to: str = "") -> str:
        """A new session's token. Raises Unauthenticated alike for unknown and wrong, TooManyAttempts while waiting,
        SecondFactorNeeded (with a step, see sessions.py) for whoever has or must have a second factor."""
        keys = (staff.login_key(login), f"address:{network(address)}")
        async with self._one_at_a_time:
            person = await self._person(keys, login, password, address)
        return await self.sessions.open(person, "password", From(address, agent), to)

    async def _person(self, keys: Sequence[str], login: str, password: str, address: str) -> User:
        """Whose name and password these are; a failure is on disk before the next one is looked at."""
        self._require_no_wait(keys)
        user = accounts.user_by_login(self._database.read, login)
        kept = user.password if user else passwords.nobody()
        good = await asyncio.to_thread(passwords.matches, kept, password)
        if user is None or not user.active or not good:
            await self._database.write(lambda tx: self._failed(tx, keys, address))
            raise Unauthenticated("name or password is wrong", mend="Try again, or ask an administrator.")
        await self._database.write(lambda tx: accounts.login_worked(tx, keys[0]))
        return user

    def _require_no_wait(self, keys: Sequence[str]) -> None:
        until = max(accounts.blocked_until(self._database.read, key) for key in keys)
        wait = (until - self._clock.micros()) / 1_000_000
        if wait > 0:
            raise TooManyAttempts("too many wrong passwords", mend=f"Wait {int(wait) + 1} seconds.")

    def _failed(self, tx: Tx, keys: Sequence[str], address: str) -> None:
        free = self._settings["login.free_attempts"]
        accounts.login_failed(tx, keys[0], free)
        accounts.login_failed(tx, keys[1], free * 4, forget=FORGET)
        self.denials.append(tx, audit.AuditRow("anonymous", "login", outcome=401, address=address))

    async def confirm(self, token: str, password: str, address: str) -> str:
        """Shows the password again, where that is the best proof a person has; returns the session's new token."""
        _, user = self.sessions.look(token)
        keys = (staff.login_key(user.login), f"address:{network(address)}")
        async with self._one_at_a_time:
            await self._person(keys, user.login, password, address)
        return await self.sessions.strengthen(token, "password", address)

    async def change_password(self, token: str, old: str, new: str, address: str) -> None:
        """A new password for who knows the old one; all other sessions end."""
        _, user = self.sessions.look(token)
        passwords.require(new, user.login)
        keys = (staff.login_key(user.login), f"address:{network(address)}")
        async with self._one_at_a_time:
            await self._person(keys, user.login, old, address)
        hashed = await asyncio.to_thread(passwords.hashed, new)

        def unit(tx: Tx) -> None:
            accounts.change_password(tx, user.id, hashed, but=token)
            audit.append(tx, audit.AuditRow(f"user:{user.id}", "change-password", id=user.id, address=address))

        await self._database.write(unit)

    async def sign_out(self, token: str) -> None:
        """Ends one session."""
        await self.sessions.end(token)

    # --- the first start

    def first_run_link(self) -> str:
        """The token of the one-time link that creates the administrator; empty once there is one."""
        if accounts.users(self._database.read):
            return ""
        token, life = new_token(), self._settings["session.first_run_link"]
        self._database.write_now(lambda tx: accounts.create_link(tx, token, FIRST_RUN, life))
        return token

    def anybody(self) -> bool:
        """Whether there is anyone who could sign in."""
        return bool(accounts.users(self._database.read))

    def link_works(self, token: str) -> bool:
        """Whether the first-run link can still be used."""
        return accounts.link(self._database.read, token, FIRST_RUN, self._clock.micros()) is not None

    async def begin(self, token: str, login: str, name: str, password: str, address: str, *, agent: str = "") -> str:
        """Creates the administrator, uses the link up, and signs in; raises SecondFactorNeeded as sign_in does."""
        passwords.require_login(login)
        passwords.require(password, login)
        if not self.link_works(token):  # before the costly hash
            raise _used_up()
        hashed = await asyncio.to_thread(passwords.hashed, password)

        def unit(tx: Tx) -> User:
            if accounts.use_link(tx, token, FIRST_RUN) is None or accounts.users(tx):
                raise _used_up()
            return staff.create(tx, login, name, hashed, [ADMINISTRATOR], by="first-run")

        user = await self._database.write(unit)
        return await self.sessions.open(user, "password", From(address, agent))


def user_caller(user: User, patient: str = "") -> Caller:
    """A person as a caller; scopes come from the roles. `patient`: whose record, for patients and proxies."""
    scopes = smart.parse(" ".join(ROLES[role].scopes for role in user.roles if role in ROLES))
    may = permissions(user.roles)
    own = f"Patient/{user.patient}" if user.patient else ""
    who = str(user.attributes.get("fhir_user") or own)
    return Caller(
        f"user:{user.id}", "user", user.name, scopes, patient or None, user.roles, permissions=may, fhir_user=who
    )


def _used_up() -> Unauthenticated:
    return Unauthenticated("this link was used or is too old", mend="Start suture again for a new one.")


def _not_good() -> Unauthenticated:
    return InvalidToken("this bearer key is not good", mend="Ask for a new one, or refresh the token.")
