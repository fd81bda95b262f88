"""The XHTML that a narrative may hold, nothing that acts or loads: https://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Any
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"
# the basic formatting of HTML 4.0 chapters 7-11 (without 4), 15, <a> and images
_ELEMENTS = """
a abbr acronym address b bdo big blockquote br caption cite code col colgroup dd del dfn div dl dt em h1 h2
h3 h4 h5 h6 hr i img ins kbd li map area ol p pre q s samp small span strike strong sub sup table tbody td tfoot
th thead tr tt u ul var
"""
ELEMENTS = frozenset(_ELEMENTS.split())
_ATTRIBUTES = """
abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff
cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name
nohref noshade nowrap rel rev rowspan rules scope shape span src start style summary tabindex target
title type valign value vspace width color datetime ismap usemap
"""
ATTRIBUTES = frozenset(_ATTRIBUTES.split())
ADDRESSES = frozenset({"href", "src", "cite", "longdesc"})
IGNORED = re.compile(r"[\x00-\x20]")  # browsers skip these in an address
ACTIVE = re.compile(r"(?:javascript|vbscript|data:(?!image/(?:png|gif|jpe?g|webp)[;,]))", re.I)
STYLE = re.compile(r"\\|expression\s*\(|javascript:|vbscript:|@import|-moz-binding|behavior\s*:", re.I)
_PLAIN = r"<>&\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
SIMPLE = re.compile(rf'<div xmlns="{re.escape(XHTML)}">[ \t\r\n]*+[^\s{_PLAIN}][^{_PLAIN}]*+</div>').fullmatch
XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}
ENTITY = re.compile(r"&(\w+);", re.ASCII)
MAX_DEPTH = 200
DEFAULT_MEND = "Use the plain formatting of HTML: paragraphs, lists, tables, links and images."


class _Finding(Exception):
    """What is wrong with a narrative, and the mend."""


def fine_div(value: Any) -> bool:
    return isinstance(value, str) and (SIMPLE(value) is not None or finding(value) is None)


def finding(value: Any) -> tuple[str, str] | None:
    """What is wrong with a `div` and what to do; None when it is safe and well formed."""
    if not isinstance(value, str):
        return "A narrative is text.", "Write the XHTML as one text."
    try:
        _Check().read(value)
    except _Finding as found:
        return found.args[0], found.args[1]
    except expat.ExpatError:
        return "The narrative is not well-formed XHTML.", "Close every tag and write & as &amp;."
    return None


class _Check:
    """Walks over a narrative once; the first thing that is not allowed ends the walk."""

    def __init__(self) -> None:
        self.depth = 0
        self.content = False  # some text or an image

    def read(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self.doctype
        parser.ProcessingInstructionHandler = self.instruction
        parser.Parse(ENTITY.sub(_character, text).encode("utf-8", "replace"), True)
        if not self.content:
            raise _Finding("The narrative says nothing.", "Write some text into it, or leave it out.")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self.depth += 1
        if self.depth == 1 and local != "div":
            raise _Finding("The narrative does not begin with <div>.", "Put it into one <div>.")
        if namespace != XHTML:
            raise _Finding("The narrative is not in the XHTML namespace.", f'Write <div xmlns="{XHTML}">.')
        if local not in ELEMENTS:
            raise _Finding(f"The narrative holds <{local[:32]}>, which is not allowed.", DEFAULT_MEND)
        if self.depth > MAX_DEPTH:
            raise _Finding("The narrative is nested too deep.", "Make it flatter.")
        self.content = self.content or local == "img"
        for attribute, value in attributes.items():
            _check_attribute(attribute, value)

    def end(self, _: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        self.content = self.content or not text.isspace()

    def doctype(self, *_: object) -> None:
        raise _Finding("The narrative holds a document type.", "Remove <!DOCTYPE …>.")

    def instruction(self, *_: object) -> None:
        raise _Finding("The narrative holds a processing instruction.", "Remove <?…?>.")


def _check_attribute(name: str, value: str) -> None:
    if name.endswith(("namespace lang", "namespace space")):
        return  # xml:lang and its like
    if name not in ATTRIBUTES:
        raise _Finding(f"The narrative holds the attribute {name[:32]}, which is not allowed.", "Remove it.")
    if name in ADDRESSES and ACTIVE.match(IGNORED.sub("", value)):
        raise _Finding(f"The narrative holds an active address in {name}.", "Link to a page or an image.")
    if name == "style" and STYLE.search(value):
        raise _Finding("A style of the narrative may run something.", "Keep to plain styles.")


def _character(entity: re.Match[str]) -> str:
    """HTML's named characters, which XML does not know."""
    name = entity[1]
    if name in XML_ENTITIES or name not in name2codepoint:
        return entity[0]
    return chr(name2codepoint[name])
