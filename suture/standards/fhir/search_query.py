"""What a search asks for, as plain immutable values: one object for SQL, memory and URL. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from suture.standards.fhir.definitions import RESOURCE_TYPES

# --- values: what a parameter is compared with


@dataclass(frozen=True, slots=True)
class Token:
    """`system|code`; None stands for "any", an empty system for "has none"."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class TypedIdentifier:
    """`system|code|value` of `:of-type`."""

    system: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a string search, as they were asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A date with a prefix; [low, high) are microseconds since 1970."""

    prefix: str
    text: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number with a prefix and, for quantities, a unit; [low, high) is what its digits leave open."""

    prefix: str
    text: str
    value: float
    low: float
    high: float
    system: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A resource here (`type` may be empty: any target type of the parameter) or a URL elsewhere."""

    type: str
    id: str
    url: str = ""
    version: str = ""  # of a canonical


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI, compared as a whole, or by its beginning with `:above` and `:below`."""

    text: str


@dataclass(frozen=True, slots=True)
class Nearby:
    """A place on the earth in degrees, and how far around it in metres."""

    text: str
    latitude: float
    longitude: float
    metres: float


Tree = tuple[Any, ...]  # ("phrase" | "begins", word, …) · ("and" | "or", tree, …) · ("not", tree, tree)


@dataclass(frozen=True, slots=True)
class Words:
    """A question to the full text."""

    text: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of a composite value."""

    parts: tuple[Value, ...]


Value = Token | TypedIdentifier | Text | Moment | Number | Target | Uri | Nearby | Words | Parts


# --- conditions


@dataclass(frozen=True, slots=True)
class Match:
    """The parameter has one of the values (with `not`, `not-in`: none of them; `eq ne ew gt …` are operators of `_filter`)."""

    parameter: str
    kind: str  # token | string | reference | date | number | quantity | uri | special | words | composite
    values: tuple[Value, ...]
    modifier: str = ""
    members: frozenset[Token] = frozenset()  # the codes that :in, :not-in, :above, :below stand for


@dataclass(frozen=True, slots=True)
class Missing:
    """The parameter has no value at all (or, with missing=False, has one)."""

    parameter: str
    kind: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """One type at the far end of a reference and all that must hold there."""

    type: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The reference leads to a resource for which one of the branches holds: `subject:Patient.name=x`."""

    parameter: str
    branches: tuple[Branch, ...]
    typed: bool = False  # the type was written out


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource of `type` points here with `parameter`, and all conditions hold for it: `_has:Observation:patient:code=x`."""

    type: str
    parameter: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Compartment:
    """The resource belongs to one of these patients (or is one of them)."""

    patients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """The resource is in R4's compartment of one Encounter, Practitioner, RelatedPerson, Device (or Patient)."""

    owner: str
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The resource stands in one of these Lists, for which all conditions hold; entries marked deleted don't count."""

    lists: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the conditions holds; without conditions: nothing passes."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Kin:
    """A reference up or down a hierarchy: as it was written, and the ways in which it may hold."""

    written: Match
    ways: AnyOf


@dataclass(frozen=True, slots=True)
class Filter:
    """`_filter`: its text, and what it asks of a resource."""

    text: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the conditions hold; without conditions: everything passes."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """None of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A decision over the whole resource. Only rows of patients with a restriction are looked at; all others pass."""

    decides: Callable[[dict[str, Any]], bool]


Condition = (
    Match | Missing | Chain | Has | Compartment | Member | Listed | Kin | Filter | AnyOf | AllOf | NoneOf | Judged
)
NOTHING = AnyOf(())
ALL_TYPES = tuple(sorted(RESOURCE_TYPES))


# --- the query


@dataclass(frozen=True, slots=True)
class Sort:
    parameter: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """`_include=source:parameter:target`; a `*` parameter stands for all references, a `*` source for every type."""

    source: str
    parameter: str
    target: str = ""
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page goes on: the sort keys and the row of the last entry. To be signed by who hands it out."""

    keys: tuple[int | float | str | None, ...]
    row: int


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """All conditions hold. An empty type searches `types` (empty: all) by the parameters every resource has."""

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()
    includes: tuple[Include, ...] = ()
    count: int | None = None
    total: str = ""  # '' | none | estimate | accurate
    summary: str = ""  # '' | true | text | data | count | false
    elements: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rules: tuple[Branch, ...] | None = None  # with an empty type: the types that may be seen, and what must hold there
    cursor: Cursor | None = None
    unknown: tuple[str, ...] = ()  # what was left out because handling is lenient


def looks_away(condition: Condition) -> bool:
    """Does it ask about other resources, too?"""
    if isinstance(condition, Filter):
        return looks_away(condition.condition)
    if isinstance(condition, AnyOf | AllOf | NoneOf):
        return any(looks_away(part) for part in condition.conditions)
    return isinstance(condition, Chain | Has | Listed | Kin)


Rule = Callable[[str], Condition | None]


def restrict(query: SearchQuery, rule: Rule) -> SearchQuery:
    """The query with `rule(type)` added wherever rows of a type are asked about: at the top, in chains, in `_has`.

    None adds nothing; NOTHING lets nothing of that type pass, nor anything be learned through it.
    """
    if query.type:
        return replace(query, conditions=_with(query.conditions, query.type, rule))
    conditions = tuple(_inside(c, rule) for c in query.conditions)
    return replace(query, conditions=conditions, rules=tuple(_ruled(query, rule)))


def _ruled(query: SearchQuery, rule: Rule) -> Iterator[Branch]:
    """The types of a search over several types, each with its rule."""
    before = query.rules if query.rules is not None else tuple(Branch(t, ()) for t in query.types or ALL_TYPES)
    for branch in before:
        added = rule(branch.type)
        if added != NOTHING:
            yield branch if added is None else Branch(branch.type, (*branch.conditions, added))


def _with(conditions: tuple[Condition, ...], type: str, rule: Rule) -> tuple[Condition, ...]:
    added = rule(type)
    inner = tuple(_inside(c, rule) for c in conditions)
    return inner if added is None else (*inner, added)


def _inside(condition: Condition, rule: Rule) -> Condition:
    if isinstance(condition, Chain):
        branches = tuple(Branch(b.type, _with(b.conditions, b.type, rule)) for b in condition.branches)
        return replace(condition, branches=branches)
    if isinstance(condition, Has):
        return replace(condition, conditions=_with(condition.conditions, condition.type, rule))
    if isinstance(condition, Kin):
        ways = tuple(_inside(c, rule) for c in condition.ways.conditions)
        return replace(condition, ways=AnyOf(ways))
    if isinstance(condition, Filter):
        return replace(condition, condition=_inside(condition.condition, rule))
    if isinstance(condition, Listed):
        return replace(condition, conditions=_with(condition.conditions, "List", rule))
    if isinstance(condition, AnyOf | AllOf | NoneOf):
        return replace(condition, conditions=tuple(_inside(c, rule) for c in condition.conditions))
    return condition
