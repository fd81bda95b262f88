"""Which codes a value set holds: includes, excludes, filters, imports (https://hl7.org/fhir/R4/valueset.html#compositions)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from suture.errors import Inapplicable, Issue, NotFound, TooCostly
from suture.standards.terminology.code_system import CodeSystem
from suture.standards.terminology.filters import Chooses, chooser

MOST_CODES = 1_000_000  # that an expansion may come to on its way
LOAD = "Load it (suture terminology load), or store it as a CodeSystem."
DEEPEST = 30  # value sets that import one another
Key = tuple[str, str]  # system, code
_FAMILY = frozenset({"is-a", "descendent-of"})


class Library(Protocol):
    """What is known here. A version of '' is any; the newest is given."""

    def system(self, url: str, version: str = "") -> CodeSystem | None: ...

    def value_set(self, url: str, version: str = "") -> Mapping[str, Any] | None: ...


class Member(NamedTuple):
    """A code of an expansion; `display` and `designations` are the value set's own, where it says something."""

    display: str = ""
    designations: tuple[Mapping[str, Any], ...] = ()
    known: CodeSystem | None = None
    named: bool = False  # listed in the value set by its code


@dataclass(slots=True)
class Members:
    """The codes in order, and what they were taken from."""

    codes: dict[Key, Member] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)  # code system -> version
    imported: dict[str, str] = field(default_factory=dict)  # value set -> version
    part: set[str] = field(default_factory=set)  # systems of which only a part is here


def unknown_system(url: str, version: str = "", where: str = "") -> Inapplicable:
    """A code system that is needed and not here."""
    named = f"{url[:300]}|{version[:64]}" if version else url[:300]
    text, mend = f"the code system {named} is not known here", LOAD
    return Inapplicable(text, where=where, mend=mend, issues=[Issue("error", "not-found", text, where, mend)])


def unknown_set(url: str, where: str = "") -> NotFound:
    """A value set that is not here."""
    return NotFound(f"the value set {url[:300]} is not known here", where=where, mend="Store it as a ValueSet.")


def imported_unknown(url: str, where: str) -> Inapplicable:
    """A value set that another one imports and that is not here."""
    text, mend = f"the value set {url[:300]} is not known here", "Store it as a ValueSet."
    return Inapplicable(text, where=where, mend=mend, issues=[Issue("error", "not-found", text, where, mend)])


def members(library: Library, value_set: Mapping[str, Any], most: int = MOST_CODES) -> Members:
    """Every code of a value set; raises Inapplicable for what is unknown, TooCostly for too many."""
    return _Work(library, most).whole(value_set, ())


def canonical(text: str) -> tuple[str, str]:
    """URL and version of `url|version`."""
    url, _, version = text.partition("|")
    return url, version


@dataclass(slots=True)
class _Work:
    library: Library
    most: int
    known: dict[str, Members] = field(default_factory=dict)  # each imported set is made once

    def whole(self, value_set: Mapping[str, Any], above: tuple[str, ...]) -> Members:
        compose = value_set.get("compose")
        if not compose:
            return _listed(value_set)
        found = Members()
        for at, include in enumerate(compose.get("include", [])):
            part = self.part(include, above, f"ValueSet.compose.include[{at}]")
            for key, member in part.codes.items():
                found.codes.setdefault(key, member)
            _noted(found, part)
            self.within(found.codes)
        for at, exclude in enumerate(compose.get("exclude", [])):
            part = self.part(exclude, above, f"ValueSet.compose.exclude[{at}]")
            found.codes = {key: member for key, member in found.codes.items() if key not in part.codes}
            _noted(found, part)
        if compose.get("inactive") is False:
            found.codes = {key: m for key, m in found.codes.items() if not (m.known and m.known.inactive(key[1]))}
        return found

    def within(self, codes: Mapping[Key, Member]) -> None:
        if len(codes) > self.most:
            raise TooCostly(
                f"the expansion has more than {self.most} codes",
                where="ValueSet.compose",
                mend="Ask for a smaller set.",
            )

    def part(self, include: Mapping[str, Any], above: tuple[str, ...], where: str) -> Members:
        """What the system's rule and all imported sets have in common."""
        found = self.of_system(include, where) if include.get("system") else None
        for at, named in enumerate(include.get("valueSet", [])):
            other = self.imported(str(named), above, f"{where}.valueSet[{at}]")
            if found is None:
                found = other
                continue
            found.codes = {key: member for key, member in found.codes.items() if key in other.codes}
            _noted(found, other)
        return Members() if found is None else found

    def imported(self, named: str, above: tuple[str, ...], where: str) -> Members:
        if named in above or len(above) >= DEEPEST:
            raise Inapplicable("the value set imports itself", where=where, mend="Take the import out.")
        if named not in self.known:
            url, version = canonical(named)
            value_set = self.library.value_set(url, version)
            if value_set is None:
                raise imported_unknown(named, where)
            self.known[named] = made = self.whole(value_set, (*above, named))
            made.imported[url] = str(value_set.get("version", ""))
        made = self.known[named]
        return Members(made.codes, dict(made.used), dict(made.imported), set(made.part))

    def of_system(self, include: Mapping[str, Any], where: str) -> Members:
        url, version = str(include["system"]), str(include.get("version", ""))
        system = self.library.system(url, version)
        if "concept" in include:
            codes = dict(_enumerated(url, system, include["concept"]))
        elif system is None:
            raise unknown_system(url, version, f"{where}.system")
        else:
            self.within_size(system)
            rules = choosers(system, include.get("filter", []), where)
            plain = Member(known=system)
            asked = narrowed(system, include.get("filter", []))
            codes = {(url, code): plain for code in asked if all(rule(code) for rule in rules)}
        part = {url} if system is not None and not system.whole else set()
        return Members(codes, {url: system.version if system else version}, {}, part)

    def within_size(self, system: CodeSystem) -> None:
        if len(system.displays) > 4 * self.most:
            raise TooCostly(f"{system.url} has too many codes", where="ValueSet.compose", mend="Ask for a smaller set.")


def choosers(system: CodeSystem, rules: Iterable[Mapping[str, Any]], where: str) -> list[Chooses]:
    """Its filters, each as a question to a code."""
    return [chooser(system, rule, f"{where}.filter[{at}]") for at, rule in enumerate(rules)]


def narrowed(system: CodeSystem, rules: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The codes that have to be asked, in order: those of the smallest family, when a filter names one."""
    named = [rule for rule in rules if rule.get("op") in _FAMILY and rule.get("property") in ("concept", "code")]
    families = [system.below(str(rule.get("value", ""))) for rule in named]
    if not families:
        return system.displays
    smallest: frozenset[str] = min(families, key=len)
    return system.in_order(smallest)


def _enumerated(
    url: str, system: CodeSystem | None, concepts: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Key, Member]]:
    """Codes that are listed; of a system that is wholly here those that it has."""
    for concept in concepts:
        code = str(concept.get("code", ""))
        there = system.find(code) if system is not None else None
        if system is not None and system.whole and there is None:
            continue
        own = tuple(concept.get("designation", []))
        yield (url, there or code), Member(str(concept.get("display", "")), own, system if there else None, True)


def _noted(found: Members, part: Members) -> None:
    found.used.update(part.used)
    found.imported.update(part.imported)
    found.part |= part.part


def _listed(value_set: Mapping[str, Any]) -> Members:
    """A value set that comes with its expansion alone."""
    found, left = Members(), list(reversed(value_set.get("expansion", {}).get("contains", [])))
    while left:
        row = left.pop()
        if row.get("code") and not row.get("abstract"):
            member = Member(str(row.get("display", "")), tuple(row.get("designation", [])))
            found.codes.setdefault((str(row.get("system", "")), str(row["code"])), member)
        left += reversed(row.get("contains", []))
    return found


@dataclass(frozen=True, slots=True)
class Pinned:
    """A library in which systems of which no version is asked have the one that is given."""

    library: Library
    versions: Mapping[str, str]

    def system(self, url: str, version: str = "") -> CodeSystem | None:
        return self.library.system(url, version or self.versions.get(url, ""))

    def value_set(self, url: str, version: str = "") -> Mapping[str, Any] | None:
        return self.library.value_set(url, version)
