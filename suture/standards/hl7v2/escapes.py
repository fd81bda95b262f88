"""Separators of a message and its escape sequences, both ways (HL7 v2.9 chapter 2, section 2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
BREAK = re.compile(r"\.(?:br|sp)\+?([0-9]{0,3})")
MOST_BREAKS = 100


class Separators(NamedTuple):
    """The delimiters a message declares in MSH-1 and MSH-2; an empty string is one that it does not use."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """MSH-2 as it is written."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Separators()


def unescape(text: str, separators: Separators = STANDARD) -> str:
    """The text with its escape sequences resolved; sequences nobody defined here stay as they are written."""
    escape = separators.escape
    if not escape or escape not in text:
        return text
    return _sequence(escape).sub(_resolver(separators), text)


def escape(text: str, separators: Separators = STANDARD) -> str:
    """The text as field content: every delimiter, line break and control character escaped."""
    pattern, table = _written(separators)
    return pattern.sub(lambda found: table.get(found[0]) or _hex(found[0], separators.escape), text)


@lru_cache(64)
def _sequence(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(f"{mark}([^{mark}\r\n]*){mark}")


@lru_cache(64)
def _resolver(separators: Separators) -> Callable[[re.Match[str]], str]:
    table = {
        "F": separators.field,
        "S": separators.component or "^",
        "R": separators.repetition or "~",
        "E": separators.escape,
        "T": separators.subcomponent or "&",
        "P": separators.truncation or "#",
        "H": "",
        "N": "",
    }

    def resolve(found: re.Match[str]) -> str:
        name = found[1]
        if name in table:
            return table[name]
        return _formatted(name) if name[:1] in {"X", "."} else found[0]

    def _formatted(name: str) -> str:
        mark = separators.escape
        if name[0] == "X":
            return _from_hex(name[1:]) if HEX.fullmatch(name, 1) else mark + name + mark
        found = BREAK.fullmatch(name)
        return "\n" * min(int(found[1] or "1"), MOST_BREAKS) if found else mark + name + mark

    return resolve


def _from_hex(digits: str) -> str:
    """Hexadecimal bytes as text: UTF-8 when they are, else one character a byte."""
    raw = bytes.fromhex(digits)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _hex(character: str, mark: str) -> str:
    return f"{mark}X{character.encode('utf-8').hex().upper()}{mark}"


@lru_cache(64)
def _written(separators: Separators) -> tuple[re.Pattern[str], dict[str, str]]:
    mark = separators.escape
    if not mark:  # a message without an escape character cannot carry its delimiters in data: they become blanks
        table = dict.fromkeys(separators.encoding + separators.field, " ")
        table.update({"\r": " ", "\n": " "})
        return re.compile("[" + re.escape("".join(table)) + "]"), table
    names = zip(
        "FSRETP",
        (
            separators.field,
            separators.component,
            separators.repetition,
            mark,
            separators.subcomponent,
            separators.truncation,
        ),
        strict=True,
    )
    table = {character: mark + name + mark for name, character in names if character}
    table.update({"\r\n": f"{mark}.br{mark}", "\n": f"{mark}.br{mark}", "\r": f"{mark}.br{mark}"})
    single = re.escape("".join(c for c in table if len(c) == 1))
    return re.compile(f"\r\n|[{single}\x00-\x1f\x7f\x85\u2028\u2029]"), table
