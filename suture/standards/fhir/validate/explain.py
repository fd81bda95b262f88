"""Looks closely at what is not surely valid and names every finding: the precise half of the validator.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import zip_longest
from typing import Any

from suture.errors import Issue, SutureError, TooCostly
from suture.standards.fhir.definitions import RESOURCE_TYPES, Element, Invariant, type_definition, value_set
from suture.standards.fhir.narrative import finding
from suture.standards.fhir.validate.contained import broken_rules, contained_ids
from suture.standards.fhir.validate.formulas import holds
from suture.standards.fhir.validate.primitives import FINE, FORMS, MENDS
from suture.standards.fhir.validate.rules import NATIVE, Rule
from suture.standards.fhir.validate.shapes import (
    ELSEWHERE,
    Kind,
    Shape,
    bound_codes,
    inner_kind,
    resource_shape,
    shape,
    surely,
)
from suture.standards.fhir.words import WORDS

RESTFUL = re.compile(
    r"(?:https?://[^\x00-\x20#?]+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
MOST_NAMED = 8  # codes that a mend lists
MOST_FINDINGS = 200  # of one resource; nobody reads more, and looking for names that are alike takes its time


class Enough(Exception):
    """There are more findings than are told."""


@dataclass(slots=True)
class Findings:
    """What was found so far, and the resource it was found in."""

    resource: dict[str, Any]
    root: dict[str, Any]  # the resource that contains it, else itself
    issues: list[Issue] = field(default_factory=list)

    def add(self, path: str, code: str, text: str, mend: str = "", severity: str = "error") -> None:
        """Past the bound warnings are left out, and an error ends the search: no error hides behind warnings."""
        full = len(self.issues) >= MOST_FINDINGS
        if severity == "error" or not full:
            self.issues.append(Issue(severity, code, text, path, mend))
        if severity == "error" and full:
            raise Enough

    def inside(self, resource: dict[str, Any], contains: bool) -> Findings:
        """The same list, seen from a resource inside this one."""
        return Findings(resource, self.root if contains else resource, self.issues)


def explain_resource(value: Any, path: str, found: Findings) -> None:
    made = resource_shape(value)
    if made is not None:
        explain(made, value, path or made.definition.name, found)
    elif not isinstance(value, dict):
        found.add(path, "structure", f"A resource is an object, not {_json(value)}.", "Write {…}.")
    elif "resourceType" not in value:
        found.add(path, "structure", "The resource has no resourceType.", 'Begin with "resourceType": "…".')
    else:
        name = value["resourceType"]
        mend = _nearest(name, RESOURCE_TYPES, "Write a resource type of R4.")
        found.add(path, "structure", "The resourceType is none of R4's.", mend)


def explain(made: Shape, value: Any, path: str, found: Findings) -> None:
    """Every finding about a value that should have this shape."""
    if not isinstance(value, dict):
        found.add(path, "structure", f"{_named(made)} is an object, not {_json(value)}.", "Write {…}.")
        return
    before = len(found.issues)
    if made.definition.kind != "resource" and not value.keys() - {"id"}:
        found.add(path, "structure", "The element is empty.", "Fill it, or leave it out.")
        return
    seen: set[str] = set()
    for key, inner in value.items():
        if not surely(made.keys.get(key, _unknown), inner) and (owner := _owner(made, key)) not in seen:
            seen.add(owner)
            _key(made, owner, value, path, found)
    _required(made, value, path, found)
    _choices(made, value, path, found)
    if len(found.issues) == before:  # a rule makes sense only over sound content
        _rules(made, value, path, found)


def _unknown(_: Any) -> bool:
    return False


def _owner(made: Shape, key: str) -> str:
    """The key that `_key` stands beside."""
    name = key.removeprefix("_")
    return name if name in made.definition.keys else key


def _named(made: Shape) -> str:
    return made.definition.name


def _json(value: Any) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (str, "text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")


def _nearest(name: object, names: Any, otherwise: str) -> str:
    close = get_close_matches(name, list(names), 1) if isinstance(name, str) and len(name) < 80 else []
    return f"Did you mean '{close[0]}'?" if close else otherwise


# --- one key


def _key(made: Shape, key: str, value: dict[str, Any], path: str, found: Findings) -> None:
    if key == "resourceType" and made.definition.kind == "resource":
        return
    name = key.removeprefix("_")
    pair = made.definition.keys.get(name)
    if pair is None or (f"_{name}" in value and not _takes_sibling(pair[1])):
        key = key if pair is None else f"_{name}"
        mend = _nearest(name, made.definition.keys, "Remove it, or put it into an extension.")
        shown = key if re.fullmatch(r"\w{1,64}", key, re.ASCII) else "?"
        found.add(f"{path}.{shown}", "structure", f"{_named(made)} has no element of this name.", mend)
        return
    element, kind = pair
    place = f"{path}.{element.name}" + (f".ofType({kind})" if element.choice else "")
    if f"_{name}" in value:
        _primitive_pair(element, kind, value, name, place, found)
    elif element.many:
        _list(element, kind, value[key], place, found)
    else:
        _value(element, kind, value[key], place, found)


def _takes_sibling(kind: str) -> bool:
    definition = type_definition(kind)
    return definition is not None and definition.kind == "primitive" and kind != "xhtml"


def _list(element: Element, kind: str, value: Any, path: str, found: Findings) -> None:
    if not isinstance(value, list):
        found.add(path, "structure", f"This is a list, not {_json(value)}.", "Put it into […].")
        return
    if not value:
        found.add(path, "structure", "The list is empty.", "Fill it, or leave it out.")
    if element.max is not None and len(value) > element.max:
        found.add(path, "structure", f"At most {element.max} are allowed.", "Remove some.")
    for n, item in enumerate(value):
        _value(element, kind, item, f"{path}[{n}]", found)


def _value(element: Element, kind: str, value: Any, path: str, found: Findings) -> None:
    before = len(found.issues)
    if value is None:
        found.add(path, "structure", "null is not a value.", "Leave it out.")
    elif isinstance(value, list):
        found.add(path, "structure", "This is one value, not a list.", "Write it without […].")
    elif kind == "Resource":
        contains = element.name == "contained"
        explain_resource(value, path, found.inside(value, contains) if isinstance(value, dict) else found)
    elif kind == "xhtml":
        wrong = finding(value)
        if wrong:
            found.add(path, "invalid", *wrong)
    elif _takes_sibling(kind):
        _primitive(element, kind, value, path, found)
    else:
        explain(shape(inner_kind(element, kind)), value, path, found)
        _bound_concept(element, kind, value, path, found)
    if len(found.issues) == before:
        _own_rules(element, value, path, found)


# --- primitives


def _primitive(element: Element, kind: str, value: Any, path: str, found: Findings) -> None:
    wanted, mend = MENDS[kind]
    if kind in FINE and _json(value) != wanted and _json(value) != f"a {wanted}":
        found.add(path, "structure", f"The {kind} is written as {wanted}, not as {_json(value)}.", mend)
    elif value == "":
        found.add(path, "structure", "The text is empty.", "Fill it, or leave it out.")
    elif element.attribute and element.name == "id":
        if not surely(FINE["uri"], value):
            found.add(path, "value", "The id of an element holds no spaces.", "Write it without spaces.")
    elif not surely(FINE[kind], value):
        found.add(path, "value", f"This is no valid {kind}.", mend)
    else:
        _bound(element, value, path, found)


def _bound(element: Element, value: Any, path: str, found: Findings) -> None:
    codes = bound_codes(element)
    if codes is None or element.binding is None or surely(codes, value):
        return
    url = element.binding[1]
    if url in FORMS:
        found.add(path, "code-invalid", f"This is not {FORMS[url][1]}.", "Write its code.")
    else:
        found.add(path, "code-invalid", f"The code is not in the required value set {url}.", _codes(url, value))


def _codes(url: str, value: Any) -> str:
    codes = sorted({code for _, code in value_set(url) or ()})
    if len(codes) <= MOST_NAMED:
        return f"Write one of: {', '.join(codes)}."
    return _nearest(value, codes, "Write a code of the value set.")


def _bound_concept(element: Element, kind: str, value: Any, path: str, found: Findings) -> None:
    if element.binding is None or element.binding[0] != "required" or kind not in {"Coding", "CodeableConcept"}:
        return
    members = value_set(element.binding[1])
    if members is None or not isinstance(value, dict):
        return
    codings = [value] if kind == "Coding" else value.get("coding", [])
    pairs = (
        [(c.get("system"), c.get("code")) for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
    )
    if not any(pair in members for pair in pairs if all(isinstance(part, str) for part in pair)):
        url = element.binding[1]
        found.add(path, "code-invalid", f"No coding is of the required value set {url}.", _codes(url, ""))


def _primitive_pair(element: Element, kind: str, value: dict[str, Any], name: str, path: str, found: Findings) -> None:
    """A primitive with its `_name` beside it; in lists both are aligned and null fills the holes."""
    inner, beside = value.get(name), value[f"_{name}"]
    if not element.many:
        _both(element, kind, inner, beside, path, found, given=name in value)
        return
    for one, shown in ((inner, name), (beside, f"_{name}")):
        if one is not None and not isinstance(one, list):
            found.add(path, "structure", f"{shown} is a list, not {_json(one)}.", "Put it into […].")
            return
    if beside is None or (name in value and inner is None):
        found.add(path, "structure", "null is not a list.", "Leave it out.")
        return
    if not beside or (name in value and not inner):
        found.add(path, "structure", "The list is empty.", "Fill it, or leave it out.")
    if inner and len(inner) != len(beside):
        text = f"{name} and _{name} have not the same length."
        found.add(path, "structure", text, "Fill the holes with null, so that both are aligned.", "warning")
    for n, (one, sibling) in enumerate(zip_longest(inner or (), beside)):
        _both(element, kind, one, sibling, f"{path}[{n}]", found, given=one is not None, hole=True)


def _both(
    element: Element,
    kind: str,
    value: Any,
    sibling: Any,
    path: str,
    found: Findings,
    *,
    given: bool,
    hole: bool = False,
) -> None:
    if given:
        _value(element, kind, value, path, found)
    if sibling is None and hole:
        if not given:
            found.add(path, "structure", "Both lists hold null at this place.", "Leave it out of both.")
    elif given and isinstance(sibling, dict) and sibling.keys() == {"id"}:
        explain(shape(Kind("Element")), sibling | {"extension": _ONE}, path, found)
    else:
        explain(shape(Kind("Element")), sibling, path, found)


_ONE = [{"url": "urn:x", "valueBoolean": True}]  # stands for the value, which fills an element that has but an id


# --- what must be there, what excludes each other


def _required(made: Shape, value: dict[str, Any], path: str, found: Findings) -> None:
    for element in made.required:
        keys = _keys(element)
        if not any(key in value or f"_{key}" in value for key in keys):
            shown = f"{element.name}[x]" if element.choice else element.name
            mend = f"Add one of: {', '.join(keys[:MOST_NAMED])}." if element.choice else f"Add '{element.name}'."
            found.add(f"{path}.{element.name}", "required", f"{_named(made)} needs {shown}.", mend)


def _keys(element: Element) -> list[str]:
    if not element.choice:
        return [element.name]
    return [element.name + kind[0].upper() + kind[1:] for kind in element.types]


def _choices(made: Shape, value: dict[str, Any], path: str, found: Findings) -> None:
    for element in made.definition.elements.values():
        if element.choice and len(element.types) > 1:
            there = [key for key in _keys(element) if key in value or f"_{key}" in value]
            if len(there) > 1:
                text = f"Only one of {' and '.join(there)} is allowed."
                found.add(f"{path}.{element.name}", "structure", text, "Keep one of them.")


# --- rules


def _rules(made: Shape, value: dict[str, Any], path: str, found: Findings) -> None:
    for invariant, rule in made.rules:
        if not _keeps(rule, value):
            _fails(invariant, path, found)
    for invariant in made.later:
        if not holds(invariant, made.definition.name, value, found.resource, found.root):
            _fails(invariant, path, found)
    if made.definition.name == "Reference":
        _reference(made.kind.targets, value, path, found)
    if "contained" in value and found.resource is found.root and made.definition.kind == "resource":
        for key, place in broken_rules(value):
            found.add(path + place, "invariant", f"{key}: {WORDS[key]}")


def _keeps(rule: Rule, value: Any) -> bool:
    """A rule that can't be evaluated over a value is broken by it; one that takes too long is not."""
    try:
        return bool(rule(value))
    except TooCostly:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, SutureError):
        return False


def _fails(invariant: Invariant, path: str, found: Findings) -> None:
    told = invariant.text != invariant.key
    text = invariant.text if told else "A rule of this element does not hold."
    mend = "" if told else f"Must hold: {invariant.expression}"
    found.add(path, "invariant", f"{invariant.key}: {text}", mend)


def _own_rules(element: Element, value: Any, path: str, found: Findings) -> None:
    for invariant in element.invariants:
        if invariant.severity != "error" or invariant.key in ELSEWHERE:
            continue
        rule = NATIVE.get((element.path, invariant.key))
        kind = element.types[0] if not element.choice else ""
        if rule is not None:
            sound = _keeps(rule, value)
        else:
            sound = holds(invariant, kind, value, found.resource, found.root)
        if not sound:
            _fails(invariant, path, found)


# --- references


def _reference(targets: tuple[str, ...], value: dict[str, Any], path: str, found: Findings) -> None:
    kind = value.get("type")
    if kind is not None and targets and kind in RESOURCE_TYPES and kind not in targets:
        found.add(f"{path}.type", "invalid", f"The reference may not point to {kind}.", _targets(targets))
        return
    reference = value.get("reference")
    if reference is None:
        return
    if reference.startswith("#"):
        _local_reference(reference, targets, path, found)
        return
    match = RESTFUL.fullmatch(reference)
    if match is not None:
        _target(match[1] or match[2], kind, targets, f"{path}.reference", found, relative=":" not in reference)
    elif ":" not in reference:
        text, mend = "A relative reference is Type/id.", "Write Patient/123 or a full URL."
        found.add(f"{path}.reference", "invalid", text, mend, "warning")


def _local_reference(reference: str, targets: tuple[str, ...], path: str, found: Findings) -> None:
    inside = contained_ids(found.root)
    if reference == "#":
        return
    if reference[1:] not in inside:
        found.add(f"{path}.reference", "invariant", f"ref-1: {WORDS['ref-1']}", "Add it to contained, or mend the id.")
    elif inside[reference[1:]] in RESOURCE_TYPES:
        _target(inside[reference[1:]], None, targets, f"{path}.reference", found, relative=True)


def _target(target: str, kind: Any, targets: tuple[str, ...], path: str, found: Findings, *, relative: bool) -> None:
    if target not in RESOURCE_TYPES:
        if relative:
            mend = _nearest(target, RESOURCE_TYPES, "Write a resource type of R4.")
            found.add(path, "invalid", "The reference names no resource type of R4.", mend)
    elif targets and target not in targets:
        found.add(path, "invalid", f"The reference may not point to {target}.", _targets(targets))
    elif kind is not None and kind != target:
        found.add(
            path, "invalid", f"The reference points to {target}, its type says another.", "Let both say the same."
        )


def _targets(targets: tuple[str, ...]) -> str:
    return f"Point to one of: {', '.join(targets)}."
