"""Which slice a value belongs to: discriminators by value, pattern, type, profile and existence.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import suture.standards.fhir.profiles.values as values
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.patch_place import Place, children
from suture.standards.fhir.profiles.rules import BASE, Rule
from suture.standards.fhir.profiles.values import MemberOf

_STEP = re.compile(r"\.?(?:extension\('([^']+)'\)|ofType\((\w+)\)|(resolve)\(\)|(\$this)|(\w+))")
URL = (("value", "url"),)  # how extensions are told apart when nothing is said
Keeps = Callable[[Any, str, str], bool]  # value, its type, a profile
Resolve = Callable[[str], dict[str, Any] | None]


class Told:
    """What is needed to tell slices apart, besides the value."""

    def __init__(self, member_of: MemberOf, resolve: Resolve, keeps: Keeps) -> None:
        self.member_of = member_of
        self.resolve = resolve
        self.keeps = keeps
        self.undecided: set[str] = set()  # slices told apart by value sets that nobody here can list

    def belongs(self, place: Place, slice: Rule, discriminators: tuple[tuple[str, str], ...]) -> bool:
        """Whether every discriminator says so."""
        return bool(discriminators) and all(self._fits(place, slice, kind, path) for kind, path in discriminators)

    def _fits(self, place: Place, slice: Rule, kind: str, path: str) -> bool:
        rules, found = list(_rules(slice, path)), list(self._reached(place, path))
        if kind == "exists":
            return self._exists(rules, bool(found))
        if kind == "type":
            codes = {t.code for rule in rules[-1:] for t in rule.types}
            return any(p.type in codes or _resource_type(p) in codes for p in found)
        if kind == "profile":
            urls = [u for rule in rules[-1:] for t in rule.types for u in (t.profiles or t.targets)]
            return any(self.keeps(p.value, p.type, url) for p in found for url in urls)
        return self._value(place, slice, rules, found, path)

    def _exists(self, rules: list[Rule], there: bool) -> bool:
        last = rules[-1] if rules else None
        return there if last is None or last.max != 0 else not there

    def _value(self, place: Place, slice: Rule, rules: list[Rule], found: list[Place], path: str) -> bool:
        """By the fixed value or pattern of the rule at the path, or of one that stands above it; by its binding else."""
        whole = [rule for rule in (slice, *rules) if rule.pattern is not None or rule.fixed is not None]
        if path == "url" and not any(rule.name == "url" for rule in whole):
            urls = {u.partition("|")[0] for t in slice.types for u in t.profiles}
            return any(isinstance(p.value, str) and p.value in urls for p in found)
        if whole:
            last = whole[-1]
            at = [place] if last is slice else list(self._reached(place, _path_to(rules, last, path)))
            return any(_is(p.value, last) for p in at)
        bound = next((rule.binding for rule in reversed(rules or [slice]) if rule.binding), None)
        if bound is None:
            return False
        judged = [values.member(p.value, bound[1], self.member_of) for p in found]
        if None in judged:
            self.undecided.add(slice.id)
        return True in judged

    def _reached(self, place: Place, path: str) -> Iterator[Place]:
        found = [place]
        for url, kind, resolve, this, name in _STEP.findall(path):
            if url:
                found = [
                    c
                    for p in found
                    for c in children(p, "extension")
                    if isinstance(c.value, dict) and c.value.get("url") == url
                ]
            elif kind:
                found = [p for p in found if p.type == kind]
            elif resolve:
                found = [p for p in map(self._target, found) if p is not None]
            elif not this:
                found = [c for p in found for c in children(p, name)]
        yield from found

    def _target(self, place: Place) -> Place | None:
        reference = place.value.get("reference") if isinstance(place.value, dict) else None
        there = self.resolve(reference) if isinstance(reference, str) else None
        if there is not None:
            return Place(there, str(there.get("resourceType", "")))
        named = reference.rpartition("/")[0].rpartition("/")[2] if isinstance(reference, str) else ""
        return Place({"resourceType": named}, named) if named else None


def _is(value: Any, rule: Rule) -> bool:
    return equal(value, rule.fixed) if rule.fixed is not None else values.fits(value, rule.pattern)


def _rules(slice: Rule, path: str) -> Iterator[Rule]:
    """The rules along the path, as far as there are any."""
    rule = slice
    if path in ("$this", ""):
        yield slice
        return
    for url, kind, resolve, this, name in _STEP.findall(path):
        if url:
            named = rule.children.get("extension")
            below = (
                next((s for s in named.slices.values() if any(url in t.profiles for t in s.types)), None)
                if named
                else None
            )
        elif kind or resolve or this:
            continue
        else:
            below = rule.children.get(name)
        if below is None:
            return
        rule = below
        yield rule


def _path_to(rules: list[Rule], wanted: Rule, path: str) -> str:
    """The beginning of the path that leads to this rule."""
    steps = [m[0].lstrip(".") for m in _STEP.finditer(path)]
    plain = [n for n, step in enumerate(steps) if not step.startswith(("ofType", "resolve", "$this"))]
    at = rules.index(wanted)
    return ".".join(steps[: plain[at] + 1]) if at < len(plain) else path


def _resource_type(place: Place) -> str:
    return str(place.value.get("resourceType", "")) if isinstance(place.value, dict) else ""


def type_of(url: str) -> str:
    """The type a base definition is about; empty for a profile."""
    plain = url.partition("|")[0]
    return plain.removeprefix(BASE) if plain.startswith(BASE) else ""
