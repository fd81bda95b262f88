"""Full text of a resource and questions to it: words, phrases, AND, OR, NOT, brackets. https://hl7.org/fhir/R4/search.html#content"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from suture.errors import InvalidSearch
from suture.standards.fhir.index_values import fold
from suture.standards.fhir.search_query import Tree, Words

NARRATIVE, CONTENT = "_text", "_content"
MOST_PARTS, DEEPEST, LONGEST_WORD = 32, 8, 64
MOST_WORDS = 10_000  # of one resource that are kept
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r'\s*(?:(?P<bracket>[()])|"(?P<phrase>[^"]*)"|(?P<bare>[^\s()"]+))')
_TAG = re.compile(r"<[^>]*>|&[#\w]+;")
# what holds addresses, numbers of versions or bytes rather than words
_NO_WORDS = frozenset(
    [
        "resourceType",
        "id",
        "versionId",
        "lastUpdated",
        "reference",
        "system",
        "url",
        "profile",
        "source",
        "fullUrl",
        "data",
        "contentType",
        "hash",
        "div",
    ]
)
_MEND = 'Write words, "a phrase", begin*, a OR b, a NOT b, brackets.'


def words(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


def narrative(resource: dict[str, Any]) -> list[str]:
    """The words of the narrative."""
    div = resource.get("text", {}).get("div", "") if isinstance(resource.get("text"), dict) else ""
    return words(_TAG.sub(" ", div))[:MOST_WORDS] if isinstance(div, str) else []


def content(resource: dict[str, Any]) -> list[str]:
    """The words of everything: of the narrative, then of all texts and codes, those of contained resources too."""
    found = narrative(resource)
    for text in _texts(resource):
        found += words(text)
        if len(found) > MOST_WORDS:
            break
    return found[:MOST_WORDS]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _NO_WORDS:
                yield from _texts(item)


# --- questions


def read(text: str, where: str) -> Words:
    """The question; raises InvalidSearch for one that is none, or is too large."""
    return Words(text, _Reader(text, where).whole())


@dataclass(slots=True)
class _Piece:
    kind: str  # ( ) word phrase
    text: str


class _Reader:
    """any := all (OR all)* · all := one ([AND] one)* (NOT one)* · one := word[*] | "phrase" | ( any )"""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._pieces = list(self._split(text))
        self._at = 0
        if not self._pieces or len(self._pieces) > MOST_PARTS:
            raise self._wrong(f"1 to {MOST_PARTS} words are needed")

    def _wrong(self, text: str) -> InvalidSearch:
        return InvalidSearch(text, where=self._where, mend=_MEND)

    def _split(self, text: str) -> Iterator[_Piece]:
        at = 0
        while at < len(text.rstrip()):
            found = _PIECE.match(text, at)
            if found is None:
                raise self._wrong("a quotation mark is not closed")
            at = found.end()
            if found["bracket"]:
                yield _Piece(found["bracket"], "")
            elif found["phrase"] is not None:
                yield _Piece("phrase", found["phrase"])
            else:
                yield _Piece("word", found["bare"])

    def whole(self) -> Tree:
        found = self._any(0)
        if self._at < len(self._pieces):
            raise self._wrong("a bracket is closed that was not opened")
        return found

    def _next(self, *words: str) -> bool:
        """Is this operator next? Then it is passed."""
        piece = self._pieces[self._at] if self._at < len(self._pieces) else None
        found = piece is not None and piece.kind == "word" and piece.text in words
        self._at += found
        return found

    def _more(self) -> bool:
        if self._at >= len(self._pieces):
            return False
        piece = self._pieces[self._at]
        return piece.kind != ")" and (piece.kind != "word" or piece.text not in ("OR", "NOT"))

    def _any(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} brackets inside each other")
        found = [self._all(depth)]
        while self._next("OR"):
            found.append(self._all(depth))
        return found[0] if len(found) == 1 else ("or", *found)

    def _all(self, depth: int) -> Tree:
        found = [self._one(depth)]
        while self._more():
            self._next("AND")
            found.append(self._one(depth))
        kept: Tree = found[0] if len(found) == 1 else ("and", *found)
        while self._next("NOT"):
            kept = ("not", kept, self._one(depth))
        return kept

    def _one(self, depth: int) -> Tree:
        if self._at >= len(self._pieces):
            raise self._wrong("a word is missing at the end")
        piece = self._pieces[self._at]
        self._at += 1
        if piece.kind == "(":
            found = self._any(depth + 1)
            if self._at >= len(self._pieces) or self._pieces[self._at].kind != ")":
                raise self._wrong("a bracket is not closed")
            self._at += 1
            return found
        return self._phrase(piece)

    def _phrase(self, piece: _Piece) -> Tree:
        found = words(piece.text)
        if piece.kind == ")" or not found or (piece.kind == "word" and piece.text in ("AND", "OR", "NOT")):
            raise self._wrong("a word is missing")
        begins = piece.kind == "word" and piece.text.endswith("*")
        return ("begins" if begins else "phrase", *found)


def holds(tree: Tree, found: Sequence[str]) -> bool:
    """Does a text of these words answer the question?"""
    kind, *parts = tree
    if kind == "and":
        return all(holds(_tree(part), found) for part in parts)
    if kind == "or":
        return any(holds(_tree(part), found) for part in parts)
    if kind == "not":
        return holds(_tree(parts[0]), found) and not holds(_tree(parts[1]), found)
    size = len(parts)
    return any(_stands(parts, found[at : at + size], kind == "begins") for at in range(len(found) - size + 1))


def _tree(part: object) -> Tree:
    assert isinstance(part, tuple)
    return part


def _stands(asked: Sequence[object], there: Sequence[str], begins: bool) -> bool:
    *first, last = asked
    return list(there[:-1]) == first and (there[-1].startswith(str(last)) if begins else there[-1] == last)
