"""What no row read: fields and segments of a message, values of JSON (docs/map-language.md)."""

from __future__ import annotations

from typing import Any

from suture.mapping import locations
from suture.mapping.generate_lines import Unit
from suture.mapping.model import Map, Row
from suture.mapping.runtime import NOTHING
from suture.standards.fhir.fhirpath import tree
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
        found: dict[str, None] = {}
        for name, cuts in segments.items():
            if name in self.ignored and 0 in self.ignored[name]:
                continue
            if name not in self.plans:
                found[name] = None
                continue
            for cut in cuts:
                found.update(dict.fromkeys(self.segment(name, cut)))
        return list(found)

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


def _row_paths(made: Map, rows: list[Row], start: Way, seen: set[str]) -> list[Way]:
    found: list[Way] = []
    for row in rows:
        main = [row.each] if row.each else list(row.source)
        items = [_path(e.tree, start, found) for e in main]
        if row.where:
            for item in items:
                _all_paths(row.where.tree, item if item is not None else start, found)
        for expression in [*row.concat, *([row.when] if row.when else [])]:
            _all_paths(expression.tree, start, found)
        below = [(made, row.rows)] if row.rows else _below(made, row, seen)
        for item in items:
            if item is None:
                continue
            if not below:
                found.append(item)
            for used, inner in below:
                found += _row_paths(used, inner, item, seen | {used.name})
    return found


def _below(made: Map, row: Row, seen: set[str]) -> list[tuple[Map, list[Row]]]:
    names = row.using.maps.values() if row.using else ()
    return [(made.uses[n], made.uses[n].rows) for n in names if n in made.uses and made.uses[n].name not in seen]


def _path(node: tree.Syntax | None, start: Way, found: list[Way]) -> Way | None:
    """The way a chain of names walks; conditions inside it go to `found`. None: it is no such chain."""
    if isinstance(node, tree.Member):
        before = _path(node.source, start, found) if node.source else start
        return None if before is None else (*before, node.name)
    if isinstance(node, tree.Index):
        return _path(node.source, start, found)
    if isinstance(node, tree.External) and node.name == "root":
        return ()
    if isinstance(node, tree.Special):
        return start
    if isinstance(node, tree.Call):
        before = _path(node.source, start, found) if node.source else start
        for argument in node.arguments:
            _all_paths(argument, before if before is not None else start, found)
        return before
    if node is not None:
        for part in node.parts():
            _all_paths(part, start, found)
    return None


def _all_paths(node: tree.Syntax, start: Way, found: list[Way]) -> None:
    way = _path(node, start, found)
    if way is not None:
        found.append(way)


def _begins(way: Way, known: Way) -> bool:
    """Whether a way begins with a known one; a choice (`value`) is met under its real name (`valueQuantity`)."""
    if len(way) < len(known):
        return False
    return all(a == b or (a.startswith(b) and a[len(b)].isupper()) for a, b in zip(way, known, strict=False))


def _walk(value: Any, way: Way, read: list[Way], found: list[str]) -> None:
    if value is None or value == "" or len(found) >= MOST:
        return
    if any(_begins(way, known) for known in read):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            _walk(item, (*way, key), read, found)
    elif isinstance(value, list):
        for item in value:
            _walk(item, way, read, found)
    elif way and ".".join(way) not in found and way != ("resourceType",):
        found.append(".".join(way))
