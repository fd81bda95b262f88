"""The sure yes of slices: every value is told apart for sure, keeps its slice, and each slice is there as often as asked for.

Compiled are discriminators by value, pattern and binding over plain paths, by an extension's url, and types of a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import suture.standards.fhir.profiles.values as values
from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.profiles.quick_test import NEVER, Fit, Seen, Test, all_of, fit, same
from suture.standards.fhir.profiles.reached import Step, steps
from suture.standards.fhir.profiles.rules import Rule
from suture.standards.fhir.profiles.slices import TYPE, URL, is_a
from suture.standards.fhir.profiles.values import MemberOf

Belongs = Callable[[Any], bool | None]  # None: nobody can tell here
Part = tuple[Belongs | None, Test | None, int, int | None]  # whose, what it asks for, least, most
_EXTENSIONS = ("extension", "modifierExtension")


class Compiler(Protocol):
    """quick.py's, from below."""

    def value(self, rule: Rule, kind: str) -> list[Test]: ...

    @property
    def member_of(self) -> MemberOf: ...


def sliced(compiler: Compiler, rule: Rule, kind: str) -> Test:
    """Over all values of an element, which is no choice."""
    discriminators = rule.slicing.discriminators if rule.slicing else URL if rule.name in _EXTENSIONS else ()
    odd = rule.slicing is not None and rule.slicing.ordered
    if odd or not discriminators or any(slice.slices for slice in rule.slices.values()):
        return NEVER
    parts = [_part(compiler, slice, kind, discriminators) for slice in rule.slices.values()]
    if any(part[0] is None for part in parts):
        return NEVER
    closed = rule.slicing is not None and rule.slicing.rules == "closed"
    return _counted(parts, closed)


def _counted(parts: list[Part], closed: bool) -> Test:
    rows = [(at, belongs, test) for at, (belongs, test, _, _) in enumerate(parts) if belongs is not None]
    limits = [(low, high) for _, _, low, high in parts]

    def test(found: Any, seen: Seen) -> bool:
        counts = [0] * len(limits)
        for value in found:
            for at, belongs, inner in rows:
                told = belongs(value)
                if told is None:
                    return False
                if told:
                    counts[at] += 1
                    if inner is not None and not inner(value, seen):
                        return False
                    break
            else:
                if closed:
                    return False
        return all(
            low <= number and (high is None or number <= high)
            for number, (low, high) in zip(counts, limits, strict=True)
        )

    return test


def _part(compiler: Compiler, slice: Rule, kind: str, discriminators: tuple[tuple[str, str], ...]) -> Part:
    told = [_told(compiler, slice, how, path) for how, path in discriminators]
    whose = _every([one for one in told if one is not None]) if None not in told and told else None
    inner = all_of(compiler.value(slice, kind))
    return whose, inner, slice.min, slice.max


def _every(each: list[Belongs]) -> Belongs:
    if len(each) == 1:
        return each[0]

    def belongs(value: Any) -> bool | None:
        found = [one(value) for one in each]
        return None if None in found else all(found)

    return belongs


def _told(compiler: Compiler, slice: Rule, how: str, path: str) -> Belongs | None:
    """One discriminator; None for one that is left to the slow walk."""
    way = steps(path)
    if how not in ("value", "pattern") or any(not step.name for step in way):
        return None
    chain = list(_chain(slice, way))
    if [step.name for step in way] == ["url"] and not chain:
        return _by_url(slice)
    if len(chain) < len(way) or any(_untold(one) for one in (slice, *chain)):
        return None
    whole = [one for one in (slice, *chain) if one.fixed is not None or one.pattern is not None]
    if whole:
        last = whole[-1]
        names = [step.name for step in way][: chain.index(last) + 1] if last is not slice else []
        return _reached(names, _exactly(last))
    if not way and slice.binding is not None:
        return _by_binding(slice.binding[1], compiler.member_of)
    return None


def _untold(rule: Rule) -> bool:
    """Whether slices without a slicing of their own, or by type, may say more of the value."""
    return bool(rule.slices) and (rule.slicing is None or rule.slicing.discriminators == TYPE)


def _chain(slice: Rule, way: list[Step]) -> Iterator[Rule]:
    """The rules along the path; through what has to be among the values of a list where that alone has one."""
    rule = slice
    for step in way:
        within = [rule, *(one for one in rule.slices.values() if one.min)]
        found = next((one for one in within if step.name in one.children), None)
        if found is None:
            return
        rule = found.children[step.name]
        yield rule


def _by_url(slice: Rule) -> Belongs | None:
    urls = frozenset(url.partition("|")[0] for one in slice.types for url in one.profiles)
    if not urls or slice.fixed is not None or slice.pattern is not None:
        return None
    return lambda value: type(value) is dict and value.get("url") in urls


def _exactly(rule: Rule) -> Fit:
    if rule.fixed is None:
        return fit(rule.pattern)
    fixed = same(rule.fixed)
    return lambda value: fixed(value, _NOWHERE)


_NOWHERE = Seen({})


def _reached(names: list[str], fits: Fit) -> Belongs:
    """Whether a value at the end of the path fits; shadows and choices on the way are for the slow walk."""
    if not names:
        return fits
    name, rest = names[0], _reached(names[1:], fits)

    def belongs(value: Any) -> bool | None:
        if type(value) is not dict or f"_{name}" in value:
            return None
        found = value.get(name)
        if found is None:
            return None if any(key.startswith(name) for key in value) else False
        told = [rest(one) for one in found] if type(found) is list else [rest(found)]
        return True if True in told else None if None in told else False

    return belongs


def _by_binding(url: str, member_of: MemberOf) -> Belongs:
    return lambda value: values.member(value, url, member_of)


def of_type(compiler: Compiler, rule: Rule, kind: str) -> list[Test]:
    """What the slice of a choice's type asks for."""
    by_type = rule.slicing is not None and rule.slicing.discriminators == TYPE and not rule.slicing.ordered
    slices = list(rule.slices.values())
    wanted = [one for one in slices if one.min]
    plain = all(one.types and not one.slices and one.min < 2 and one.max != 0 for one in slices) and len(wanted) < 2
    simple = all(t.code and not t.profiles and not t.targets for one in slices for t in one.types)
    if not by_type or not plain or not simple or type_definition(kind) is None:
        return [NEVER]
    found = next((one for one in slices if any(is_a(kind, t.code) for t in one.types)), None)
    if wanted and found is not wanted[0]:
        return [NEVER]
    if found is None:
        return [NEVER] if rule.slicing is not None and rule.slicing.rules == "closed" else []
    return compiler.value(found, kind)
