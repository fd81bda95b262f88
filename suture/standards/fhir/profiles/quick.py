"""A fast yes: whether a resource surely keeps a profile without any finding; a no only means: look closely (check.py).

A profile is compiled once to closures over JSON. What they don't know how to judge they leave to the slow walk, so that
a yes is always what the slow walk says, too (https://hl7.org/fhir/R4/profiling.html).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import suture.standards.fhir.profiles.bounds as bounds
import suture.standards.fhir.profiles.quick_slices as quick_slices
from suture.standards.fhir.definitions import Element, type_definition
from suture.standards.fhir.profiles.quick_binding import bound
from suture.standards.fhir.profiles.quick_formulas import invariant
from suture.standards.fhir.profiles.quick_test import NEVER, Resolve, Seen, Test, all_of, dicts_only, like, same
from suture.standards.fhir.profiles.rules import Profile, Rule, TypeRule
from suture.standards.fhir.profiles.slices import type_of
from suture.standards.fhir.profiles.values import MemberOf

DEEPEST = 10  # profiles inside profiles
_PLAIN = frozenset({"BackboneElement", "Element", "Resource", "DomainResource", ""})
_ANYTHING = frozenset({"", "Resource", "DomainResource", "Any"})


class Quick:
    """The compiled profiles of one place. `profile` and `member_of` must say the same each time they are asked."""

    def __init__(self, profile: Callable[[str], Profile | None], member_of: MemberOf) -> None:
        self._profile = profile
        self.member_of = member_of
        self._made: dict[int, tuple[Profile, Test | None]] = {}

    def keeps(self, resource: dict[str, Any], profile: Profile, resolve: Resolve | None) -> bool:
        """True: there is no finding about the resource, which R4's own check found sound. False: nobody knows yet.

        `resolve`: None when all references lead outside.
        """
        if resource.get("resourceType") != profile.type:
            return False
        test = self.compiled(profile)
        return test is None or test(resource, Seen(resource, resolve))

    def compiled(self, profile: Profile) -> Test | None:
        """None when the profile asks for nothing."""
        known = self._made.get(id(profile))
        if known is None:
            made: list[Test] = [NEVER]
            if profile.whole:
                made = _Compiler(self, profile).held(profile.root, profile.type)
            known = self._made[id(profile)] = (profile, all_of(made))
        return known[1]

    def nested(self, url: str, kind: str) -> Test:
        """Whether a value of a type keeps another profile, which is looked up when it is first needed."""
        found: list[Test | None] = []

        def test(value: Any, seen: Seen) -> bool:
            if not found:
                profile = self._profile(url)
                found.append(NEVER if profile is None or profile.type != kind else self.compiled(profile))
            inner = found[0]
            if inner is None:
                return True
            seen.depth += 1
            kept = seen.depth <= DEEPEST and inner(value, seen)
            seen.depth -= 1
            return kept

        return test

    def type_of(self, url: str) -> str:
        """The type that a profile is about; empty when nobody knows it."""
        found = type_of(url)
        if found:
            return found
        known = self._profile(url.partition("#")[0])
        return known.type if known is not None else ""

    def bound(self, strength: str, url: str) -> Test:
        return bound(strength, url, self.member_of)


class _Compiler:
    """Makes the tests of one profile."""

    def __init__(self, quick: Quick, profile: Profile) -> None:
        self.quick = quick
        self.profile = profile

    @property
    def member_of(self) -> MemberOf:
        return self.quick.member_of

    def value(self, rule: Rule, kind: str) -> list[Test]:
        """All that is asked of one value of a type that R4 allows there."""
        return [*self.typed(rule, kind), *self.held(rule, kind)]

    def typed(self, rule: Rule, kind: str) -> list[Test]:
        fitting = [t for t in rule.types if t.code == kind or t.code in _PLAIN or kind in _PLAIN]
        if not fitting:
            return [NEVER] if rule.types and not kind.startswith(self.profile.type + ".") else []
        first = fitting[0]
        made = [self.profiled(first.profiles[0], kind)] if first.profiles else []
        if first.targets and kind == "Reference":
            made.append(self.reference(first))
        return made

    def profiled(self, url: str, kind: str) -> Test:
        if "#" in url or type_of(url):
            return NEVER
        return self.quick.nested(url, kind)

    def reference(self, rule: TypeRule) -> Test:
        """It leads outside, to a type that is allowed."""
        if rule.aggregation:
            return NEVER
        found: list[frozenset[str]] = []

        def test(value: Any, seen: Seen) -> bool:
            reference = value.get("reference")
            if type(reference) is not str:
                return True
            if seen.resolve is not None and seen.resolve(reference) is not None:
                return False
            if not found:
                found.append(frozenset(self.quick.type_of(url) for url in rule.targets))
            kind, slash, id = reference.partition("/")
            if slash and kind in found[0] and "/" not in id:
                return True
            parts = reference.partition("/_history/")[0].split("/")
            kind = parts[-2] if len(parts) > 1 and parts[-2][:1].isupper() else str(value.get("type", ""))
            return not kind or kind in found[0] or not _ANYTHING.isdisjoint(found[0])

        return test

    def held(self, rule: Rule, kind: str) -> list[Test]:
        """All that is asked of the value itself and of what it holds."""
        made: list[Test] = []
        if rule.fixed is not None:
            made.append(same(rule.fixed))
        if rule.pattern is not None:
            made.append(like(rule.pattern))
        made += _bounds(rule)
        made += [
            self.quick.bound(strength, url)
            for strength, url in (*([rule.binding] if rule.binding else ()), *rule.bindings)
            if strength in ("required", "extensible")
        ]
        made += [invariant(one.expression) for one in rule.invariants]
        if kind[0].islower():  # what stands beside a primitive is for the slow walk, and there is nothing inside
            return [*made, NEVER] if any(map(_asked_for, rule.children.values())) else made
        for name, child in rule.children.items():
            made += self.element(child, kind, name)
        return made

    # --- elements

    def element(self, rule: Rule, kind: str, name: str) -> list[Test]:
        definition = type_definition(kind)
        element = definition.elements.get(name) if definition is not None else None
        if element is None:
            return [NEVER]
        if element.choice:
            return self.choice(rule, element)
        values = all_of(self.value(rule, element.types[0]))
        if element.types[0] in _PLAIN and values is not None:
            values = NEVER
        if not element.types[0][0].islower() and values is not None:
            values = dicts_only(values)
        many = quick_slices.sliced(self, rule, element.types[0]) if rule.slices else None
        if (rule.min, rule.max, values, many) == (0, None, None, None):
            return []
        return [_many(rule, name, values, many) if element.many else _one(rule, name, values, many)]

    def choice(self, rule: Rule, element: Element) -> list[Test]:
        """By the key that is there; another key's shadow is left to the slow walk."""
        table: dict[str, Test | None] = {}
        for kind in element.types:
            made = self.value(rule, kind)
            if rule.slices:
                made += quick_slices.of_type(self, rule, kind)
            key = element.name + kind[0].upper() + kind[1:]
            table[key], table[f"_{key}"] = all_of(made), NEVER
        return [_chosen(rule, table)]


def _asked_for(rule: Rule) -> bool:
    """Whether an element has to be there."""
    return rule.min > 0 or any(slice.min > 0 for slice in rule.slices.values())


def _bounds(rule: Rule) -> list[Test]:
    told = (rule.least, rule.most, rule.longest)
    if told == (None, None, None) and not rule.shortest:
        return []
    if isinstance(rule.least, dict) or isinstance(rule.most, dict):
        return [NEVER]
    return [lambda value, seen: next(bounds.broken(rule, value, ""), None) is None]


def _one(rule: Rule, name: str, values: Test | None, many: Test | None) -> Test:
    low, high, shadow = rule.min, rule.max, f"_{name}"

    def test(value: Any, seen: Seen) -> bool:
        found = value.get(name)
        if shadow in value or type(found) is list:
            return False
        if found is None:
            return low == 0 and (many is None or many([], seen))
        if low > 1 or high == 0:
            return False
        return (values is None or values(found, seen)) and (many is None or many([found], seen))

    return test


def _many(rule: Rule, name: str, values: Test | None, many: Test | None) -> Test:
    low, high, shadow = rule.min, rule.max, f"_{name}"

    def test(value: Any, seen: Seen) -> bool:
        found = value.get(name)
        if shadow in value:
            return False
        if found is None:
            return low == 0 and (many is None or many([], seen))
        if type(found) is not list or len(found) < low or (high is not None and len(found) > high):
            return False
        for one in found:
            if one is None or (values is not None and not values(one, seen)):
                return False
        return many is None or many(found, seen)

    return test


def _chosen(rule: Rule, table: dict[str, Test | None]) -> Test:
    low, high = rule.min, rule.max
    wanted = any(slice.min for slice in rule.slices.values())
    missing = object()

    def test(value: Any, seen: Seen) -> bool:
        number = 0
        for key, found in value.items():
            inner = table.get(key, missing)
            if inner is missing:
                continue
            number += 1
            if found is None or type(found) is list or (inner is not None and not inner(found, seen)):  # type: ignore[operator]
                return False
        return low <= number and (high is None or number <= high) and number < 2 and not (wanted and number == 0)

    return test
