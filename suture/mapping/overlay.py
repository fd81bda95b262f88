"""Overlays: a map that extends another adds rows, changes them by id and drops them; places stay with what they belong to (docs/map-language.md)."""

from __future__ import annotations

from typing import Any

from suture.mapping.sheet import Findings, Items, Sheet, nearest

LISTS = {"rows": "id", "entries": "id"}
KEYED = ("tables", "ignore")
PLACING = ("before", "after", "drop")


def lay(base: Sheet, over: Sheet, findings: Findings) -> Sheet:
    """The base with the overlay on it; neither is changed."""
    made = base.copy()
    made.spot = over.spot
    for key in over:
        if key == "extends":
            continue
        if key in LISTS and isinstance(over[key], Items):
            inner = made.get(key)
            merged = _list(inner if isinstance(inner, Items) else Items(over.value_at(key)), over[key], findings)
            made.put(key, merged, over.at(key), over.value_at(key))
        elif key in KEYED and isinstance(over[key], Sheet) and isinstance(made.get(key), Sheet):
            made.put(key, _keyed(made[key], over[key]), over.at(key), over.value_at(key))
        else:
            made.take(over, key)
    if "examples" not in over:
        made.drop("examples")  # they show what the base does
    return made


def _keyed(base: Sheet, over: Sheet) -> Sheet:
    made = base.copy()
    for key in over:
        if over[key] is None:
            made.drop(key)
        else:
            made.take(over, key)
    return made


def _name(item: Any) -> str:
    if not isinstance(item, Sheet):
        return ""
    return f"group {item['group']}" if "group" in item else str(item.get("id", ""))


def _list(base: Items, over: Items, findings: Findings) -> Items:
    made = Items(over.spot)
    for item, spot in zip(base, base.spots, strict=True):
        made.put(item, spot)
    for item, spot in zip(over, over.spots, strict=True):
        names = [_name(known) for known in made]
        name = _name(item)
        if name and name in names:
            _change(made, names.index(name), item)
        elif isinstance(item, Sheet) and item.get("drop"):
            findings.add(item.value_at("id"), f"there is no '{name}' to drop", nearest(name, filter(None, names)))
        else:
            _add(made, item, spot, names, findings)
    return made


def _change(made: Items, position: int, item: Sheet) -> None:
    if item.get("drop"):
        del made[position], made.spots[position]
        return
    changed: Sheet = made[position].copy()
    changed.spot = item.spot
    for key in item:
        if key in PLACING:
            continue
        if item[key] is None:
            changed.drop(key)
        elif key in LISTS and isinstance(item[key], Items) and isinstance(changed.get(key), Items):
            changed.put(key, _list(changed[key], item[key], Findings()), item.at(key), item.value_at(key))
        else:
            _instead(changed, key)
            changed.take(item, key)
    made[position] = changed


# a key that comes takes the place of those that say the same thing in another way
ALTERNATIVES = (("from", "each", "set", "concat", "reference"), ("using", "rows", "as"))


def _instead(changed: Sheet, key: str) -> None:
    for group in ALTERNATIVES:
        if key in group:
            for other in group:
                changed.drop(other)


def _add(made: Items, item: Any, spot: Any, names: list[str], findings: Findings) -> None:
    before: int | None = None
    if isinstance(item, Sheet):
        item = item.copy()
        for key, shift in (("before", 0), ("after", 1)):
            beside = str(item.get(key, ""))
            if beside in names and beside:
                before = names.index(beside) + shift
            elif beside:
                findings.add(item.value_at(key), f"there is no '{beside}'", nearest(beside, filter(None, names)))
            item.drop(key)
    made.put(item, spot, before)
