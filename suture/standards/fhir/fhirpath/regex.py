"""matches(), matchesFull(), replaceMatches() with patterns that can't run away (http://hl7.org/fhirpath/N1/#matchesregex--string--boolean).

A pattern that a backtracking engine may need long for is run as an automaton, in one pass over the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from suture.errors import Inapplicable, TooCostly
from suture.standards.fhir.fhirpath.automaton import Automaton, Node, Reader, Unsupported, open_ends, risky

LONGEST: Final = 2_000  # characters of a pattern
_WORK: Final = 10_000_000  # steps that a backtracking engine may need at most
_AUTOMATON_WORK: Final = 20_000_000  # characters times states
MAX_TEXT: Final = 1_000_000
_GROUP: Final = re.compile(r"\$(?:(\d+)|\{(\w+)\})")


@dataclass(slots=True)
class _Pattern:
    compiled: re.Pattern[str]
    node: Node | None  # None: it has what no automaton can do
    risky: bool
    ends: int
    automaton: Automaton | None = None

    def quick(self, text: str) -> bool:
        """Whether the backtracking engine is sure to end soon."""
        return not self.risky and float(len(text) + 1) ** (self.ends + 1) <= _WORK

    def slow(self, text: str) -> Automaton:
        if self.node is None:
            raise TooCostly(
                "the regular expression may need too long for this text", mend="Repeat no group that repeats."
            )
        if self.automaton is None:
            self.automaton = _automaton(self.node, self.compiled.flags)
        if len(text) * len(self.automaton.program.sets) > _AUTOMATON_WORK:
            raise TooCostly("the regular expression is too much for a text of this length")
        return self.automaton


def _automaton(node: Node, flags: int) -> Automaton:
    try:
        return Automaton(node, flags)
    except Unsupported:
        raise TooCostly("the regular expression repeats too often", mend="Lower the counts in braces.") from None


@lru_cache(512)
def _pattern(text: str, flags: str) -> _Pattern:
    if len(text) > LONGEST:
        raise Inapplicable(f"a regular expression of more than {LONGEST} characters")
    try:
        compiled = re.compile(text, re.DOTALL | (re.IGNORECASE if "i" in flags else 0))
    except (re.error, OverflowError, RecursionError) as error:
        raise Inapplicable("the regular expression can't be read") from error
    try:
        node = Reader(text).whole()
    except (Unsupported, RecursionError):
        repeats = re.search(r"\)[*+{]", text) is not None
        return _Pattern(compiled, None, repeats, len(re.findall(r"[*+]|,\}", text)))
    return _Pattern(compiled, node, risky(node), open_ends(node))


def search(value: str, pattern: str, flags: str = "") -> bool:
    """Whether the pattern stands somewhere in the value."""
    found = _pattern(pattern, flags)
    return found.compiled.search(value) is not None if found.quick(value) else found.slow(value).search(value)


def full(value: str, pattern: str, flags: str = "") -> bool:
    """Whether the pattern describes the whole value."""
    found = _pattern(pattern, flags)
    return found.compiled.fullmatch(value) is not None if found.quick(value) else found.slow(value).full(value)


def replace(value: str, pattern: str, substitution: str, flags: str = "") -> str:
    """Every occurrence replaced; `$1` and `${name}` stand for groups. An empty pattern replaces nothing."""
    if not pattern:
        return value
    found = _pattern(pattern, flags)
    if not found.quick(value):
        raise TooCostly("the regular expression may need too long for this text", mend="Repeat no group that repeats.")
    if (len(value) + 1) * (len(substitution) + 1) > 50 * MAX_TEXT:
        raise TooCostly(f"the text of replaceMatches() may grow past {MAX_TEXT} characters")
    template = _GROUP.sub(lambda group: rf"\g<{group[1] or group[2]}>", substitution.replace("\\", r"\\"))
    try:
        return found.compiled.sub(template, value)
    except (re.error, IndexError) as error:
        raise Inapplicable("the replacement names a group that is not there") from error
