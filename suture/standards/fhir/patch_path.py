"""FHIRPath Patch: add, insert, delete, replace and move in a Parameters resource (https://hl7.org/fhir/R4/fhirpatch.html)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from suture.errors import Inapplicable, Invalid
from suture.standards.fhir.definitions import Element, type_definition
from suture.standards.fhir.fhirpath import EMPTY, Environment
from suture.standards.fhir.patch_place import Place, children, definition_of, locate

MOST = 1000  # operations of one patch
_PARTS = {"type", "path", "name", "value", "index", "source", "destination"}


class Step(NamedTuple):
    """One operation as it was sent. `value` is the part that holds it; `where` its place in the Parameters."""

    type: str
    path: str
    parts: dict[str, dict[str, Any]]
    where: str

    def text(self, name: str) -> str:
        found = _primitive(self.parts.get(name, {}))
        if not isinstance(found, str) or not found:
            raise Invalid(f"this operation needs a {name}", where=f"{self.where}.{name}")
        return found

    def number(self, name: str) -> int:
        found = _primitive(self.parts.get(name, {}))
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise Invalid(f"this operation needs a whole number as {name}", where=f"{self.where}.{name}")
        return found


def apply(resource: dict[str, Any], parameters: dict[str, Any], environment: Environment = EMPTY) -> dict[str, Any]:
    """The resource with the operations done in their order; the one that came is left as it is.

    Raises Invalid for what is no patch, Inapplicable when a path finds nothing or several; both name the operation.
    """
    patched = deepcopy(resource)
    for step in steps(parameters):
        _OPERATIONS[step.type](patched, step, environment)
        if step.type == "delete":
            _prune(patched)
    return patched


def _prune(value: dict[str, Any]) -> None:
    """Takes out what a deletion left empty: an element has a value or children (ele-1)."""
    for key, child in list(value.items()):
        rows = child if isinstance(child, list) else [child]
        for row in rows:
            if isinstance(row, dict):
                _prune(row)
        if isinstance(child, list):
            child[:] = [row for row in child if row != {}]
        if child in ({}, []):
            del value[key]


def steps(parameters: dict[str, Any]) -> list[Step]:
    """The operations of a Parameters resource."""
    rows = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(rows, list) or len(rows) > MOST:
        raise Invalid(
            "a FHIRPath Patch is a Parameters resource", where="Parameters", mend=f"Send at most {MOST} operations."
        )
    return [_step(row, f"Parameters.parameter[{n}]") for n, row in enumerate(rows)]


def _step(row: Any, where: str) -> Step:
    parts = row.get("part") if isinstance(row, dict) and row.get("name") == "operation" else None
    if not isinstance(parts, list):
        raise Invalid("each parameter is an operation with parts", where=where, mend='Write "name": "operation".')
    named: dict[str, dict[str, Any]] = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if name not in _PARTS or name in named:
            raise Invalid(
                "not a part of an operation, or there twice", where=where, mend=f"Known: {', '.join(sorted(_PARTS))}."
            )
        named[name] = part
    step = Step("", "", named, where)
    type = step.text("type")
    if type not in _OPERATIONS:
        raise Invalid("not an operation", where=f"{where}.type", mend=f"One of {', '.join(_OPERATIONS)}.")
    return Step(type, step.text("path"), named, where)


def _primitive(part: dict[str, Any]) -> Any:
    return next((v for k, v in part.items() if k.startswith("value") and not isinstance(v, dict | list)), None)


# --- the five operations


def _add(resource: dict[str, Any], step: Step, environment: Environment) -> None:
    """Appends to a list, or sets what is not there."""
    place, name = _one(resource, step, environment), step.text("name")
    element, value = _element(place, name, step), None
    key, value = _made(place, element, step)
    if element.many:
        place.value.setdefault(key, []).append(value)
    elif children(place, element.name):
        raise Inapplicable("it is there already", where=f"{step.where}.name", mend="Use replace.")
    else:
        place.value[key] = value


def _insert(resource: dict[str, Any], step: Step, environment: Environment) -> None:
    parent, name = _split(step)
    place = _only(locate(resource, parent, f"{step.where}.path", environment), step)
    element = _element(place, name, step)
    key, value = _made(place, element, step)
    rows, at = place.value.get(key, []), step.number("index")
    if not element.many or at > len(rows):
        raise Inapplicable(
            "the list has no such place", where=f"{step.where}.index", mend=f"It has {len(rows)} entries."
        )
    _level(place.value, key)
    rows.insert(at, value)
    place.value[key] = rows
    if f"_{key}" in place.value:
        place.value[f"_{key}"].insert(at, None)


def _delete(resource: dict[str, Any], step: Step, environment: Environment) -> None:
    """What is not there need not be deleted."""
    found = locate(resource, step.path, f"{step.where}.path", environment)
    if not found:
        return
    place = _only(found, step)
    container = _inner(place, step)
    if place.index is None:
        container.pop(place.key, None)
        container.pop(f"_{place.key}", None)
        return
    for key in (place.key, f"_{place.key}"):
        rows = container.get(key)
        if rows is not None and place.index < len(rows):
            del rows[place.index]
            if not rows:
                del container[key]


def _replace(resource: dict[str, Any], step: Step, environment: Environment) -> None:
    place = _one(resource, step, environment)
    container = _inner(place, step)
    parent = Place(container, _parent_type(resource, place))
    key, value = _made(parent, _element(parent, place.name, step), step)
    if place.index is not None:
        container[key][place.index] = value
        return
    container.pop(f"_{place.key}", None)
    if key != place.key:
        container.pop(place.key, None)  # a choice of another type
    container[key] = value


def _move(resource: dict[str, Any], step: Step, environment: Environment) -> None:
    parent, name = _split(step)
    place = _only(locate(resource, parent, f"{step.where}.path", environment), step)
    rows = place.value.get(name)
    source, destination = step.number("source"), step.number("destination")
    if not isinstance(rows, list) or max(source, destination) >= len(rows):
        raise Inapplicable("the list has no such place", where=f"{step.where}.source", mend="Both count from 0.")
    _level(place.value, name)
    for key in (name, f"_{name}"):
        if key in place.value:
            place.value[key].insert(destination, place.value[key].pop(source))


# --- what they share


def _one(resource: dict[str, Any], step: Step, environment: Environment) -> Place:
    return _only(locate(resource, step.path, f"{step.where}.path", environment), step)


def _only(found: list[Place], step: Step) -> Place:
    if len(found) != 1:
        text = "the path finds several elements" if found else "the path finds nothing"
        raise Inapplicable(text, where=f"{step.where}.path", mend="It must find exactly one element.")
    return found[0]


def _inner(place: Place, step: Step) -> dict[str, Any]:
    if place.container is None:
        raise Inapplicable(
            "the resource itself can't be changed so", where=f"{step.where}.path", mend="Use PUT or DELETE."
        )
    return place.container


def _split(step: Step) -> tuple[str, str]:
    """The path of the list's owner, and the list's name."""
    parent, _, name = step.path.rpartition(".")
    if not parent or not name.isidentifier():
        raise Invalid(
            "the path must end with the name of a list", where=f"{step.where}.path", mend="Write Patient.name."
        )
    return parent, name


def _level(container: dict[str, Any], key: str) -> None:
    """A list of primitives and its list of extensions are made equally long, so that they move together."""
    rows, shadows = container.get(key), container.get(f"_{key}")
    if isinstance(rows, list) and isinstance(shadows, list):
        shadows += [None] * (len(rows) - len(shadows))


def _element(place: Place, name: str, step: Step) -> Element:
    definition = definition_of(place)
    elements = {} if definition is None or not isinstance(place.value, dict) else definition.elements
    element = elements.get(name.removesuffix("[x]"))
    if element is None and definition is not None and name in definition.keys:
        element = definition.keys[name][0]
    if element is None:
        raise Invalid("the element has no such child", where=f"{step.where}.name", mend="Name an element as R4 does.")
    return element


def _parent_type(resource: dict[str, Any], place: Place) -> str:
    """The type of what holds the place: looked for from the root, for a place knows only its own."""
    found = _typed(Place(resource, resource["resourceType"]), place.container)
    return found or resource["resourceType"]


def _typed(here: Place, wanted: dict[str, Any] | None) -> str:
    if here.value is wanted:
        return here.type
    definition = definition_of(here)
    for name in definition.elements if definition is not None and isinstance(here.value, dict) else ():
        for child in children(here, name):
            found = _typed(child, wanted) if isinstance(child.value, dict) else ""
            if found:
                return found
    return ""


def _made(place: Place, element: Element, step: Step) -> tuple[str, Any]:
    """The JSON key and value of the operation's value, for this element of this place."""
    part = step.parts.get("value")
    if part is None:
        raise Invalid("this operation needs a value", where=f"{step.where}.value")
    kind, value = _value(part, f"{step.where}.value", element, place)
    definition = definition_of(place)
    for key, (found, type) in (definition.keys if definition else {}).items():
        if found is element and (not element.choice or type == kind):
            return key, value
    raise Invalid(
        "the element has no value of this type", where=f"{step.where}.value", mend=f"One of {', '.join(element.types)}."
    )


def _value(part: dict[str, Any], where: str, element: Element, place: Place) -> tuple[str, Any]:
    """The type and the JSON of a value, of a resource, or of parts that make up an element without a type name."""
    keys = [key for key in part if key.startswith("value")]
    if len(keys) + ("resource" in part) + ("part" in part) != 1:
        raise Invalid("a value is one value, resource or list of parts", where=where)
    if "resource" in part:
        return "Resource", deepcopy(part["resource"])
    if "part" in part:
        return element.types[0], _anonymous(part["part"], element, where)
    name = keys[0].removeprefix("value")
    kind = name if type_definition(name) is not None else name[:1].lower() + name[1:]
    return kind, deepcopy(part[keys[0]])


def _anonymous(parts: Any, element: Element, where: str) -> dict[str, Any]:
    """An element of a resource's own, such as Patient.contact, from its children."""
    if not isinstance(parts, list):
        raise Invalid("part must be a list", where=where)
    made: dict[str, Any] = {}
    place = Place(made, element.types[0])
    for number, part in enumerate(parts):
        name = part.get("name") if isinstance(part, dict) else None
        step = Step("add", "", {"value": part} if isinstance(part, dict) else {}, f"{where}.part[{number}]")
        child = _element(place, name if isinstance(name, str) else "", step)
        key, value = _made(place, child, step)
        if child.many:
            made.setdefault(key, []).append(value)
        elif key in made:
            raise Invalid("this child comes once", where=step.where)
        else:
            made[key] = value
    return made


_OPERATIONS: dict[str, Callable[[dict[str, Any], Step, Environment], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
