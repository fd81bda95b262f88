"""Search parameters, and the capability statements that name them.

https://hl7.org/fhir/R4/searchparameter.html · https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import suture.standards.fhir.fhirpath.parser as parser
from suture.errors import Issue, SutureError
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import rows, text, texts
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.definitions import RESOURCE_TYPES, r4_search_parameters

_HEAD = re.compile(r"(?:^|\|)\s*\(*([A-Z][A-Za-z]+)\.")
_EVERY = frozenset({"Resource", "DomainResource"})


class Known(NamedTuple):
    """What is known of a search parameter: its type, and the resource types it is for."""

    type: str
    bases: frozenset[str]


@cache
def _of_r4() -> dict[str, Known]:
    found: dict[str, Known] = {}
    for kind in sorted(RESOURCE_TYPES | _EVERY):
        for one in r4_search_parameters(kind).values():
            was = found.get(one.url, Known(one.type, frozenset()))
            found[one.url] = Known(one.type, was.bases | {kind})
    return found


def known(node: Node, url: str) -> Known | None:
    """The search parameter of a canonical: the site's own or R4's."""
    plain = url.partition("|")[0]
    found = node.around.definition("SearchParameter", plain)
    return Known(text(found, "type"), frozenset(texts(found, "base"))) if found is not None else _of_r4().get(plain)


def parameter(node: Node) -> Iterator[Issue]:
    """A composite has components; a derived one has the type and bases of what it comes from; it speaks of its bases."""
    kind, bases = text(node.value, "type"), texts(node.value, "base")
    if kind == "composite" and sum(1 for _ in rows(node.value, "component")) < 2:
        yield error(node, "A composite search parameter has two or more components.", "Add them.", "required")
    above = known(node, text(node.value, "derivedFrom")) if "derivedFrom" in node.value else None
    if above is not None and kind != above.type:
        yield error(f"{node.path}.type", "It has another type than what it is derived from.", f"Write {above.type}.")
    for base in bases if above is not None and not above.bases & _EVERY else ():
        if above is not None and base not in above.bases:
            mend = f"One of: {', '.join(sorted(above.bases))[:300]}."
            yield error(f"{node.path}.base", "What it is derived from is not for this type.", mend)
    yield from _expression(node, text(node.value, "expression"), frozenset(bases))


def _expression(node: Node, expression: str, bases: frozenset[str]) -> Iterator[Issue]:
    if not expression:
        return
    try:
        parser.parse(expression)
    except SutureError:
        yield error(f"{node.path}.expression", "The expression is no FHIRPath.", "Mend it.", "value")
        return
    heads = {name for name in _HEAD.findall(expression) if name in RESOURCE_TYPES}
    if bases and not bases & _EVERY and heads and not heads & bases:
        mend = f"It is for {', '.join(sorted(bases))[:300]}."
        yield error(f"{node.path}.expression", "The expression speaks of none of the types it is for.", mend, "value")


def capabilities(node: Node) -> Iterator[Issue]:
    """The search parameters of a type have the type that they are defined with."""
    for one, rest in rows(node.value, "rest"):
        for two, resource in rows(rest, "resource"):
            place = f"{node.path}.rest[{one}].resource[{two}]"
            for three, row in rows(resource, "searchParam"):
                yield from _named(node, f"{place}.searchParam[{three}]", row)


def _named(node: Node, place: str, row: dict[str, Any]) -> Iterator[Issue]:
    defined = known(node, text(row, "definition")) if "definition" in row else None
    if defined is not None and text(row, "type") != defined.type:
        yield error(
            f"{place}.type", "The search parameter is defined with another type.", f"Write {defined.type}.", "value"
        )


RULES = (Rule("SearchParameter", parameter), Rule("CapabilityStatement", capabilities))
