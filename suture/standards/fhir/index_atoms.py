"""Which rows a search parameter looks at: parameters share atoms, so that each value is extracted once. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from suture.standards.fhir.definitions import (
    Own,
    SearchParameter,
    TypeDefinition,
    own_of,
    r4_search_parameters,
    search_parameters,
    type_definition,
)
from suture.standards.fhir.index_paths import Path, Step, paths

# tables that rows of a parameter kind can stand in
TOKENS, WORDS, REFERENCES, URLS, STRINGS, DATES, QUANTITIES = (
    "token",
    "word",
    "reference",
    "url",
    "string",
    "date",
    "quantity",
)
TYPED, IDENTIFIERS, TOKEN_PAIRS, TOKEN_QUANTITIES = "typed", "identifier", "token-token", "token-quantity"

PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}  # a string search looks at all of them
PAIRED = {("token", "token"): TOKEN_PAIRS, ("token", "quantity"): TOKEN_QUANTITIES}
OTHER = "*"


@dataclass(frozen=True, slots=True)
class Atom:
    """A set of values that is extracted once: a path, read as a kind; `part` is the share that this atom gets.

    References are shared out by the type they lead to, contact points by their system, when some parameter asks only for one.
    """

    path: Path
    kind: str  # token | string | reference | date | number | quantity | uri | composite
    part: str = ""  # '' : all
    pair: tuple[Path, Path] | None = None  # of a composite: first and second value below the path
    second: str = ""  # kind of the second value

    @property
    def name(self) -> str:
        """What the atom is called in the store; unique within resource type and table."""
        inner = f"({self.pair[0]})({self.pair[1]})" if self.pair else ""
        part = f">{self.part}" if self.part else ""
        return f"{self.path}{inner}{part}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The atoms of a resource type, and which of them each parameter looks at (by number)."""

    type: str
    atoms: tuple[Atom, ...]
    parameters: dict[str, tuple[int, ...]]


def plan(resource_type: str) -> Plan:
    """The plan of a resource type, made from its search parameters."""
    return plan_of(resource_type, own_of(resource_type))


@lru_cache(maxsize=1024)
def plan_of(resource_type: str, site: Own) -> Plan:
    """With these own parameters of a site, whose atoms stand behind R4's: the numbers of R4's are always the same."""
    shares = _shares(resource_type)
    numbers: dict[Atom, int] = {}
    parameters: dict[str, tuple[int, ...]] = {}
    for parameter in search_parameters(resource_type, site).values():
        made = _own_atoms if parameter.own else _atoms
        atoms = made(resource_type, parameter, shares)
        parameters[parameter.code] = tuple(numbers.setdefault(a, len(numbers)) for a in dict.fromkeys(atoms))
    return Plan(resource_type, tuple(numbers), parameters)


def _indexed(parameter: SearchParameter) -> bool:
    return bool(parameter.expression) and parameter.code not in ("_id", "_lastUpdated")


def _shares(resource_type: str) -> dict[str, list[str]]:
    """Path -> the target types, or systems, that some parameter asks for alone."""
    found: dict[str, list[str]] = {}
    for parameter in r4_search_parameters(resource_type).values():
        if _indexed(parameter) and parameter.type in ("reference", "token"):
            for path in paths(parameter.expression, resource_type):
                bare, part = _part(path)
                if part:
                    found.setdefault(str(bare), []).append(part)
    return found


def _part(path: Path) -> tuple[Path, str]:
    """The path without its last condition, and what that condition picks."""
    if path.resolves:
        return replace(path, resolves=""), path.resolves
    last = path.steps[-1] if path.steps else None
    if last is not None and last.where is not None and last.where[0] == "system":
        return replace(path, steps=(*path.steps[:-1], Step(last.name))), last.where[1]
    return path, ""


def _atoms(resource_type: str, parameter: SearchParameter, shares: dict[str, list[str]]) -> Iterator[Atom]:
    if not _indexed(parameter):
        return
    if parameter.type == "composite":
        yield from _pairs(resource_type, parameter)
        return
    for path in paths(parameter.expression, resource_type):
        bare, part = _part(path)
        if parameter.type == "string":
            yield from _string_atoms(resource_type, bare)
        elif str(bare) in shares:
            parts = [part] if part else [*dict.fromkeys(shares[str(bare)]), OTHER]
            yield from (Atom(bare, parameter.type, p) for p in parts)
        else:
            yield Atom(bare, parameter.type)


def _own_atoms(resource_type: str, parameter: SearchParameter, shares: dict[str, list[str]]) -> Iterator[Atom]:
    """Of a site's own parameter: where R4 shares values out, all shares; a type that references lead to is its target."""
    for path in paths(parameter.expression, resource_type):
        bare = replace(path, resolves="")
        if parameter.type == "string":
            yield from _string_atoms(resource_type, bare)
        else:
            parts = [*dict.fromkeys(shares[str(bare)]), OTHER] if str(bare) in shares else [""]
            yield from (Atom(bare, parameter.type, part) for part in parts)


def _string_atoms(resource_type: str, path: Path) -> Iterator[Atom]:
    """A name or an address is searched through all of its parts."""
    parts = dict.fromkeys(p for kind in leaf_types(resource_type, path) for p in PARTS.get(kind, ()))
    if not parts:
        yield Atom(path, "string")
    for part in parts:
        yield Atom(replace(path, steps=(*path.steps, Step(part))), "string")


def component_kinds(resource_type: str, parameter: SearchParameter) -> tuple[str, ...]:
    """The kinds of a composite's components."""
    by_url = {p.url: p.type for p in r4_search_parameters(resource_type).values()}
    return tuple(by_url[url] for url, _ in parameter.components)


def _pairs(resource_type: str, parameter: SearchParameter) -> Iterator[Atom]:
    """Composites of two values that have a posting of their own; the others are put together when searched."""
    kinds = component_kinds(resource_type, parameter)
    if len(kinds) != 2 or (kinds[0], kinds[1]) not in PAIRED:
        return
    inner = [paths(expression, resource_type) for _, expression in parameter.components]
    if any(len(branches) != 1 or branches[0].root for branches in inner):
        return
    for path in paths(parameter.expression, resource_type):
        yield Atom(path, "composite", pair=(inner[0][0], inner[1][0]), second=kinds[1])


# --- walking the definitions


def step_keys(definition: TypeDefinition, step: Step, casts: tuple[str, ...]) -> Iterator[tuple[str, str, bool]]:
    """(JSON key, type, is a list) of each way a step can go; the casts narrow a choice."""
    if step.name in definition.keys and step.name not in definition.elements:
        element, kind = definition.keys[step.name]
        yield step.name, kind, element.many
        return
    named = definition.elements.get(step.name)
    if named is None or definition.kind == "primitive":
        return  # of a choice, some types only may have it
    element = named
    for kind in element.types:
        if not casts or kind in casts:
            key = step.name + kind[0].upper() + kind[1:] if element.choice else step.name
            yield key, kind, element.many


@lru_cache(maxsize=4096)
def one_value(type: str, code: str) -> bool:
    """Has a resource at most one value of this parameter?"""
    made = plan(type)
    atoms = [made.atoms[number] for number in made.parameters.get(code, ())]
    return len(atoms) == 1 and not _many(type, atoms[0].path)


def _many(type: str, path: Path) -> bool:
    """Is there a list on the way?"""
    types = [type]
    for step in path.steps:
        ways = [way for t in types if (d := type_definition(t)) for way in step_keys(d, step, ())]
        if any(many for *_, many in ways):
            return True
        types = [kind for _, kind, _ in ways]
    return False


def leaf_types(type: str, path: Path) -> tuple[str, ...]:
    """The types of the values at the end of a path."""
    types = [type]
    for number, step in enumerate(path.steps):
        casts = path.casts if number == len(path.steps) - 1 else ()
        types = [kind for t in types if (d := type_definition(t)) for _, kind, _ in step_keys(d, step, casts)]
    return tuple(dict.fromkeys(types))
