"""Regular expressions that can't run away (http://hl7.org/fhirpath/N1/#matchesregex--string--boolean)."""

from __future__ import annotations

import re
from functools import lru_cache

from suture.errors import Inapplicable, TooCostly

LONGEST = 2_000  # characters of a pattern
_WORK = 20_000_000


@lru_cache(512)
def _compiled(pattern: str, flags: str) -> re.Pattern[str]:
    if len(pattern) > LONGEST:
        raise Inapplicable(f"a regular expression of more than {LONGEST} characters")
    try:
        return re.compile(pattern, re.DOTALL | (re.IGNORECASE if "i" in flags else 0))
    except (re.error, OverflowError, RecursionError) as error:
        raise Inapplicable("the regular expression can't be read") from error


def search(value: str, pattern: str, flags: str = "") -> bool:
    """Whether the pattern occurs in the value."""
    return _compiled(pattern, flags).search(value) is not None


def full(value: str, pattern: str, flags: str = "") -> bool:
    """Whether the pattern describes the whole value."""
    return _compiled(pattern, flags).fullmatch(value) is not None


def replace(value: str, pattern: str, substitution: str, flags: str = "") -> str:
    """Every occurrence replaced; `$1` and `${name}` stand for groups. An empty pattern replaces nothing."""
    if not pattern:
        return value
    template = re.sub(r"\$(\d+|\{(\w+)\})", lambda m: rf"\g<{m[2] or m[1]}>", substitution.replace("\\", "\\\\"))
    try:
        return _compiled(pattern, flags).sub(template, value)
    except (re.error, IndexError) as error:
        raise Inapplicable("the replacement names a group that is not there") from error


__all__ = ["TooCostly", "full", "replace", "search"]
