"""Whether somebody may still have done what was asked: work that goes on without a token ends when its access was ended."""

from __future__ import annotations

from suture.access.caller import Caller
from suture.store import accounts, apps, grants
from suture.store.connection import Connection


def stands(connection: Connection, caller: Caller) -> bool:
    """The program, the person and the grant were not ended; that a token has expired ends nothing."""
    if caller.grant:
        grant = grants.get(connection, caller.grant)
        if grant is not None and grant.ended:
            return False
    if caller.client:
        app = apps.get(connection, caller.client)
        if app is None or not app.approved:
            return False
    kind, _, id = caller.id.partition(":")
    if kind == "user":
        person = accounts.user(connection, id)
        return person is not None and person.active
    if kind == "client" and not caller.client:
        key = accounts.client(connection, id)
        return key is not None and key.active
    return True
