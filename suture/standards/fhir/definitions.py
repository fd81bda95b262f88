"""The facts of FHIR R4 as tables, read on demand from the package's own files: https://hl7.org/fhir/R4/definition.html"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from suture.standards.fhir.words import WORDS

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule of an element: a FHIRPath that must hold there."""

    key: str
    severity: str  # error | warning
    expression: str
    text: str  # in our words, or the key


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. `path` and `name` are without the `[x]` of a choice."""

    path: str
    name: str
    min: int
    max: int | None  # None: any number
    types: tuple[str, ...]  # type names; children of its own (or a contentReference): their path, 'Patient.contact'
    choice: bool = False
    targets: tuple[str, ...] = ()  # of a Reference or canonical; empty: any
    binding: tuple[str, str] | None = None  # strength, value set
    summary: bool = False
    modifier: bool = False
    attribute: bool = False  # an attribute in XML
    profiles: tuple[str, ...] = ()  # a profile its type must follow, 'SimpleQuantity'
    invariants: tuple[Invariant, ...] = ()  # that its type has not

    @property
    def many(self) -> bool:
        return self.max is None or self.max > 1


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A resource type, a datatype, or the children of a backbone element (named by its path)."""

    name: str
    kind: str  # resource | complex | primitive | backbone
    parent: str  # '' for Element and Resource
    abstract: bool
    elements: dict[str, Element]  # all of them, inherited too, by name
    keys: dict[str, tuple[Element, str]]  # JSON key -> element and type: 'valueQuantity' -> (value, 'Quantity')
    invariants: tuple[Invariant, ...] = ()  # inherited ones too


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter as it stands for one resource type (a union over types is cut to this one)."""

    code: str
    type: str  # token | string | reference | date | number | quantity | uri | composite | special
    expression: str  # FHIRPath from the resource; '' when there is none (_text, _content, _filter, _query)
    url: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = field(default=())  # url of the parameter, expression
    own: bool = False  # of the site, not of R4
    built: bool = True  # False: rows written from now on have it, those from before are being indexed


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """The search parameters a site has besides R4's: resource type -> code -> parameter. `mark` names this very set.

    What is made of a set is kept by the object, so that looking it up costs next to nothing.
    """

    mark: str = ""
    parameters: Mapping[str, Mapping[str, SearchParameter]] = field(default_factory=dict)


NO_OWN = Own()


class Rows:
    """A JSON Lines file whose rows begin with their name; a row is parsed when it is asked for."""

    def __init__(self, file: str) -> None:
        raw = (files("suture.standards.fhir.r4") / file).read_bytes()
        self.lines = {line[2 : line.index(b'"', 2)].decode(): line for line in raw.splitlines()}

    def get(self, name: str) -> list[Any] | None:
        line = self.lines.get(name)
        return None if line is None else json.loads(line)


@cache
def _rows(file: str) -> Rows:
    return Rows(file)


def _kept(read: Callable[[str], R]) -> Callable[[str], R]:
    """Remembers what was found; a name that is not there is not remembered, so that strangers can't fill memory."""
    known: dict[str, R] = {}

    def get(name: str) -> R:
        if name in known:
            return known[name]
        value = read(name)
        if value is not None:
            known[name] = value
        return value

    return get


# --- types


@_kept
def type_definition(name: str) -> TypeDefinition | None:
    """`Patient`, `HumanName`, `string`, or `Patient.contact`; None when R4 has no such type."""
    found = _rows("types.jsonl").get(name)
    if found is None:
        return None
    _, kind, parent, abstract, rows, own = found
    elements = {row[0]: _element(name, *row) for row in rows}
    above = type_definition(parent) if parent else None
    invariants = (above.invariants if above else ()) + _invariants(own)
    return TypeDefinition(name, kind, parent, bool(abstract), elements, _keys(elements), invariants)


def _element(
    owner: str,
    name: str,
    low: int,
    high: int | None,
    types: list[str],
    flags: str = "",
    targets: tuple[str, ...] | list[str] = (),
    binding: tuple[str, ...] | list[str] = (),
    profiles: tuple[str, ...] | list[str] = (),
    invariants: tuple[()] | list[list[str]] = (),
) -> Element:
    return Element(
        path=f"{owner}.{name}",
        name=name,
        min=low,
        max=high,
        types=tuple(types),
        choice="c" in flags,
        targets=tuple(targets),
        binding=(binding[0], binding[1]) if binding else None,
        summary="s" in flags,
        modifier="m" in flags,
        attribute="a" in flags,
        profiles=tuple(profiles),
        invariants=_invariants(invariants),
    )


def _keys(elements: dict[str, Element]) -> dict[str, tuple[Element, str]]:
    found: dict[str, tuple[Element, str]] = {}
    for name, element in elements.items():
        for kind in element.types:
            key = name + kind[0].upper() + kind[1:] if element.choice else name
            found[key] = (element, kind)
    return found


def _invariants(rows: tuple[()] | list[list[str]]) -> tuple[Invariant, ...]:
    return tuple(Invariant(key, severity, expression, WORDS.get(key, key)) for key, severity, expression in rows)


def extension_row(url: str) -> list[Any] | None:
    """What R4 says of an extension it defines: url, modifier, contexts, rules, shape (closely/defined.py reads it)."""
    return _rows("extensions.jsonl").get(url)


def _resource_types() -> frozenset[str]:
    start = b'","resource",'
    rows = (json.loads(line) for line in _rows("types.jsonl").lines.values() if start in line[:60])
    return frozenset(row[0] for row in rows if not row[3])


@cache
def element_names(kind: str = "") -> frozenset[str]:
    """The names of all elements: of every type, or of those of one kind (`resource`)."""
    rows = (json.loads(line) for line in _rows("types.jsonl").lines.values())
    return frozenset(element[0] for row in rows if kind in ("", row[1]) for element in row[4])


# --- search parameters, compartments


@_kept
def _search_parameters(resource_type: str) -> dict[str, SearchParameter] | None:
    own = _rows("search.jsonl").get(resource_type)
    definition = type_definition(resource_type)
    if definition is None or definition.kind != "resource":
        return None
    above = _search_parameters(definition.parent) or {}
    return above | {row[0]: _search_parameter(*row) for row in (own or ["", []])[1]}


def _search_parameter(
    code: str,
    kind: str,
    expression: str,
    url: str,
    targets: tuple[str, ...] | list[str] = (),
    components: tuple[()] | list[list[str]] = (),
) -> SearchParameter:
    return SearchParameter(code, kind, expression, url, tuple(targets), tuple((c[0], c[1]) for c in components))


def r4_search_parameters(resource_type: str) -> dict[str, SearchParameter]:
    """R4's of a resource type by code, those of Resource and DomainResource too; empty for an unknown type."""
    return _search_parameters(resource_type) or {}


_own: Own = NO_OWN


def adopt(own: Own) -> None:
    """From now on these are the site's own search parameters: of one database, for a process serves one."""
    global _own
    _own = own


def own() -> Own:
    """The site's own search parameters."""
    return _own


def own_of(resource_type: str) -> Own:
    """The same as far as this type goes: the empty set for most types, so that what is made of it stays."""
    found = _own
    return found if resource_type in found.parameters else NO_OWN


def search_parameters(resource_type: str, site: Own | None = None) -> dict[str, SearchParameter]:
    """R4's and the site's own of a resource type, by code."""
    added = (_own if site is None else site).parameters.get(resource_type)
    standard = r4_search_parameters(resource_type)
    return {**standard, **added} if added else standard


def search_parameter(resource_type: str, code: str) -> SearchParameter | None:
    return search_parameters(resource_type).get(code)


@cache
def _compartments() -> dict[str, dict[str, tuple[str, ...]]]:
    rows = (json.loads(line) for line in _rows("compartments.jsonl").lines.values())
    return {name: {kind: tuple(codes) for kind, codes in members.items()} for name, members in rows}


def compartment(name: str) -> dict[str, tuple[str, ...]]:
    """Resource type -> the search parameters that put it in the compartment; `{def}` is the resource itself."""
    return _compartments().get(name, {})


# --- terminology


@_kept
def code_system(url: str) -> dict[str, str] | None:
    """Code -> display (maybe ''); None when the system's content is not part of R4."""
    found = _rows("codesystems.jsonl").get(url)
    return None if found is None else {row[0]: row[1] for row in found[1:]}


@_kept
def code_parents(url: str) -> dict[str, tuple[str, ...]] | None:
    """Code -> the codes right above it, for the code systems that are part of R4."""
    found = _rows("codesystems.jsonl").get(url)
    return None if found is None else {row[0]: tuple(row[2:]) for row in found[1:]}


@_kept
def value_set(url: str) -> frozenset[tuple[str, str]] | None:
    """Every (system, code) of a value set; None when R4 alone can't enumerate it. A `|version` is not read."""
    found = _rows("valuesets.jsonl").get(url.partition("|")[0])
    if found is None:
        return None
    whole = {system: code_system(system) or {} for system, codes in found[1].items() if codes == 0}
    return frozenset((s, code) for s, codes in found[1].items() for code in whole.get(s, codes))


RESOURCE_TYPES: frozenset[str] = _resource_types()
