"""Translates codes by concept maps, forwards and backwards: $translate (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from suture.standards.terminology.validation import Coding

_NONE = frozenset({"unmatched", "disjoint"})
# read the other way round; all others are the same
_TURNED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
DEEPEST = 10  # maps that hand on to one another
Find = Callable[[str], Mapping[str, Any] | None]  # a concept map by its canonical


@dataclass(frozen=True, slots=True)
class Match:
    """One translation; without a code when there is none."""

    equivalence: str
    coding: Coding
    source: str  # the map's URL


def found(matches: Iterable[Match]) -> bool:
    """Whether one of them is a translation."""
    return any(m.equivalence not in _NONE for m in matches)


def translate(
    concept_map: Mapping[str, Any], coding: Coding, target: str = "", find: Find | None = None, deep: int = 0
) -> Iterator[Match]:
    """What the map says of a code; `target`: only codes of this system."""
    url = str(concept_map.get("url", ""))
    for group in concept_map.get("group", []):
        if coding.system and group.get("source", coding.system) != coding.system:
            continue
        if target and group.get("target", target) != target:
            continue
        rows = [e for e in group.get("element", []) if e.get("code") == coding.code]
        for row in rows:
            yield from (_match(url, group, one) for one in row.get("target", []))
        if not rows and "unmapped" in group:
            yield from _unmapped(url, group, coding, target, find, deep)


def _match(url: str, group: Mapping[str, Any], target: Mapping[str, Any]) -> Match:
    version = str(group.get("targetVersion", ""))
    there = str(target.get("code", ""))
    coding = Coding(str(group.get("target", "")), there, version, str(target.get("display", "")))
    return Match(str(target.get("equivalence", "")), coding, url)


def _unmapped(
    url: str, group: Mapping[str, Any], coding: Coding, target: str, find: Find | None, deep: int
) -> Iterator[Match]:
    """A code that the group does not list: itself, a fixed one, or what another map says."""
    rule, system = group["unmapped"], str(group.get("target", ""))
    if rule.get("mode") == "provided":
        yield Match("equal", Coding(system, coding.code, "", coding.display), url)
    elif rule.get("mode") == "fixed":
        yield Match("inexact", Coding(system, str(rule.get("code", "")), "", str(rule.get("display", ""))), url)
    elif find is not None and deep < DEEPEST:
        other = find(str(rule.get("url", "")))
        if other is not None:
            yield from translate(other, coding, target, find, deep + 1)


def backwards(concept_map: Mapping[str, Any], coding: Coding, target: str = "") -> Iterator[Match]:
    """The codes that the map translates into this one."""
    url = str(concept_map.get("url", ""))
    for group in concept_map.get("group", []):
        source = str(group.get("source", ""))
        if (coding.system and group.get("target", coding.system) != coding.system) or (target and source != target):
            continue
        for row in group.get("element", []):
            there = Coding(
                source, str(row.get("code", "")), str(group.get("sourceVersion", "")), str(row.get("display", ""))
            )
            for one in row.get("target", []):
                if one.get("code") == coding.code:
                    equivalence = str(one.get("equivalence", ""))
                    yield Match(_TURNED.get(equivalence, equivalence), there, url)
