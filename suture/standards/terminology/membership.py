"""Whether a code is in a value set, without listing the set (https://hl7.org/fhir/R4/valueset.html#compositions)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suture.errors import Inapplicable
from suture.standards.terminology.compose import DEEPEST, Library, canonical, choosers, members

Known = bool | None  # None: that can't be said, for a code system or a value set is not here


def member_of(library: Library, value_set: Mapping[str, Any], system: str, code: str, deep: int = 0) -> Known:
    """True, False, or None when something that is needed is not known."""
    if deep > DEEPEST:
        raise Inapplicable("the value set imports itself", where="ValueSet.compose", mend="Take the import out.")
    compose = value_set.get("compose")
    if not compose:
        return (system, code) in members(library, value_set).codes
    inside = any_of(_included(library, part, system, code, deep) for part in compose.get("include", []))
    if not inside:
        return inside
    outside = any_of(_included(library, part, system, code, deep) for part in compose.get("exclude", []))
    if outside is not False:
        return None if outside is None else False
    return not (compose.get("inactive") is False and _inactive(library, system, code))


def any_of(found: Iterable[Known]) -> Known:
    """One True is enough; else one None leaves it open."""
    open_ = False
    for one in found:
        if one:
            return True
        open_ = open_ or one is None
    return None if open_ else False


def _included(library: Library, part: Mapping[str, Any], system: str, code: str, deep: int) -> Known:
    """Whether the system's rule and all imported sets hold it."""
    found: list[Known] = []
    if part.get("system"):
        found.append(part["system"] == system and _of_system(library, part, code))
    for named in part.get("valueSet", []):
        if False in found:
            return False
        other = library.value_set(*canonical(str(named)))
        found.append(None if other is None else member_of(library, other, system, code, deep + 1))
    return False if False in found or not found else None if None in found else True


def _of_system(library: Library, part: Mapping[str, Any], code: str) -> Known:
    system = library.system(str(part["system"]), str(part.get("version", "")))
    if "concept" in part:
        there = (system.find(code) if system is not None else None) or code
        listed = any(concept.get("code") in (code, there) for concept in part["concept"])
        return listed and not (system is not None and system.whole and system.find(code) is None)
    if system is None:
        return None
    found = system.find(code)
    if found is None:
        return False if system.whole else None
    return all(rule(found) for rule in choosers(system, part.get("filter", []), "ValueSet.compose.include"))


def _inactive(library: Library, system: str, code: str) -> bool:
    known = library.system(system)
    return known is not None and known.inactive(code)
