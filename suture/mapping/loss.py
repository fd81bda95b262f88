"""What no row read: fields and segments of a message, values of JSON (docs/map-language.md)."""

from __future__ import annotations

from typing import Any

from suture.mapping import locations
from suture.mapping.generate_lines import Unit
from suture.mapping.model import Map
from suture.mapping.runtime import NOTHING
from suture.standards.hl7v2 import tables as v2

MOST = 200  # places told of one JSON document


class Unread:
    """For each segment the fields (and parts of fields) that a compiled map does not read."""

    def __init__(self, made: Map, unit: Unit) -> None:
        self.map = made
        self.unit = unit
        self.ignored = _ignored([made, *_all(made)])
        self.plans: dict[str, tuple[tuple[int, ...], int, tuple[tuple[int, frozenset[int]], ...]]] = {}
        for name, read in unit.fields.items():
            skip = self.ignored.get(name, {})
            last = max([len(v2.fields(name)), *read])
            unread = tuple(n for n in range(1, last + 1) if n not in read and n not in skip)
            partly = tuple(
                (number, frozenset(parts | skip.get(number, set())))
                for number, parts in read.items()
                if parts is not None
            )
            self.plans[name] = unread, last + 1, partly
        self.json_read = _json_paths(made) if made.kind in ("json", "fhir") else []

    def segment(self, name: str, cut: list[str]) -> list[str]:
        """The places of one segment."""
        unread, end, partly = self.plans.get(name, ((), 1, ()))
        length = len(cut)
        found = [f"{name}-{n}" for n in unread if n < length and cut[n] and cut[n] not in NOTHING]
        if length > end:
            found += [f"{name}-{n}" for n in range(end, length) if cut[n] not in NOTHING]
        for number, parts in partly:
            text = cut[number]
            if "^" in text:
                found += _parts(f"{name}-{number}", text, parts)
        return found

    def message(self, segments: dict[str, list[list[str]]]) -> list[str]:
        """The places of a whole message; a segment that no row reads is told by its name."""
        found: list[str] = []
        for name, cuts in segments.items():
            if name in self.ignored and 0 in self.ignored[name]:
                continue
            if name not in self.plans:
                found.append(name)
                continue
            for cut in cuts:
                for place in self.segment(name, cut):
                    if place not in found:
                        found.append(place)
        return found

    def json(self, content: Any) -> list[str]:
        """The paths of a document that hold something and that no row reads."""
        if not self.json_read and self.map.kind not in ("json", "fhir"):
            return []
        ignored = [tuple(name.split(".")) for name in self.map.ignore]
        found: list[str] = []
        _walk(content, (), [*self.json_read, *ignored], found)
        return found[:MOST]


def _parts(place: str, text: str, read: frozenset[int]) -> list[str]:
    found = set()
    for repetition in text.split("~"):
        for number, part in enumerate(repetition.split("^"), 1):
            if part and number not in read:
                found.add(number)
    return [f"{place}.{number}" for number in sorted(found)]


def _all(made: Map) -> list[Map]:
    found: list[Map] = []
    for used in made.uses.values():
        found += [used, *_all(used)]
    return found


def _ignored(maps: list[Map]) -> dict[str, dict[int, set[int]]]:
    """segment -> field -> parts; field 0 is the whole segment."""
    found: dict[str, dict[int, set[int]]] = {}
    for made in maps:
        for name in made.ignore:
            location = locations.read(name)
            if location is None:
                found.setdefault(name, {}).setdefault(0, set())
            elif location.of_segment:
                parts = found.setdefault(location.root, {}).setdefault(location.field, set())
                parts |= {location.component} if location.component else set()
    return found


# --- JSON

Way = tuple[str, ...]


def _json_paths(made: Map) -> list[Way]:
    """The beginnings of what rows of a JSON map read; `*` is anything."""
    return _row_paths(made, made.rows, (), {made.name})


def _row_paths(made: Map, rows: list[Any], start: Way, seen: set[str]) -> list[Way]:
    found: list[Way] = []
    for row in rows:
        own = [_ways(e.tree, start) for _, e in row.expressions()]
        flat = [way for ways in own for way in ways]
        inner = _ways(row.each.tree, start) if row.each else [w for e in row.source for w in _ways(e.tree, start)]
        if row.rows:
            for way in inner:
                found += _row_paths(made, row.rows, way, seen)
            found += [w for w in flat if w not in inner]
        elif row.using:
            for used in (made.uses[name] for name in row.using.maps.values() if name in made.uses):
                for way in inner:
                    found += _row_paths(used, used.rows, way, seen | {used.name}) if used.name not in seen else [way]
            found += [w for w in flat if w not in inner]
        else:
            found += flat
    return found


def _ways(node: Any, start: Way) -> list[Way]:
    """The paths an expression walks: a plain chain of names, and whatever else is in it from the start."""
    names: list[str] = []
    at = node
    while type(at).__name__ in ("Member", "Index") or (type(at).__name__ == "Call" and at.source is not None):
        if type(at).__name__ == "Member":
            names.insert(0, at.name)
        at = at.source
        if at is None:
            return [(*start, *names), *_arguments(node, start)]
    if type(at).__name__ == "External" and at.name == "root":
        return [tuple(names)]
    if type(at).__name__ == "Special":
        return [(*start, *names)]
    return [way for part in node.parts() for way in _ways(part, start)]


def _arguments(node: Any, start: Way) -> list[Way]:
    return []


def _walk(value: Any, way: Way, read: list[Way], found: list[str]) -> None:
    if value is None or value == "" or len(found) >= MOST:
        return
    if any(way[: len(known)] == known for known in read):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            _walk(item, (*way, key), read, found)
    elif isinstance(value, list):
        for item in value:
            _walk(item, way, read, found)
    elif way and ".".join(way) not in found and way != ("resourceType",):
        found.append(".".join(way))
