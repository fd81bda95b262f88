"""What each role of a person may do: rows of a table, deny by default (45 CFR 164.308(a)(4), 164.312(a)(1)).

A permission opens addresses of the console and its API; `scopes` is how far the role reaches into the chart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suture.errors import Invalid

# permission -> what it opens
PERMISSIONS = {
    "console.see": "lists, timelines and figures of messages and flows, redacted",
    "phi.reveal": "the content of messages and runs, with a reason",
    "messages.replay": "replay, discard, cancel, route again",
    "flows.edit": "drafts of flows, maps and connections",
    "flows.publish": "put drafts of flows, maps and connections to work",
    "people.manage": "people, their roles and proxies",
    "clients.manage": "registered apps, programs and their keys",
    "audit.read": "the audit trail, who saw a patient, what left the house",
    "audit.export": "the audit trail as a file, accountings of disclosures",
    "partners.manage": "partners, agreements, overrides",
    "gateway.manage": "routes, keys and limits of the gateway",
    "inventory.read": "components, versions, ports, certificates, data flows",
    "metrics.read": "figures without anything of a patient",
    "ehi.export": "everything about one person, originals included",
    "chart.use": "the FHIR API as far as the role's scopes reach",
    "matches.decide": "pairs of records that may be of one person: compare, link, take apart",
    "glass.break": "open in an emergency, with a reason, what is kept back of one patient",
    "own.use": "one's own record, or that of a person one stands in for; the apps one allowed",
}

# what changes somebody's privileges: such a request needs a recent second factor, whoever may it must have one
STRONG = frozenset({"people.manage", "clients.manage", "partners.manage", "gateway.manage"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a person: its reach into the chart, its permissions, and what it is in words."""

    scopes: str
    permissions: frozenset[str]
    says: str


def _role(scopes: str, permissions: str, says: str) -> Role:
    wanted = frozenset(permissions.split())
    assert wanted <= PERMISSIONS.keys(), wanted - PERMISSIONS.keys()
    return Role(scopes, wanted, says)


ADMINISTRATOR = "administrator"
PATIENT = "patient"
PROXY = "proxy"
INFRASTRUCTURE = "infrastructure"

ROLES: dict[str, Role] = {
    "viewer": _role("", "console.see", "sees what flows, redacted"),
    "operator": _role("", "console.see phi.reveal messages.replay metrics.read", "keeps messages flowing at night"),
    "builder": _role("", "console.see flows.edit", "drafts flows, maps and connections"),
    "publisher": _role("", "console.see flows.edit flows.publish", "puts drafts to work"),
    "compliance": _role(
        "",
        "console.see audit.read audit.export partners.manage inventory.read ehi.export",
        "answers who saw what, what left the house, under which agreement",
    ),
    "clinician": _role("user/*.cruds", "chart.use glass.break", "reads and writes the chart"),
    "reader": _role("user/*.rs", "chart.use", "reads the chart"),
    "registrar": _role("user/Patient.crus", "chart.use matches.decide", "keeps the records of persons: finds doubles, links them"),
    INFRASTRUCTURE: _role("", "gateway.manage inventory.read metrics.read", "runs the machine, without any record of a patient"),
    ADMINISTRATOR: _role("user/*.cruds", " ".join(PERMISSIONS.keys() - {"own.use"}), "everything"),
    PATIENT: _role("patient/*.rs", "own.use", "sees the own record and the apps that may"),
    PROXY: _role("patient/*.rs", "own.use", "sees the record of a person who allowed it"),
}  # fmt: skip


def permissions(roles: Iterable[str]) -> frozenset[str]:
    """All that these roles may do together; an unknown role may nothing."""
    return frozenset().union(*(ROLES[role].permissions for role in roles if role in ROLES))


def require_roles(roles: Iterable[str]) -> None:
    """Raises Invalid for an unknown role, and for roles that one person may not have together."""
    wanted = list(roles)
    unknown = [role for role in wanted if role not in ROLES]
    if unknown:
        raise Invalid(f"no role named '{unknown[0]}'", where="role", mend=f"One of: {', '.join(ROLES)}.")
    if not wanted:
        raise Invalid("a person needs a role", where="role", mend=f"One of: {', '.join(ROLES)}.")
    own = [role for role in wanted if "own.use" in ROLES[role].permissions]
    if own and len(own) < len(wanted):
        raise Invalid(
            "patients and proxies have no other role", where="role", mend="Staff who are patients have two names."
        )
    if INFRASTRUCTURE in wanted and len(wanted) > 1:
        raise Invalid(
            f"'{INFRASTRUCTURE}' goes with no other role: it sees no patient",
            where="role",
            mend="Make two people of it.",
        )
