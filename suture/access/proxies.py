"""Whose record a person may see as a patient: the own one, and those of people one stands in for (45 CFR 164.502(g))."""

from __future__ import annotations

from dataclasses import dataclass

from suture.access.roles import PATIENT, PROXY
from suture.store import proxies
from suture.store.accounts import User
from suture.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Stand:
    """One patient whose record is open; `relation` is empty for the own one, `expires` 0 when it does not end."""

    patient: str
    relation: str
    expires: int
    proxy: str = ""  # the grant's id


def patients_of(connection: Connection, user: User, now: int) -> list[Stand]:
    """The own record first, then those of people this one stands in for now; empty for everybody else."""
    own = [Stand(user.patient, "", 0)] if user.patient and PATIENT in user.roles else []
    if PROXY not in user.roles:
        return own
    found = proxies.of_user(connection, user.id, now)
    return own + [Stand(one.patient, one.relation, one.expires, one.id) for one in found]
