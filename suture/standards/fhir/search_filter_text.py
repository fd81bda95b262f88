"""Reads the text of a `_filter` into a tree of tests: the grammar of https://hl7.org/fhir/R4/search_filter.html

`and` and `or` go from left to right, neither before the other. No error shows what was written: values may be personal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError, loads

from suture.errors import InvalidSearch

WHERE = "_filter"
LONGEST = 4096  # characters
MOST_TESTS = 32
MOST_BRACKETS = 8  # inside each other

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?::[A-Za-z_][A-Za-z0-9_-]*)*", re.ASCII)  # `subject:Patient`, `_has:…`
_OPERATOR = re.compile(r"[a-z]{2}(?=\s)", re.ASCII)
_WORD = re.compile(r"(and|or|not)(?=[\s(])")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r'[^\s\])"][^\s\])]*')


@dataclass(frozen=True, slots=True)
class Part:
    """A name on the way to the values; with brackets, what must hold there."""

    name: str
    inner: Tree | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`subject.name co "pet"`."""

    path: tuple[Part, ...]
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Filters that all hold (`and`), or of which one does (`or`)."""

    word: str
    filters: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """`not (…)`."""

    inner: Tree


Tree = Comparison | Joined | Denied


def read(text: str) -> Tree:
    """The tree of a whole filter; raises InvalidSearch that tells the character."""
    if len(text) > LONGEST:
        raise InvalidSearch("the filter is too long", where=WHERE, mend=f"It has at most {LONGEST} characters.")
    reader = _Reader(text)
    found = reader.filter()
    if reader.at < len(text):
        raise reader.wrong("'and', 'or' or the end is expected", "Write TEST and TEST, TEST or TEST.")
    return found


class _Reader:
    """Where the reading is, and how much was read."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.tests, self.depth = text, 0, 0, 0
        self.space()

    def wrong(self, text: str, mend: str = "") -> InvalidSearch:
        return InvalidSearch(f"{text} at character {self.at + 1}", where=WHERE, mend=mend)

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, pattern: re.Pattern[str]) -> str:
        """What the pattern finds here; '' when it finds nothing."""
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def sign(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += 1
        return True

    def word(self, *wanted: str) -> str:
        """One of the words, if it stands here; the white space behind it is passed over."""
        found = _WORD.match(self.text, self.at)
        if found is None or found[1] not in wanted:
            return ""
        self.at = found.end()
        self.space()
        return found[1]

    def filter(self) -> Tree:
        found = self.term()
        while word := self.word("and", "or"):
            more = self.term()
            same = isinstance(found, Joined) and found.word == word
            found = Joined(word, (*(found.filters if same and isinstance(found, Joined) else (found,)), more))
        return found

    def term(self) -> Tree:
        denied = bool(self.word("not"))
        if self.sign("("):
            inner = self.bracket(")")
            self.space()
            return Denied(inner) if denied else inner
        if denied:
            raise self.wrong("a bracket is expected", "Write not (TEST).")
        return self.test()

    def bracket(self, end: str) -> Tree:
        self.depth += 1
        if self.depth > MOST_BRACKETS:
            raise self.wrong(f"more than {MOST_BRACKETS} brackets inside each other")
        self.space()
        found = self.filter()
        if not self.sign(end):
            raise self.wrong(f"'{end}' is expected", "Close each bracket.")
        self.depth -= 1
        return found

    def test(self) -> Comparison:
        self.tests += 1
        if self.tests > MOST_TESTS:
            raise self.wrong(f"more than {MOST_TESTS} tests", "Search in several requests.")
        path = self.path()
        self.space()
        operator = self.take(_OPERATOR)
        if not operator:
            raise self.wrong("an operator is expected", "Write NAME OPERATOR VALUE, such as birthdate ge 2014-10-10.")
        self.space()
        value = self.value()
        self.space()
        return Comparison(path, operator, value)

    def path(self) -> tuple[Part, ...]:
        parts = [self.part()]
        while self.sign("."):
            parts.append(self.part())
        if parts[-1].inner is not None:
            raise self.wrong("a name is expected behind the bracket", "Write NAME[FILTER].NAME OPERATOR VALUE.")
        return tuple(parts)

    def part(self) -> Part:
        name = self.take(_NAME)
        if not name:
            raise self.wrong("the name of a search parameter is expected")
        return Part(name, self.bracket("]") if self.sign("[") else None)

    def value(self) -> str:
        if not self.text.startswith('"', self.at):
            found = self.take(_TOKEN)
            if not found:
                raise self.wrong("a value is expected", "Write a word, a number, a date or a text in quotes.")
            return found
        start, text = self.at, self.take(_TEXT)
        try:
            return str(loads(text, strict=False))
        except JSONDecodeError:
            self.at = start
            raise self.wrong("a text is not ended or has a wrong escape", "Write it as a JSON string.") from None
