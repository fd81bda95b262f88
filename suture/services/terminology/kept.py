"""What a process keeps of stored terminology: found rows until something changes, and code systems that were read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from suture.standards.fhir import json
from suture.standards.terminology.code_system import CodeSystem, of_resource
from suture.store import terminology
from suture.store.connection import Connection
from suture.store.resources import Row

MOST_CODES = 2_000_000  # of all code systems that are kept
MOST_ROWS = 5_000  # URLs whose rows are kept

Key = tuple[int, int]  # row number, version


@dataclass(slots=True)
class Kept:
    """Shared by all callers; what it hands out is never changed."""

    mark: tuple[int, ...] = ()
    found: dict[tuple[str, ...], list[Row]] = field(default_factory=dict)
    systems: dict[Key, CodeSystem] = field(default_factory=dict)
    resources: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def fresh(self, connection: Connection) -> Kept:
        """Itself, after a look whether something was written since."""
        mark = terminology.mark(connection)
        if mark != self.mark:
            self.mark, self.found = mark, {}
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
        """A code system with its concepts; the oldest are forgotten when there are too many codes."""
        key = (row.rid, row.version)
        known = self.systems.get(key)
        if known is None:
            known = of_resource(json.reread(row.body))
            self.systems[key] = known
            while len(self.systems) > 1 and sum(len(s.displays) for s in list(self.systems.values())) > MOST_CODES:
                self.systems.pop(next(iter(self.systems)), None)
        return known
