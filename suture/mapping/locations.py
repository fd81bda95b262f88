"""Locations in expressions of maps: `PID-3.4.1` in a message, `CX.4.1` in a repetition or datatype (docs/map-language.md)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

FORM = re.compile(
    r"(?P<root>[A-Z][A-Z0-9]{1,2})(?:\[(?P<nth>[1-9][0-9]{0,4})\])?"
    r"(?:-(?P<field>[1-9][0-9]{0,2})(?:\[(?P<repetition>[1-9][0-9]{0,4})\])?(?:\.(?P<c1>[1-9][0-9]?)(?:\.(?P<s1>[1-9][0-9]?))?)?"
    r"|\.(?P<c2>[1-9][0-9]?)(?:\.(?P<s2>[1-9][0-9]?))?)"
)


class Location(NamedTuple):
    """`root` is a segment (field > 0) or a datatype (field 0, component > 0); numbers count from 1, 0 is none."""

    root: str
    nth: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0

    @property
    def of_segment(self) -> bool:
        return self.field > 0

    def __str__(self) -> str:
        parts = "".join(f".{n}" for n in (self.component, self.subcomponent) if n)
        if not self.field:
            return self.root + parts
        nth = f"[{self.nth}]" if self.nth else ""
        repetition = f"[{self.repetition}]" if self.repetition else ""
        return f"{self.root}{nth}-{self.field}{repetition}{parts}"


@lru_cache(4096)
def read(text: str) -> Location | None:
    """The location a text is, or None."""
    found = FORM.fullmatch(text.strip())
    if not found:
        return None
    if not found["field"]:
        if found["nth"]:
            return None
        return Location(found["root"], component=int(found["c2"]), subcomponent=int(found["s2"] or 0))
    names = ("nth", "field", "repetition", "c1", "s1")
    return Location(found["root"], *(int(found[name] or 0) for name in names))
