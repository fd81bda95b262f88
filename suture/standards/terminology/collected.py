"""A library of code systems and value sets that are at hand as resources, with R4's own behind them.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from suture.errors import Inapplicable, TooCostly
from suture.standards.terminology import core, implicit
from suture.standards.terminology.code_system import CodeSystem, of_resource
from suture.standards.terminology.compose import canonical
from suture.standards.terminology.membership import Known, member_anywhere, member_of

Sound = Callable[[dict[str, Any]], bool]


class Collected:
    """A Library (compose.py) over resources, the first of several with one URL; `sound` is asked before one is used."""

    def __init__(self, resources: Iterable[dict[str, Any]], sound: Sound = lambda resource: True) -> None:
        self._sound, self._judged = sound, dict[int, bool]()
        self._found: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._systems: dict[str, CodeSystem] = {}
        for one in resources:
            type, url = str(one.get("resourceType", "")), str(one.get("url", ""))
            for version in ("", str(one.get("version", ""))):
                self._found.setdefault((type, url, version), one)

    def _one(self, type: str, url: str, version: str) -> dict[str, Any] | None:
        found = self._found.get((type, url, version))
        if found is not None and id(found) not in self._judged:
            self._judged[id(found)] = self._sound(found)
        return found if found is not None and self._judged[id(found)] else None

    def value_set(self, url: str, version: str = "") -> dict[str, Any] | None:
        found = self._one("ValueSet", url, version)
        if found is not None:
            return found
        own = core.value_set(url)
        return own if own is not None and version in ("", own.get("version")) else implicit.value_set(url)

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        found = self._one("CodeSystem", url, version)
        if found is None or found.get("content") not in ("complete", "fragment"):
            own = core.code_system(url)
            return own if own is not None and version in ("", own.version) else None
        name = f"{url}|{version}"
        if name not in self._systems:
            self._systems[name] = of_resource(found)
        return self._systems[name]

    def member_of(self, system: str | None, code: str, url: str) -> Known:
        """Whether a value set holds a code (None: of whatever system); None when that can't be said."""
        value_set = self.value_set(*canonical(url))
        try:
            if value_set is None:
                return None
            if system is None:
                return member_anywhere(self, value_set, code)
            return member_of(self, value_set, system, code)
        except (Inapplicable, TooCostly):
            return None
