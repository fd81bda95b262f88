"""Target paths of rows: `contact[].name`, `identifier[ssn].value`, `extension[http://…].valueCoding` (docs/map-language.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from suture.errors import InvalidSyntax

STEP = re.compile(r"\s*(?P<name>\$this|[A-Za-z_][A-Za-z0-9_]*)(?P<brackets>(?:\[[^\]]*\])*)\s*")
BRACKET = re.compile(r"\[([^\]]*)\]")
LABEL = re.compile(r"[A-Za-z0-9_-]+")
EXTENSIONS = ("extension", "modifierExtension")
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path: which item of a list it means."""

    name: str
    new: bool = False  # [] : a new item each time
    label: str = ""  # [ssn] : the item of that label
    url: str = ""  # extension[url]

    def __str__(self) -> str:
        inner = f"[{self.url or self.label}]" if self.url or self.label else ""
        return self.name + inner + ("[]" if self.new else "")


Path = tuple[Step, ...]
THIS: Path = (Step("$this"),)


@lru_cache(4096)
def read(text: str) -> Path:
    """The steps of a target path; raises InvalidSyntax naming the column."""
    if len(text) > LONGEST:
        raise _wrong(text[:40], 1, "the path is too long")
    steps: list[Step] = []
    position = 0
    while True:
        found = STEP.match(text, position)
        if not found:
            raise _wrong(text, position + 1, "here a name must stand")
        steps.append(_step(text, found))
        position = found.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise _wrong(text, position + 1, f"'{text[position]}' is not expected here")
        position += 1
    if len(steps) > 1 and any(step.name == "$this" for step in steps):
        raise _wrong(text, 1, "$this stands alone")
    return tuple(steps)


def _step(text: str, found: re.Match[str]) -> Step:
    name, inner = found["name"], BRACKET.findall(found["brackets"])
    column = found.start("brackets") + 1
    if name in EXTENSIONS and inner and inner[0]:
        if len(inner) > 2 or (len(inner) == 2 and inner[1]):
            raise _wrong(text, column, "after extension[URL] only [] may follow")
        return Step(name, new=len(inner) == 2, url=inner[0].strip())
    if len(inner) > 1:
        raise _wrong(text, column, "one pair of brackets is enough")
    if not inner:
        return Step(name)
    if not inner[0]:
        return Step(name, new=True)
    if not LABEL.fullmatch(inner[0]):
        raise _wrong(text, column, "a label is letters, digits, - and _")
    return Step(name, label=inner[0])


def _wrong(text: str, column: int, what: str) -> InvalidSyntax:
    return InvalidSyntax(
        f"not a target path: {what}",
        where=f"{text}:{column}",
        mend="Write it like birthDate, name[], identifier[ssn].value or extension[http://example.org/x].valueString.",
    )


def text(path: Path) -> str:
    return ".".join(map(str, path))
