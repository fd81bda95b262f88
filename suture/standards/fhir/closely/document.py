"""What documents and messages must hold: https://hl7.org/fhir/R4/documents.html and https://hl7.org/fhir/R4/messaging.html"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import suture.standards.fhir.closely.within as within
from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rule import Rule, error, warning
from suture.standards.fhir.closely.within import Entries, Entry

# what the first resource points to must be in the Bundle itself
INSIDE: dict[str, tuple[str, ...]] = {
    "Composition": ("subject", "encounter", "author", "attester.party", "custodian", "event.detail"),
    "MessageHeader": ("focus",),
}
SECTION = ("author", "focus", "entry")
_DEEPEST = 50  # sections inside sections
_LINKED = re.compile(r"(?:href|src)\s*=\s*[\"']([^\"']+)[\"']")


def held(node: Node) -> Iterator[Issue]:
    """What the Composition or MessageHeader names is there, once."""
    found = within.standing(node)
    if found is None or found[0].value.get("type") != {"Composition": "document"}.get(node.type, "message"):
        return
    for path, reference in _named(node):
        yield from _there(path, reference, within.of(found[0]), found[1])


def _there(path: str, reference: str, entries: Entries, source: Entry) -> Iterator[Issue]:
    targets = entries.to(reference, source.root)
    if len(targets) > 1:
        mend = "Name the version, or keep one of them."
        yield error(path, "More than one entry of the Bundle fits this reference.", mend, "multiple-matches")
    elif not targets:
        text = "What this names must be in the Bundle, and is not."
        if entries.alike(reference):
            text += " An entry has this type and id, but by its fullUrl it is another one."
        mend = "Add it with the fullUrl that is named; a Type/id is taken to stand at the server of the fullUrl here."
        yield error(path, text, mend, "not-found")


def _named(node: Node) -> Iterator[tuple[str, str]]:
    """(place, reference) of all that must be inside; local ones are the validator's."""
    for name in INSIDE[node.type]:
        yield from _references(node.value, node.path, name.split("."))
    if node.type == "Composition":
        yield from _sections(node.value, node.path, 0)


def _sections(value: dict[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    for place, section in _each(value, path, "section"):
        for name in SECTION:
            yield from _references(section, place, [name])
        if depth < _DEEPEST:
            yield from _sections(section, place, depth + 1)


def _references(value: dict[str, Any], path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for place, inner in _each(value, path, names[0]):
        if names[1:]:
            yield from _references(inner, place, names[1:])
        elif isinstance(inner.get("reference"), str) and not inner["reference"].startswith("#"):
            yield place, inner["reference"]


def _each(value: dict[str, Any], path: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = value.get(name)
    if isinstance(found, dict):
        yield f"{path}.{name}", found
    for number, one in enumerate(found if isinstance(found, list) else ()):
        if isinstance(one, dict):
            yield f"{path}.{name}[{number}]", one


def reached(node: Node) -> Iterator[Issue]:
    """Every entry of a document is tied to its Composition, forwards or backwards; of a message it should be."""
    type = node.value.get("type")
    entries = within.of(node)
    if type not in ("document", "message") or not entries.all or entries.all[0].number:
        return
    tied = _tied(node, entries)
    say = error if type == "document" else warning
    for one in entries.all:
        if one.number not in tied:
            text = f"No reference ties this entry to the {entries.all[0].type}."
            yield say(f"{node.path}.entry[{one.number}]", text, "Refer to it, or leave it out.", "business-rule")


def _tied(node: Node, entries: Entries) -> set[int]:
    """The numbers of the entries that the first leads to, over references either way."""
    ties: dict[int, set[int]] = defaultdict(set)
    for one in entries.all:
        for text in _texts(one.resource):
            for target in entries.to(text, one.root):
                ties[one.number].add(target.number)
                ties[target.number].add(one.number)
    for _, link in _each(node.value, "", "link"):  # a stylesheet
        ties[0] |= {target.number for target in entries.to(str(link.get("url", "")), "")}
    found, rest = {0}, [0]
    while rest:
        fresh = ties[rest.pop()] - found
        found |= fresh
        rest.extend(fresh)
    return found


def _texts(resource: dict[str, Any]) -> Iterator[str]:
    """Whatever might be an address in it."""
    rest: list[Any] = [resource]
    while rest:
        one = rest.pop()
        for key, inner in one.items() if isinstance(one, dict) else (("", inner) for inner in one):
            if isinstance(inner, (dict, list)):
                rest.append(inner)
            elif key == "div" and isinstance(inner, str):
                yield from _LINKED.findall(inner)
            elif isinstance(inner, str) and len(inner) < 2000:
                yield inner


RULES = (Rule("Composition", held), Rule("MessageHeader", held), Rule("Bundle", reached))
