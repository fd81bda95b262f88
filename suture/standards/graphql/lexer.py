"""Cuts a GraphQL text into tokens with their places (https://spec.graphql.org/October2021/#sec-Language.Source-Text)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from suture.errors import InvalidSyntax

LONGEST = 64 * 1024  # characters of a document
_TOKEN = re.compile(
    r"""(?P<skip>[\s,\ufeff]+|\#[^\n\r]*)
    |(?P<name>[_A-Za-z][_0-9A-Za-z]*)
    |(?P<block>\"\"\"(?:[^"\\]|\\\"\"\"|\\|"(?!""))*\"\"\")
    |(?P<string>"(?:[^"\\\n\r]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*")
    |(?P<float>-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)(?![\w.]))
    |(?P<int>-?(?:0|[1-9]\d*)(?![\w.]))
    |(?P<mark>\.\.\.|[!$&()\[\]{}:=@|])""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A kind (name, string, int, float, mark, end), its text, and where it begins."""

    kind: str
    text: str
    place: str


def tokens(text: str) -> Iterator[Token]:
    """The tokens and an `end`; raises InvalidSyntax at what is none."""
    if len(text) > LONGEST:
        raise InvalidSyntax("this query is too long", where="query", mend=f"Send at most {LONGEST} characters.")
    at, line, start = 0, 1, 0
    while at < len(text):
        place = f"{line}:{at - start + 1}"
        found = _TOKEN.match(text, at)
        if found is None:
            raise InvalidSyntax("no token of GraphQL begins here", where=f"query {place}")
        kind = str(found.lastgroup)
        if kind != "skip":
            yield _token(kind, found.group(), place)
        line, start = _below(text, at, found.end(), line, start)
        at = found.end()
    yield Token("end", "", f"{line}:{at - start + 1}")


def _below(text: str, at: int, end: int, line: int, start: int) -> tuple[int, int]:
    lines = text.count("\n", at, end)
    return (line + lines, text.rindex("\n", at, end) + 1) if lines else (line, start)


def _token(kind: str, text: str, place: str) -> Token:
    if kind == "string":
        return Token(kind, json.loads(text, strict=False), place)
    if kind == "block":
        return Token("string", _block(text[3:-3].replace('\\"""', '"""')), place)
    return Token(kind, text, place)


def _block(text: str) -> str:
    """A block string without the indentation all its lines have, and without empty lines around it."""
    lines = re.split(r"\r\n|\n|\r", text)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    cut = min(indents, default=0)
    lines = [lines[0], *(line[cut:] for line in lines[1:])]
    while lines and not lines[0].strip(" \t"):
        lines.pop(0)
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    return "\n".join(lines)
