"""Who is calling: bearer keys of programs, sessions of people, the first administrator, waiting times for guessers.

Passwords: Argon2id (RFC 9106). Sessions and keys: NIST SP 800-63B.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from suture.access import smart
from suture.access.caller import Caller
from suture.access.roles import ADMINISTRATOR, ROLES, permissions
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Conflict, Invalid, SutureError, Unauthenticated
from suture.settings import Settings
from suture.store import accounts, audit
from suture.store.connection import Tx
from suture.store.database import Database

SHORTEST_PASSWORD = 12
FIRST_RUN = "first-run"
KEY_PREFIX = "sk_"
_TOUCH_MICROS = 60_000_000
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class TooManyAttempts(SutureError):
    """Wrong passwords before; wait."""

    code, status, issue = "too-many-attempts", 429, "throttled"


class People:
    """Turns credentials into callers. A revoked key stops within `session.recheck` on every path."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: dict[str, tuple[float, int, Caller]] = {}
        self._one_at_a_time = asyncio.Lock()  # so that guesses sent at once are counted one after the other

    def bearer(self, key: str) -> Caller:
        """The caller of a bearer key; raises Unauthenticated, the same for unknown, revoked and expired."""
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
        now, idle = self._clock.micros(), self._settings["session.idle"]
        found = accounts.session(self._database.read, token, now, idle)
        user = accounts.user(self._database.read, found.user) if found else None
        if found is None or user is None or not user.active:
            raise Unauthenticated("the session has ended", mend="Sign in again.")
        if keep and now - found.seen > min(_TOUCH_MICROS, idle * 500_000):
            await self._database.write(lambda tx: accounts.touch_session(tx, token))
        return user_caller(user)

    async def sign_in(self, login: str, password: str, address: str) -> str:
        """A new session's token; raises Unauthenticated alike for unknown and wrong, TooManyAttempts while waiting."""
        keys = (f"login:{login.lower()[:100]}", f"address:{address}")
        async with self._one_at_a_time:
            person = await self._person(keys, login, password, address)
        token, life = new_token(), self._settings["session.life"]

        def unit(tx: Tx) -> None:
            for key in keys:
                accounts.login_worked(tx, key)
            accounts.create_session(tx, token, person.id, life)
            audit.append(tx, audit.AuditRow(f"user:{person.id}", "login", address=address))

        await self._database.write(unit)
        return token

    async def _person(self, keys: Sequence[str], login: str, password: str, address: str) -> accounts.User:
        """Whose name and password these are; a failure is on disk before the next one is looked at."""
        self._require_no_wait(keys)
        user = accounts.user_by_login(self._database.read, login)
        good = await asyncio.to_thread(matches, user.password if user else _nobody(), password)
        if user is None or not user.active or not good:
            await self._database.write(lambda tx: self._failed(tx, keys, address))
            raise Unauthenticated("name or password is wrong", mend="Try again, or ask an administrator.")
        return user

    def _require_no_wait(self, keys: Sequence[str]) -> None:
        until = max(accounts.blocked_until(self._database.read, key) for key in keys)
        wait = (until - self._clock.micros()) / 1_000_000
        if wait > 0:
            raise TooManyAttempts("too many wrong passwords", mend=f"Wait {int(wait) + 1} seconds.")

    def _failed(self, tx: Tx, keys: Sequence[str], address: str) -> None:
        free = self._settings["login.free_attempts"]
        for key, allowed in zip(keys, (free, free * 4), strict=True):
            accounts.login_failed(tx, key, allowed)
        audit.append(tx, audit.AuditRow("anonymous", "login", outcome=401, address=address))

    async def sign_out(self, token: str) -> None:
        """Ends one session."""
        await self._database.write(lambda tx: accounts.end_session(tx, token))

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

    async def begin(self, token: str, login: str, name: str, password: str, address: str) -> str:
        """Creates the administrator, uses the link up, and signs in."""
        require_login(login)
        require_password(password, login)
        if not self.link_works(token):  # before the costly hash
            raise _used_up()
        hashed = await asyncio.to_thread(_HASHER.hash, password)

        def unit(tx: Tx) -> None:
            if accounts.use_link(tx, token, FIRST_RUN) is None or accounts.users(tx):
                raise _used_up()
            user = accounts.create_user(tx, login, name or login, hashed, roles=[ADMINISTRATOR])
            audit.append(tx, audit.AuditRow(f"user:{user.id}", "create-user", id=user.id, address=address))

        await self._database.write(unit)
        return await self.sign_in(login, password, address)


def client_caller(client: accounts.Client) -> Caller:
    """A program as a caller."""
    scopes = smart.parse(" ".join(client.scopes))
    return Caller(f"client:{client.id}", "client", client.name, scopes, client.attributes.get("patient") or None)


def user_caller(user: accounts.User) -> Caller:
    """A person as a caller; scopes come from the roles."""
    scopes = smart.parse(" ".join(ROLES[role].scopes for role in user.roles if role in ROLES))
    may = permissions(user.roles)
    return Caller(f"user:{user.id}", "user", user.name, scopes, user.patient or None, user.roles, permissions=may)


@cache
def _nobody() -> str:
    """Verified when there is no such user, so that an unknown name takes as long as a wrong password."""
    return _HASHER.hash("nobody")


def matches(hashed: str, password: str) -> bool:
    """Whether the password is the one that was hashed; slow on purpose, so call it in a thread."""
    try:
        return _HASHER.verify(hashed, password[:1024])
    except (VerificationError, InvalidHashError):
        return False


def require_password(password: str, login: str) -> None:
    """Raises Invalid for a password that is too short or is the name."""
    if len(password) < SHORTEST_PASSWORD or password.lower() == login.lower() or len(set(password)) < 5:
        raise Invalid(
            f"the password is too easy to guess: at least {SHORTEST_PASSWORD} characters, not the name, not one repeated",
            where="password",
            mend="Take several words.",
        )


def require_login(login: str) -> None:
    """Raises Invalid for a name that can't be typed or told apart."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}", login, re.ASCII):
        raise Invalid("not a login name", where="login", mend="Use letters, digits and . _ @ + -")


def add_user(database: Database, login: str, name: str, password: str, roles: Sequence[str]) -> accounts.User:
    """A new person, for the command line."""
    require_login(login)
    require_password(password, login)
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise Invalid(f"no role named '{unknown[0]}'", where="role", mend=f"One of: {', '.join(ROLES)}.")
    hashed = _HASHER.hash(password)

    def unit(tx: Tx) -> accounts.User:
        user = accounts.create_user(tx, login, name or login, hashed, roles=roles)
        audit.append(tx, audit.AuditRow("system", "create-user", id=user.id))
        return user

    return database.write_now(unit)


def reset_password(database: Database, login: str, password: str) -> accounts.User:
    """A new password; all sessions of the person end and waiting times are lifted."""
    require_password(password, login)
    hashed = _HASHER.hash(password)

    def unit(tx: Tx) -> accounts.User:
        found = accounts.user_by_login(tx, login)
        if found is None:
            raise Invalid("no such user", where="users", mend="suture user list")
        accounts.login_worked(tx, f"login:{login.lower()[:100]}")
        audit.append(tx, audit.AuditRow("system", "reset-password", id=found.id))
        return accounts.change_user(tx, found.id, password=hashed)

    return database.write_now(unit)


def add_client(database: Database, name: str, scopes: str, patient: str, expires: int) -> tuple[accounts.Client, str]:
    """A new program and its bearer key, which is shown once and kept only as a hash."""
    granted = smart.parse(scopes)
    if not granted:
        raise Invalid("a client without scopes can do nothing", where="scope", mend="--scope 'system/*.rs'")
    if any(s.context == "patient" for s in granted) and not patient:
        raise Invalid("a patient/ scope needs a patient", where="scope", mend="Add --patient ID.")
    key = KEY_PREFIX + new_token()
    attributes = {name: value for name, value in (("patient", patient), ("expires", expires)) if value}

    def unit(tx: Tx) -> accounts.Client:
        if any(c.name == name and c.active for c in accounts.clients(tx)):
            raise Conflict("an active client has this name", where="clients", mend="Take another, or revoke that one.")
        made = accounts.create_client(tx, name, key=key, scopes=[str(s) for s in granted], attributes=attributes)
        audit.append(tx, audit.AuditRow("system", "create-client", id=made.id))
        return made

    return database.write_now(unit), key


def revoke_client(database: Database, name: str) -> accounts.Client:
    """Ends a client's key, by name or id."""

    def unit(tx: Tx) -> accounts.Client:
        found = [c for c in accounts.clients(tx) if name in (c.id, c.name) and c.active]
        if not found:
            raise Invalid("no active client of that name", where="clients", mend="suture client list")
        audit.append(tx, audit.AuditRow("system", "revoke-client", id=found[0].id))
        return accounts.change_client(tx, found[0].id, active=False)

    return database.write_now(unit)


def _used_up() -> Unauthenticated:
    return Unauthenticated("this link was used or is too old", mend="Start suture again for a new one.")


def _not_good() -> Unauthenticated:
    return Unauthenticated("this bearer key is not good", mend="Ask for a new one: suture client add …")
