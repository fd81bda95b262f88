"""Where a FHIRPath leads in a resource: containers and keys that a patch can change (https://hl7.org/fhir/R4/fhirpatch.html).

The engine gives values; a patch needs places. Paths of elements, [n], where(), first(), last(), single(), skip(), take(),
tail(), extension(), ofType() and `as` are walked here; what stands inside where() is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import suture.standards.fhir.fhirpath.parser as parser
import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import Inapplicable, Invalid
from suture.standards.fhir.definitions import TypeDefinition, type_definition
from suture.standards.fhir.fhirpath import EMPTY, Environment, compile

_MEND = "A patch path is made of elements, [n], where(), first(), last(), extension() and ofType()."


@dataclass(slots=True)
class Place:
    """One element: in `container` under `key`, in a list at `index`; `type` is its FHIR type.

    The root has no container.
    """

    value: Any
    type: str
    container: dict[str, Any] | None = None
    key: str = ""
    name: str = ""  # the element's name, without the type of a choice
    index: int | None = None
    shadow: Any = None  # the id and extensions of a primitive


def locate(resource: dict[str, Any], path: str, where: str, environment: Environment = EMPTY) -> list[Place]:
    """All places the path leads to; raises Invalid for a path that is more than a way through the resource."""
    syntax = parser.parse(path)
    return _Walk(resource, path, where, environment).of(syntax)


class _Walk:
    """One walk over the syntax tree, with the source text at hand for the parts that the engine judges."""

    def __init__(self, resource: dict[str, Any], path: str, where: str, environment: Environment) -> None:
        self.resource = resource
        self.path = path
        self.where = where
        self.environment = environment

    def of(self, syntax: tree.Syntax | None) -> list[Place]:
        if isinstance(syntax, tree.Member):
            return self._member(syntax)
        if isinstance(syntax, tree.Index):
            return _picked(self.of(syntax.source), self._number(syntax.index))
        if isinstance(syntax, tree.Call):
            return self._call(syntax)
        if isinstance(syntax, tree.TypeTest) and syntax.operator == "as":
            return [p for p in self.of(syntax.operand) if _is(p, syntax.name)]
        if syntax is None or (isinstance(syntax, tree.Special) and syntax.name == "$this"):
            return [Place(self.resource, self.resource["resourceType"])]
        raise self._refused()

    def _member(self, syntax: tree.Member) -> list[Place]:
        if syntax.source is None and syntax.name == self.resource["resourceType"]:
            return self.of(None)
        return [child for place in self.of(syntax.source) for child in children(place, syntax.name)]

    def _call(self, call: tree.Call) -> list[Place]:
        found = self.of(call.source)
        if call.name == "where" and len(call.arguments) == 1:
            return [place for place in found if self._holds(call.arguments[0], place)]
        if call.name == "extension" and len(call.arguments) == 1:
            url = self._text(call.arguments[0])
            return [c for p in found for c in children(p, "extension") if c.value.get("url") == url]
        if call.name == "ofType" and len(call.arguments) == 1 and isinstance(call.arguments[0], tree.Member):
            return [p for p in found if _is(p, call.arguments[0].name)]
        choose = _CHOOSE.get((call.name, len(call.arguments)))
        if choose is None:
            raise self._refused()
        return choose(found, [self._number(a) for a in call.arguments])

    def _holds(self, condition: tree.Syntax, place: Place) -> bool:
        """The engine compiles the criterion alone, on the element as its focus."""
        text = _argument(self.path, condition)
        criterion = compile(text)
        return criterion.holds(place.value, self.environment)

    def _number(self, syntax: tree.Syntax) -> int:
        value = syntax.values[0] if isinstance(syntax, tree.Literal) and len(syntax.values) == 1 else None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refused()
        return value

    def _text(self, syntax: tree.Syntax) -> str:
        value = syntax.values[0] if isinstance(syntax, tree.Literal) and len(syntax.values) == 1 else None
        if not isinstance(value, str):
            raise self._refused()
        return value

    def _refused(self) -> Invalid:
        return Invalid("this path does not lead through the resource", where=self.where, mend=_MEND)


def _argument(path: str, syntax: tree.Syntax) -> str:
    """The text of a function's one argument: from its beginning to the bracket that closes it."""
    start, depth, quote, at = _start(syntax) - 1, 0, "", 0
    for at in range(start, len(path)):
        letter = path[at]
        if quote:
            quote = "" if letter == quote and path[at - 1] != "\\" else quote
        elif letter in "'`\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth < 0:
                return path[start:at]
    return path[start : at + 1]


def _start(syntax: tree.Syntax) -> int:
    return min([syntax.column, *(_start(part) for part in syntax.parts())])


def children(place: Place, name: str) -> list[Place]:
    """The child elements of this name; a choice is found by its name without the type."""
    if not isinstance(place.value, dict):
        return []
    definition = definition_of(place)
    found: list[Place] = []
    for key, type in keys_of(definition, name, place.value):
        value, shadow = place.value.get(key), place.value.get(f"_{key}")
        if isinstance(value, list) or (value is None and isinstance(shadow, list)):
            shadows = shadow if isinstance(shadow, list) else []
            rows = value if isinstance(value, list) else [None] * len(shadows)
            found += [
                Place(row, type, place.value, key, name, n, shadows[n] if n < len(shadows) else None)
                for n, row in enumerate(rows)
            ]
        elif value is not None or shadow is not None:
            found.append(Place(value, type, place.value, key, name, None, shadow))
    return found


def definition_of(place: Place) -> TypeDefinition | None:
    """What the element's type says; a contained resource names its own."""
    named = place.value.get("resourceType") if isinstance(place.value, dict) else None
    return type_definition(named if isinstance(named, str) else place.type)


def keys_of(definition: TypeDefinition | None, name: str, value: dict[str, Any]) -> Sequence[tuple[str, str]]:
    """The JSON keys under which an element of this name stands (one, unless it is a choice), with their types."""
    if definition is None:
        return [(name, "")] if name in value or f"_{name}" in value else []
    there = ((key, type) for key, (element, type) in definition.keys.items() if element.name == name)
    return [(key, type) for key, type in there if key in value or f"_{key}" in value]


def _is(place: Place, type: str) -> bool:
    return place.type == type.removeprefix("FHIR.")


def _picked(places: list[Place], number: int) -> list[Place]:
    return places[number : number + 1] if number >= 0 else []


def _single(places: list[Place], _: list[int]) -> list[Place]:
    if len(places) > 1:
        raise Inapplicable("single() finds several elements", where="path", mend="Name one of them: [0], where(…).")
    return places


_CHOOSE: dict[tuple[str, int], Callable[[list[Place], list[int]], list[Place]]] = {
    ("first", 0): lambda places, _: places[:1],
    ("last", 0): lambda places, _: places[-1:],
    ("tail", 0): lambda places, _: places[1:],
    ("single", 0): _single,
    ("skip", 1): lambda places, n: places[max(n[0], 0) :],
    ("take", 1): lambda places, n: places[: max(n[0], 0)],
}
