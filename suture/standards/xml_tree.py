"""Any XML as a tree of nodes and back, namespaces resolved: https://www.w3.org/TR/xml-names/"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from xml.sax.saxutils import escape, quoteattr

from suture.standards.xml_strict import MAX_DEPTH, MAX_SIZE, Strict, require_size

XML = "http://www.w3.org/XML/1998/namespace"
_ENDS = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


class Comment(str):
    """A comment among the children of a node."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """An element. `space` and `name`: its namespace and local name; attributes with a namespace are keyed `space name`;
    `declared`: prefixes that it declares, `scope`: all that hold in it ("" is the default)."""

    space: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)
    declared: dict[str, str] = field(default_factory=dict)
    scope: dict[str, str] = field(default_factory=dict)

    @property
    def elements(self) -> list[Node]:
        return [child for child in self.children if isinstance(child, Node)]

    @property
    def text(self) -> str:
        """All text inside, comments left out."""
        return "".join(self._texts())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, Node):
                yield from child._texts()
            elif not isinstance(child, Comment):
                yield child


def read(raw: bytes, *, max_depth: int = MAX_DEPTH, max_size: int = MAX_SIZE) -> Node:
    """The document's root; raises InvalidSyntax or TooLarge with the place."""
    require_size(raw, max_size)
    return _Reader(max_depth).read(raw)


class _Reader(Strict):
    """Builds the tree from expat's events."""

    def __init__(self, max_depth: int) -> None:
        super().__init__(max_depth)
        self.stack: list[Node] = []
        self.root: Node | None = None
        self.declared: dict[str, str] = {}  # by the tag that comes next
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.CommentHandler = self.comment
        self.parser.StartNamespaceDeclHandler = self.declare

    def read(self, raw: bytes) -> Node:
        self.parse(raw)
        assert self.root is not None
        return self.root

    def declare(self, prefix: str | None, space: str | None) -> None:
        self.declared[prefix or ""] = space or ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.require_depth(len(self.stack))
        space, _, local = name.rpartition(" ")
        outer = self.stack[-1].scope if self.stack else {}
        scope = {**outer, **self.declared} if self.declared else outer
        named = {prefix: space for prefix, space in self.declared.items() if prefix}
        node = Node(space, local, attributes, declared=named, scope=scope)
        self.declared = {}
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.root = node
        self.stack.append(node)

    def end(self, _name: str) -> None:
        self.stack.pop()

    def text(self, text: str) -> None:
        self.stack[-1].children.append(text)

    def comment(self, text: str) -> None:
        if self.stack:
            self.stack[-1].children.append(Comment(text))


def write(node: Node) -> bytes:
    """The tree as XML; it reads back as the same tree."""
    return "".join(_written(node, "")).encode()


def _written(node: Node, outer: str) -> Iterator[str]:
    space = f" xmlns={quoteattr(node.space)}" if node.space != outer else ""
    prefixes = _prefixes(node)
    declared = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in prefixes.items() if uri != XML)
    yield f"<{node.name}{space}{declared}{''.join(_attributes(node, prefixes))}"
    if not node.children:
        yield "/>"
        return
    yield ">"
    for child in node.children:
        if isinstance(child, Node):
            yield from _written(child, node.space)
        else:
            yield f"<!--{child}-->" if isinstance(child, Comment) else escape(child, {"\r": "&#13;"})
    yield f"</{node.name}>"


def _prefixes(node: Node) -> dict[str, str]:
    """The prefix of each namespace that the element declares, or needs for its attributes."""
    found = {XML: "xml"} | {uri: prefix for prefix, uri in sorted(node.declared.items())}
    needed = {key.rpartition(" ")[0] for key in node.attributes} - {"", *found}
    free = (f"a{n}" for n in count(1) if f"a{n}" not in node.declared)
    return found | dict(zip(sorted(needed), free, strict=False))


def _attributes(node: Node, prefixes: dict[str, str]) -> Iterator[str]:
    for key, value in node.attributes.items():
        space, _, name = key.rpartition(" ")
        prefix = f"{prefixes[space]}:" if space else ""
        yield f" {prefix}{name}={quoteattr(value, _ENDS)}"
