"""What a CodeSystem says of itself must agree: content, count, properties, supplements (https://hl7.org/fhir/R4/codesystem.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import rows, text
from suture.standards.fhir.closely.rule import Rule, error, warning
from suture.standards.fhir.closely.systems import system

CONCEPT = "http://hl7.org/fhir/concept-properties#"
DEEPEST = 200  # levels of concepts
# https://hl7.org/fhir/R4/codesystem-concept-properties.html, and the ones that came later
KNOWN = {
    "inactive": "boolean", "deprecated": "dateTime", "notSelectable": "boolean", "parent": "code", "child": "code",
    "deprecationDate": "dateTime", "retirementDate": "dateTime", "effectiveDate": "dateTime", "partOf": "code",
    "synonym": "code", "comment": "string", "itemWeight": "decimal", "status": "code",
}  # fmt: skip


def properties(node: Node) -> Iterator[Issue]:
    """Each property once, by code and by URI; a URI that the standard knows with its type and code."""
    codes, uris = set[str](), set[str]()
    for number, row in rows(node.value, "property"):
        place, code, uri = f"{node.path}.property[{number}]", text(row, "code"), text(row, "uri")
        if code in codes:
            yield error(f"{place}.code", "A property of this code is there already.", "Declare it once.", "duplicate")
        if uri and uri in uris:
            yield error(f"{place}.uri", "A property of this URI is there already.", "Declare it once.", "duplicate")
        codes.add(code)
        uris.add(uri)
        yield from _standard(place, row, uri)


def _standard(place: str, row: dict[str, Any], uri: str) -> Iterator[Issue]:
    name = uri.removeprefix(CONCEPT) if uri.startswith(CONCEPT) else ""
    if name in KNOWN and text(row, "type") != KNOWN[name]:
        yield error(f"{place}.type", f"The property {name} has another type.", f"Write {KNOWN[name]}.", "value")
    if name and text(row, "code") in KNOWN and text(row, "code") != name:
        yield error(f"{place}.code", "This code is the standard's for another property.", f"Write {name}.", "value")


def values(node: Node) -> Iterator[Issue]:
    """The properties of concepts are declared, and have the type that was declared."""
    types = {text(row, "code"): text(row, "type") for _, row in rows(node.value, "property")}
    for place, concept in _concepts(node):
        for number, row in rows(concept, "property"):
            code, at = text(row, "code"), f"{place}.property[{number}]"
            kind = next((key.removeprefix("value") for key in row if key.startswith("value")), "")
            wanted = types.get(code)
            if wanted is None and code not in KNOWN:
                yield warning(f"{at}.code", "The property is not declared.", "Declare it in CodeSystem.property.")
            elif wanted and kind and kind != wanted[:1].upper() + wanted[1:]:
                yield error(f"{at}.value", "The value has another type than the property.", f"Write value{wanted[:1].upper()}{wanted[1:]}.", "value")  # fmt: skip


def content(node: Node) -> Iterator[Issue]:
    """Whether concepts are there, and as many as is said."""
    kind, number = text(node.value, "content"), sum(1 for _ in _concepts(node))
    count = node.value.get("count")
    if kind == "not-present" and number:
        yield error(
            f"{node.path}.content", "It says that no concepts are here, but they are.", "Mend content, or remove them."
        )
    if kind == "complete" and isinstance(count, int) and not isinstance(count, bool) and count != number:
        yield error(f"{node.path}.count", f"It holds {number} concepts, not as many as count says.", f"Write {number}.")


def supplements(node: Node) -> Iterator[Issue]:
    """A supplement says that it is one, and speaks only of codes that the other system has."""
    named, kind = text(node.value, "supplements"), text(node.value, "content")
    if named and kind != "supplement":
        yield error(
            f"{node.path}.content", "What supplements another code system is a supplement.", "Write supplement."
        )
    if kind == "supplement" and not named:
        yield error(
            f"{node.path}.supplements", "A supplement names the code system that it adds to.", "Add it.", "required"
        )
    known = system(node, named.partition("|")[0]) if named else None
    for place, concept in _concepts(node) if known is not None else ():
        if known is not None and known.find(text(concept, "code")) is None:
            mend = "A supplement adds to codes, it makes none."
            yield error(f"{place}.code", "The code system that is supplemented has no such code.", mend, "code-invalid")


def _concepts(node: Node) -> Iterator[tuple[str, dict[str, Any]]]:
    """All concepts with their places, as far down as is reasonable."""
    left = [(f"{node.path}.concept[{n}]", row, 0) for n, row in rows(node.value, "concept")][::-1]
    while left:
        place, concept, depth = left.pop()
        yield place, concept
        if depth < DEEPEST:
            left += [(f"{place}.concept[{n}]", row, depth + 1) for n, row in rows(concept, "concept")][::-1]


RULES = tuple(Rule("CodeSystem", look) for look in (properties, values, content, supplements))
