"""In whose name a subscription was asked for, and that caller again as it stands today: roles, scopes, grants, bounds.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/safety_security.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.access.caller import Caller
from suture.access.oauth.tokens import Tokens
from suture.access.oauth.who import open_to
from suture.access.people import client_caller, user_caller
from suture.access.standing import Standings
from suture.clock import Clock
from suture.errors import Forbidden
from suture.store import accounts
from suture.store.connection import Connection

KINDS = ("user", "client")


def kept(caller: Caller) -> dict[str, Any]:
    """What of a caller is kept to know it again; raises Forbidden for one that is nobody."""
    if caller.kind not in KINDS:
        raise Forbidden(
            "a Subscription is asked for by a person or a program", where="Subscription", mend="Sign in, or use a key."
        )
    return {
        "id": caller.id, "grant": caller.grant, "scopes": [str(scope) for scope in caller.scopes],
        "patient": caller.patient or "", "purpose": caller.purpose,
    }  # fmt: skip


class Owners:
    """Makes callers of what was kept."""

    def __init__(self, tokens: Tokens, standings: Standings, clock: Clock) -> None:
        self._tokens = tokens
        self._standings = standings
        self._clock = clock

    def caller(self, connection: Connection, owner: Mapping[str, Any]) -> Caller:
        """The owner with the access of today; raises Forbidden saying why there is none."""
        kind, _, id = str(owner["id"]).partition(":")
        if owner["grant"]:
            found = self._tokens.again(connection, owner["grant"], owner["scopes"])
        elif kind == "user":
            found = self._person(connection, id, owner["patient"])
        else:
            found = self._program(connection, id)
        if found is None:
            raise Forbidden(
                "who asked for this subscription is let in no longer", where="Subscription", mend="Write it again with a live token."
            )  # fmt: skip
        return self._standings.stand(found)

    def _person(self, connection: Connection, id: str, patient: str) -> Caller | None:
        user = accounts.user(connection, id)
        if user is None or not user.active or not open_to(connection, user, patient, self._clock.micros()):
            return None
        return user_caller(user, patient)

    def _program(self, connection: Connection, id: str) -> Caller | None:
        client = accounts.client(connection, id)
        ended = client is not None and 0 < int(client.attributes.get("expires") or 0) <= self._clock.micros()
        return None if client is None or not client.active or ended else client_caller(client)
