"""Access tokens: given out for a grant, and read back into callers, as far as grant, app and person still reach today.

Tokens are opaque and kept as hashes, so that one that was revoked is known nowhere after `session.recheck`, in any process.
https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.access.caller import Caller, Scope
from suture.access.oauth.answer import ACCESS_PREFIX, REFRESH_PREFIX, TokenAnswer
from suture.access.oauth.granted import FHIR_USER, effective, resource
from suture.access.oauth.scopes import narrowed
from suture.access.oauth.who import may, open_to, scope_of_self
from suture.clock import Clock
from suture.crypto import new_token
from suture.settings import Settings
from suture.store import accounts, apps, grants
from suture.store.apps import OAuthClient
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.grants import Grant, Token

REFRESH_LIFE = {"offline": "oauth.offline_life", "online": "oauth.online_life"}
LONGEST_ACCESS = 3600.0
MOST_KNOWN = 10_000


class Tokens:
    """The tokens of one FHIR base."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: dict[str, tuple[float, int, Caller]] = {}

    @property
    def aud(self) -> str:
        return str(self._settings["http.base_url"]).rstrip("/") + "/fhir"

    def caller(self, token: str) -> Caller | None:
        """Whoever acts with this access token; None for one that is unknown, expired, revoked, or of another base."""
        now = self._clock.monotonic()
        known = self._known.get(token)
        if known is None or known[0] < now:
            found = self._caller(self._database.read, token)
            if found is None:
                self._known.pop(token, None)
                return None
            known = (now + float(self._settings["session.recheck"]), *found)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[token] = known
        return known[2] if known[1] > self._clock.micros() else None

    def forget(self) -> None:
        """What was revoked in this process ends at once."""
        self._known.clear()

    def _caller(self, connection: Connection, text: str) -> tuple[int, Caller] | None:
        found = grants.live_token(connection, text, grants.ACCESS, self._clock.micros())
        if found is None or found[0].aud != self.aud:
            return None
        grant, token = found
        client = apps.get(connection, grant.client)
        if client is None or not client.approved:
            return None
        made = self._person(connection, client, grant, token) if grant.user else _program(client, grant, token)
        return None if made is None else (token.expires, made)

    def again(self, connection: Connection, grant: str, scopes: Sequence[str]) -> Caller | None:
        """Whoever once acted under a grant with these scopes, as far as that reaches today; None when it ended.

        A program's grant in its own name lasts as long as the program is let in, a person's until its last token ends.
        """
        found, now = grants.get(connection, grant), self._clock.micros()
        if found is None or found.ended or (found.user and found.expires <= now):
            return None
        client = apps.get(connection, found.client)
        if client is None or not client.approved:
            return None
        token = Token(found.id, grants.ACCESS, tuple(scopes), now, now, 0)
        return self._person(connection, client, found, token) if found.user else _program(client, found, token)

    def _person(self, connection: Connection, client: OAuthClient, grant: Grant, token: Token) -> Caller | None:
        """The person behind an app; None when it is none of the house any more or the patient is closed to it now."""
        user = accounts.user(connection, grant.user)
        if user is None or not user.active or not open_to(connection, user, grant.patient, self._clock.micros()):
            return None
        scopes = effective(token.scopes, client.scopes, may(user))
        if FHIR_USER in token.scopes and (own := scope_of_self(grant.fhir_user)):
            scopes = (*scopes, own)
        return Caller(
            f"user:{user.id}", "user", user.name, scopes, grant.patient or None, user.roles, client=client.id,
            grant=grant.id, fhir_user=grant.fhir_user, encounter=str(grant.context.get("encounter", "")),
        )  # fmt: skip

    def issue(self, tx: Tx, grant: Grant, words: Sequence[str], *, refresh: bool) -> TokenAnswer:
        """A new access token over `words` of the grant, with a new refresh token when it shall last."""
        life = min(float(self._settings["oauth.access_life"]), LONGEST_ACCESS)
        token, again = ACCESS_PREFIX + new_token(), ""
        grants.issue(tx, grant.id, grants.ACCESS, token, life, words)
        if refresh:
            again = REFRESH_PREFIX + new_token()
            grants.issue(tx, grant.id, grants.REFRESH, again, self._settings[REFRESH_LIFE[grant.refresh]], grant.scopes)
        return TokenAnswer(token, int(life), " ".join(words), again, context=launch_context(grant))


def launch_context(grant: Grant) -> dict[str, object]:
    """What an app is told of the place it was opened at."""
    patient = {"patient": grant.patient} if grant.patient else {}
    return {**patient, **grant.context}


def _program(client: OAuthClient, grant: Grant, token: Token) -> Caller:
    scopes: tuple[Scope, ...] = tuple(
        scope for word in narrowed(token.scopes, client.scopes, ("system",)) if (scope := resource(word)) is not None
    )
    return Caller(f"client:{client.id}", "client", client.name, scopes, client=client.id, grant=grant.id)
