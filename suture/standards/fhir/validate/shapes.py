"""Compiles each type of R4 to a yes-or-no function over dicts: the fast half of the validator.

https://hl7.org/fhir/R4/validation.html. A yes is final: the value is valid. A no means: look closely (explain.py), for
rare things (extensions on primitives, contained resources, local references) are not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from suture.errors import SutureError
from suture.standards.fhir.definitions import (
    RESOURCE_TYPES,
    Element,
    Invariant,
    TypeDefinition,
    type_definition,
    value_set,
)
from suture.standards.fhir.narrative import fine_div
from suture.standards.fhir.validate.contained import contained_ids
from suture.standards.fhir.validate.formulas import rule as formula
from suture.standards.fhir.validate.primitives import FINE, FORMS, Fine
from suture.standards.fhir.validate.rules import NATIVE, Rule, sqt_1
from suture.standards.fhir.words import WORDS

ELSEWHERE = {"ele-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"}  # checked by other rows of code
ID = r"[A-Za-z0-9\-.]{1,64}"


def _unmade(_: Any) -> bool:
    return False


def _never(_: Any) -> bool:
    return False


class Kind(NamedTuple):
    """Which type, and what its place asks of it."""

    name: str
    targets: tuple[str, ...] = ()  # of a Reference
    simple: bool = False  # a SimpleQuantity
    local: bool = False  # inside a resource that contains others: # references are looked up


@dataclass(slots=True)
class Shape:
    """A type as it is checked: what each key may hold, what must be there, which rules hold over the whole."""

    kind: Kind
    definition: TypeDefinition
    keys: dict[str, Fine] = field(default_factory=dict)
    required: tuple[Element, ...] = ()
    rules: tuple[tuple[Invariant, Rule], ...] = ()
    later: tuple[Invariant, ...] = ()  # invariants that look at the resource around the value
    fine: Fine = _unmade


Book = dict[Kind, Shape]
_shapes: Book = {}  # only whole shapes stand here, so that any thread may read it


def shape(kind: Kind) -> Shape:
    """The shape of a type; made once, with all that it can hold."""
    found = _shapes.get(kind)
    if found is None:
        book: Book = {}
        found = _make(kind, book)
        _shapes.update(book)
    return found


def inner_kind(element: Element, kind: str, local: bool = False) -> Kind:
    """What an element holds when it holds a `kind`."""
    targets = element.targets if kind == "Reference" else ()
    return Kind(kind, targets, kind == "Quantity" and "SimpleQuantity" in element.profiles, local)


def _make(kind: Kind, book: Book) -> Shape:
    """The shape from the finished ones, or a new one; what is being made stands in `book`."""
    if kind in _shapes or kind in book:
        return _shapes.get(kind) or book[kind]
    definition = type_definition(kind.name)
    assert definition is not None, kind.name
    book[kind] = made = Shape(kind, definition)
    made.required = tuple(e for e in definition.elements.values() if e.min > 0)
    made.rules, made.later = _sorted_rules(made)
    _fill_keys(made, book)
    made.fine = _never if made.later else _compiled(made)
    return made


def _fill_keys(made: Shape, book: Book) -> None:
    definition = made.definition
    for key, (element, kind) in definition.keys.items():
        made.keys[key] = _holder(element, _value(made, element, kind, book))
        if _primitive(kind) and not element.many:
            made.keys[f"_{key}"] = _sibling
    if definition.kind == "resource":
        made.keys["resourceType"] = RESOURCE_TYPES.__contains__
        if "contained" in made.keys:
            made.keys["contained"] = _fine_contained if made.kind.local else _never


def _sorted_rules(made: Shape) -> tuple[tuple[tuple[Invariant, Rule], ...], tuple[Invariant, ...]]:
    rules, later = [], []
    for invariant in made.definition.invariants:
        if invariant.severity != "error" or invariant.key in ELSEWHERE:
            continue
        rule = native(made.definition, invariant.key) or formula(invariant, made.definition.name)
        if rule is None:
            later.append(invariant)
        else:
            rules.append((invariant, rule))
    if made.kind.simple:
        rules.append((Invariant("sqt-1", "error", "comparator.empty()", WORDS["sqt-1"]), sqt_1))
    return tuple(rules), tuple(later)


def native(definition: TypeDefinition, key: str) -> Rule | None:
    """The native rule of a type, or of the type it stems from."""
    found = NATIVE.get((definition.name, key))
    above = type_definition(definition.parent) if definition.parent else None
    return native(above, key) if found is None and above is not None else found


def _primitive(kind: str) -> bool:
    definition = type_definition(kind)
    return definition is not None and definition.kind == "primitive"


# --- what a key may hold


def _value(made: Shape, element: Element, kind: str, book: Book) -> Fine:
    fine = _bare(made, element, kind, book)
    own = [i for i in element.invariants if i.severity == "error" and i.key not in ELSEWHERE]
    if not own:
        return fine
    rules = [NATIVE.get((element.path, i.key)) or formula(i, "" if element.choice else kind) for i in own]
    if None in rules:
        return _never
    return lambda value: fine(value) and all(rule(value) for rule in rules if rule)


def _bare(made: Shape, element: Element, kind: str, book: Book) -> Fine:
    if kind == "Resource":
        return fine_resource
    if kind == "xhtml":
        return fine_div
    if _primitive(kind):
        return _primitive_value(made, element, kind)
    inner = _make(inner_kind(element, kind, made.kind.local), book)
    bound = _concept(element, kind)
    if bound is not None:
        return lambda value: inner.fine(value) and bound(value)
    if inner.fine is not _unmade:
        return inner.fine
    return lambda value: inner.fine(value)  # it is being made: a type may hold itself


def _primitive_value(made: Shape, element: Element, kind: str) -> Fine:
    if element.path == "Reference.reference":
        return _local_reference(made.kind.targets) if made.kind.local else _reference(made.kind.targets)
    if element.path == "Reference.type" and made.kind.targets:
        return frozenset(made.kind.targets).__contains__
    if element.attribute and element.name == "id":
        return FINE["uri"]  # no spaces
    return bound_codes(element) or FINE[kind]


def bound_codes(element: Element) -> Fine | None:
    """Is it one of the codes of the required value set?"""
    if element.binding is None or element.binding[0] != "required":
        return None
    if element.binding[1] in FORMS:
        return FORMS[element.binding[1]][0]
    members = value_set(element.binding[1])
    return None if members is None else frozenset(code for _, code in members).__contains__


def _concept(element: Element, kind: str) -> Fine | None:
    """Has the CodeableConcept or Coding one of the codes of the required value set?"""
    if element.binding is None or element.binding[0] != "required" or kind not in {"CodeableConcept", "Coding"}:
        return None
    members = value_set(element.binding[1])
    if members is None:
        return None
    if kind == "Coding":
        return lambda value: (value.get("system"), value.get("code")) in members
    return lambda value: any((c.get("system"), c.get("code")) in members for c in value.get("coding", ()))


def _reference(targets: tuple[str, ...]) -> Fine:
    """Surely a reference to one of `targets`: relative, absolute, or a urn."""
    kinds = "|".join(sorted(targets or RESOURCE_TYPES))
    urn = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    pattern = rf"(?:https?://[^\x00-\x20#?]{{1,1000}}/)?(?:{kinds})/{ID}(?:/_history/{ID})?|{urn}"
    return re.compile(pattern).fullmatch


def _local_reference(targets: tuple[str, ...]) -> Fine:
    """The same, or `#id` of a contained resource of one of these types."""
    outside, allowed = _reference(targets), frozenset(targets or RESOURCE_TYPES)

    def fine_reference(text: str) -> Any:
        if text[:1] != "#":
            return outside(text)
        inside = _INSIDE.get()
        inside.used.add(text[1:])
        return inside.types.get(text[1:]) in allowed

    return fine_reference


def _holder(element: Element, fine: Fine) -> Fine:
    if not element.many:
        return fine
    most = element.max

    def fine_list(value: Any) -> bool:
        return type(value) is list and len(value) > 0 and all(map(fine, value)) and (most is None or len(value) <= most)

    return fine_list


def _sibling(value: Any) -> Any:
    """The id and extensions of a primitive."""
    return shape(Kind("Element")).fine(value)


# --- whole objects


def _compiled(made: Shape) -> Fine:
    rules = [rule for _, rule in made.rules]
    needed = tuple(e.name for e in made.required if not e.choice)
    choices = [e for e in made.definition.elements.values() if e.choice and len(e.types) > 1]
    if made.definition.name == "Reference":
        rules.append(_agrees)
    if choices:
        return _choosing(made, rules, needed, choices)
    needed += tuple(key for key, (e, _) in made.definition.keys.items() if e.choice and e.min > 0)
    return _plain(made.keys, rules, needed)


def _agrees(value: dict[str, Any]) -> bool:
    """The type that a reference says is the one that stands in it."""
    if "type" not in value or "reference" not in value:
        return True
    parts = value["reference"].partition("/_history/")[0].split("/")
    return len(parts) > 1 and parts[-2] == value["type"]


def _plain(keys: dict[str, Fine], rules: list[Rule], needed: tuple[str, ...]) -> Fine:
    def fine(value: Any) -> bool:
        if type(value) is not dict or (len(value) < 2 and (not value or "id" in value)):
            return False
        for key, inner in value.items():
            if not keys[key](inner):
                return False
        for name in needed:
            if name not in value:
                return False
        for rule in rules:  # noqa: SIM110 - all() with a generator costs a frame
            if not rule(value):
                return False
        return True

    return fine


def _choosing(made: Shape, rules: list[Rule], needed: tuple[str, ...], choices: Iterable[Element]) -> Fine:
    """For types with a choice: a bit says that one of its keys was there."""
    bits = {element.name: 1 << n for n, element in enumerate(choices)}
    wanted = sum(bits[e.name] for e in made.required if e.name in bits)
    slots: dict[str, tuple[Fine, int]] = {}
    for key, fine_value in made.keys.items():
        element = made.definition.keys.get(key.removeprefix("_"), (None, ""))[0]
        slots[key] = (fine_value, bits.get(element.name, 0) if element else 0)

    def fine(value: Any) -> bool:
        if type(value) is not dict or (len(value) < 2 and (not value or "id" in value)):
            return False
        seen = 0
        for key, inner in value.items():
            fine_value, bit = slots[key]
            if seen & bit or not fine_value(inner):
                return False
            seen |= bit
        if seen & wanted != wanted:
            return False
        for name in needed:
            if name not in value:
                return False
        for rule in rules:  # noqa: SIM110 - all() with a generator costs a frame
            if not rule(value):
                return False
        return True

    return fine


# --- resources


def resource_shape(value: Any, local: bool = False) -> Shape | None:
    """The shape of a resource; None when its resourceType is none of R4's."""
    name = value.get("resourceType") if type(value) is dict else None
    return shape(Kind(name, local=local)) if type(name) is str and name in RESOURCE_TYPES else None


def fine_resource(value: Any) -> Any:
    if "contained" in value:
        return _fine_container(value)
    found = resource_shape(value)
    return found is not None and found.fine(value)


@dataclass(frozen=True, slots=True)
class _Inside:
    """What the resource that is being checked contains, and what of it was referred to."""

    types: dict[str, str]
    used: set[str]


_INSIDE: ContextVar[_Inside] = ContextVar("inside")


def _fine_container(value: dict[str, Any]) -> bool:
    found = resource_shape(value, local=True)
    inside = _Inside(contained_ids(value), set())
    if found is None or len(inside.types) != len(value["contained"]):
        return False
    before = _INSIDE.set(inside)
    try:
        return bool(found.fine(value)) and inside.used >= inside.types.keys()
    finally:
        _INSIDE.reset(before)


def _fine_contained(value: Any) -> bool:
    for inner in value:
        found = resource_shape(inner, local=True)
        if found is None or "contained" in inner or "meta" in inner or not found.fine(inner):
            return False
    return len(value) > 0


def surely(fine: Fine, value: Any) -> bool:
    """A fast function meets an unknown key or a wrong type with an exception; that is a no."""
    try:
        return bool(fine(value))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, SutureError):
        return False
