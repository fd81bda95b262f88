"""What the closures of quick.py are made of: tests that say a sure yes, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.standards.fhir.patch_json import equal

Resolve = Callable[[str], dict[str, Any] | None]


class Seen:
    """One walk: the resource, and where its references lead; None: all lead outside."""

    __slots__ = ("depth", "resolve", "resource")

    def __init__(self, resource: dict[str, Any], resolve: Resolve | None = None) -> None:
        self.resource = resource
        self.resolve = resolve
        self.depth = 0


Test = Callable[[Any, Seen], bool]
Fit = Callable[[Any], bool]


def NEVER(value: Any, seen: Seen) -> bool:
    """For the slow walk."""
    return False


def all_of(tests: list[Test]) -> Test | None:
    """None when there are none."""
    if not tests or NEVER in tests:
        return NEVER if tests else None
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value, seen: first(value, seen) and second(value, seen)
    every = tuple(tests)

    def test(value: Any, seen: Seen) -> bool:
        for one in every:  # noqa: SIM110 - all() over a generator takes twice as long
            if not one(value, seen):
                return False
        return True

    return test


def dicts_only(test: Test) -> Test:
    return lambda value, seen: type(value) is dict and test(value, seen)


def same(fixed: Any) -> Test:
    """The value is the fixed one."""
    if type(fixed) is str:
        return lambda value, seen: type(value) is str and value == fixed
    return lambda value, seen: equal(value, fixed)


def like(pattern: Any) -> Test:
    """The value holds the pattern."""
    inner = fit(pattern)
    return lambda value, seen: inner(value)


def fit(pattern: Any) -> Fit:
    """values.fits, compiled."""
    if isinstance(pattern, dict):
        return _object(tuple((key, fit(inner)) for key, inner in pattern.items()))
    if isinstance(pattern, list):
        each = tuple(fit(inner) for inner in pattern)
        return lambda value: type(value) is list and all(any(map(inner, value)) for inner in each)
    if type(pattern) is str:
        return lambda value: type(value) is str and bool(value == pattern)
    return lambda value: equal(value, pattern)


def _object(rows: tuple[tuple[str, Fit], ...]) -> Fit:
    def fits(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for key, inner in rows:  # noqa: SIM110 - as above
            if key not in value or not inner(value[key]):
                return False
        return True

    return fits
