"""How what a map made meets what is stored: absent stays, a value replaces, null deletes, some things are kept (docs/map-language.md).

`plan` is one value of `Result.merges`: {"deletes": [{path, matching}], "snapshot": [element that comes whole], "keep": [{if, elements}],
"clears": [element that goes when the event does not send it]}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from suture.standards.fhir import definitions, fhirpath
from suture.standards.fhir.fhirpath import Environment

Resource = dict[str, Any]
NO_PLAN: Mapping[str, Any] = {}
SERVER = ("resourceType", "id", "meta")
DEEP = ("Period",)  # datatypes whose parts come in different messages; any other value replaces as a whole
# what makes two items of a list the same one; others must be equal
SAME: dict[str, tuple[str, ...]] = {
    "Identifier": ("system", "value"),
    "ContactPoint": ("system", "value"),
    "Extension": ("url",),
    "Reference": ("reference",),
    "Resource": ("id",),
}


def merge(existing: Resource | None, mapped: Resource, plan: Mapping[str, Any] = NO_PLAN) -> Resource | None:
    """The resource to store; None when what is stored stays as it is. Neither argument is changed."""
    if existing is None:
        return mapped
    kept = _kept(existing, mapped, plan)
    if kept is None:
        return None
    made = {**existing}
    for delete in plan.get("deletes", ()):
        _delete(made, delete["path"].split("."), delete.get("matching") or {})
    snapshot = frozenset(plan.get("snapshot", ()))
    _over(made, mapped, existing["resourceType"], snapshot)
    for path in plan.get("clears", ()):
        _clear(made, mapped, path.split("."), existing["resourceType"])
    if "meta" in mapped:
        made["meta"] = _meta(existing.get("meta", {}), mapped["meta"])
    for name in kept:
        _restore(made, existing, name)
    if "contained" in made:
        _prune(made)
    return made


def _kept(existing: Resource, mapped: Resource, plan: Mapping[str, Any]) -> list[str] | None:
    """The elements that stay; None when everything does."""
    names: list[str] = []
    if not plan.get("keep"):
        return names
    environment = Environment(variables={"new": mapped})
    for keep in plan["keep"]:
        if fhirpath.compile(keep["if"]).holds(existing, environment):
            if not keep.get("elements"):
                return None
            names += keep["elements"]
    return names


def _restore(made: Resource, existing: Resource, name: str) -> None:
    keys = _keys(existing["resourceType"], name) or (name,)
    for key in [*keys, *(f"_{key}" for key in keys)]:
        made.pop(key, None)
        if key in existing:
            made[key] = existing[key]


@cache
def _keys(kind: str, name: str) -> tuple[str, ...]:
    """The JSON keys of an element: several for a choice, none when the type has it not."""
    definition = definitions.type_definition(kind)
    if definition is None:
        return (name,)
    return tuple(key for key, (element, _) in definition.keys.items() if element.name == name)


# --- delete


def _clear(holder: Resource, mapped: Any, path: list[str], kind: str) -> None:
    """Takes away what the event did not send; a choice under whichever of its names."""
    names = _keys(kind, path[0])
    for name in names:
        if len(path) == 1 and not (isinstance(mapped, dict) and any(other in mapped for other in names)):
            holder.pop(name, None)
            holder.pop(f"_{name}", None)
        elif len(path) > 1 and isinstance(holder.get(name), dict):
            inner = holder[name] = {**holder[name]}
            below = mapped.get(name) if isinstance(mapped, dict) else None
            definition = definitions.type_definition(kind)
            _clear(inner, below, path[1:], definition.keys[name][1] if definition else "")
            if not inner:
                del holder[name]


def _delete(holder: Resource, path: list[str], matching: Mapping[str, Any]) -> None:
    name = path[0]
    value = holder.get(name)
    if len(path) > 1:
        if isinstance(value, dict):
            inner = holder[name] = {**value}
            _delete(inner, path[1:], matching)
            if not inner:
                del holder[name]
        return
    if matching and isinstance(value, list):
        left = [item for item in value if not _matches(item, matching)]
        if left:
            holder[name] = left
            return
    holder.pop(name, None)
    holder.pop(f"_{name}", None)


def _matches(item: Any, matching: Mapping[str, Any]) -> bool:
    return isinstance(item, dict) and all(item.get(key) == value for key, value in matching.items())


# --- replace and unite


def _over(made: Resource, mapped: Resource, kind: str, snapshot: frozenset[str]) -> None:
    definition = definitions.type_definition(kind)
    keys = definition.keys if definition else {}
    for key, value in mapped.items():
        if key in SERVER:
            continue
        element, type_ = keys.get(key) or keys.get(key.removeprefix("_")) or (None, "")
        if element is not None and element.choice:
            _only(made, key.removeprefix("_"), _keys(kind, element.name))
        before = made.get(key)
        if key[0] != "_" and f"_{key}" in made and f"_{key}" not in mapped and before != value:
            del made[f"_{key}"]  # it spoke of the old value
        if before == value:
            made[key] = value  # in the form it came in: 72.50 for 72.5
        elif isinstance(value, list) and isinstance(before, list) and key not in snapshot:
            made[key] = united(before, value, type_)
        elif isinstance(value, dict) and isinstance(before, dict) and key not in snapshot and deep(type_):
            made[key] = {**before}
            _over(made[key], value, type_, frozenset())
            if type_ == "Period" and _inverted(made[key]):
                made[key] = value  # what is stored belongs to another stay
        else:
            made[key] = value


def deep(type_: str) -> bool:
    """Whether a value of this type is united part by part (periods and backbone elements)."""
    return type_ in DEEP or "." in type_


def _inverted(period: Mapping[str, Any]) -> bool:
    """Whether a period starts after its end."""
    start, end = str(period.get("start", "")), str(period.get("end", ""))
    if not start or not end:
        return False
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return False
    size = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
    return start[:size] > end[:size]


def _only(made: Resource, key: str, choices: tuple[str, ...]) -> None:
    """Of a choice only one stays."""
    for other in choices:
        if other != key:
            made.pop(other, None)
            made.pop(f"_{other}", None)


def united(before: list[Any], coming: list[Any], kind: str) -> list[Any]:
    """Both lists in one: an item that comes takes the place of the same one; order stays."""
    made = list(before)
    marks = SAME.get(kind, ())
    places: dict[Any, int] = {}
    for number, item in enumerate(made):
        for key in _alike(item, marks):
            places.setdefault(key, number)
    for item in coming:
        keys = _alike(item, marks)
        place = next((places[key] for key in keys if key in places), len(made))
        if place == len(made):
            made.append(item)
        made[place] = item
        for key in keys:
            places[key] = place
    return made


def _alike(item: Any, marks: tuple[str, ...]) -> list[Any]:
    """What makes an item the same as another: its content, and its marks when it has all of them."""
    keys = [_frozen(item)]
    if marks and isinstance(item, dict) and all(mark in item for mark in marks):
        keys.append(("marks", *(_frozen(item[mark]) for mark in marks)))
    return keys


def _frozen(value: Any) -> Any:
    """A value that can be a key: equal values have equal ones."""
    if isinstance(value, dict):
        return frozenset((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return (bool, value) if isinstance(value, bool) else value


def _meta(before: Mapping[str, Any], coming: Mapping[str, Any]) -> dict[str, Any]:
    made = {**before}
    for key, value in coming.items():
        old = made.get(key)
        made[key] = united(old, value, "") if isinstance(value, list) and isinstance(old, list) else value
    return made


def _prune(made: Resource) -> None:
    """Contained resources to which nothing points any more go."""
    used = set(_references({key: value for key, value in made.items() if key != "contained"}))
    held = {item.get("id"): item for item in made["contained"]}
    todo = [name for name in used if name in held]
    while todo:
        for name in _references(held[todo.pop()]):
            if name in held and name not in used:
                used.add(name)
                todo.append(name)
    made["contained"] = [item for item in made["contained"] if item.get("id") in used]
    if not made["contained"]:
        del made["contained"]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        target = value.get("reference")
        if isinstance(target, str) and target.startswith("#"):
            yield target[1:]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
