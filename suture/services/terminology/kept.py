"""What a process keeps of stored terminology: found rows until something changes, and code systems that were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from suture.standards.fhir import json
from suture.standards.terminology.code_system import CodeSystem, Details, of_resource
from suture.store import terminology, terminology_loaded
from suture.store.connection import Connection
from suture.store.resources import Row
from suture.store.terminology_loaded import Loaded

MOST_CODES = 2_000_000  # of all code systems that are kept
SMALL = 5_000  # codes that are read at once
MOST_ROWS = 5_000  # URLs whose rows are kept

Key = tuple[int, int]  # row number, version; of what was loaded its number below zero, and when


class Cold(Exception):
    """A loaded code system is not in memory yet, and there is no time to read it here."""


@dataclass(slots=True)
class Kept:
    """Shared by all callers; what it hands out is never changed."""

    mark: tuple[int, ...] = ()
    found: dict[tuple[str, ...], list[Row]] = field(default_factory=dict)
    shelved: dict[str, list[Loaded]] = field(default_factory=dict)
    systems: dict[Key, CodeSystem] = field(default_factory=dict)
    resources: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def fresh(self, connection: Connection) -> Kept:
        """Itself, after a look whether something was written since."""
        mark = (*terminology.mark(connection), *terminology_loaded.mark(connection))
        if mark != self.mark:
            self.mark, self.found, self.shelved = mark, {}, {}
        return self

    def rows(self, connection: Connection, type: str, url: str, code: str = "url") -> list[Row]:
        """The rows that a URL names, as search finds them."""
        return self._found((type, url, code), lambda: terminology.named(connection, type, url, code))

    def every(self, connection: Connection, type: str, most: int) -> list[Row]:
        """All rows of a type."""
        return self._found((type,), lambda: terminology.every(connection, type, most))

    def _found(self, key: tuple[str, ...], look: Callable[[], list[Row]]) -> list[Row]:
        kept = self.found
        known = kept.get(key)
        if known is None:
            known = look()
            if len(kept) >= MOST_ROWS:
                kept.clear()
            kept[key] = known
        return known

    def resource(self, row: Row) -> dict[str, Any]:
        """A value set or a concept map as it stands."""
        key = (row.rid, row.version)
        known = self.resources.get(key)
        if known is None:
            known = json.reread(row.body)
            if len(self.resources) >= MOST_ROWS:
                self.resources.clear()
            self.resources[key] = known
        return known

    def system(self, row: Row) -> CodeSystem:
        """A stored code system with its concepts."""
        return self._system((row.rid, row.version), lambda: of_resource(json.reread(row.body)))

    def versions(self, connection: Connection, url: str) -> list[Loaded]:
        """What is loaded of a URL."""
        kept = self.shelved
        if url not in kept:
            if len(kept) >= MOST_ROWS:
                kept.clear()
            kept[url] = terminology_loaded.versions(connection, url)
        return kept[url]

    def loaded(self, connection: Connection, one: Loaded, quick: bool) -> CodeSystem:
        """A loaded code system; raises Cold when it has to be read first and `quick` says that it takes too long."""
        key = (-one.number, one.loaded)
        if quick and one.codes > SMALL and key not in self.systems:
            raise Cold
        return self._system(key, lambda: of_parts(one.head, terminology_loaded.parts(connection, one.number)))

    def _system(self, key: Key, read: Callable[[], CodeSystem]) -> CodeSystem:
        """The oldest are forgotten when there are too many codes."""
        known = self.systems.get(key)
        if known is None:
            known = self.systems[key] = read()
            while len(self.systems) > 1 and sum(len(s.displays) for s in list(self.systems.values())) > MOST_CODES:
                self.systems.pop(next(iter(self.systems)), None)
        return known


def of_parts(head: Mapping[str, Any], parts: Iterable[bytes]) -> CodeSystem:
    """A code system of the concepts that a load kept."""
    made = CodeSystem(head, {}, {}, {})
    for part in parts:
        for code, display, parents, properties, designations in orjson.loads(part):
            made.displays[code] = display
            if parents:
                made.parents[code] = tuple(parents)
            if properties or designations:
                made.details[code] = Details(properties, designations)
    return made
