"""Makes, rotates and ends API keys; the command line and the console do it here, each act with its audit row.

https://cheatsheetseries.owasp.org/cheatsheets/Key_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from suture.access import smart
from suture.component import seconds
from suture.errors import Invalid, NotFound
from suture.services.gateway import bounds, callers
from suture.store import audit, gateway_keys, resources
from suture.store.connection import Tx
from suture.store.gateway_keys import Key

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}")
STATES = ("active", "expired", "revoked")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new key shall be."""

    name: str
    routes: Sequence[str]
    plan: str = ""
    limits: str = ""
    scopes: str = ""
    patient: str = ""
    expires: str = ""  # its life, such as 90d


def add(wish: Wish, routes: Collection[str], plans: Collection[str], who: str) -> tuple[str, Callable[[Tx], Key]]:
    """The value of a new key, told once, and the unit that keeps its hash; raises Invalid."""
    if not NAME.fullmatch(wish.name):
        raise Invalid("a name of letters, digits, blanks, '.', '_', '@' and '-' is needed", where="name")
    if not wish.routes:
        raise Invalid("a key without routes opens nothing", where="route", mend="Name at least one route.")
    _known(wish.routes, routes, "route")
    _known([wish.plan] if wish.plan else [], plans, "plan")
    scopes = smart.parse(wish.scopes)
    if any(one.context == "patient" for one in scopes) and not wish.patient:
        raise Invalid("a patient/ scope needs a patient", where="scope", mend="Name the patient.")
    named = sorted(set(wish.routes))
    attributes = {
        "routes": named,
        "plan": wish.plan,
        "limits": bounds.words(wish.limits, "limit").numbers,
        "scopes": [str(one) for one in scopes],
        "patient": wish.patient,
    }
    value, life = callers.new_key(), micros(wish.expires, "expires")

    def unit(tx: Tx) -> Key:
        if wish.patient:
            _require_patient(tx, wish.patient)
        made = gateway_keys.add(tx, wish.name, value, attributes, tx.now + life if life else 0)
        audit.append(tx, audit.AuditRow(who, "key-add", "Key", made.id, detail=" ".join(named)))
        return made

    return value, unit


def _require_patient(tx: Tx, id: str) -> None:
    """Raises NotFound: a mistyped id would open whoever gets it later."""
    found = resources.read(tx, "Patient", id)
    if found is None or found.deleted:
        raise NotFound("no such Patient here", where="patient", mend="Store it first, and give its id without a type.")


def rotate(name: str, overlap: str, who: str) -> tuple[str, Callable[[Tx], Key]]:
    """A new value; the old one works on for a while."""
    value, still = callers.new_key(), micros(overlap, "overlap")

    def unit(tx: Tx) -> Key:
        made = gateway_keys.rotate(tx, name, value, still)
        audit.append(tx, audit.AuditRow(who, "key-rotate", "Key", made.id))
        return made

    return value, unit


def revoke(name: str, who: str) -> Callable[[Tx], Key]:
    """Ends a key."""

    def unit(tx: Tx) -> Key:
        ended = gateway_keys.revoke(tx, name)
        audit.append(tx, audit.AuditRow(who, "key-revoke", "Key", ended.id))
        return ended

    return unit


def state(key: Key, now: int) -> str:
    """One of STATES."""
    if not key.active:
        return "revoked"
    return "expired" if key.expires and key.expires <= now else "active"


def limits(key: Key) -> str:
    return " ".join(f"{name}={count}" for name, count in key.attributes.get("limits", ()))


def micros(text: str, where: str) -> int:
    """Microseconds of a duration; 0 for none."""
    try:
        return int(seconds(text) * 1_000_000) if text else 0
    except ValueError as error:
        raise Invalid(str(error), where=where) from None


def _known(names: Sequence[str], there: Collection[str], what: str) -> None:
    for name in names:
        if name not in there:
            mend = f"There are: {', '.join(sorted(there))}." if there else f"Write routes/{name[:40]}.yaml first."
            raise Invalid(f"no {what} of this name", where=what, mend=mend)
