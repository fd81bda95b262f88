"""Where a row writes: a target path against the element tables of FHIR R4, or free JSON (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from suture.mapping.paths import Path, Step
from suture.mapping.sheet import Findings, Spot, nearest
from suture.standards.fhir import definitions

NUMBERS = ("integer", "positiveInt", "unsignedInt", "decimal")
TEXTS = frozenset(["string", "code", "id", "uri", "url", "canonical", "markdown", "oid", "uuid"])
QUANTITIES = frozenset(["Quantity", "Age", "Count", "Distance", "Duration", "Money", "SimpleQuantity", "MoneyQuantity"])
FREE = ""  # the type of everything in free JSON


@dataclass(frozen=True, slots=True)
class Place:
    """One step against the definitions: its JSON key, whether it is a list, the type of one item."""

    step: Step
    key: str
    many: bool
    kind: str


def resolve(path: Path, kind: str, spot: Spot, findings: Findings) -> tuple[Place, ...]:
    """The places of a path from a type on; empty (with a finding) when the type has no such element. `$this` has none."""
    if path[0].name == "$this":
        return ()
    places: list[Place] = []
    for step in path:
        place = _free(step) if kind == FREE else _place(step, kind, spot, findings)
        if place is None:
            return ()
        if place.key == "" and places:  # extension of a primitive: its sibling carries it
            before = places[-1]
            if before.many:
                findings.add(
                    spot,
                    f"an item of {before.key}[] can't carry an extension here",
                    "Write the extension of the whole element's parent.",
                )
                return ()
            places[-1] = Place(before.step, "_" + before.key, False, before.kind)
            place = Place(step, step.name, True, "Extension")
        places.append(place)
        kind = place.kind
    return tuple(places)


def _free(step: Step) -> Place:
    return Place(step, step.name, step.new or bool(step.label), FREE)


def _place(step: Step, kind: str, spot: Spot, findings: Findings) -> Place | None:
    definition = definitions.type_definition(kind)
    if definition is None:
        findings.add(spot, f"nothing is known about {kind}")
        return None
    if definition.kind == "primitive":
        if step.name == "extension":
            return Place(step, "", True, "Extension")
        findings.add(spot, f"{kind} is a primitive and has no parts", "Only extension may follow it.")
        return None
    found = definition.keys.get(step.name)
    if found is None:
        findings.add(spot, *_unknown(step, definition))
        return None
    element, type_ = found
    if (step.new or step.label) and not element.many:
        findings.add(spot, f"{element.path} is no list", f"Write {step.name} without brackets.")
        return None
    if type_ == "SimpleQuantity":
        type_ = "Quantity"
    return Place(step, step.name, element.many, type_)


def _unknown(step: Step, definition: definitions.TypeDefinition) -> tuple[str, str]:
    choice = definition.elements.get(step.name)
    if choice is not None and choice.choice:
        keys = [key for key, (element, _) in definition.keys.items() if element is choice]
        return (
            f"{definition.name}.{step.name} is a choice; the name must say the type",
            f"Known: {', '.join(keys[:12])}.",
        )
    return f"{definition.name} has no element '{step.name}'", nearest(step.name, definition.keys)


def is_primitive(kind: str) -> bool:
    definition = definitions.type_definition(kind) if kind else None
    return definition is not None and definition.kind == "primitive"


def is_resource(kind: str) -> bool:
    return kind in definitions.RESOURCE_TYPES


def text_fits(kind: str) -> bool:
    """Whether text may be written into the type as it is."""
    return kind == FREE or kind in TEXTS or kind == "xhtml"


def fits(made: str, kind: str) -> bool:
    """Whether a value of type `made` may stand where `kind` is asked for."""
    if FREE in (made, kind) or made == kind or kind in ("Resource", "DomainResource"):
        return True
    if made in QUANTITIES and kind in QUANTITIES:
        return True
    if made in TEXTS and kind in TEXTS:
        return True
    if made == "date" and kind == "dateTime":
        return True
    if made in ("positiveInt", "unsignedInt") and kind in ("integer", "decimal", "unsignedInt"):
        return True
    if made == "integer" and kind == "decimal":
        return True
    return made == "BackboneElement" and "." in kind


def constant(value: Any, kind: str) -> Iterable[tuple[str, str]]:
    """What is wrong with a constant written into a type: text and mend."""
    if kind == FREE:
        return
    if is_primitive(kind):
        yield from _primitive(value, kind)
        return
    if not isinstance(value, dict):
        yield (
            f"{kind} is a structure, here is {'text' if isinstance(value, str) else 'a single value'}",
            _structure_mend(kind),
        )
        return
    definition = definitions.type_definition(kind)
    for key, part in value.items():
        found = definition.keys.get(key) if definition else None
        if key == "resourceType" and is_resource(kind):
            continue
        if found is None:
            yield f"{kind} has no element '{key}'", nearest(key, definition.keys if definition else ())
            continue
        element, type_ = found
        if element.many != isinstance(part, list):
            yield f"{element.path} is {'a list' if element.many else 'no list'}", ""
            continue
        for item in part if isinstance(part, list) else [part]:
            yield from constant(item, type_)


def _structure_mend(kind: str) -> str:
    return (
        "Write set: {coding: [{system: …, code: …}]}, or to: ….text."
        if kind == "CodeableConcept"
        else "Write a mapping."
    )


def _primitive(value: Any, kind: str) -> Iterable[tuple[str, str]]:
    if kind == "boolean":
        if not isinstance(value, bool):
            yield "a boolean is true or false", ""
    elif kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{kind} is a number", ""
        elif kind != "decimal" and not isinstance(value, int):
            yield f"{kind} is a whole number", ""
    elif not isinstance(value, str):
        yield f"{kind} is text", f"Put it into quotes: '{value}'" if isinstance(value, int | float) else ""
