"""Cuts FHIRPath text into tokens that know their column (lexical part of http://hl7.org/fhirpath/N1/grammar.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from suture.errors import InvalidSyntax

LONGEST = 65_536  # characters of one expression

_PATTERN = re.compile(
    r"""(?P<space>[ \t\r\n]+|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    |(?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    |(?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?)
    |(?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    |(?P<number>\d+(?:\.\d+)?(?:L\b)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<delimited>`(?:[^`\\]|\\.)*`)
    |(?P<external>%(?:[A-Za-z_][A-Za-z0-9_]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"))
    |(?P<special>\$(?:this|index|total)\b)
    |(?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol><=|>=|!=|!~|[-+*/|&=~<>.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"\\": "\\", "/": "/", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "`": "`", "'": "'"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_STARTS = {"'": "a string without its closing '", "`": "a name without its closing `", "/": "a comment without its */"}
_LOCATION = r"[A-Z][A-Z0-9]{1,2}(?:\[\d+\])?-\d+(?:\[\d+\])?(?:\.\d+(?:\.\d+)?|-\d+)?(?![A-Za-z0-9_])"


class Token(NamedTuple):
    """One token: `kind` is a group name of the pattern, `location` or `end`; `column` counts from 1."""

    kind: str
    text: str
    column: int


def tokens(text: str, *, locations: bool = False, components: Sequence[str] = ()) -> list[Token]:
    """All tokens of an expression, an `end` token last; raises InvalidSyntax naming the column."""
    if len(text) > LONGEST:
        raise InvalidSyntax(f"an expression of more than {LONGEST} characters", where="column 1", mend="Split it.")
    found = list(_scan(text, _place_pattern(locations, tuple(components))))
    found.append(Token("end", "", len(text) + 1))
    return found


@lru_cache(64)
def _place_pattern(locations: bool, components: tuple[str, ...]) -> re.Pattern[str] | None:
    ways = [_LOCATION] if locations else []
    if components:
        heads = "|".join(sorted((re.escape(head) for head in components), key=len, reverse=True))
        ways.append(rf"(?:{heads})\.\d+(?:\.\d+)?(?![A-Za-z0-9_])")
    return re.compile("|".join(ways)) if ways else None


def _scan(text: str, places: re.Pattern[str] | None) -> Iterator[Token]:
    at, after_dot = 0, False
    while at < len(text):
        place = places.match(text, at) if places and not after_dot else None
        match = place or _PATTERN.match(text, at)
        if match is None or (text.startswith("/*", at) and match.end() == at + 1):
            raise InvalidSyntax(_unreadable(text, at), where=f"column {at + 1}", mend="See the FHIRPath grammar.")
        kind = "location" if place else str(match.lastgroup)
        if kind != "space":
            yield Token(kind, match.group(), at + 1)
            after_dot = match.group() == "."
        at = match.end()


def _unreadable(text: str, at: int) -> str:
    return _STARTS.get(text[at], f"the character {text[at]!r} has no meaning here")


def unescape(token: Token) -> str:
    """The text inside a quoted token, escapes resolved."""
    inner = token.text[1:-1]
    if "\\" not in inner:
        return inner
    text = _ESCAPE.sub(lambda match: _escaped(match.group(1), token), inner)
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise InvalidSyntax("half of a surrogate pair", where=f"column {token.column}") from None


def _escaped(name: str, token: Token) -> str:
    if len(name) == 5:
        return chr(int(name[1:], 16))
    if name not in _ESCAPES:
        raise InvalidSyntax(
            f"the escape \\{name} is unknown", where=f"column {token.column}", mend="Double the backslash."
        )
    return _ESCAPES[name]
