"""No connection sends without an agreement in force with its partner (45 CFR 164.502(e), 164.308(b)(3)).

Exempt: what stays on this machine, and connections marked `environment: sandbox` or `test`, which hold no real patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from suture.clock import Clock
from suture.errors import Invalid, SutureError
from suture.settings import Settings
from suture.store import audit, partners
from suture.store.connection import Connection, Tx
from suture.store.database import Database

PARTNER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
WITHOUT_PATIENTS = ("sandbox", "test")
KINDS = ("BAA", "DUA", "TPO", "other")
LARGEST_DOCUMENT = 20 << 20


class NoAgreement(SutureError):
    """Nothing may be sent there yet; what waits goes out once there is an agreement."""

    code, status, issue, retry = "no-agreement", 403, "forbidden", True


@dataclass(frozen=True, slots=True)
class Peer:
    """What a connection says of the one behind it; `here`: it does not leave this machine."""

    connection: str
    partner: str
    environment: str
    here: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands: `live` when it may send, and why (not)."""

    live: bool
    why: str
    last: str = ""  # the last day of what lets it send; empty: no end


class Agreements:
    """Asked before every send; the answer is kept for `session.recheck`."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: dict[Peer, tuple[float, Standing]] = {}

    def require(self, peer: Peer) -> None:
        """Raises NoAgreement, which says what is missing."""
        standing = self.standing(peer)
        if not standing.live:
            raise NoAgreement(
                standing.why,
                where=f"connection {peer.connection}",
                mend=f"suture partner agreement {peer.partner or 'ID'} --from DAY, or suture connection override "
                f"{peer.connection} --reason WHY. What waits goes out then.",
            )

    def standing(self, peer: Peer) -> Standing:
        """How it stands now."""
        now = self._clock.monotonic()
        known = self._known.get(peer)
        if known is None or known[0] < now:
            found = judge(self._database.read, peer, self._clock.micros(), self.today, self._required)
            known = self._known[peer] = (now + float(self._settings["session.recheck"]), found)
        return known[1]

    @property
    def today(self) -> str:
        return self._clock.now().date().isoformat()

    @property
    def _required(self) -> bool:
        return bool(self._settings["agreements.required"])


def judge(connection: Connection, peer: Peer, now: int, today: str, required: bool = True) -> Standing:
    """Whether this peer may be sent to, by what is recorded."""
    if peer.here:
        return Standing(True, "stays on this machine")
    if peer.environment in WITHOUT_PATIENTS:
        return Standing(True, f"{peer.environment}: no real patients")
    found = partners.in_force(connection, peer.partner, today) if peer.partner else None
    if found is not None:
        return Standing(True, f"{found.kind} with {peer.partner}", found.last)
    for override in partners.overrides(connection, peer.connection, now):
        return Standing(True, f"opened by {override.who} without an agreement: {override.reason}", _day(override.until))
    if not required:
        return Standing(True, "agreements are not required here (agreements.required)")
    if not peer.partner:
        return Standing(False, "the connection names no partner, and real records leave this machine through it")
    return Standing(False, f"there is no agreement in force with '{peer.partner}'")


def ending(connection: Connection, today: str, days: float) -> list[tuple[str, int]]:
    """Partners whose last agreement in force ends within `days`, with the days left; -1 when it has ended already."""
    soon: list[tuple[str, int]] = []
    for partner in partners.partners(connection):
        written = partners.agreements(connection, partner.id)
        if partner.ended or not written:
            continue
        found = partners.in_force(connection, partner.id, today)
        if found is None:
            soon.append((partner.id, -1))
        elif found.last and (left := (date.fromisoformat(found.last) - date.fromisoformat(today)).days) <= days:
            soon.append((partner.id, left))
    return sorted(soon, key=lambda one: one[1])


def add_partner(id: str, name: str, contact: str, who: str) -> Callable[[Tx], None]:
    """The unit that adds a partner; raises Invalid for an id that can't stand in a connection file."""
    if not PARTNER_ID.fullmatch(id):
        raise Invalid("a partner's id is small letters, digits and '-'", where="partner", mend="Write lakeside.")

    def unit(tx: Tx) -> None:
        partners.put_partner(tx, id, name.strip() or id, contact.strip())
        audit.append(tx, audit.AuditRow(who, "create-partner", "Partner", id))

    return unit


def end_partner(id: str, who: str) -> Callable[[Tx], None]:
    """The unit that ends a partner with all its agreements."""

    def unit(tx: Tx) -> None:
        partners.end_partner(tx, id)
        audit.append(tx, audit.AuditRow(who, "end-partner", "Partner", id))

    return unit


def add_agreement(partner: str, kind: str, first: str, last: str, note: str, who: str) -> Callable[[Tx], str]:
    """The unit that records an agreement; raises Invalid for days that are none or the wrong way round."""
    if kind not in KINDS:
        raise Invalid("no such kind of agreement", where="kind", mend=f"One of: {', '.join(KINDS)}.")
    begin, end = _read_day(first, "from"), _read_day(last, "until") if last else ""
    if end and end < begin:
        raise Invalid("it ends before it begins", where="until")

    def unit(tx: Tx) -> str:
        made = partners.add_agreement(tx, partner, kind, begin, end, note, who)
        audit.append(tx, audit.AuditRow(who, "create-agreement", "Agreement", made, detail=f"{partner} {begin} {end}"))
        return made

    return unit


def end_agreement(id: str, who: str) -> Callable[[Tx], None]:
    """The unit that ends an agreement at once."""

    def unit(tx: Tx) -> None:
        partners.end_agreement(tx, id)
        audit.append(tx, audit.AuditRow(who, "end-agreement", "Agreement", id[:64]))

    return unit


def keep_document(id: str, name: str, content: bytes, who: str) -> Callable[[Tx], None]:
    """The unit that keeps the signed paper; raises Invalid for none or a very large one."""
    if not 0 < len(content) <= LARGEST_DOCUMENT:
        raise Invalid(f"a document has 1 to {LARGEST_DOCUMENT >> 20} MiB", where="document")

    def unit(tx: Tx) -> None:
        partners.keep_document(tx, id, name[:200], content)
        audit.append(tx, audit.AuditRow(who, "keep-document", "Agreement", id[:64]))

    return unit


def override(connection: str, reason: str, until: int, who: str) -> Callable[[Tx], None]:
    """The unit that opens a connection without an agreement until a moment; raises Invalid without a reason."""
    why = " ".join(reason.split())
    if len(why) < 3:
        raise Invalid("a reason is needed", where="reason", mend="It is kept in the audit trail.")

    def unit(tx: Tx) -> None:
        partners.add_override(tx, connection, why[:200], who, until)
        audit.append(tx, audit.AuditRow(who, "override-agreement", "Connection", connection[:64], detail=why[:200]))

    return unit


def end_overrides(connection: str, who: str) -> Callable[[Tx], int]:
    """The unit that closes what was opened without an agreement."""

    def unit(tx: Tx) -> int:
        audit.append(tx, audit.AuditRow(who, "end-override", "Connection", connection[:64]))
        return partners.end_overrides(tx, connection)

    return unit


def _read_day(text: str, where: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Invalid("not a day", where=where, mend="Write it as 2027-01-31.") from None


def _day(micros: int) -> str:
    return (date(1970, 1, 1) + timedelta(microseconds=micros)).isoformat()
