"""May this caller do this? Deny by default; every interaction, search and returned row passes here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from suture.access import compartment, smart
from suture.access.caller import Caller, Scope
from suture.access.roles import PERMISSIONS
from suture.access.withheld import Withheld
from suture.errors import Forbidden, Unauthenticated
from suture.standards.fhir.search_match import Subject, holds
from suture.standards.fhir.search_query import (
    NOTHING,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Condition,
    Filter,
    Has,
    Kin,
    Listed,
    NoneOf,
    SearchQuery,
    restrict,
)

# FHIR interaction -> the letter of `cruds` it needs.
LETTERS = {
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "history-type": "s",
    "history-system": "s",
    "search-type": "s",
    "search-system": "s",
    "create": "c",
    "update": "u",
    "patch": "u",
    "delete": "d",
}

SYSTEM = Caller("system", "system", "system", (Scope("system", "*", "cruds"),))


class Reach(Enum):
    """How far a caller's scopes carry for one interaction on one type."""

    NOTHING = "nothing"
    PART = "part"  # each row is judged: one patient's compartment, a granular scope
    EVERYTHING = "everything"


def flow_caller(flow_id: str) -> Caller:
    """The caller a flow writes as: the whole chart, under the flow's own name in the audit."""
    return Caller(f"flow:{flow_id}", "flow", flow_id, (Scope("system", "*", "cruds"),))


def reach(caller: Caller, interaction: str, resource_type: str) -> Reach:
    """How far this caller reaches; an unknown interaction reaches nothing."""
    found = rule(caller, interaction, resource_type)
    return Reach.EVERYTHING if found is None else Reach.NOTHING if found is NOTHING else Reach.PART


def rule(caller: Caller, interaction: str, resource_type: str) -> Condition | None:
    """What must hold of a row for this interaction: None for all rows, NOTHING for none."""
    owners = (caller.patient or "", caller.fhir_user, caller.encounter)
    return _rule(caller.scopes, owners, caller.bounds, caller.glass, LETTERS.get(interaction, "?"), resource_type)


@lru_cache(maxsize=8192)
def _rule(
    scopes: tuple[Scope, ...],
    owners: tuple[str, str, str],
    bounds: frozenset[str],
    broken: frozenset[str],
    letter: str,
    resource_type: str,
) -> Condition | None:
    """One of the scopes holds, inside every bound or on the record of a patient whose glass is broken."""
    patient, fhir_user, encounter = owners
    fitting = [s for s in scopes if letter in s.letters and s.type in ("*", resource_type)]
    ways = dict.fromkeys(_way(s, patient, letter, resource_type) for s in fitting)
    ways.pop(NOTHING, None)
    if not ways:
        return NOTHING
    found: list[Condition | None] = [None if None in ways else _one_of(tuple(w for w in ways if w is not None))]
    ids = {"practitioner": _id_of(fhir_user, "Practitioner"), "encounter": encounter}
    inside = [compartment.bound(kind, ids[kind], resource_type, letter) for kind in sorted(bounds)]
    found += [_or_broken(part, broken, resource_type) for part in inside if part is not None]
    return _all_of([part for part in found if part is not None])


def _way(scope: Scope, patient: str, letter: str, resource_type: str) -> Condition | None:
    """What one scope asks of a row."""
    asked = smart.rule(scope)
    if scope.context != "patient":
        return asked
    if not patient:
        return NOTHING
    if resource_type in compartment.SHARED:
        return asked if letter in "rs" else NOTHING
    return _all_of([part for part in (compartment.rule(patient, resource_type), asked) if part is not None])


def _or_broken(bound: Condition, broken: frozenset[str], resource_type: str) -> Condition:
    """A bound, which an emergency lifts for its patients."""
    opened = [compartment.rule(patient, resource_type) for patient in sorted(broken)]
    return _one_of(tuple(part for part in (bound, *opened) if part != NOTHING) or (NOTHING,))


def _id_of(reference: str, type: str) -> str:
    kind, _, id = reference.partition("/")
    return id if kind == type else ""


def _one_of(parts: tuple[Condition, ...]) -> Condition:
    return parts[0] if len(parts) == 1 else AnyOf(parts)


def _all_of(parts: Sequence[Condition]) -> Condition | None:
    if NOTHING in parts:
        return NOTHING
    return AllOf(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def require(caller: Caller, interaction: str, resource_type: str) -> Reach:
    """How far the caller reaches; raises Forbidden naming the scope that is missing when it is nowhere."""
    found = reach(caller, interaction, resource_type)
    if found is Reach.NOTHING:
        raise refusal(caller, interaction, resource_type)
    return found


def refusal(caller: Caller, interaction: str, resource_type: str) -> Forbidden | Unauthenticated:
    """The error for a type-level refusal, naming its reason."""
    if caller.kind == "anonymous":
        return Unauthenticated(
            "this needs a bearer key or a session", where="Authorization", mend="Send Authorization: Bearer KEY."
        )
    letter = LETTERS.get(interaction, "?")
    return Forbidden(
        f"'{caller.name}' may not {interaction} {resource_type}",
        where=resource_type,
        mend=f"It needs a scope such as user/{resource_type}.{letter}; its scopes and bounds do not reach that.",
    )


def allows(
    caller: Caller, interaction: str, resource_type: str, resource: dict[str, Any] | None, base: str = ""
) -> bool:
    """Whether the scopes reach this very row; without a body only a wide grant does.

    `base`: what absolute references to this server begin with.
    """
    found = rule(caller, interaction, resource_type)
    if found is None:
        return True
    if found is NOTHING or resource is None:
        return False
    return _Row(resource, base).fits(found)


class _Row:
    """One resource that rules are held against; its index rows are made only when a search parameter is asked for."""

    __slots__ = ("_subject", "base", "resource")

    def __init__(self, resource: dict[str, Any], base: str) -> None:
        self.resource = resource
        self.base = base
        self._subject: Subject | None = None

    def fits(self, condition: Condition) -> bool:
        if isinstance(condition, AnyOf):
            return any(self.fits(part) for part in condition.conditions)
        if isinstance(condition, AllOf):
            return all(self.fits(part) for part in condition.conditions)
        if isinstance(condition, Compartment):
            return any(compartment.holds(id, self.resource, self.base) for id in condition.patients)
        if self._subject is None:
            self._subject = Subject(self.resource, base=self.base)
        return holds(condition, self._subject)


def narrow(caller: Caller, query: SearchQuery, withheld: Withheld | None = None) -> SearchQuery:
    """The query with the caller's reach added wherever rows are asked about: at the top, in chains, in `_has`.

    `withheld`: what labels and consents keep back besides. A type the query names and the caller may not search is
    refused; one it only might lead to counts as empty.
    """
    for kind in (query.type,) if query.type else query.types:
        require(caller, "search-type", kind)
    if not query.type and not query.types and not any("s" in scope.letters for scope in caller.scopes):
        raise refusal(caller, "search-system", "*")
    for condition in query.conditions:
        _require_named(caller, condition)
    return restrict(query, lambda kind: _narrowed(caller, kind, withheld))


def _narrowed(caller: Caller, resource_type: str, withheld: Withheld | None) -> Condition | None:
    found = [rule(caller, "search-type", resource_type), *(withheld.rules() if withheld else ())]
    return _all_of([part for part in found if part is not None])


def _require_named(caller: Caller, condition: Condition) -> None:
    """Refuses types written out in chains and `_has`, so that an answer of nothing is never mistaken for a no."""
    inner: tuple[Condition, ...] = ()
    if isinstance(condition, Chain):
        for branch in condition.branches:
            if condition.typed:
                require(caller, "search-type", branch.type)
            inner += branch.conditions
    elif isinstance(condition, Has):
        require(caller, "search-type", condition.type)
        inner = condition.conditions
    elif isinstance(condition, Kin):
        inner = condition.ways.conditions
    elif isinstance(condition, Filter):
        inner = (condition.condition,)
    elif isinstance(condition, Listed):
        require(caller, "search-type", "List")
    elif isinstance(condition, AnyOf | AllOf | NoneOf):
        inner = condition.conditions
    for part in inner:
        _require_named(caller, part)


def require_permission(caller: Caller, permission: str) -> None:
    """Raises unless one of the caller's roles gives the permission."""
    if caller.kind == "anonymous":
        raise Unauthenticated("this needs a session", mend="Sign in first.")
    if permission not in caller.permissions:
        raise Forbidden(
            f"'{caller.name}' lacks the permission '{permission}' ({PERMISSIONS.get(permission, 'unknown')})",
            mend="Ask an administrator for a role that has it; docs/access.md lists the roles.",
        )
