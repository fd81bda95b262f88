"""Who takes registrations in and decides on them: nothing works before somebody approved it, and everything ends at once.

RFC 7591 · 45 CFR 170.404(b): apps are registered within five business days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from suture.access.oauth import registration
from suture.access.oauth.errors import OAuthRefused
from suture.access.places import network
from suture.clock import Clock
from suture.crypto import new_token
from suture.errors import Invalid
from suture.settings import Settings
from suture.store import apps, audit, grants
from suture.store.apps import APPROVED, ENDED, PENDING, SYMMETRIC, OAuthClient
from suture.store.connection import Tx
from suture.store.database import Database

HOUR = 3600 * 1_000_000
NOTICE_DAYS = 5  # business days within which a registration is decided
ACTS = {APPROVED: "approve-client", apps.REFUSED: "refuse-client", ENDED: "end-client"}


class Registrar:
    """Takes what programs register by themselves, within bounds."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def register(self, said: Mapping[str, Any], address: str) -> tuple[OAuthClient, str]:
        """Keeps a pending client and its audit row; returns it with its secret, if it has one. Raises OAuthRefused."""
        read = registration.read(said, origin="register")
        asked = replace(read, attributes={**read.attributes, "address": network(address)})
        secret = new_token() if asked.kind == SYMMETRIC else ""

        def unit(tx: Tx) -> OAuthClient:
            self.require_room(tx, network(address))
            return keep(tx, asked, "anonymous", secret, address=address)

        return await self._database.write(unit), secret

    def require_room(self, tx: Tx, near: str) -> None:
        """So that nobody fills the list of those who wait."""
        if apps.count(tx, PENDING) >= self._settings["oauth.register_pending"]:
            raise OAuthRefused("temporarily_unavailable", "too many registrations wait to be decided on", 429)
        lately = [one for one in apps.since(tx, tx.now - HOUR) if one.attributes.get("address") == near]
        if len(lately) >= self._settings["oauth.register_rate"]:
            raise OAuthRefused("temporarily_unavailable", "too many registrations from this address; wait an hour", 429)


def keep(tx: Tx, client: OAuthClient, who: str, secret: str = "", *, address: str = "") -> OAuthClient:
    """Keeps a new client with its secret's hash and the audit row."""
    made = apps.add(tx, client)
    if secret:
        apps.add_secret(tx, made.id, secret)
    audit.append(tx, audit.AuditRow(who, "register-client", "Client", made.id, address=address, detail=made.name))
    return made


def changed(tx: Tx, id: str, name: str) -> None:
    """The audit row of a client that changed its own registration."""
    audit.append(tx, audit.AuditRow(f"client:{id}", "change-client", "Client", id, detail=name))


def decide(
    tx: Tx, id: str, status: str, who: str, *, note: str = "", scopes: Sequence[str] | None = None
) -> OAuthClient:
    """Approves (with fewer scopes, if some are named), refuses or ends a client; what it held ends with it.

    Raises NotFound, Conflict for a turn that isn't there, Invalid for scopes it did not ask for.
    """
    if scopes is not None:
        _narrow(tx, id, scopes)
    made = apps.turn(tx, id, status, note)
    ended = grants.revoke_client(tx, id) if status == ENDED else 0
    said = f"{note}; {ended} grants ended" if ended else note
    audit.append(tx, audit.AuditRow(who, ACTS[status], "Client", id, detail=said or made.name))
    return made


def _narrow(tx: Tx, id: str, scopes: Sequence[str]) -> None:
    found = apps.get(tx, id)
    if found is None:
        return  # apps.turn says so
    if not scopes or not set(scopes) <= set(found.scopes):
        raise Invalid(
            "these are not scopes that it asked for, or none is left",
            where="scope",
            mend="Choose from those it asked for, or refuse it.",
        )
    apps.change(tx, replace(found, scopes=tuple(word for word in found.scopes if word in set(scopes))))


def rotate(tx: Tx, id: str, who: str, keep_old: float = 0.0) -> str:
    """A new secret, shown once; the old one ends at once or after `keep_old` seconds. Raises NotFound, Conflict."""
    secret = new_token()
    apps.add_secret(tx, id, secret, keep_old=keep_old)
    audit.append(tx, audit.AuditRow(who, "rotate-secret", "Client", id))
    return secret


def business_days(since: int, now: int) -> int:
    """How many whole working days (Monday to Friday, UTC) lie behind `since`; both in microseconds."""
    day, end = (datetime.fromtimestamp(at / 1_000_000, UTC) for at in (since, now))
    count = 0
    while day + timedelta(days=1) <= end and count < 1000:
        day += timedelta(days=1)
        count += day.weekday() < 5
    return count
