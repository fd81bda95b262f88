"""FHIR XML to the JSON structure and back: https://hl7.org/fhir/R4/xml.html

No document type, no entities, limits on size and depth, so nothing can be fetched or blown up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from suture.errors import InvalidResource, InvalidSyntax
from suture.standards.fhir.definitions import RESOURCE_TYPES, Element, TypeDefinition, type_definition
from suture.standards.xml_strict import MAX_DEPTH, MAX_SIZE, Strict, require_size

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
RETURN = "&#13;"  # as it outlives a reader that makes one line end of two characters
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
FRACTION = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
INTEGERS = {"integer", "positiveInt", "unsignedInt"}


@dataclass(slots=True)
class Node:
    """An element of the FHIR namespace; `div` holds a narrative as text."""

    name: str
    attributes: dict[str, str]
    line: int
    children: list[Node] = field(default_factory=list)
    div: str = ""


def read(raw: bytes, *, max_depth: int = MAX_DEPTH, max_size: int = MAX_SIZE) -> dict[str, Any]:
    """The resource that `raw` holds, as json.read would give it; raises InvalidSyntax or TooLarge with the place."""
    require_size(raw, max_size)
    root = _Reader(max_depth).read(raw)
    return _resource(root, "")


class _Reader(Strict):
    """Builds nodes from expat's events; a narrative is kept as it was written, where it stands on its own feet."""

    def __init__(self, max_depth: int) -> None:
        super().__init__(max_depth)
        self.stack: list[Node] = []
        self.root: Node | None = None
        self.xhtml: list[str] = []  # pieces of the narrative that is open
        self.open: list[str] = []  # its open elements
        self.bare = False  # nothing came since the last start tag of it
        self.raw = b""
        self.began = 0  # where the narrative begins in the bytes
        self.plain = True  # they are UTF-8
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.XmlDeclHandler = self.declared

    def read(self, raw: bytes) -> Node:
        self.raw = raw
        self.parse(raw)
        assert self.root is not None
        return self.root

    def declared(self, version: str, encoding: str | None, standalone: int) -> None:
        self.plain = encoding is None or encoding.lower() in ("utf-8", "us-ascii")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        self.require_depth(len(self.stack) + len(self.open))
        if self.open or (namespace == XHTML and local == "div" and self.stack):
            self.start_xhtml(local, attributes)
        elif namespace != FHIR:
            raise self.refuse("The element is not in the FHIR namespace.", f'Put xmlns="{FHIR}" on the root element.')
        else:
            self.start_node(Node(local, attributes, self.parser.CurrentLineNumber))

    def start_node(self, node: Node) -> None:
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.root = node
        self.stack.append(node)

    def start_xhtml(self, name: str, attributes: dict[str, str]) -> None:
        if not self.open:
            self.began = self.parser.CurrentByteIndex
        space = "" if self.open else f' xmlns="{XHTML}"'
        written = "".join(f" {_prefixed(key)}={quoteattr(value)}" for key, value in attributes.items())
        self.xhtml.append(f"<{name}{space}{written}>")
        self.open.append(name)
        self.bare = True

    def end(self, name: str) -> None:
        if not self.open:
            self.stack.pop()
            return
        local = self.open.pop()
        if self.bare:
            self.xhtml[-1] = self.xhtml[-1][:-1] + "/>"
        else:
            self.xhtml.append(f"</{local}>")
        self.bare = False
        if not self.open:
            rebuilt = "".join(self.xhtml)
            written = self.written(self.parser.CurrentByteIndex) if self.plain else ""
            node = Node("div", {}, self.parser.CurrentLineNumber, div=written or rebuilt)
            self.stack[-1].children.append(node)
            self.xhtml = []

    def written(self, end: int) -> str:
        """The narrative's own text; empty when it needs what was declared further out."""
        found = self.raw[self.began : self.raw.find(b">", end) + 1]
        tag = found[: found.find(b">") + 1]
        if not (tag.startswith(b"<div") and f'xmlns="{XHTML}"'.encode() in tag and found.endswith(b"</div>")):
            return ""
        if b"xmlns:" in self.raw and b":" in found:  # a prefix may be declared outside
            return ""
        try:
            return found.replace(b"\r\n", b"\n").decode().replace(RETURN, "\r")
        except UnicodeDecodeError:
            return ""

    def text(self, text: str) -> None:
        if self.open:
            self.xhtml.append(escape(text))
            self.bare = False
        elif text.strip():
            raise self.refuse("Text stands between elements.", 'Put it into value="…".')


def _prefixed(name: str) -> str:
    space, _, local = name.rpartition(" ")
    return f"xml:{local}" if space == "http://www.w3.org/XML/1998/namespace" else local


# --- nodes to JSON


def _resource(node: Node, path: str) -> dict[str, Any]:
    if node.name not in RESOURCE_TYPES:
        raise _unknown(node, path, sorted(RESOURCE_TYPES), "resource type")
    definition = type_definition(node.name)
    assert definition is not None
    return {"resourceType": node.name} | _complex(node, definition, path or node.name)


def _unknown(node: Node, path: str, names: list[str], what: str) -> InvalidSyntax:
    close = get_close_matches(node.name, names, 1)
    mend = f"Did you mean '{close[0]}'?" if close else "Remove it."
    place = f"{path} (line {node.line})" if path else f"line {node.line}"
    return InvalidSyntax(f"R4 has no {what} '{node.name[:64]}' here.", where=place, mend=mend)


def _complex(node: Node, definition: TypeDefinition, path: str) -> dict[str, Any]:
    found: dict[str, Any] = _attributes(node, definition, path)
    groups: dict[str, list[Node]] = {}
    for child in node.children:
        groups.setdefault(child.name, []).append(child)
    for name, children in groups.items():
        if name not in definition.keys or definition.keys[name][0].attribute:
            raise _unknown(children[0], path, list(definition.keys), "element")
        found |= _element(name, children, *definition.keys[name], path)
    return found


def _attributes(node: Node, definition: TypeDefinition, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if " " in name:  # xsi:schemaLocation and its like
            continue
        if name not in definition.keys or not definition.keys[name][0].attribute:
            raise InvalidSyntax(
                f"The attribute '{name[:64]}' is not allowed here.",
                where=f"{path} (line {node.line})",
                mend="Remove it.",
            )
        found[name] = value
    return found


def _element(name: str, nodes: list[Node], element: Element, kind: str, path: str) -> dict[str, Any]:
    place = f"{path}.{element.name}"
    places = [f"{place}[{n}]" for n in range(len(nodes))] if element.many else [place] * len(nodes)
    definition = type_definition(kind)
    assert definition is not None
    if kind == "Resource":
        values: list[Any] = [_inner(node, at) for node, at in zip(nodes, places, strict=True)]
    elif definition.kind != "primitive":
        values = [_complex(node, definition, at) for node, at in zip(nodes, places, strict=True)]
    elif kind == "xhtml":
        values = [node.div for node in nodes]
    else:
        return _primitives(name, nodes, element, kind, places)
    return {name: values if element.many or len(values) > 1 else values[0]}


def _inner(node: Node, path: str) -> dict[str, Any]:
    if len(node.children) != 1:
        raise InvalidSyntax(
            "Exactly one resource belongs here.", where=f"{path} (line {node.line})", mend="Put one element inside."
        )
    return _resource(node.children[0], path)


def _primitives(name: str, nodes: list[Node], element: Element, kind: str, places: list[str]) -> dict[str, Any]:
    values = [_value(node.attributes.get("value"), kind) for node in nodes]
    siblings = [_sibling(node, at) or None for node, at in zip(nodes, places, strict=True)]
    found: dict[str, Any] = {}
    single = not element.many and len(values) == 1
    if any(value is not None for value in values):
        found[name] = values[0] if single else values
    if any(siblings):
        found[f"_{name}"] = siblings[0] if single else siblings
    if not found:  # an element with nothing in it: the rule against it is the validator's
        found[name] = "" if single else ["" for _ in values]
    return found


def _sibling(node: Node, path: str) -> dict[str, Any]:
    definition = type_definition("Element")
    assert definition is not None
    rest = {name: value for name, value in node.attributes.items() if name != "value"}
    return _complex(Node(node.name, rest, node.line, node.children), definition, path)


def _value(text: str | None, kind: str) -> Any:
    """The JSON value; what can't be read as its type stays text, so that the validator names it."""
    if text is None:
        return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in INTEGERS or kind == "decimal":
        return _number(text, kind)
    return text


def _number(text: str, kind: str) -> Any:
    if WHOLE.fullmatch(text):
        return int(text)
    if kind == "decimal" and len(text) <= 64 and FRACTION.fullmatch(text):
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text


# --- JSON to XML


def write(resource: dict[str, Any]) -> bytes:
    """The resource as FHIR XML; raises InvalidResource for a key that R4 does not have."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + _written(resource, f' xmlns="{FHIR}"')).encode()


_TAG = re.compile(rb"<[^>]+>")


def indented(raw: bytes) -> bytes:
    """What `write` wrote, one element a line; narratives stay as they are."""
    lines, depth, at = [], 0, 0
    while (tag := _TAG.match(raw, at)) or (at < len(raw) and raw[at : at + 1].isspace()):
        if tag is None:
            at += 1
            continue
        end = _narrative_end(raw, at) if tag[0].startswith(b"<div") else tag.end()
        part = raw[at:end]
        depth -= part.startswith(b"</")
        lines.append(b"  " * max(depth, 0) + part)
        depth += not part.startswith((b"</", b"<?", b"<div")) and not part.endswith(b"/>")
        at = end
    return b"\n".join(lines) + b"\n"


_DIV = re.compile(rb"<(/?)div(?=[\s/>])[^>]*?(/?)>")


def _narrative_end(raw: bytes, at: int) -> int:
    """Behind the end tag that closes the div which begins here."""
    depth = 0
    for tag in _DIV.finditer(raw, at):
        depth += -1 if tag[1] else 0 if tag[2] else 1
        if depth == 0:
            return tag.end()
    return len(raw)


def _written(resource: Any, space: str = "") -> str:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    definition = type_definition(kind) if isinstance(kind, str) and kind in RESOURCE_TYPES else None
    if definition is None:
        raise InvalidResource("A resource has no known resourceType.", mend="Validate it first.")
    return f"<{kind}{space}>{''.join(_children(resource, definition))}</{kind}>"


def _children(value: dict[str, Any], definition: TypeDefinition) -> Iterator[str]:
    known = {"resourceType", *definition.keys, *(f"_{key}" for key in definition.keys)}
    if not value.keys() <= known:
        raise InvalidResource(f"{definition.name} holds a key that R4 does not have.", mend="Validate it first.")
    for key, (element, kind) in definition.keys.items():
        if not element.attribute and (key in value or f"_{key}" in value):
            yield from _elements(key, value.get(key), value.get(f"_{key}"), kind)


def _elements(name: str, value: Any, sibling: Any, kind: str) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    siblings = sibling if isinstance(sibling, list) else [sibling]
    for n in range(max(len(values), len(siblings))):
        inner = values[n] if n < len(values) else None
        beside = siblings[n] if n < len(siblings) else None
        yield _one(name, inner, beside or {}, kind)


def _one(name: str, value: Any, sibling: Any, kind: str) -> str:
    definition = type_definition(kind)
    assert definition is not None
    if kind == "Resource":
        return f"<{name}>{_written(value)}</{name}>"
    if kind == "xhtml":
        return _narrative(value)
    inner = sibling if definition.kind == "primitive" else value
    if not isinstance(inner, dict):
        raise InvalidResource(f"{name} is not an object.", mend="Validate it first.")
    attributes = "".join(
        f" {key}={quoteattr(str(inner[key]))}"
        for key, (e, _) in definition.keys.items()
        if e.attribute and key in inner
    )
    if definition.kind == "primitive" and value is not None:
        attributes += f" value={_quoted(value)}"
    children = "".join(_children(inner, definition))
    return f"<{name}{attributes}>{children}</{name}>" if children else f"<{name}{attributes}/>"


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    return quoteattr(str(value), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _narrative(value: Any) -> str:
    """The narrative goes in as it stands, once it is known to be one element and nothing else."""
    reader = _Reader(MAX_DEPTH)
    text = value.replace("\r", RETURN) if isinstance(value, str) else ""
    try:
        node = reader.read(f'<text xmlns="{FHIR}">{text}</text>'.encode(errors="replace"))
    except InvalidSyntax:
        raise InvalidResource("A narrative is not XHTML.", mend="Validate it first.") from None
    return "".join(child.div for child in node.children).replace("\r", RETURN)
