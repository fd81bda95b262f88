"""Places in a message, as people write them: `PID-3.1`, `OBX[2]-5`, `PID-3[2].4.1` (HL7 v2.9 chapter 2, section 2.10.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from suture.errors import InvalidSyntax

FORM = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>[1-9][0-9]{0,5})\])?"
    r"(?:-(?P<field>[1-9][0-9]{0,2})(?:\[(?P<repetition>[1-9][0-9]{0,5})\])?"
    r"(?:\.(?P<component>[1-9][0-9]{0,2})(?:\.(?P<subcomponent>[1-9][0-9]{0,2}))?)?)?"
)


class Place(NamedTuple):
    """Counted from 1 as HL7 does; 0 where the writing names none (any segment, whole field, first repetition)."""

    segment: str
    nth: int
    field: int
    repetition: int
    component: int
    subcomponent: int

    def __str__(self) -> str:
        nth = f"[{self.nth}]" if self.nth else ""
        repetition = f"[{self.repetition}]" if self.repetition else ""
        parts = "".join(f".{n}" for n in (self.component, self.subcomponent) if n)
        return f"{self.segment}{nth}" + (f"-{self.field}{repetition}{parts}" if self.field else "")


@lru_cache(4096)
def read(text: str) -> Place:
    """The place a text names; raises InvalidSyntax."""
    found = FORM.fullmatch(text)
    if not found:
        raise InvalidSyntax(
            "not a place in an HL7 v2 message", where=text, mend="Write it like PID-3.1, OBX[2]-5 or PID-3[2].4.1."
        )
    numbers = [int(found[name] or 0) for name in ("nth", "field", "repetition", "component", "subcomponent")]
    return Place(found["segment"], *numbers)
