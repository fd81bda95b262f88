"""Narratives: addresses, entities, languages, and what a profile asks of them (https://hl7.org/fhir/R4/narrative.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rule import Rule, error, warning

PACK = "http://hl7.org/fhir/StructureDefinition/"
LANGUAGES = PACK + "narrative-language-control"
SOURCES = PACK + "narrative-source-control"
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)\w+;")
HREF = re.compile(r"<a\s[^<>]*?href\s*=\s*[\"']\s*([A-Za-z][A-Za-z0-9+.\-]*):")
SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms", "ftp", "ftps", "sftp", "cid", "data", "fax", "geo"})
ORIGINS = frozenset({"boilerplate", "generated", "original"})
LANG = "http://www.w3.org/XML/1998/namespace lang"


def entities(node: Node) -> Iterator[Issue]:
    """XML's five only: there are no names of HTML in it."""
    if isinstance(node.value, str) and ENTITY.search(node.value):
        yield error(node, "XHTML here knows no named characters of HTML.", "Write the character itself.", "structure")


def links(node: Node) -> Iterator[Issue]:
    """Links lead where a reader can follow."""
    found = HREF.findall(node.value) if isinstance(node.value, str) else []
    wrong = sorted({one.lower() for one in found} - SCHEMES)
    if wrong:
        mend = "Link to a page, or to #id in the text."
        yield error(node, f"A link leads to {wrong[0][:30]}:, which no reader can follow.", mend, "value")


# --- what profiles ask


@dataclass(slots=True)
class Read:
    """One narrative: the languages of its sections, whether text stands outside them, and whether all its parts tell their origin."""

    languages: list[str] = field(default_factory=list)
    outside: bool = False
    unnamed: bool = False
    _open: list[tuple[bool, bool]] = field(default_factory=list)  # in a section, under an origin

    def start(self, name: str, attributes: dict[str, str]) -> None:
        section, origin = self._open[-1] if self._open else (False, False)
        language = attributes.get(LANG) or attributes.get("lang")
        if len(self._open) == 1 and name.endswith("div") and language:
            self.languages.append(language)
            section = True
        origin = origin or bool(ORIGINS & set(attributes.get("class", "").split()))
        self._open.append((section, origin))

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        if text.strip() and self._open:
            section, origin = self._open[-1]
            self.outside = self.outside or not section
            self.unnamed = self.unnamed or not origin


def read(text: Any) -> Read | None:
    """None for what is not well formed: the validator tells of it."""
    found = Read()
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.CharacterDataHandler = found.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(text.encode("utf-8", "replace") if isinstance(text, str) else b"", True)
    except (expat.ExpatError, ValueError):
        return None
    return found


def _refuse(*_: object) -> None:
    raise ValueError("a document type")


def asked(node: Node) -> Iterator[Issue]:
    """What the profiles that the resource is held against ask of its narrative."""
    if node.up is None or node.up is not node.resource or not isinstance(node.value, dict):
        return
    wishes = [one for url in _profiles(node.up) for one in _wishes(node, url)]
    found = read(node.value.get("div")) if wishes else None
    if found is None:
        return
    language = node.up.value.get("language")
    for url, wish in wishes:
        if url == SOURCES and wish in ("warning", "error") and found.unnamed:
            mend = "Give each part the class boilerplate, generated or original."
            yield error(node, "A part of the narrative does not tell its origin, which the profile asks for.", mend)
        elif url == LANGUAGES:
            yield from _languages(node, found, wish, language)


def _languages(node: Node, found: Read, wish: str, language: Any) -> Iterator[Issue]:
    if wish == "_no" and found.languages:
        yield error(node, "The profile forbids sections by language.", "Write the narrative without them.")
    elif wish == "_yes" and not found.languages:
        yield error(
            node, "The profile asks for sections by language.", "Write one div with lang and xml:lang for each."
        )
    elif wish == "_resource" and isinstance(language, str) and language not in found.languages:
        yield error(node, "The profile asks for a section in the resource's language.", "Add one.")
    elif wish and not wish.startswith("_") and wish not in found.languages:
        yield error(node, f"The profile asks for a section in {wish[:30]}.", "Add one.")


def _profiles(resource: Node) -> list[str]:
    meta = resource.value.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    named = list(resource.around.profiles) if resource.up is None else []
    return [*named, *(one for one in (claimed if isinstance(claimed, list) else []) if isinstance(one, str))]


def _wishes(node: Node, url: str) -> Iterator[tuple[str, str]]:
    """(extension, code) at the narrative of the profile."""
    definition = node.around.definition("StructureDefinition", url) or {}
    view = definition.get("differential") or definition.get("snapshot") or {}
    for element in view.get("element", []):
        if element.get("path") == node.element:
            for one in element.get("extension", []):
                if one.get("url") in (LANGUAGES, SOURCES):
                    yield one["url"], str(one.get("valueCode", ""))


def mixed(node: Node) -> Iterator[Issue]:
    """Text outside of every section, where there are sections by language, is shown to nobody who picks one."""
    found = read(node.value) if isinstance(node.value, str) and "lang=" in node.value else None
    if found and found.languages and found.outside:
        yield warning(node, "Some text stands in no section of a language.", "Move it into one.")


RULES = (Rule("xhtml", entities), Rule("xhtml", links), Rule("xhtml", mixed), Rule("Narrative", asked))
