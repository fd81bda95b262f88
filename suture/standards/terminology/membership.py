"""Whether a code is in a value set, without listing the set (https://hl7.org/fhir/R4/valueset.html#compositions)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.errors import Inapplicable
from suture.standards.terminology.compose import DEEPEST, Library, canonical, choosers, members

Known = bool | None  # None: that can't be said, for a code system or a value set is not here


def member_of(library: Library, value_set: Mapping[str, Any], system: str, code: str) -> Known:
    """True, False, or None when something that is needed is not known."""
    return _Asking(library, system, code).of(value_set, ())


def member_anywhere(library: Library, value_set: Mapping[str, Any], code: str) -> Known:
    """The same for the value of an element of type code, which names no system: one of the set's systems."""
    told = any_of(member_of(library, value_set, system, code) for system in systems(library, value_set))
    return None if told is False and not _whole(library, value_set) else told


def systems(library: Library, value_set: Mapping[str, Any]) -> list[str]:
    """The code systems that a value set and those it imports draw from."""
    found: dict[str, None] = {}
    for one in _drawn(library, value_set):
        if one is None:
            continue
        if not one.get("compose"):
            found |= dict.fromkeys(system for system, _ in members(library, one).codes)
        for part in one.get("compose", {}).get("include", []):
            found |= {str(part["system"]): None} if part.get("system") else {}
    return list(found)


def _whole(library: Library, value_set: Mapping[str, Any]) -> bool:
    """Whether all the sets it imports are known; else nobody can tell what systems it draws from."""
    return None not in _drawn(library, value_set)


def _drawn(library: Library, value_set: Mapping[str, Any]) -> Iterator[Mapping[str, Any] | None]:
    """The set and those it imports, each once; None for one that is not known."""
    seen: set[str] = set()
    left: list[Mapping[str, Any] | None] = [value_set]
    while left:
        one = left.pop()
        yield one
        for part in (one or {}).get("compose", {}).get("include", []):
            new = [str(named) for named in part.get("valueSet", []) if named not in seen]
            seen.update(new)
            left += [library.value_set(*canonical(named)) for named in new]


def any_of(found: Iterable[Known]) -> Known:
    """One True is enough; else one None leaves it open."""
    open_ = False
    for one in found:
        if one:
            return True
        open_ = open_ or one is None
    return None if open_ else False


@dataclass(slots=True)
class _Asking:
    """One question; each imported set is asked once, however often it is imported."""

    library: Library
    system: str
    code: str
    told: dict[str, Known] = field(default_factory=dict)

    def of(self, value_set: Mapping[str, Any], above: tuple[str, ...]) -> Known:
        compose = value_set.get("compose")
        if not compose:
            return (self.system, self.code) in members(self.library, value_set).codes
        inside = any_of(self.included(part, above) for part in compose.get("include", []))
        if not inside:
            return inside
        outside = any_of(self.included(part, above) for part in compose.get("exclude", []))
        if outside is not False:
            return None if outside is None else False
        return not (compose.get("inactive") is False and _inactive(self.library, self.system, self.code))

    def included(self, part: Mapping[str, Any], above: tuple[str, ...]) -> Known:
        """Whether the system's rule and all imported sets hold it."""
        found: list[Known] = []
        if part.get("system"):
            found.append(part["system"] == self.system and self.of_system(part))
        for named in part.get("valueSet", []):
            if False in found:
                return False
            found.append(self.imported(str(named), above))
        return False if False in found or not found else None if None in found else True

    def imported(self, named: str, above: tuple[str, ...]) -> Known:
        if named in above or len(above) >= DEEPEST:
            raise Inapplicable("the value set imports itself", where="ValueSet.compose", mend="Take the import out.")
        if named not in self.told:
            other = self.library.value_set(*canonical(named))
            self.told[named] = None if other is None else self.of(other, (*above, named))
        return self.told[named]

    def of_system(self, part: Mapping[str, Any]) -> Known:
        system = self.library.system(str(part["system"]), str(part.get("version", "")))
        if "concept" in part:
            there = (system.find(self.code) if system is not None else None) or self.code
            listed = any(concept.get("code") in (self.code, there) for concept in part["concept"])
            return listed and not (system is not None and system.whole and system.find(self.code) is None)
        if system is None:
            return None
        found = system.find(self.code)
        if found is None:
            return False if system.whole else None
        return all(rule(found) for rule in choosers(system, part.get("filter", []), "ValueSet.compose.include"))


def _inactive(library: Library, system: str, code: str) -> bool:
    known = library.system(system)
    return known is not None and known.inactive(code)
