"""One version of US Core, read from its table: what it asks for beyond R4 (https://hl7.org/fhir/us/core/profiles-and-extensions.html).

Names without a version mean the guide's own version, so that several versions can be asked for side by side.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from suture.standards.fhir.profiles import rules
from suture.standards.fhir.profiles.rules import Profile
from suture.standards.terminology.collected import Collected
from suture.standards.terminology.membership import Known

URL = "http://hl7.org/fhir/us/core/"
PROFILE = f"{URL}StructureDefinition/"
VERSIONS = ("6.1.0", "7.0.0", "8.0.0")
NEWEST = VERSIONS[-1]


class Guide:
    """The profiles of one version by canonical, and the value sets it lists."""

    def __init__(self, version: str) -> None:
        self.version = version
        raw = (files("suture.standards.fhir.us_core") / f"{version}.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in raw.splitlines()]
        self._rows = {row[1]: row for row in rows if row[0] == "profile"}
        self._read: dict[str, Profile] = {}
        found = [_pinned(row[2] | {"version": version}, version) for row in rows if row[0] == "terms"]
        self.sets = frozenset(one["url"] for one in found if one["resourceType"] == "ValueSet")
        self.terms = Collected(found)

    @property
    def urls(self) -> tuple[str, ...]:
        """The canonicals of its profiles and extensions."""
        return tuple(self._rows)

    def profile(self, url: str) -> Profile | None:
        """The profile with this canonical (without a version)."""
        if url not in self._read and url in self._rows:
            self._read[url] = rules.read(_definition(self._rows[url], self.version))
        return self._read.get(url)


@cache
def _guide(version: str) -> Guide:
    return Guide(version)


def guide(version: str = NEWEST) -> Guide | None:
    """The guide of a version that is inside."""
    return _guide(version) if version in VERSIONS else None


def profile(url: str) -> Profile | None:
    """The profile with this canonical; without a |version that of the newest version."""
    plain, _, version = url.partition("|")
    found = guide(version or NEWEST) if plain.startswith(PROFILE) else None
    return found.profile(plain) if found is not None else None


def member_of(system: str | None, code: str, url: str) -> Known:
    """Whether a value set of US Core holds a code; None for other value sets, and when it can't be said."""
    plain, _, version = url.partition("|")
    found = guide(version or NEWEST) if plain.startswith(URL) else None
    return found.terms.member_of(system, code, plain) if found is not None and plain in found.sets else None


def _definition(row: list[Any], version: str) -> dict[str, Any]:
    """The row as a StructureDefinition, as far as rules are read from one."""
    _, url, type, base, elements = row
    element = [{"id": id, **_pinned(asked, version)} for id, asked in elements]
    head = {"url": url, "version": version, "type": type, "baseDefinition": base}
    return {**head, "snapshot": {"element": element or [{"id": type}]}}


def _pinned(thing: Any, version: str, key: str = "") -> Any:
    """With the guide's version wherever it names a profile or a value set of its own."""
    if isinstance(thing, dict):
        return {name: _pinned(inner, version, name) for name, inner in thing.items()}
    if isinstance(thing, list):
        return [_pinned(inner, version, key) for inner in thing]
    own = key in ("profile", "targetProfile", "valueSet") and isinstance(thing, str) and thing.startswith(URL)
    return f"{thing}|{version}" if own and "|" not in thing else thing
