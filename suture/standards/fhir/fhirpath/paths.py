"""Steps of a path as closures: bare dictionary walks where the type is known, typed items elsewhere."""

from __future__ import annotations

from typing import Any

import suture.standards.fhir.fhirpath.model as model
from suture.standards.fhir.fhirpath.code import NONE, Code, Evaluation, Run
from suture.standards.fhir.fhirpath.values import Item, Many, child, type_of, typed_children, with_more


def this(kind: str | None, possible: tuple[str, ...] | None) -> Code:
    """`$this`."""

    def run(state: Evaluation, this: Any) -> list[Any]:
        return list(this) if type(this) is Many else [this]

    return Code(run, kind, possible=possible, this=True)


def member(source: Code, name: str) -> Code:
    """The children of that name; the caller has checked that they can be there."""
    kind = source.type
    if kind is None:
        narrow = _only_one(source, name)
        return member(narrow, name) if narrow else _dynamic(source, name)
    if kind.startswith("System."):
        return Code(_nothing, None, possible=())
    if model.primitive(kind):
        return _of_primitive(source, name)
    found = model.children(kind).get(name)
    if found is None:
        return Code(_nothing, None, possible=())
    if len(found.keys) > 1:
        return _choice(source, found)
    return keyed(source, found.keys[0][0], found.keys[0][1])


def keyed(source: Code, key: str, kind: str) -> Code:
    """The child under one JSON key of dictionaries."""
    static = model.static(kind)
    if model.primitive(kind):
        run = _head_primitive(key, kind) if source.this else _chain_primitive(source.run, key, kind)
    else:
        run = _head(key) if source.this else _chain(source.run, key)
    return Code(run, static, possible=(kind,), ordered=source.ordered)


def _nothing(state: Evaluation, this: Any) -> list[Any]:
    return NONE


def _rows(this: Any) -> list[dict[str, Any]]:
    """The dictionaries of a focus that is not one itself."""
    items = this if type(this) is Many else [this]
    bare = (item.value if type(item) is Item else item for item in items)
    return [item for item in bare if isinstance(item, dict)]


def _head(key: str) -> Run:
    def run(state: Evaluation, this: Any) -> list[Any]:
        try:
            value = this.get(key)
        except AttributeError:
            return _gathered(_rows(this), key)
        if value is None:
            return NONE
        if type(value) is list:
            return value if None not in value else [one for one in value if one is not None]
        return [value]

    return run


def _gathered(rows: list[Any], key: str) -> list[Any]:
    found: list[Any] = []
    for row in rows:
        value = row.get(key) if isinstance(row, dict) else None
        if isinstance(value, list):
            found.extend(one for one in value if one is not None)
        elif value is not None:
            found.append(value)
    return found


def _chain(source: Run, key: str) -> Run:
    def run(state: Evaluation, this: Any) -> list[Any]:
        items = source(state, this)
        if not items:
            return NONE
        state.left -= len(items)
        if state.left < 0:
            state.spend(0)
        found: list[Any] = []
        try:
            for item in items:
                value = item.get(key)
                if value is None:
                    continue
                if type(value) is list:
                    found += value
                else:
                    found.append(value)
        except AttributeError:
            return _gathered(items, key)
        return found if None not in found else [one for one in found if one is not None]

    return run


def _head_primitive(key: str, kind: str) -> Run:
    more = "_" + key

    def run(state: Evaluation, this: Any) -> list[Any]:
        try:
            if more in this:
                return with_more(this, key, kind)
            value = this.get(key)
        except (AttributeError, TypeError):
            return [one for row in _rows(this) for one in with_more(row, key, kind)]
        if value is None:
            return NONE
        if type(value) is list:
            return value if None not in value else [one for one in value if one is not None]
        return [value]

    return run


def _chain_primitive(source: Run, key: str, kind: str) -> Run:
    more = "_" + key

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = source(state, this)
        if not items:
            return NONE
        state.left -= len(items)
        if state.left < 0:
            state.spend(0)
        found: list[Any] = []
        try:
            for item in items:
                if more in item:
                    found += with_more(item, key, kind)
                    continue
                value = item.get(key)
                if value is None:
                    continue
                if type(value) is list:
                    found += value
                else:
                    found.append(value)
        except (AttributeError, TypeError):
            return [one for row in items if isinstance(row, dict) for one in with_more(row, key, kind)]
        return found if None not in found else [one for one in found if one is not None]

    return run


def _choice(source: Code, found: model.Child) -> Code:
    """A choice not yet narrowed: its items know their type; `as` and ofType() may still read the key itself."""
    keys = {**dict(found.keys), **{"_" + key: kind for key, kind in found.keys if model.primitive(kind)}}
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        rows = origin(state, this)
        state.spend(len(rows))
        out: list[Any] = []
        for row in rows:
            if type(row) is not dict:
                continue
            for key in row:
                if key in keys and (key[0] != "_" or key[1:] not in row):
                    out += typed_children(row, key.removeprefix("_"), keys[key])
        return out

    possible = tuple(kind for _, kind in found.keys)
    return Code(run, None, possible=possible, children=found.keys, source=source)


def _only_one(choice: Code, name: str) -> Code | None:
    """`value.unit`: of the types of a choice just one may have such a child, so its key is read itself."""
    fitting = [(key, kind) for key, kind in choice.children if name in model.children(kind)]
    if choice.source is None or len(fitting) != 1:
        return None
    return keyed(choice.source, *fitting[0])


def _of_primitive(source: Code, name: str) -> Code:
    """`extension` and `id` of a primitive stand in its sibling."""
    kind = {"extension": "Extension", "id": "string"}.get(name)
    if kind is None:
        return Code(_nothing, None, possible=())
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        rows = [item.more for item in origin(state, this) if type(item) is Item and item.more]
        return _gathered(rows, name)

    return Code(run, kind, possible=(kind,), ordered=source.ordered)


def _dynamic(source: Code, name: str) -> Code:
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = origin(state, this)
        state.spend(len(items))
        if len(items) == 1:
            return child(items[0], name)
        found: list[Any] = []
        for item in items:
            found += child(item, name)
        return found

    return Code(run, None, possible=_possible(source.possible, name), ordered=source.ordered)


def _possible(kinds: tuple[str, ...] | None, name: str) -> tuple[str, ...] | None:
    """What a child may be when its parent may be several types; None when that is open."""
    if not kinds or any(kind in model.ABSTRACT for kind in kinds):
        return None
    found = [model.children(kind).get(name) for kind in kinds]
    return tuple(dict.fromkeys(kind for one in found if one for _, kind in one.keys))


def narrowed(source: Code, kind: str) -> Code | None:
    """A choice read by the one key that has the type; None when it is no choice or has no such type."""
    if source.source is None:
        return None
    fitting = [(key, type_) for key, type_ in source.children if type_ == kind or _covers(kind, type_)]
    return keyed(source.source, *fitting[0]) if len(fitting) == 1 and fitting[0][1] == kind else None


def _covers(kind: str, other: str) -> bool:
    """Whether ofType(kind) keeps items of the other type too; primitives are taken exactly."""
    return not model.primitive(kind) and model.derives(other, kind)


def is_kind(item: Any, kind: str) -> bool:
    """Whether an item that knows its type is of a FHIR type."""
    own = type_of(item)
    return own is not None and model.derives(own, kind)
