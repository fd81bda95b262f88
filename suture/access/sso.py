"""Single sign-on as an OpenID Connect relying party: code flow with PKCE, nonce and state; people are linked by issuer and subject.

https://openid.net/specs/openid-connect-core-1_0.html · https://www.rfc-editor.org/rfc/rfc9700
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from suture.access import passwords, staff
from suture.access.places import network
from suture.access.provider import Provider, origin
from suture.access.roles import PATIENT, PROXY, ROLES, require_roles
from suture.access.sessions import From, Sessions
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Conflict, Forbidden, Invalid, Unauthenticated, Unstartable
from suture.ports import Fetch
from suture.settings import Settings
from suture.store import accounts, audit, linked
from suture.store.accounts import User
from suture.store.connection import Tx
from suture.store.database import Database

STATE = "sso-state"
FIRST, SECOND = "federated", "sso"  # whether what the provider did counts as a second factor
PATH = "/sso/callback"
MOST_BEGUN, MOST_OF_ONE = 5_000, 200  # sign-ins under way: of all, and of one place; the oldest go


@dataclass(frozen=True, slots=True)
class Began:
    """Where to send the browser, and the state that must come back with it."""

    url: str
    state: str


@dataclass(frozen=True, slots=True)
class Came:
    """What came back: a session's token, or the person who was linked; and where to go on to."""

    token: str
    to: str


class SingleSignOn:
    """Signing in with another house's name, where the settings name one."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, sessions: Sessions, fetch: Fetch) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._sessions = sessions
        self._provider = Provider(database, clock, settings, fetch)

    @property
    def name(self) -> str:
        """What the button says; empty when there is no single sign-on."""
        if not (self._settings["sso.issuer"] and self._settings["sso.client_id"]):
            return ""
        return str(self._settings["sso.name"])

    @property
    def _redirect(self) -> str:
        return str(self._settings["http.base_url"]).rstrip("/") + PATH

    async def begin(self, to: str = "", user: str = "", *, again: bool = False, address: str = "") -> Began:
        """Begins a sign-in, or with `user` the linking of somebody who is signed in. `again`: the provider must ask anew."""
        if not self.name:
            raise Invalid("there is no single sign-on here", where="sso", mend="docs/sso.md tells how to set it up.")
        said = await self._provider.says()
        state, nonce, verifier = new_token(), new_token(), new_token()
        kept = {"nonce": nonce, "verifier": verifier, "to": to, "user": user, "again": again}
        place = network(address)

        def unit(tx: Tx) -> None:
            accounts.create_link(tx, state, STATE, self._settings["login.step_life"], {**kept, "place": place})
            accounts.bound_links(tx, STATE, MOST_OF_ONE, place)
            accounts.bound_links(tx, STATE, MOST_BEGUN)

        await self._database.write(unit)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code", "client_id": self._settings["sso.client_id"], "redirect_uri": self._redirect,
            "scope": self._settings["sso.scopes"], "state": state, "nonce": nonce, "code_challenge": challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip
        if again:
            asked |= {"prompt": "login", "max_age": "0"}
        address = str(said["authorization_endpoint"])
        return Began(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", state)

    async def come_back(self, given: Mapping[str, str], state: str, user: str, place: From) -> Came:
        """What the provider sent the browser back with. `state`: of this browser's cookie; `user`: who is signed in here.

        Raises SecondFactorNeeded where the provider's proof is not enough.
        """
        kept = await self._state(given.get("state", ""), state)
        if given.get("iss", self._provider.issuer) != self._provider.issuer:
            raise Unauthenticated("the answer is of another issuer", where="sso", mend="Try again.")
        if given.get("error") or not given.get("code"):
            raise Unauthenticated("the other sign-in did not end well", where="sso", mend="Try again, or sign in here.")
        token = await self._provider.exchange(given["code"], str(kept["verifier"]), self._redirect)
        claims = await self._provider.verified(token, str(kept["nonce"]))
        if kept["again"] and not self._asked_anew(claims):
            raise Unauthenticated("the other house did not ask again who you are", where="sso", mend="Sign in here.")
        if kept["user"]:
            return await self._linked(claims, str(kept["user"]), user, str(kept["to"]))
        found = await self._database.write(lambda tx: self._person(tx, claims))
        to, how, fresh = str(kept["to"]), self._how(claims), self._asked_anew(claims)
        return Came(await self._sessions.open(found, how, place, to, fresh=fresh), to)

    async def _state(self, given: str, cookie: str) -> dict[str, Any]:
        """What was begun in this browser, once."""
        if not given or not hmac.compare_digest(given.encode(), cookie.encode()):
            raise Unauthenticated("this sign-in was not begun here", where="sso", mend="Begin again.")
        kept = await self._database.write(lambda tx: accounts.use_link(tx, given, STATE))
        if kept is None:
            raise Unauthenticated("this took too long", where="sso", mend="Begin again.")
        return kept

    async def _linked(self, claims: Mapping[str, Any], wanted: str, user: str, to: str) -> Came:
        if wanted != user:
            raise Unauthenticated("somebody else is signed in now", where="sso", mend="Sign in again, then link.")

        def unit(tx: Tx) -> None:
            linked.link(tx, self._provider.issuer, str(claims["sub"]), user)
            audit.append(tx, audit.AuditRow(f"user:{user}", "link-sign-in", id=user))

        await self._database.write(unit)
        return Came("", to)

    def _how(self, claims: Mapping[str, Any]) -> str:
        """Whether the provider says that it asked for more than a password, in words the settings count."""
        counted = set(_words(self._settings["sso.second_factor"]))
        shown = claims.get("amr")
        said = {str(one) for one in shown} if isinstance(shown, list) else set()
        return SECOND if counted & (said | {str(claims.get("acr", ""))}) else FIRST

    def _asked_anew(self, claims: Mapping[str, Any]) -> bool:
        """Whether the person proved itself to the provider after this sign-in was begun, as far as that can be told."""
        since = self._clock.micros() / 1e6 - self._settings["login.step_life"]
        at = claims.get("auth_time")
        return isinstance(at, int | float) and at >= since

    # --- who it is

    def _person(self, tx: Tx, claims: Mapping[str, Any]) -> User:
        """The person of a subject, with the roles the provider gives today; a new one where that is allowed."""
        issuer, subject = self._provider.issuer, str(claims["sub"])
        id = linked.user_of(tx, issuer, subject)
        user = accounts.user(tx, id) if id else self._new(tx, claims)
        if user is None or not user.active:
            raise Unauthenticated("nobody here signs in with that name", where="sso", mend="Ask an administrator.")
        linked.used(tx, issuer, subject)
        return self._with_roles(tx, user, claims)

    def _new(self, tx: Tx, claims: Mapping[str, Any]) -> User | None:
        if not self._settings["sso.provision"]:
            return None
        roles, login = self._roles(claims), _login(claims)
        if accounts.user_by_login(tx, login):
            raise Conflict(
                "this login name is taken", where="sso", mend="Sign in with it, then link it in your account."
            )
        user = staff.create(tx, login, str(claims.get("name") or login)[:100], passwords.NONE, roles, by="sso")
        linked.link(tx, self._provider.issuer, str(claims["sub"]), user.id)
        return accounts.set_attributes(tx, user.id, {**user.attributes, "sso": True})

    def _with_roles(self, tx: Tx, user: User, claims: Mapping[str, Any]) -> User:
        """People the provider brought have the roles it gives, at every sign-in."""
        if not user.attributes.get("sso") or not self._settings["sso.roles"]:
            return user
        roles = self._roles(claims)
        return user if set(roles) == set(user.roles) else staff.change_roles(tx, user, roles, by="sso")

    def _roles(self, claims: Mapping[str, Any]) -> list[str]:
        """The roles of the groups a claim names; raises Forbidden when it gives none."""
        named = claims.get(str(self._settings["sso.claim"]))
        groups = {str(one) for one in named} if isinstance(named, list) else {str(named)} if named else set()
        roles = list(dict.fromkeys(role for group, role in mapping(self._settings) if group in groups))
        if not roles:
            raise Forbidden("your groups open nothing here", where="sso", mend="Ask an administrator.")
        require_roles(roles)
        return roles


def mapping(settings: Settings) -> list[tuple[str, str]]:
    """Groups of the provider with the roles they give: `group=role`, with blanks or commas between."""
    pairs = [word.rpartition("=") for word in _words(settings["sso.roles"])]
    return [(group, role) for group, _, role in pairs]


def listed(settings: Settings) -> list[str]:
    """The issuer's origin, which the settings name themselves."""
    return [origin(str(settings["sso.issuer"]))] if settings["sso.issuer"] else []


def require_sound(settings: Settings) -> None:
    """Raises Unstartable for settings of single sign-on that can't be meant."""
    wrong = [role for group, role in mapping(settings) if not group or role not in ROLES or role in (PATIENT, PROXY)]
    if wrong:
        raise Unstartable(
            "no such role for a group", where="sso.roles", mend="Write group=role, such as nurses=clinician."
        )
    issuer = str(settings["sso.issuer"])
    here = re.match(r"http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/|$)", issuer)
    if issuer and not issuer.startswith("https://") and not here:
        raise Unstartable("the issuer must be https", where="sso.issuer", mend="Write its https address.")
    if issuer and not settings["sso.client_id"]:
        raise Unstartable("the issuer needs a client id", where="sso.client_id", mend="Register Suture there first.")


def _words(text: str) -> list[str]:
    return str(text).replace(",", " ").split()


def _login(claims: Mapping[str, Any]) -> str:
    """A login name from what the provider calls the person."""
    said = str(claims.get("preferred_username") or claims.get("email") or "")
    name = re.sub(r"[^A-Za-z0-9._@+-]", "", said)[:100]
    passwords.require_login(name)
    return name
