"""The elements of a StructureDefinition stand where the type has elements, and name what fits there.

https://hl7.org/fhir/R4/elementdefinition.html · https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import extensions, rows, text, texts
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.profiles.reached import Step, steps
from suture.standards.fhir.profiles.slices import is_a, type_of

ANY = frozenset[str]()  # nobody can tell
_INHERIT = "http://hl7.org/fhir/StructureDefinition/inherit-obligations"
_OBLIGING = tuple(
    f"http://hl7.org/fhir/StructureDefinition/{name}" for name in ("obligation-profile-flag", "obligation-profile")
)
_ABSTRACT = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})


def elements(node: Node) -> Iterator[Issue]:
    """Every element of a profile's differential."""
    if text(node.value, "derivation") != "constraint" or type_definition(text(node.value, "type")) is None:
        return
    for number, row in rows(node.value.get("differential"), "element"):
        place = f"{node.path}.differential.element[{number}]"
        path = text(row, "path")
        types = _at(path) if path.partition(".")[0] == text(node.value, "type") else ANY
        if types is None:
            yield error(
                f"{place}.path", "The type has no element of this path.", "Is it written as R4 has it?", "value"
            )
            continue
        yield from _types(place, row)
        yield from _discriminators(place, row, types)


def _at(path: str) -> frozenset[str] | None:
    """The types an element may have; None when there is no such element."""
    names = path.split(".")
    found: frozenset[str] | None = frozenset({names[0]})
    for name in names[1:]:
        found = _below(found, name) if found else found
    return found


def _below(types: frozenset[str], name: str) -> frozenset[str] | None:
    """The types of a child; `value[x]`, or `valueString`; nobody can tell what stands inside any resource."""
    plain, found = name.removesuffix("[x]"), set[str]()
    for kind in types:
        definition = type_definition(kind)
        if definition is None or kind in _ABSTRACT:
            return ANY
        element = definition.elements.get(plain)
        if element is not None and (element.choice or not name.endswith("[x]")):
            found |= set(element.types)
        elif plain in definition.keys:
            found.add(definition.keys[plain][1])
    return frozenset(found) or None


def _types(place: str, row: dict[str, Any]) -> Iterator[Issue]:
    """A profile that an element must keep is one of the element's type."""
    for number, kind in rows(row, "type"):
        code = text(kind, "code")
        for at, url in enumerate(texts(kind, "profile")):
            about = type_of(url)
            if about and code not in ("", *_ABSTRACT) and about != code and not is_a(code, about):
                yield error(
                    f"{place}.type[{number}].profile[{at}]",
                    "The profile is one of another type.",
                    f"It must be one of {code}.",
                )


def _discriminators(place: str, row: dict[str, Any], types: frozenset[str]) -> Iterator[Issue]:
    slicing = row.get("slicing")
    for number, one in rows(slicing, "discriminator"):
        if _lost(types, steps(text(one, "path"))):
            mend = "Name an element of the values that are sliced."
            yield error(f"{place}.slicing.discriminator[{number}].path", "The path leads to no element.", mend, "value")


def _lost(types: frozenset[str], way: list[Step]) -> bool:
    found: frozenset[str] | None = types
    for step in way:
        if not found or step.resolve:
            return False
        found = (
            frozenset({"Extension"}) if step.url else frozenset({step.kind}) if step.kind else _below(found, step.name)
        )
        if found is None:
            return True
    return False


def inherited(node: Node) -> Iterator[Issue]:
    """Obligations come from profiles that are there for that, and that stand on the same base.

    https://hl7.org/fhir/extensions/StructureDefinition-inherit-obligations.html
    """
    for number, row in rows(node.value, "extension"):
        known = node.around.definition("StructureDefinition", text(row, "valueCanonical"))
        if text(row, "url") != _INHERIT or known is None:
            continue
        place = f"{node.path}.extension[{number}].value"
        if not any(True in extensions(known, url) for url in _OBLIGING):
            yield error(place, "This profile is not marked as one of obligations.", f"Mark it: {_OBLIGING[0]}.")
        elif text(known, "baseDefinition") != text(node.value, "baseDefinition"):
            yield error(
                place, "This profile stands on another base.", "Obligations come from profiles of the same base."
            )


RULES = (Rule("StructureDefinition", elements), Rule("StructureDefinition", inherited))
