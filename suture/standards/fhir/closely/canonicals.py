"""Addresses of definitions and identifiers that are URIs.

https://hl7.org/fhir/R4/datatypes.html#canonical · https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import suture.standards.fhir.definitions as definitions
from suture.errors import Issue
from suture.standards.fhir.closely.node import Node, is_resource
from suture.standards.fhir.closely.rows import text
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.definitions import type_definition

URIS = "urn:ietf:rfc:3986"  # the system of identifiers that are URIs
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(#.*)?", re.I).fullmatch
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+").fullmatch


def canonical(node: Node) -> Iterator[Issue]:
    """R4's own definitions are of a type that may stand here."""
    if not isinstance(node.value, str):
        return
    allowed, found = _targets(node), _own(node.value)
    if found and allowed and found not in allowed:
        yield error(node, f"This is the address of a {found}.", f"Allowed: {', '.join(allowed)}.", "structure")


def _targets(node: Node) -> tuple[str, ...]:
    owner, _, name = node.element.rpartition(".")
    known = type_definition(owner)
    element = known.elements.get(name) if known is not None else None
    return element.targets if element is not None else ()


def _own(url: str) -> str:
    """The type of one of R4's own definitions; empty for any other address."""
    plain = url.partition("|")[0]
    if definitions.value_set(plain) is not None:
        return "ValueSet"
    return "CodeSystem" if definitions.code_system(plain) is not None else ""


def uri(node: Node) -> Iterator[Issue]:
    """The url of a definition is absolute; a UUID is one."""
    if not isinstance(node.value, str):
        return
    own = node.up is not None and is_resource(node.up) and node.element == f"{node.up.type}.url"
    if own and node.type == "uri" and not _ABSOLUTE(node.value):
        yield error(node, "The url of a definition is an absolute address.", "Write http://… or urn:…")
    if node.value.startswith("urn:uuid:") and not _UUID(node.value.removeprefix("urn:uuid:")):
        yield error(node, "This is no UUID.", "Write urn:uuid: and 8-4-4-4-12 hexadecimal digits.", "value")


def identifier(node: Node) -> Iterator[Issue]:
    """What says that it is a URI is one."""
    value = text(node.value, "value")
    if value and text(node.value, "system") == URIS and not _ABSOLUTE(value):
        mend = (
            "Write urn:oid:… before an OID, urn:uuid:… before a UUID." if _OID(value) else "Write it with its scheme."
        )
        yield error(f"{node.path}.value", f"The system {URIS} asks for an absolute URI.", mend, "value")


RULES = (Rule("canonical", canonical), Rule("uri", uri), Rule("canonical", uri), Rule("Identifier", identifier))
