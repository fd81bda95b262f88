"""The code systems, value sets and concept maps that one caller may use: those that are stored, then R4's own.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from suture.services.terminology.kept import Kept
from suture.standards.fhir import json
from suture.standards.terminology import core, implicit
from suture.standards.terminology.code_system import CodeSystem, supplemented
from suture.standards.terminology.compose import canonical
from suture.store.connection import Connection
from suture.store.resources import Row

Judge = Callable[[Row], bool]
_NUMBERS = re.compile(r"(\d{1,12})")
MOST_MAPS = 2_000
MOST_SYSTEMS = 2_000


def anyone(row: Row) -> bool:
    """The judge of what names nobody: who searches with a value set need not see it."""
    return True


@dataclass(slots=True)
class Shelf:
    """A Library (standards/terminology/compose.py) over one connection. `judged`: whether the caller may have a row."""

    connection: Connection
    kept: Kept
    judged: Judge = anyone
    quick: bool = False  # raise Cold rather than read a loaded code system

    def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        """The newest value set of the URL, or of this version; None when it is not known."""
        stored = self._newest("ValueSet", url, version)
        if stored is not None:
            return stored
        own = core.value_set(url)
        if own is not None and version in ("", own.get("version")):
            return own
        return implicit.value_set(url) or self._of_whole_system(url, version)

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        """The newest code system of the URL whose content is here, with what its supplements add."""
        found = self._stored_system(url, version)
        own = core.code_system(url)
        if own is not None and version in ("", own.version) and (found is None or not found.whole):
            found = own
        return None if found is None else self._supplemented(found, url)

    def concept_map(self, named: str) -> dict[str, Any] | None:
        """A concept map by `url` or `url|version`."""
        url, version = canonical(named)
        stored = self._newest("ConceptMap", url, version)
        own = core.concept_map(url)
        return stored or (own if own is not None and version in ("", own.get("version")) else None)

    def concept_maps(self) -> Iterable[dict[str, Any]]:
        """All of them; R4's own where none of that URL is stored."""
        rows = self.kept.every(self.connection, "ConceptMap", MOST_MAPS)
        stored = [self.kept.resource(row) for row in rows if self.judged(row)]
        urls = {r.get("url") for r in stored}
        return [*stored, *(own for own in core.concept_maps() if own.get("url") not in urls)]

    def _rows(self, type: str, url: str, code: str = "url") -> list[Row]:
        return [row for row in self.kept.rows(self.connection, type, url, code) if self.judged(row)]

    def _newest(self, type: str, url: str, version: str) -> dict[str, Any] | None:
        found = [self.kept.resource(row) for row in self._rows(type, url)]
        fits = [r for r in found if version in ("", r.get("version"))]
        return max(fits, key=rank, default=None)

    def _stored_system(self, url: str, version: str) -> CodeSystem | None:
        """The newest of those that are stored as resources or were loaded from files."""
        stored = [self.kept.system(row) for row in self._rows("CodeSystem", url)]
        fits = [s for s in stored if s.displays and s.head.get("content") != "supplement"]
        found = [(rank(s.head), s) for s in fits if version in ("", s.version)]
        loaded = [one for one in self.kept.versions(self.connection, url) if version in ("", one.version)]
        newest = max(loaded, key=lambda one: rank(one.head), default=None)
        best = max(found, key=lambda one: one[0], default=None)
        if newest is None or (best is not None and best[0] >= rank(newest.head)):
            return None if best is None else best[1]
        return self.kept.loaded(self.connection, newest, self.quick)

    def _supplemented(self, system: CodeSystem, url: str) -> CodeSystem:
        rows = self._rows("CodeSystem", url, "supplements")
        more = [self.kept.system(row) for row in rows]
        fits = [s for s in more if canonical(str(s.head.get("supplements", "")))[1] in ("", system.version)]
        fits = [s for s in fits if s.head.get("content") == "supplement"]
        return supplemented(system, fits) if fits else system

    def _of_whole_system(self, url: str, version: str) -> dict[str, Any] | None:
        """The value set of all codes, which a stored code system names."""
        mark = json.write(url)
        for row in self.kept.every(self.connection, "CodeSystem", MOST_SYSTEMS):
            if mark not in row.body or not self.judged(row):
                continue
            system = self.kept.system(row)
            if system.head.get("valueSet") == url and version in ("", system.version):
                return implicit.whole(url, system.url, system.version)
        return None


def rank(resource: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is retired comes last, then by version, numbers as numbers, then by time."""
    parts = _NUMBERS.split(str(resource.get("version", "")))
    key = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts if part)
    return resource.get("status") != "retired", key, str(resource.get("meta", {}).get("lastUpdated", ""))
