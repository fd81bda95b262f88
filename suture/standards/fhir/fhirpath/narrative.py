"""Checks the XHTML of a narrative: well-formed, only the elements and attributes that FHIR allows (https://hl7.org/fhir/R4/narrative.html)."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

_ELEMENTS = frozenset(
    [
        "p",
        "br",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "a",
        "span",
        "b",
        "em",
        "i",
        "strong",
        "small",
        "big",
        "tt",
        "dfn",
        "q",
        "var",
        "abbr",
        "acronym",
        "cite",
        "blockquote",
        "hr",
        "address",
        "bdo",
        "kbd",
        "sub",
        "sup",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "pre",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tr",
        "tfoot",
        "tbody",
        "th",
        "td",
        "code",
        "samp",
        "img",
        "map",
        "area",
        "u",
        "s",
        "strike",
        "ins",
        "del",
    ]
)
_ATTRIBUTES = frozenset(
    [
        "title",
        "style",
        "class",
        "id",
        "lang",
        "xml:lang",
        "xml:space",
        "dir",
        "accesskey",
        "tabindex",
        "span",
        "width",
        "align",
        "valign",
        "char",
        "charoff",
        "abbr",
        "axis",
        "headers",
        "scope",
        "rowspan",
        "colspan",
        "xmlns",
        "border",
        "cellpadding",
        "cellspacing",
        "summary",
        "frame",
        "rules",
        "nowrap",
        "bgcolor",
        "height",
        "compact",
        "start",
        "type",
        "value",
        "cite",
        "datetime",
        "color",
    ]
)
_OWN = {
    "a": frozenset(["href", "name", "charset", "type", "hreflang", "rel", "rev", "shape", "coords", "target"]),
    "img": frozenset(["src", "alt", "longdesc", "height", "width", "usemap", "ismap"]),
    "area": frozenset(["href", "alt", "shape", "coords", "nohref"]),
    "map": frozenset({"name"}),
}
_ACTIVE = ("javascript:", "vbscript:")


class _Unsound(Exception):
    pass


class _Checker:
    def __init__(self) -> None:
        self.content = False
        self.depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        own = _OWN.get(name, frozenset())
        if name not in _ELEMENTS or (self.depth == 1 and name != "div") or self.depth > 100:
            raise _Unsound
        if not all(key in _ATTRIBUTES or key in own or key.startswith("xmlns:") for key in attributes):
            raise _Unsound
        if any(value.strip().lower().startswith(_ACTIVE) for value in attributes.values()):
            raise _Unsound
        self.content = self.content or name == "img"

    def end(self, name: str) -> None:
        self.depth -= 1

    def text(self, characters: str) -> None:
        self.content = self.content or bool(characters.strip())


def _refuse(*_: Any) -> None:
    raise _Unsound


def sound(xhtml: str) -> bool:
    """Whether a narrative keeps the rules and says something."""
    checker, parser = _Checker(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = checker.start, checker.end
    parser.CharacterDataHandler = checker.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = _refuse
    try:
        parser.Parse(xhtml.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _Unsound):
        return False
    return checker.content
