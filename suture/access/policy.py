"""May this caller do this? Deny by default; every interaction, search and returned row passes here."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

from suture.access import compartment
from suture.access.caller import Caller, Scope
from suture.access.roles import PERMISSIONS
from suture.errors import Forbidden, Unauthenticated
from suture.standards.fhir.search_query import (
    NOTHING,
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Condition,
    Has,
    Match,
    SearchQuery,
    Target,
    Token,
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
    COMPARTMENT = "compartment"  # one patient's compartment only
    EVERYTHING = "everything"


def flow_caller(flow_id: str) -> Caller:
    """The caller a flow writes as: the whole chart, under the flow's own name in the audit."""
    return Caller(f"flow:{flow_id}", "flow", flow_id, (Scope("system", "*", "cruds"),))


def reach(caller: Caller, interaction: str, resource_type: str) -> Reach:
    """How far this caller reaches; an unknown interaction reaches nothing."""
    return _reach(caller.scopes, bool(caller.patient), LETTERS.get(interaction, "?"), resource_type)


@lru_cache(maxsize=8192)
def _reach(scopes: tuple[Scope, ...], patient: bool, letter: str, resource_type: str) -> Reach:
    contexts = {s.context for s in scopes if letter in s.letters and s.type in ("*", resource_type)}
    if contexts & {"user", "system"}:
        return Reach.EVERYTHING
    if "patient" not in contexts or not patient:
        return Reach.NOTHING
    if resource_type in compartment.SHARED:
        return Reach.EVERYTHING if letter in "rs" else Reach.NOTHING
    inside = resource_type == compartment.OWN_RECORD or compartment.parameters(resource_type)
    return Reach.COMPARTMENT if inside else Reach.NOTHING


def require(caller: Caller, interaction: str, resource_type: str) -> Reach:
    """How far the caller reaches; raises Forbidden naming the scope that is missing when it is nowhere."""
    found = reach(caller, interaction, resource_type)
    if found is Reach.NOTHING:
        raise refusal(caller, interaction, resource_type)
    return found


def refusal(caller: Caller, interaction: str, resource_type: str) -> Forbidden | Unauthenticated:
    """The error for a type-level refusal, naming its reason."""
    if caller.kind == "anonymous":
        return Unauthenticated("this needs a bearer key or a session", mend="Send Authorization: Bearer KEY.")
    letter = LETTERS.get(interaction, "?")
    return Forbidden(
        f"'{caller.name}' may not {interaction} {resource_type}",
        where=resource_type,
        mend=f"It needs a scope such as user/{resource_type}.{letter}; its scopes do not reach that.",
    )


def allows(
    caller: Caller, interaction: str, resource_type: str, resource: dict[str, Any] | None, base: str = ""
) -> bool:
    """Whether this very row may be given to, or written by, the caller; without a body only a wide grant allows.

    `base`: what absolute references to this server begin with.
    """
    found = reach(caller, interaction, resource_type)
    if found is Reach.EVERYTHING:
        return True
    if found is Reach.NOTHING or resource is None or caller.patient is None:
        return False
    return compartment.holds(caller.patient, resource, base)


def narrow(caller: Caller, query: SearchQuery) -> SearchQuery:
    """The query with the caller's reach added wherever rows are asked about: at the top, in chains, in `_has`.

    A type the query names and the caller may not search is refused; one it only might lead to counts as empty.
    """
    for kind in (query.type,) if query.type else query.types:
        require(caller, "search-type", kind)
    if not query.type and not query.types and not any("s" in scope.letters for scope in caller.scopes):
        raise refusal(caller, "search-system", "*")
    for condition in query.conditions:
        _require_named(caller, condition)
    return restrict(query, lambda kind: _rule(caller, kind))


def _rule(caller: Caller, resource_type: str) -> Condition | None:
    found = reach(caller, "search-type", resource_type)
    if found is Reach.EVERYTHING:
        return None
    if found is not Reach.COMPARTMENT or not caller.patient:
        return NOTHING
    if resource_type == compartment.OWN_RECORD:
        return Match("_id", "token", (Token(None, caller.patient),))
    if resource_type in compartment.ADDED:
        target = Target("Patient", caller.patient)
        return AnyOf(tuple(Match(code, "reference", (target,)) for code in compartment.ADDED[resource_type]))
    return Compartment((caller.patient,))


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
    elif isinstance(condition, AnyOf | AllOf):
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
