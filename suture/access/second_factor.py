"""Second factors: codes of an authenticator app (RFC 6238), passkeys, recovery codes; each accepted once, guesses slowed down.

NIST SP 800-63B, 5.1.2 to 5.1.7.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pyotp

from suture.access.places import network
from suture.access.refusals import TooManyAttempts
from suture.access.sessions import STEP, From, Sessions
from suture.access.webauthn import Party, Passkeys
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Conflict, Invalid, Unauthenticated
from suture.settings import Settings
from suture.store import accounts, audit, factors
from suture.store.accounts import User
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.factors import Factor

OFFER = "totp-offer"
PERIOD = 30  # seconds of a code
DRIFT = 1  # codes before and after this one that are taken, for clocks that are not right
CODES = 10
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters that can't be mistaken: 16 of them are 80 bits
ISSUER = "Suture"


class Answer(NamedTuple):
    """What a person shows: a code, a recovery code, or what a passkey signed."""

    kind: str  # totp | recovery | passkey
    text: str
    party: Party | None = None  # of a passkey: under which name this server was spoken to


@dataclass(frozen=True, slots=True)
class Offer:
    """A new secret for an authenticator app; kept under `token` until a first code shows that the app has it."""

    token: str
    secret: str
    uri: str


class SecondFactor:
    """Enrols, checks and removes second factors."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, sessions: Sessions) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._sessions = sessions
        self.passkeys = Passkeys(database, settings)

    def of_user(self, id: str) -> list[Factor]:
        """What a person has set up."""
        return factors.of_user(self._database.read, id)

    def codes_left(self, id: str) -> int:
        """How many recovery codes of a person still work."""
        return factors.codes_left(self._database.read, id)

    # --- showing it

    async def finish(self, step: str, answer: Answer, place: From) -> str:
        """The second proof of signing in: a session's token. Raises Unauthenticated, TooManyAttempts."""
        user, token = self._sessions.step(step).user, new_token()

        def opened(tx: Tx) -> None:
            if accounts.use_link(tx, step, STEP) is None:
                raise Unauthenticated("this took too long", mend="Sign in again.")
            self._sessions.begin(tx, token, user, answer.kind, place)

        await self._show(user, answer, place.address, opened)
        return token

    async def confirm(self, session: str, answer: Answer, address: str) -> str:
        """The same while signed in, for a change of privileges: the session's new token."""
        _, user = self._sessions.look(session)
        await self._show(user, answer, address, lambda tx: None)
        return await self._sessions.strengthen(session, answer.kind, address)

    async def _show(self, user: User, answer: Answer, address: str, then: Callable[[Tx], None]) -> None:
        """Judges the answer and counts it in one unit, so that two processes can't take one code twice."""
        keys = (f"second:{user.id}", f"address:{network(address)}")

        def unit(tx: Tx) -> bool:
            self._require_no_wait(tx, keys)
            if not self._good(tx, user, answer):
                free = self._settings["login.free_attempts"]
                accounts.login_failed(tx, keys[0], free)
                accounts.login_failed(tx, keys[1], free * 4, forget=3600.0)
                row = audit.AuditRow(
                    f"user:{user.id}", "second-factor", outcome=401, address=address, detail=answer.kind
                )
                audit.append(tx, row)
                return False
            accounts.login_worked(tx, keys[0])
            then(tx)
            return True

        if not await self._database.write(unit):
            raise Unauthenticated(_WRONG[answer.kind], mend=_MEND[answer.kind])

    def _require_no_wait(self, tx: Tx, keys: tuple[str, str]) -> None:
        wait = (max(accounts.blocked_until(tx, key) for key in keys) - tx.now) / 1_000_000
        if wait > 0:
            raise TooManyAttempts("too many wrong codes", mend=f"Wait {int(wait) + 1} seconds.")

    def _good(self, tx: Tx, user: User, answer: Answer) -> bool:
        if answer.kind == "recovery":
            return factors.use_code(tx, user.id, tidy(answer.text))
        if answer.kind == "passkey":
            return answer.party is not None and self.passkeys.good(tx, user, answer.text, answer.party)
        apps = [one for one in factors.of_user(tx, user.id) if one.kind == answer.kind == "totp"]
        for factor in apps:
            step = time_step(factor.secret.decode(), answer.text, tx.now)
            if step and factors.advance(tx, factor, step):
                return True
        return False

    # --- setting it up

    async def offer(self, user: User) -> Offer:
        """A new secret to put into an authenticator app."""
        token, secret = new_token(), pyotp.random_base32()

        def unit(tx: Tx) -> None:
            sealed = base64.b64encode(factors.seal(tx.shared, user.id, secret.encode())).decode()
            life = self._settings["login.step_life"]
            accounts.create_link(tx, token, OFFER, life, {"user": user.id, "sealed": sealed})

        await self._database.write(unit)
        return _offer(user, token, secret)

    def offered(self, user: User, token: str) -> Offer:
        """The same secret again, after a wrong code; raises Unauthenticated when it is too old."""
        kept = accounts.link(self._database.read, token, OFFER, self._clock.micros())
        if kept is None or kept["user"] != user.id:
            raise Unauthenticated("this took too long", mend="Begin again.")
        secret = factors.unseal(self._database.shared, user.id, base64.b64decode(kept["sealed"])).decode()
        return _offer(user, token, secret)

    async def add_app(self, user: User, token: str, code: str, address: str, *, first: bool) -> list[str]:
        """Keeps the authenticator app that shows `code`; returns new recovery codes when it is the first factor."""
        secret = self.offered(user, token).secret
        step = time_step(secret, code, self._clock.micros())
        if not step:
            raise Invalid(
                "this is not the code the app shows now",
                where="code",
                mend="Wait for the next one; check the time of the phone.",
            )

        def unit(tx: Tx) -> list[str]:
            if accounts.use_link(tx, token, OFFER) is None:
                raise Unauthenticated("this took too long", mend="Begin again.")
            return self._added(
                tx,
                user,
                address,
                first,
                lambda: factors.add(tx, user.id, "totp", "Authenticator app", secret.encode(), step),
            )

        return await self._database.write(unit)

    async def add_passkey(
        self, user: User, text: str, name: str, party: Party, address: str, *, first: bool
    ) -> list[str]:
        """Keeps a passkey; returns new recovery codes when it is the first factor."""

        def unit(tx: Tx) -> list[str]:
            return self._added(tx, user, address, first, lambda: self.passkeys.add(tx, user, text, name, party))

        return await self._database.write(unit)

    def _added(self, tx: Tx, user: User, address: str, first: bool, add: Callable[[], str]) -> list[str]:
        """`first`: somebody who proved nothing but the password may set up the first factor, and only that."""
        there = factors.of_user(tx, user.id)
        if first and there:
            raise Conflict("a second factor is set up already", where="second factor", mend="Sign in with it.")
        id = add()
        audit.append(tx, audit.AuditRow(f"user:{user.id}", "add-second-factor", id=user.id, address=address, detail=id))
        return self._codes(tx, user) if not there else []

    def _codes(self, tx: Tx, user: User) -> list[str]:
        codes = [new_code() for _ in range(CODES)]
        factors.set_codes(tx, user.id, [tidy(code) for code in codes])
        return codes

    async def set_up(self, step: str, kind: str, place: From) -> str:
        """Signs in who has just set up the first factor; raises Unauthenticated when the step was used."""
        user, token = self._sessions.step(step).user, new_token()

        def unit(tx: Tx) -> None:
            if accounts.use_link(tx, step, STEP) is None or not factors.of_user(tx, user.id):
                raise Unauthenticated("this took too long", mend="Sign in again.")
            self._sessions.begin(tx, token, user, kind, place)

        await self._database.write(unit)
        return token

    async def new_codes(self, user: User, address: str) -> list[str]:
        """New recovery codes; the old ones work no more."""

        def unit(tx: Tx) -> list[str]:
            if not factors.of_user(tx, user.id):
                raise Conflict("there is no second factor yet", where="second factor", mend="Set one up first.")
            audit.append(tx, audit.AuditRow(f"user:{user.id}", "new-recovery-codes", id=user.id, address=address))
            return self._codes(tx, user)

        return await self._database.write(unit)

    async def remove(self, user: User, id: str, address: str) -> None:
        """Takes one factor away; raises Conflict for the last one of somebody who must have one."""

        def unit(tx: Tx) -> None:
            there = factors.of_user(tx, user.id)
            if len(there) < 2 and self._sessions.required(user):
                raise Conflict(
                    "you must keep one second factor", where="second factor", mend="Set up another one first."
                )
            if factors.remove(tx, user.id, id) and len(there) == 1:
                factors.remove_all(tx, user.id)
            audit.append(
                tx,
                audit.AuditRow(f"user:{user.id}", "remove-second-factor", id=user.id, address=address, detail=id[:64]),
            )

        await self._database.write(unit)


def reset(tx: Tx, user: User, by: str) -> None:
    """Somebody lost the phone: all factors and codes are gone, all sessions end; the next sign-in sets up a new one."""
    factors.remove_all(tx, user.id)
    accounts.end_sessions(tx, user.id)
    accounts.login_worked(tx, f"second:{user.id}")
    audit.append(tx, audit.AuditRow(by, "reset-second-factor", id=user.id))


def time_step(secret: str, code: str, now: int) -> int:
    """The number of the time step whose code this is, within the drift; 0 when it is none of them."""
    given, app, here = "".join(code.split()), pyotp.TOTP(secret, interval=PERIOD), now // 1_000_000 // PERIOD
    if not (given.isascii() and given.isdigit() and len(given) == app.digits):
        return 0
    for step in (here, *(here + n for far in range(1, DRIFT + 1) for n in (-far, far))):
        if hmac.compare_digest(app.generate_otp(step), given):
            return step
    return 0


def new_code() -> str:
    """A recovery code: 80 random bits in four groups."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def tidy(code: str) -> str:
    """A recovery code as it is kept, however it was typed."""
    return "".join(letter for letter in code.lower() if letter.isalnum())[:40]


def _offer(user: User, token: str, secret: str) -> Offer:
    uri = pyotp.TOTP(secret, interval=PERIOD).provisioning_uri(name=user.login, issuer_name=ISSUER)
    return Offer(token, secret, uri)


_WRONG = {
    "totp": "this code is wrong or was used already",
    "recovery": "this recovery code is wrong or was used already",
    "passkey": "this passkey was not accepted",
}
_MEND = {
    "totp": "Wait for the next code of your app.",
    "recovery": "Take another one of your list, or ask an administrator to reset your second factor.",
    "passkey": "Try again, or take another way.",
}
