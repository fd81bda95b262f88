"""The HIPAA Security Rule as a table: each safeguard, how Suture keeps it, what can be seen of it here, and its test.

https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164/subpart-C
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suture.access import agreements
from suture.access.roles import ADMINISTRATOR, STRONG, permissions
from suture.clock import instant
from suture.connectors.connection import loopback
from suture.engine import inventory
from suture.engine.project import Project
from suture.engine.senders import peer_of
from suture.settings import Settings
from suture.store import accounts, audit, factors, glass
from suture.store.backup import last_backup
from suture.store.database import Database
from suture.store.health import BACKUP_DAYS, DAY, Finding
from suture.store.postgres import server

Shown = tuple[str, str]  # level and what is seen


@dataclass(frozen=True, slots=True)
class Look:
    """What the evidence is taken from."""

    settings: Settings
    database: Database
    project: Project

    @property
    def today(self) -> str:
        return self.database.clock.now().date().isoformat()


@dataclass(frozen=True, slots=True)
class Safeguard:
    """One row: its place in 45 CFR, what it asks, how it is kept, the evidence of this installation, and the test."""

    rule: str
    asks: str
    kept: str
    shows: Callable[[Look], Shown]
    test: str
    mend: str = ""


def _people(look: Look) -> Shown:
    found = [user for user in accounts.users(look.database.read) if user.active]
    keys = [client for client in accounts.clients(look.database.read) if client.active]
    return ("good" if found else "warning"), f"{len(found)} people, {len(keys)} programs, each with an own name"


def _administrators(look: Look) -> Shown:
    found = [u for u in accounts.users(look.database.read) if u.active and ADMINISTRATOR in u.roles]
    return (
        "good" if 2 <= len(found) <= 5 else "warning"
    ), f"{len(found)} {'administrator' if len(found) == 1 else 'administrators'}"


def _idle(look: Look) -> Shown:
    idle = float(look.settings["session.idle"])
    return ("good" if idle <= 1800 else "warning"), f"a silent session ends after {idle / 60:g} minutes"


def _encrypted(look: Look) -> Shown:
    if server.is_address(look.settings.database):
        return (
            "warning",
            "bodies, messages and secrets are sealed on the server; what rows are found by needs an encrypted volume",
        )
    apart = not look.settings.key_file.resolve().is_relative_to(look.database.path.parent.resolve())
    return ("good" if apart else "bad"), "database, journal and backups are encrypted; the key is " + (
        "apart from them" if apart else "in the data folder"
    )


def _trail(look: Look) -> Shown:
    head, sound = audit.head(look.database.read), look.database.upkeep.keeper.sound
    return ("good" if sound else "bad"), f"{head.n} rows in one chain, " + (
        "as the anchor outside the database has seen it" if sound else "not what the anchor has seen"
    )


def _transport(look: Look) -> Shown:
    open_ones = [
        name
        for name in ("http", "mllp")
        if not loopback(str(look.settings[f"{name}.host"])) and not look.settings[f"{name}.tls_certificate"]
    ]
    plain = [c.id for c in look.project.connections.values() if not c.local and c.origin.startswith("http:")]
    if open_ones or plain:
        return "bad", f"without TLS: {', '.join([*open_ones, *plain])}"
    return "good", "nothing leaves this machine without TLS"


def _certificates(look: Look) -> Shown:
    found = inventory.certificates(look.settings, look.project.connections, look.database.clock.now())
    soon = [f"{one['used_by']} ({one['days']} days)" for one in found if one["error"] or one["days"] < 30]
    if soon:
        return "warning", f"ends soon or can't be read: {', '.join(soon)}"
    return "good", f"{len(found)} certificates, none ends within 30 days"


def _backup(look: Look) -> Shown:
    made = last_backup(look.database.read)
    fresh = made and look.database.clock.micros() - made <= BACKUP_DAYS * DAY
    return ("good" if fresh else "warning"), f"the last backup: {instant(made) if made else 'none'}"


def _agreements(look: Look) -> Shown:
    read, now = look.database.read, look.database.clock.micros()
    peers = [peer_of(one) for one in look.project.connections.values()]
    held = [p.connection for p in peers if not agreements.judge(read, p, now, look.today).live]
    soon = agreements.ending(read, look.today, float(look.settings["agreements.warn"]) / 86_400)
    if held and not look.settings["agreements.required"]:
        return "bad", f"agreements are not required here; without one: {', '.join(held)}"
    if held or soon:
        words = [f"held without one: {', '.join(held)}"] if held else []
        words += [f"{partner} ends in {left} days" if left >= 0 else f"{partner} has none" for partner, left in soon]
        return "warning", "; ".join(words)
    return "good", f"{len(peers)} connections, each covered, local or a sandbox"


def _inventory(look: Look) -> Shown:
    parts, peers = inventory.components(), look.project.connections
    other = [one["name"] for one in parts if one["installed"] and one["installed"] != one["pinned"]]
    said = f"{len(parts)} components, {len(peers)} peers, flows: {len(look.project.flows)}, at /inventory"
    return ("warning" if other else "good"), said + (f"; other versions than released: {len(other)}" if other else "")


def _factors(look: Look) -> Shown:
    read = look.database.read
    privileged = [u for u in accounts.users(read) if u.active and permissions(u.roles) & STRONG]
    without = [user.login for user in privileged if not factors.of_user(read, user.id)]
    if without:
        return "warning", f"without a second factor: {', '.join(without)}"
    return "good", f"{len(privileged)} people may change rights; each has a second factor"


def _glass(look: Look) -> Shown:
    waiting = glass.alerts(look.database.read)
    return ("warning" if waiting else "good"), f"emergencies that wait for a review: {waiting or 'none'}"


def _copies(look: Look) -> Shown:
    places = [name for name in ("audit.file", "audit.syslog", "audit.webhook") if look.settings[name]]
    return ("good" if places else "warning"), f"copies of the trail go to: {', '.join(places) or 'nowhere'}"


def _contact(look: Look) -> Shown:
    named = str(look.settings["security.contact"])
    return ("good" if named else "warning"), f"whom to tell about a hole: {named or 'nobody is named'}"


TABLE: tuple[Safeguard, ...] = (
    Safeguard(
        "164.308(a)(1)(ii)(A)", "know what there is and where data flows", "the inventory is made from what runs",
        _inventory, "tests/server/admin/test_inventory.py", "Install what deploy/requirements.lock pins.",
    ),
    Safeguard(
        "164.308(a)(1)(ii)(D)", "review who did what", "every access and denial is a row of the audit trail",
        _trail, "tests/server/test_audit.py", "Run: suture verify",
    ),
    Safeguard(
        "164.308(a)(4)", "access by role", "roles open permissions, permissions open addresses; deny by default",
        _administrators, "tests/access/test_roles.py", "Two to five administrators: suture user add NAME",
    ),
    Safeguard(
        "164.308(a)(6)", "hear of incidents", "SECURITY.md, and a contact at /.well-known/security.txt",
        _contact, "tests/server/test_contact.py", "Set security.contact.",
    ),
    Safeguard(
        "164.308(a)(7)(ii)(A)", "backups that can be restored", "suture backup, restore, verify; encrypted, while it runs",
        _backup, "tests/store/test_backup.py", "Run once a day: suture backup FOLDER",
    ),
    Safeguard(
        "164.308(b)(1)", "agreements with partners", "no connection sends without one in force; overrides are audited",
        _agreements, "tests/access/test_agreements.py", "suture partner list; suture connection list",
    ),
    Safeguard(
        "164.312(a)(2)(i)", "one name for each person and program", "no shared, no default account",
        _people, "tests/server/test_sign_in.py", "Open the link that suture serve prints at its first start.",
    ),
    Safeguard(
        "164.312(a)(2)(ii)", "emergency access", "breaking the glass: for a reason, for a while, each time reviewed",
        _glass, "tests/server/admin/test_glass.py", "Look at each one: page Break the glass of the console.",
    ),
    Safeguard(
        "164.312(a)(2)(iii)", "sessions end by themselves", "after silence, and after a day's work in any case",
        _idle, "tests/server/test_sign_in.py", "Set session.idle to 30m or less.",
    ),
    Safeguard(
        "164.312(a)(2)(iv)", "encryption at rest", "an encrypted database under envelope keys; the key file stands apart",
        _encrypted, "tests/store/test_opening.py", "Move the key file and set SUTURE_KEY_FILE.",
    ),
    Safeguard(
        "164.312(b)", "the trail survives this machine", "copies go to a file, a syslog receiver or a webhook",
        _copies, "tests/services/audit/test_copies.py", "Set audit.file, audit.syslog or audit.webhook.",
    ),
    Safeguard(
        "164.312(d)", "people prove who they are", "TOTP or passkey for who may change rights; passwords by Argon2id",
        _factors, "tests/access/test_second_factor.py", "Have them sign in: it leads them to set one up.",
    ),
    Safeguard(
        "164.528", "what was disclosed is accounted for", "each delivery, app access and export names the patient",
        _trail, "tests/server/admin/test_trail.py", "Run: suture verify",
    ),
    Safeguard(
        "164.312(c)(1)", "nothing is changed unseen", "a hash chain with an anchor outside the database",
        _trail, "tests/store/test_verify.py", "Run: suture verify",
    ),
    Safeguard(
        "164.312(e)(1)", "nothing is read on the way", "TLS 1.2 and later; plaintext only on this machine",
        _transport, "tests/cli/test_serve.py", "Give certificates: http.tls_certificate, mllp.tls_certificate; https: in connections.",
    ),
    Safeguard(
        "164.312(e)(2)(ii)", "certificates are valid", "the inventory counts the days they have left",
        _certificates, "tests/server/admin/test_inventory.py", "Renew them.",
    ),
)  # fmt: skip


def look(settings: Settings, database: Database, project: Project) -> list[tuple[Safeguard, Finding]]:
    """Every safeguard with what is seen of it here."""
    seen = Look(settings, database, project)
    return [(row, _finding(row, seen)) for row in TABLE]


def _finding(row: Safeguard, seen: Look) -> Finding:
    level, text = row.shows(seen)
    return Finding(row.rule, level, text, "" if level == "good" else row.mend)
