"""Holds one resource in memory against a query, with the same meaning as the store's SQL: https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol
from unicodedata import normalize

from suture.errors import InvalidSearch
from suture.standards.fhir import search_compare as compare
from suture.standards.fhir import search_words
from suture.standards.fhir.definitions import search_parameter
from suture.standards.fhir.index import Rows, extract, plan, values
from suture.standards.fhir.index_atoms import Atom
from suture.standards.fhir.index_compartment import patients, within
from suture.standards.fhir.index_compile import LISTS, Extractor, compiled
from suture.standards.fhir.index_paths import paths
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.index_values import ANY_VERSION, fold, local_parts
from suture.standards.fhir.index_walk import reached
from suture.standards.fhir.search_compare import Found
from suture.standards.fhir.search_query import (
    AllOf,
    AnyOf,
    Chain,
    Compartment,
    Condition,
    Filter,
    Has,
    Judged,
    Kin,
    Listed,
    Match,
    Member,
    Missing,
    NoneOf,
    Number,
    Parts,
    SearchQuery,
    Text,
    Token,
    Value,
    Words,
)
from suture.standards.fhir.search_tables import component_parameters


class World(Protocol):
    """The other resources, for chains and `_has`."""

    def resolve(self, type: str, id: str) -> dict[str, Any] | None: ...

    def all(self, type: str) -> Iterable[dict[str, Any]]: ...


class Subject:
    """A resource that conditions are held against; its rows are extracted once."""

    def __init__(self, resource: dict[str, Any], world: World | None = None, base: str = "") -> None:
        self.resource = resource
        self.type = str(resource.get("resourceType", ""))
        self.world = world
        self.base = base
        self.rows: Rows = extract(resource, base)

    def found(self, code: str) -> Found:
        gathered: Found = {}
        for name, row in values(self.rows, code):
            gathered.setdefault(name, []).append(row[1:])
        return gathered

    def words(self, code: str) -> list[str]:
        """The full text: of the narrative (`_text`) or of everything (`_content`)."""
        made = search_words.narrative if code == search_words.NARRATIVE else search_words.content
        return made(self.resource)

    def other(self, resource: dict[str, Any]) -> Subject:
        return Subject(resource, self.world, self.base)


def matches(query: SearchQuery, resource: dict[str, Any], world: World | None = None, base: str = "") -> bool:
    """Does the resource belong to the query's results? Chains need the `world`; without one they raise InvalidSearch."""
    type = resource.get("resourceType", "")
    if (query.type and query.type != type) or (not query.type and query.types and type not in query.types):
        return False
    subject = Subject(resource, world, base)
    rules = (
        True
        if query.rules is None
        else any(branch.type == subject.type and holds_all(branch.conditions, subject) for branch in query.rules)
    )
    return rules and holds_all(query.conditions, subject)


def holds_all(conditions: Sequence[Condition], subject: Subject) -> bool:
    return all(holds(condition, subject) for condition in conditions)


def holds(condition: Condition, subject: Subject) -> bool:
    """Does one condition hold?"""
    return _HOLDS[type(condition)](condition, subject)


def _match(condition: Match, subject: Subject) -> bool:
    if condition.modifier == "not":
        return not any(_value(condition, v, subject) for v in condition.values)
    if condition.modifier in ("in", "above", "below") and condition.kind == "token":
        return _in_vocabulary(condition, subject)
    if condition.modifier == "ne" and condition.kind == "token":
        return any(_other(condition, found) for found in _items(condition.parameter, subject))
    if condition.modifier == "not-in":
        return not _in_vocabulary(condition, subject)
    return any(_value(condition, v, subject) for v in condition.values)


def _in_vocabulary(condition: Match, subject: Subject) -> bool:
    found = subject.found(condition.parameter)
    return any(compare.token(token, found) for token in condition.members)


def _value(condition: Match, value: Value, subject: Subject) -> bool:
    if condition.parameter == "_id":
        return isinstance(value, Token) and not value.system and value.code == subject.resource.get("id")
    if isinstance(value, Words):
        return search_words.holds(value.tree, subject.words(condition.parameter))
    if isinstance(value, Parts):
        return _composite(condition, value, subject)
    if isinstance(value, Text) and condition.kind == "token":
        return any(fold(shown).startswith(fold(value.text)) for shown in _shown(condition.parameter, subject))
    if isinstance(value, Number) and value.prefix == "co":
        return any(compare.covers(value, one) for one in _reached(condition.parameter, subject))
    if isinstance(value, Text) and condition.modifier == "exact":
        return normalize("NFC", value.text) in _texts(condition.parameter, subject)
    return bool(_compare(condition.kind, condition.modifier)(value, _found(condition, subject)))


def _found(condition: Match, subject: Subject) -> Found:
    if condition.parameter == "_lastUpdated":
        updated = subject.resource.get("meta", {}).get("lastUpdated")
        return {"dates": [moment_range(updated)]} if updated else {}
    return subject.found(condition.parameter)


def _compare(kind: str, modifier: str) -> Callable[[Any, Found], bool]:
    return _COMPARE.get((kind, modifier)) or _COMPARE[kind, ""]


_COMPARE: dict[tuple[str, str], Callable[[Any, Found], bool]] = {
    ("date", ""): compare.date,
    ("number", ""): compare.number,
    ("quantity", ""): compare.number,
    ("reference", ""): compare.reference,
    ("reference", "identifier"): compare.identifier,
    ("string", ""): compare.starts,
    ("string", "contains"): compare.contains,
    **{("string", operator): compare.folded(operator) for operator in compare.TEXTS},
    ("token", ""): compare.token,
    ("token", "of-type"): compare.typed_identifier,
    ("special", ""): compare.place,
    ("uri", ""): compare.uri,
    ("uri", "above"): compare.uri_above,
    ("uri", "below"): compare.uri_below,
}


def _reached(code: str, subject: Subject) -> Iterator[Any]:
    """The values of a parameter as they stand in the resource."""
    p = plan(subject.type)
    for number in p.parameters.get(code, ()):
        yield from (value for value, _ in reached(subject.resource, subject.type, p.atoms[number].path))


def _other(condition: Match, item: Found) -> bool:
    return not any(isinstance(v, Token) and compare.token(v, item) for v in condition.values)


def _items(code: str, subject: Subject) -> Iterator[Found]:
    """What each single value of a token parameter can be found by: the codings of a concept belong together."""
    p = plan(subject.type)
    apart: set[int] = set()
    for number in p.parameters.get(code, ()):
        for value, kind in reached(subject.resource, subject.type, p.atoms[number].path):
            if kind == "CodeableConcept" and not p.atoms[number].path.exists:
                apart.add(number)
                codings = value.get("coding") or [{}]
                yield {"tokens": [(one.get("system", ""), one.get("code", "").lower()) for one in codings]}
    for name, row in values(subject.rows, code):
        if row[0] not in apart and name != "typed":
            yield {name: [row[1:]]}


def _texts(code: str, subject: Subject) -> set[str]:
    """The strings of a parameter to the letter; an accent may be part of its letter or follow it."""
    return {normalize("NFC", str(text)) for text in _reached(code, subject)}


def _shown(code: str, subject: Subject) -> Iterator[str]:
    """What people read of a token: the text of a concept, the displays of its codings, the text of an identifier's type."""
    p = plan(subject.type)
    for number in p.parameters.get(code, ()):
        for value, _ in reached(subject.resource, subject.type, p.atoms[number].path):
            if isinstance(value, dict):
                parts = [value, *value.get("coding", ()), value.get("type", {})]
                yield from (part[key] for part in parts for key in ("text", "display") if key in part)


# --- composites


def _composite(condition: Match, value: Parts, subject: Subject) -> bool:
    """Is there an element of which every component fits?"""
    parameter = search_parameter(subject.type, condition.parameter)
    if parameter is None:
        return False
    kinds = [p.type for p in component_parameters(subject.type, parameter)]
    return any(
        all(
            _compare(kind, "")(part, _component(subject, element, type, condition.parameter, number))
            for number, (kind, part) in enumerate(zip(kinds, value.parts, strict=True))
        )
        for path in paths(parameter.expression, subject.type)
        for element, type in reached(subject.resource, subject.type, path)
    )


def _component(subject: Subject, element: dict[str, Any], type: str, code: str, number: int) -> Found:
    """What one component of a composite has at this element (or, with %resource, at the resource)."""
    at_root, extractor = _component_extractor(subject.type, type, code, number)
    lists = extractor(subject.resource if at_root else element, subject.base)
    return {name: [row[1:] for row in rows] for name, rows in zip(LISTS, lists, strict=True) if rows}


@cache
def _component_extractor(resource_type: str, type: str, code: str, number: int) -> tuple[bool, Extractor]:
    parameter = search_parameter(resource_type, code)
    assert parameter is not None
    kind = component_parameters(resource_type, parameter)[number].type
    branches = paths(parameter.components[number][1], resource_type)
    at_root = branches[0].root
    return at_root, compiled(resource_type if at_root else type, [Atom(path, kind) for path in branches])


# --- the other conditions


def _missing(condition: Missing, subject: Subject) -> bool:
    return condition.missing != any(True for _ in values(subject.rows, condition.parameter))


def _chain(condition: Chain, subject: Subject) -> bool:
    world = _world(subject)
    branches = {branch.type: branch.conditions for branch in condition.branches}
    for type, id in subject.found(condition.parameter).get("references", ()):
        target = world.resolve(type, id) if type in branches else None
        if target is not None and holds_all(branches[type], subject.other(target)):
            return True
    wanted = {url for (url,) in subject.found(condition.parameter).get("urls", ()) if "|" in url}
    return bool(wanted) and any(
        known_as(other) & wanted and holds_all(branches[type], subject.other(other))
        for type in branches
        for other in world.all(type)
    )


def known_as(resource: dict[str, Any]) -> set[str]:
    """The canonicals under which others may refer to it: with its version, or with none."""
    url, version = resource.get("url"), resource.get("version")
    return {f"{url}{ANY_VERSION}", *([f"{url}|{version}"] if version else [])} if isinstance(url, str) else set()


def _has(condition: Has, subject: Subject) -> bool:
    here = (subject.type, subject.resource.get("id"))
    return any(
        here in other.found(condition.parameter).get("references", ()) and holds_all(condition.conditions, other)
        for other in map(subject.other, _world(subject).all(condition.type))
    )


def _world(subject: Subject) -> World:
    if subject.world is None:
        raise InvalidSearch("a chain can't be held against a single resource", mend="Search for it in the store.")
    return subject.world


def _compartment(condition: Compartment, subject: Subject) -> bool:
    own = {subject.resource.get("id")} if subject.type == "Patient" else set()
    return not (patients(subject.rows) | own).isdisjoint(condition.patients)


def _member(condition: Member, subject: Subject) -> bool:
    if (subject.type, subject.resource.get("id")) == (condition.owner, condition.id):
        return True
    return within(subject.rows, condition.owner, condition.id)


def _listed(condition: Listed, subject: Subject) -> bool:
    here, world = (subject.type, subject.resource.get("id")), _world(subject)
    for id in condition.lists:
        found = world.resolve("List", id)
        if (
            found is not None
            and here in entries(found, subject.base)
            and holds_all(condition.conditions, subject.other(found))
        ):
            return True
    return False


def entries(listing: dict[str, Any], base: str) -> set[tuple[str, str]]:
    """(type, id) of what stands in a List and is not marked deleted there."""
    items = [entry.get("item", {}) for entry in listing.get("entry", ()) if not entry.get("deleted")]
    return {local for item in items if (local := local_parts(item.get("reference", ""), base)) is not None}


_HOLDS: dict[type, Callable[[Any, Subject], bool]] = {
    Match: _match,
    Missing: _missing,
    Chain: _chain,
    Has: _has,
    Compartment: _compartment,
    Member: _member,
    Listed: _listed,
    Kin: lambda c, subject: holds(c.ways, subject),
    Filter: lambda c, subject: holds(c.condition, subject),
    AnyOf: lambda c, subject: any(holds(inner, subject) for inner in c.conditions),
    AllOf: lambda c, subject: holds_all(c.conditions, subject),
    NoneOf: lambda c, subject: not any(holds(inner, subject) for inner in c.conditions),
    Judged: lambda c, subject: c.decides(subject.resource),
}
