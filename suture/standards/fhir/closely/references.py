"""References inside one Bundle lead to what they say, of a type that is allowed: https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import Iterator

import suture.standards.fhir.closely.within as within
from suture.errors import Issue
from suture.standards.fhir.closely.node import Node, Whole, is_resource
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.definitions import Element, type_definition


def target(node: Node) -> Iterator[Issue]:
    """What a reference leads to has the type that its address names, that Reference.type names, that the element allows."""
    reference = node.value.get("reference") if isinstance(node.value, dict) else None
    found = within.standing(node) if isinstance(reference, str) and not reference.startswith("#") else None
    if not isinstance(reference, str) or found is None:
        return
    targets = within.of(found[0]).to(reference, found[1].root)
    if len(targets) == 1:
        yield from _fits(node, reference, targets[0].type)


def _fits(node: Node, reference: str, type: str) -> Iterator[Issue]:
    named = within.type_named(reference) or type
    stated = node.value.get("type", type)
    allowed = _allowed(node)
    if named != type:
        yield error(node, f"The address names a {named}, but the entry holds a {type}.", "Mend the one or the other.")
    elif isinstance(stated, str) and stated != type and "/" not in stated:
        yield error(node, f"This leads to a {type}, which is not its type.", "Mend the type, or the reference.")
    elif allowed and type not in allowed:
        mend = f"Refer to one of: {', '.join(sorted(allowed))}."
        yield error(node, f"This leads to a {type}, which is not allowed here.", mend)


def _allowed(node: Node) -> tuple[str, ...]:
    element = _element(node)
    return () if element is None or "Resource" in element.targets else element.targets


def _element(node: Node) -> Element | None:
    owner, _, name = node.element.rpartition(".")
    definition = type_definition(owner)
    return definition.elements.get(name) if definition else None


def _seen(whole: Whole) -> set[tuple[int, str]]:
    return set()


def ids(node: Node) -> Iterator[Issue]:
    """An element's id is there once in its resource; those of a definition are there in both its views."""
    holder = node.value if isinstance(node.value, dict) else node.shadow
    own = holder.get("id") if holder else None
    if not isinstance(own, str) or is_resource(node) or node.type == "ElementDefinition":
        return
    key, seen = (id(node.resource.value), own), node.whole.once(_seen)
    if key in seen:
        yield error(node, "Another element of the resource has this id.", "Give each its own.", "duplicate")
    seen.add(key)


RULES = (Rule("Reference", target), Rule("*", ids))
