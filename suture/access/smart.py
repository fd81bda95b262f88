"""SMART App Launch scopes on whole resource types, in the spelling of v1 (`.read`) and of v2 (`.rs`).

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re

from suture.access.caller import Scope
from suture.errors import InvalidSyntax
from suture.standards.fhir.definitions import RESOURCE_TYPES

_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_MEND = "Write CONTEXT/TYPE.LETTERS, such as patient/*.rs, user/Observation.rs or system/*.cruds."


def parse(text: str) -> tuple[Scope, ...]:
    """The scopes of a space-separated list; raises InvalidSyntax on any that can't be kept to the letter."""
    return tuple(dict.fromkeys(parse_one(word) for word in text.split()))


def parse_one(word: str) -> Scope:
    """One scope; a granular one (`?category=…`) is refused, since it must never widen to its whole type."""
    if "?" in word:
        raise InvalidSyntax("a scope narrowed by a query is not supported", where=_shown(word), mend=_MEND)
    found = _SCOPE.fullmatch(word)
    if not found or not found[3]:
        raise InvalidSyntax("not a SMART scope", where=_shown(word), mend=_MEND)
    if found[2] != "*" and found[2] not in RESOURCE_TYPES:
        raise InvalidSyntax(f"R4 has no resource type '{found[2]}'", where=_shown(word), mend=_MEND)
    return Scope(found[1], found[2], _V1.get(found[3], found[3]))


def text(scopes: tuple[Scope, ...]) -> str:
    """The scopes as one line, in the spelling of v2."""
    return " ".join(str(scope) for scope in scopes)


def _shown(word: str) -> str:
    return f"scope {word[:80]!r}"
