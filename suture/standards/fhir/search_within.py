"""Reads a search inside a compartment, `Patient/123/Observation?…` or `Patient/123/*`: https://hl7.org/fhir/R4/search.html#2.21.1.2"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suture.errors import InvalidSearch, NotFound
from suture.ports import Expander
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_compartment import OWNERS, member_types
from suture.standards.fhir.search_parse import R4_CODES, parse
from suture.standards.fhir.search_query import Branch, Compartment, Condition, Member, SearchQuery

EVERY = "*"


def parse_within(
    owner: str,
    id: str,
    type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base_url: str = "",
    expander: Expander = R4_CODES,
    without: frozenset[str] = frozenset(),
    also: tuple[str, ...] = (),
) -> SearchQuery:
    """The query over one type of the compartment, or over all of them (`*`) but those in `without`.

    `also`: ids of further Patients whose compartments are taken along.
    """
    require_member(owner, type)
    query = parse("" if type == EVERY else type, pairs, lenient=lenient, base_url=base_url, expander=expander)
    if type == EVERY:
        types = _types(owner, query.types, without)
        query = replace(query, rules=tuple(Branch(kind, ()) for kind in types))
    return replace(query, conditions=(inside(owner, id, *also), *query.conditions))


def require_member(owner: str, type: str) -> None:
    """Raises NotFound when there is no such compartment, or nothing of the type can be in it."""
    if owner not in OWNERS or (type != EVERY and type not in RESOURCE_TYPES):
        mend = f"Compartments: {', '.join(OWNERS)}; write Patient/ID/Observation?… or Patient/ID/*."
        raise NotFound("nothing at this address", where="url", mend=mend)
    if type != EVERY and type not in member_types(owner):
        there = ", ".join(member_types(owner))
        raise NotFound(f"no {type} is ever in the compartment of {_a(owner)}", where=type, mend=f"There are: {there}.")


def inside(owner: str, id: str, *also: str) -> Condition:
    """What holds of every member, of several Patients when there are more; most members of a patient's compartment carry the patient in their row."""
    return Compartment((id, *also)) if owner == "Patient" else Member(owner, id)


def _types(owner: str, wanted: tuple[str, ...], without: frozenset[str]) -> tuple[str, ...]:
    there = tuple(t for t in member_types(owner) if t not in without)
    if not set(wanted) <= set(there):
        raise InvalidSearch(
            f"not types of the compartment of {_a(owner)}", where="_type", mend=f"There are: {', '.join(there)}."
        )
    return wanted or there


def _a(owner: str) -> str:
    return f"{'an' if owner[0] in 'AEIOU' else 'a'} {owner}"
