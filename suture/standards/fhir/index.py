"""The door of the index: everything that must be kept beside a resource so that it can be found by every R4 search parameter.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from suture.errors import InvalidResource
from suture.standards.fhir.definitions import RESOURCE_TYPES, Own, own_of
from suture.standards.fhir.index_atoms import Atom, Plan, leaf_types, plan, plan_of
from suture.standards.fhir.index_compile import LISTS, Extractor, compiled
from suture.standards.fhir.index_taken import TAKEN

MOST_EXTRACTORS = 1000
RULES = 4  # raised when the same resources give other rows: databases then make their index anew


class Rows(NamedTuple):
    """What is indexed of one resource; each row begins with the number of its atom in `plan(type).atoms`.

    Empty codes and URLs stand for values that are there but can't be compared (a concept of text only), so that `:missing` is right.
    """

    type: str
    tokens: list[tuple[int, str, str]]  # system, code in small letters
    words: list[tuple[int, str]]  # tokens that are nearly unique and have no system: phone numbers, versions
    identifiers: list[tuple[int, str, str]]  # system, value
    typed: list[tuple[int, str, str, str]]  # system and code of an identifier's type, its value
    references: list[tuple[int, str, str]]  # type, id
    urls: list[tuple[int, str]]  # uris, canonicals, references to elsewhere
    strings: list[tuple[int, str]]  # folded
    dates: list[tuple[int, int, int]]  # [low, high) in microseconds
    quantities: list[tuple[int, str, str, str, float, float]]  # system, code, unit, low, high
    token_pairs: list[tuple[int, str, str, str, str]]  # of composites
    token_quantities: list[tuple[int, str, str, str, str, str, float, float]]
    mark: str = ""  # of the site's own parameters they were made with, when the type has some


_extractors: dict[tuple[str, str], Extractor] = {}  # (type, mark of the site's own parameters)


def _extractor(resource_type: str, site: Own) -> Extractor:
    found = _extractors.get((resource_type, site.mark))
    if found is None:
        if len(_extractors) > MOST_EXTRACTORS:
            _extractors.clear()
        found = compiled(resource_type, plan_of(resource_type, site).atoms)
        _extractors[resource_type, site.mark] = found
    return found


def extract(resource: dict[str, Any], base: str = "") -> Rows:
    """The rows of a resource that was validated; `base` (with its slash) begins absolute references to this server."""
    kind = resource.get("resourceType", "")
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        raise InvalidResource("no resource type that could be indexed", where="resourceType")
    site = own_of(kind)
    try:
        return Rows(kind, *_extractor(kind, site)(resource, base), site.mark)  # type: ignore[arg-type, call-arg]
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        raise InvalidResource(
            "a value that search looks at has a wrong form", where=kind, mend="Validate the resource to see which."
        ) from error


def atoms(resource_type: str, code: str) -> tuple[int, ...]:
    """The numbers of the atoms that a search parameter looks at."""
    return plan(resource_type).parameters.get(code, ())


def lists(resource_type: str) -> tuple[frozenset[str], ...]:
    """For each atom, the lists of Rows in which it can have rows."""
    return tuple(lists_of(resource_type, atom) for atom in plan(resource_type).atoms)


@lru_cache(maxsize=16384)
def lists_of(resource_type: str, atom: Atom) -> frozenset[str]:
    """The lists of Rows in which this atom can have rows."""
    return frozenset(_lists(resource_type, atom))


def _lists(resource_type: str, atom: Atom) -> Iterator[str]:
    if atom.pair:
        yield "token_pairs" if atom.second == "token" else "token_quantities"
    elif atom.path.exists:
        yield "tokens"
    else:
        taken = [TAKEN.get((atom.kind, kind), "") for kind in leaf_types(resource_type, atom.path)]
        yield from (name for name in LISTS if any(f"{name}((" in text for text in taken))


def values(rows: Rows, code: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """(name of the list, row) of everything that a search parameter looks at."""
    wanted = frozenset(atoms(rows.type, code))
    for name in LISTS:
        found: list[tuple[Any, ...]] = getattr(rows, name)
        for row in found:
            if row[0] in wanted:
                yield name, row


__all__ = ["RULES", "Atom", "Plan", "Rows", "atoms", "extract", "lists", "plan", "values"]
