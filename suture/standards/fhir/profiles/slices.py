"""Which slice a value belongs to: discriminators by value, pattern, type, profile and existence.

A discriminator that a slice says nothing about decides nothing, when another one does.
https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import suture.standards.fhir.profiles.values as values
from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.patch_place import Place
from suture.standards.fhir.profiles.reached import Resolve, Step, reached, steps
from suture.standards.fhir.profiles.rules import BASE, Rule, TypeRule
from suture.standards.fhir.profiles.values import MemberOf

URL = (("value", "url"),)  # how extensions are told apart when nothing is said
TYPE = (("type", "$this"),)  # and the types of a choice
Keeps = Callable[[Any, str, str], bool]  # value, its type, a profile
Within = Callable[[str, str], Rule | None]  # a profile, the name of an element: the rule that the profile has for it
TypeOf = Callable[[str], str]  # the type that a profile is about


class Told:
    """What is needed to tell slices apart, besides the value."""

    def __init__(self, member_of: MemberOf, resolve: Resolve, keeps: Keeps, within: Within, type_of: TypeOf) -> None:
        self.member_of = member_of
        self.resolve = resolve
        self.keeps = keeps
        self.within = within
        self.type_of = type_of
        self.undecided: set[str] = set()  # slices told apart by value sets that nobody here can list

    def belongs(self, place: Place, slice: Rule, discriminators: tuple[tuple[str, str], ...]) -> bool:
        """Whether every discriminator that decides says so, and one decides."""
        found = [self._fits(place, slice, kind, path) for kind, path in discriminators]
        return True in found and False not in found

    def _fits(self, place: Place, slice: Rule, kind: str, path: str) -> bool | None:
        """None: the slice says nothing about it."""
        way = steps(path)
        rules, found = list(self._rules(slice, way)), list(reached(place, way, self.resolve))
        last = rules[-1] if len(rules) == max(1, sum(step.named for step in way)) else None
        if kind == "exists":
            return self._exists(last, bool(found))
        if last is not None and last.max == 0:
            return not found
        if kind in ("type", "profile"):
            wanted = list(self._wanted(last, way, kind)) if last is not None else []
            return any(self._keeps(p, *one) for p in found for one in wanted) if wanted else None
        return self._value(place, slice, rules, found, way)

    def _exists(self, rule: Rule | None, there: bool) -> bool:
        return not there if rule is not None and rule.max == 0 else there

    def _wanted(self, rule: Rule, way: list[Step], kind: str) -> Iterator[tuple[str, str]]:
        """Types and profiles that the slice asks for where the path leads: a reference's targets behind resolve()."""
        behind = bool(way) and way[-1].resolve
        for one in _types(rule):
            urls = one.targets if behind else one.profiles or (one.targets if kind == "profile" else ())
            code = "" if behind or one.targets else one.code
            if kind == "profile":
                yield from ((code, url) for url in urls)
            elif behind or (code in ("Resource", "DomainResource") and urls):
                yield from ((type, "") for url in urls if (type := self.type_of(url)))
            elif one.code:
                yield one.code, ""

    def _keeps(self, place: Place, type: str, url: str) -> bool:
        fits = type in ("", "Resource") or is_a(place.type, type) or is_a(resource_type(place), type)
        return fits and (not url or self.keeps(place.value, place.type, url))

    def _value(self, place: Place, slice: Rule, rules: list[Rule], found: list[Place], way: list[Step]) -> bool | None:
        """By the fixed value or pattern of the rule at the path, or of one that stands above it; by its binding else."""
        above = [slice, *(rule for rule in rules if rule is not slice)]
        whole = [rule for rule in above if _told(rule)]
        if way and way[-1].name == "url" and len(way) == 1 and not any(rule.name == "url" for rule in whole):
            urls = {u.partition("|")[0] for t in slice.types for u in t.profiles}
            return any(isinstance(p.value, str) and p.value in urls for p in found) if urls else None
        if whole:
            last = whole[-1]
            at = [place] if last is slice else list(reached(place, _way_to(way, rules.index(last)), self.resolve))
            return any(_is(p.value, one) for p in at for one in _told(last))
        bound = next((rule.binding for rule in reversed(rules or [slice]) if rule.binding), None)
        if bound is None:
            return None
        judged = [values.member(p.value, bound[1], self.member_of) for p in found]
        if None in judged:
            self.undecided.add(slice.id)
        return True in judged

    def _rules(self, slice: Rule, way: list[Step]) -> Iterator[Rule]:
        """The rules along the path, as far as there are any; in the profiles that an element must keep, too."""
        named = [step for step in way if step.named]
        rule: Rule | None = slice
        if not named:
            yield slice
        for step in named:
            rule = self._below(rule, step) if rule is not None else None
            if rule is not None:
                yield rule

    def _below(self, rule: Rule, step: Step) -> Rule | None:
        if step.url:
            named = rule.children.get("extension")
            return (
                next((s for s in _slices(named) if any(step.url in t.profiles for t in s.types)), None)
                if named
                else None
            )
        if step.name in rule.children:
            return rule.children[step.name]
        sliced = [each for each in rule.slices.values() if step.name in each.children and (each.min or _choice(rule))]
        if sliced:  # a type of a choice, or what has to be among the values
            return sliced[0].children[step.name]
        inside = (self.within(url, step.name) for t in rule.types for url in t.profiles)
        return next((one for one in inside if one is not None), None)


def _choice(rule: Rule) -> bool:
    return rule.slicing is None or rule.slicing.discriminators == TYPE


def _slices(rule: Rule) -> Iterator[Rule]:
    """All slices, those of slices too."""
    for slice in rule.slices.values():
        yield slice
        yield from _slices(slice)


def _types(rule: Rule) -> list[TypeRule]:
    """The allowed types; of a choice that only its slices speak of, theirs."""
    return list(rule.types) or [one for slice in rule.slices.values() for one in slice.types]


def _told(rule: Rule) -> list[Rule]:
    """The rule, or the types of a choice, when a value or a pattern is told."""
    return [
        one
        for one in (rule, *(rule.slices.values() if _choice(rule) else ()))
        if one.fixed is not None or one.pattern is not None
    ]


def _is(value: Any, rule: Rule) -> bool:
    return equal(value, rule.fixed) if rule.fixed is not None else values.fits(value, rule.pattern)


def _way_to(way: list[Step], at: int) -> list[Step]:
    """The beginning of the path that leads to its rule number so and so."""
    named = [n for n, step in enumerate(way) if step.named]
    return way[: named[at] + 1] if at < len(named) else way


def resource_type(place: Place) -> str:
    return str(place.value.get("resourceType", "")) if isinstance(place.value, dict) else ""


def is_a(type: str, wanted: str) -> bool:
    """Whether it is the type or one below it: a Patient is a DomainResource and a Resource."""
    while type and type != wanted:
        found = type_definition(type)
        type = found.parent if found is not None else ""
    return bool(type)


def type_of(url: str) -> str:
    """The type a base definition is about; empty for a profile."""
    plain = url.partition("|")[0].partition("#")[0]
    named = plain.removeprefix(BASE) if plain.startswith(BASE) else ""
    return named if named == "Any" or type_definition(named) is not None else ""
