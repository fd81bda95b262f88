"""Texts, addresses, codes and attachments (https://hl7.org/fhir/R4/security.html#narrative, https://hl7.org/fhir/R4/datatypes.html)."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha1

import suture.standards.fhir.closely.within as within
from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rule import Rule, error, warning

TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>")
OPENING = re.compile(r"(?<!\\)<[A-Za-z/!]")  # in markdown, where \< is a plain sign
SCRIPT = re.compile(r"<\s*(?:script|iframe|object|embed)\b|javascript:", re.I)
EXAMPLE = re.compile(r"https?://(?:[\w-]+\.)*(?:example\.(?:org|com|net|edu)|example|acme\.com)(?:[:/]|$)", re.I)
VALUE_SET = re.compile(r"http://(?:hl7\.org/fhir|terminology\.hl7\.org)/ValueSet/")
NARROW = 1000  # characters of an address that are looked at


def string(node: Node) -> Iterator[Issue]:
    """Plain text that looks like HTML: refused on request; a warning where it would act."""
    if not isinstance(node.value, str) or ("<" not in node.value and "javascript:" not in node.value.lower()):
        return
    if "html" in node.around.strict and TAG.search(node.value):
        yield error(node, "The text holds what looks like HTML.", "Write plain text.", "security")
    elif SCRIPT.search(node.value):
        mend = "Write plain text; whoever shows it must escape it."
        yield warning(node, "The text holds what would run in a page that does not escape it.", mend, "security")


def markdown(node: Node) -> Iterator[Issue]:
    """Markdown with HTML: refused on request."""
    if isinstance(node.value, str) and "markdown" in node.around.strict and OPENING.search(node.value):
        yield error(node, "The markdown holds what looks like HTML.", r"Write \< for a plain sign.", "security")
    elif isinstance(node.value, str) and SCRIPT.search(node.value):
        mend = "Write plain markdown; whoever shows it must escape it."
        yield warning(node, "The markdown holds what would run in a page that does not escape it.", mend, "security")


def address(node: Node) -> Iterator[Issue]:
    """Addresses that are there for examples only: refused on request."""
    if isinstance(node.value, str) and "examples" in node.around.strict and EXAMPLE.match(node.value[:NARROW]):
        yield error(node, "This address is one for examples.", "Write a real one.", "value")


def canonical(node: Node) -> Iterator[Issue]:
    """Absolute, or a fragment."""
    if isinstance(node.value, str) and not node.value.startswith("#") and not within.ABSOLUTE(node.value):
        yield error(node, "A canonical is an absolute address.", "Write the url that what is meant has.", "value")


def coding(node: Node) -> Iterator[Issue]:
    """The system is an absolute address, and not that of a value set."""
    system = node.value.get("system") if isinstance(node.value, dict) else None
    if not isinstance(system, str):
        return
    if not within.ABSOLUTE(system):
        yield error(f"{node.path}.system", "A system is an absolute address.", "Write the code system's url.", "value")
    elif VALUE_SET.match(system):
        mend = "Write the url of the code system that has the code."
        yield error(f"{node.path}.system", "This is a value set, and no code system.", mend, "value")


def attachment(node: Node) -> Iterator[Issue]:
    """Size and hash are those of the content that is there."""
    value = node.value if isinstance(node.value, dict) else {}
    content = _bytes(value.get("data"))
    if content is None:
        return
    size, hash = value.get("size"), _bytes(value.get("hash"))
    if isinstance(size, int) and size != len(content):
        yield error(
            node, f"The size is told as {size}; the content has {len(content)} bytes.", "Mend the size.", "value"
        )
    if hash is not None and hash != sha1(content, usedforsecurity=False).digest():
        yield error(node, "The hash is not that of the content.", "Write the SHA-1 of the content.", "value")


def _bytes(text: object) -> bytes | None:
    try:
        return b64decode(text, validate=False) if isinstance(text, str) else None
    except ValueError:
        return None


ADDRESSES = ("uri", "url", "canonical")
RULES = (
    Rule("string", string),
    Rule("markdown", markdown),
    *(Rule(type, address) for type in ADDRESSES),
    Rule("canonical", canonical),
    Rule("Coding", coding),
    Rule("Attachment", attachment),
)
