"""A part of SNOMED CT's Expression Constraint Language: < << > >> <! >! * with AND, OR, MINUS and parentheses.

https://docs.snomed.org/snomed-ct-specifications/snomed-ct-expression-constraint-language
"""

from __future__ import annotations

import re
from collections.abc import Callable

from suture.errors import Inapplicable, TooCostly
from suture.standards.terminology.code_system import CodeSystem

LONGEST = 4_000  # characters
DEEPEST = 50  # parentheses inside one another
MOST_STARTS = 1_000  # codes whose families are asked for at once
_WHERE = "constraint"
_TOKEN = re.compile(r"\s*(?:(<<|<!|>>|>!|[<>()*,^:{}.=])|(\d{1,18})(?:\s*\|[^|]{0,1000}\|)?|([A-Za-z]{1,10}))")
_MEND = "Use < << > >> <! >! and * with AND, OR, MINUS and parentheses."
Codes = frozenset[str]
_FAMILIES: dict[str, Callable[[CodeSystem, str], frozenset[str]]] = {
    "": lambda system, code: frozenset((code,)) if code in system.displays else frozenset(),
    "<<": lambda system, code: system.below(code),
    "<": lambda system, code: system.below(code) - {code},
    ">>": lambda system, code: system.above(code),
    ">": lambda system, code: system.above(code) - {code},
    "<!": lambda system, code: frozenset(system.children.get(code, ())),
    ">!": lambda system, code: frozenset(system.parents.get(code, ())),
}
_JOINED: dict[str, Callable[[Codes, Codes], Codes]] = {
    "AND": lambda left, right: left & right,
    ",": lambda left, right: left & right,
    "OR": lambda left, right: left | right,
    "MINUS": lambda left, right: left - right,
}


def chosen(system: CodeSystem, text: str) -> Codes:
    """The codes that the expression stands for; raises Inapplicable for what is no ECL, or not of this part of it."""
    if len(text) > LONGEST:
        raise Inapplicable(
            f"the expression has more than {LONGEST} characters", where=_WHERE, mend="Store a value set."
        )
    reading = _Reading(system, _tokens(text))
    found = reading.whole(0)
    if reading.left:
        raise reading.unfit()
    return found


def _tokens(text: str) -> list[str]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise Inapplicable(f"the expression can't be read at character {at + 1}", where=_WHERE, mend=_MEND)
        found.append(token[1] or token[2] or token[3].upper())
        at = token.end()
    return found


class _Reading:
    """Reads and answers at once; expressions with AND, OR and MINUS mixed need parentheses, as in the language."""

    def __init__(self, system: CodeSystem, tokens: list[str]) -> None:
        self.system = system
        self.left = tokens[::-1]

    def unfit(self) -> Inapplicable:
        found = f"'{self.left[-1]}' is not expected here" if self.left else "the expression ends too early"
        return Inapplicable(f"{found}, or not supported", where=_WHERE, mend=_MEND)

    def whole(self, deep: int) -> Codes:
        if deep > DEEPEST:
            raise Inapplicable(f"more than {DEEPEST} parentheses inside one another", where=_WHERE)
        found = self.part(deep)
        first = ""
        while self.left and self.left[-1] in _JOINED:
            if first == "MINUS" or (first and self._kind(self.left[-1]) != first):
                raise Inapplicable(
                    "AND, OR and MINUS are mixed", where=_WHERE, mend="Say with parentheses what belongs together."
                )
            first = self._kind(self.left[-1])
            found = _JOINED[self.left.pop()](found, self.part(deep))
        return found

    def _kind(self, word: str) -> str:
        return "AND" if word == "," else word

    def part(self, deep: int) -> Codes:
        """An operator with a code, all codes, or an expression in parentheses."""
        operator = self.left.pop() if self.left and self.left[-1] in _FAMILIES else ""
        if not self.left:
            raise self.unfit()
        if self.left[-1] == "(":
            return self._group(operator, deep)
        if self.left[-1] == "*":
            self.left.pop()
            return self._of_all(operator, frozenset(self.system.displays))
        if not self.left[-1].isdigit():
            raise self.unfit()
        return _FAMILIES[operator](self.system, self.left.pop())

    def _group(self, operator: str, deep: int) -> Codes:
        self.left.pop()
        found = self.whole(deep + 1)
        if not self.left or self.left.pop() != ")":
            raise Inapplicable("a parenthesis is not closed", where=_WHERE, mend=_MEND)
        return self._of_all(operator, found)

    def _of_all(self, operator: str, codes: Codes) -> Codes:
        if not operator:
            return codes
        if len(codes) > MOST_STARTS:
            raise TooCostly(f"{operator} stands before more than {MOST_STARTS} codes", where=_WHERE, mend="Name fewer.")
        family = _FAMILIES[operator]
        return frozenset(one for code in codes for one in family(self.system, code))
