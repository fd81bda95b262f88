"""The paths of discriminators: elements, extension(url), ofType(), resolve() and $this, walked from a value.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from suture.standards.fhir.patch_place import Place, children

_STEP = re.compile(r"\.?(?:extension\('([^']+)'\)|ofType\((\w+)\)|(resolve)\(\)|(\$this)|(\w+))")
_AS = re.compile(r"\s+as\s+(\w+)")
Resolve = Callable[[str], dict[str, Any] | None]


class Step(NamedTuple):
    """One step; exactly one of the four is told."""

    url: str = ""  # of an extension
    kind: str = ""  # a type
    resolve: bool = False
    name: str = ""

    @property
    def named(self) -> bool:
        """Whether it leads to another element, which may have a rule."""
        return bool(self.url or self.name)


def steps(path: str) -> list[Step]:
    """The steps of a path; `$this` is none."""
    return list(_steps(path))


@lru_cache(2000)
def _steps(path: str) -> tuple[Step, ...]:
    plain = _AS.sub(r".ofType(\1)", path)
    found = (Step(url, kind, bool(resolve), name) for url, kind, resolve, _, name in _STEP.findall(plain))
    return tuple(step for step in found if any(step))


def reached(place: Place, way: list[Step], resolve: Resolve) -> Iterator[Place]:
    """Where the steps lead."""
    found = [place]
    for step in way:
        found = [there for one in found for there in _next(one, step, resolve)]
    yield from found


def _next(place: Place, step: Step, resolve: Resolve) -> Iterator[Place]:
    if step.url:
        every = children(place, "extension")
        yield from (one for one in every if isinstance(one.value, dict) and one.value.get("url") == step.url)
    elif step.kind:
        yield from [place] if place.type == step.kind else ()
    elif step.resolve:
        yield from _target(place, resolve)
    else:
        yield from children(place, step.name)


def _target(place: Place, resolve: Resolve) -> Iterator[Place]:
    """What a reference leads to; what leads outside is known by the type that its address names."""
    reference = place.value.get("reference") if isinstance(place.value, dict) else place.value
    there = resolve(reference) if isinstance(reference, str) else None
    if there is not None:
        yield Place(there, str(there.get("resourceType", "")))
        return
    named = reference.rpartition("/")[0].rpartition("/")[2] if isinstance(reference, str) else ""
    if named:
        yield Place({"resourceType": named}, named)
