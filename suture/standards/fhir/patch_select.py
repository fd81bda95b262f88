"""The part of XPath that names a place in an XML Patch: steps of names, numbers and equal values (RFC 5261, 4.1).

https://www.rfc-editor.org/rfc/rfc5261#section-4.1 · `f:` and `h:` stand for FHIR's and XHTML's namespace unless the
patch declares them; a name without a prefix is in the patch's default namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from suture.errors import Invalid, TooLarge
from suture.standards.fhir.xml import FHIR, XHTML
from suture.standards.xml_tree import Comment, Node

LONGEST = 1000  # characters of a selector
MOST_LOOKS = 2_000_000  # nodes that the selectors of one patch are held against
PREFIXES = {"f": FHIR, "h": XHTML, "xhtml": XHTML}
_NAME = r"(?:[A-Za-z_][\w.\-]*:)?(?:[A-Za-z_][\w.\-]*|\*)"
_STEP = re.compile(rf"/?(?P<what>text\(\)|comment\(\)|@?{_NAME})(?P<tests>(?:\[(?:[^\[\]'\"]|'[^']*'|\"[^\"]*\")*\])*)")
_TEST = re.compile(r"\[\s*((?:[^\[\]'\"]|'[^']*'|\"[^\"]*\")*?)\s*\]")
_EQUALS = re.compile(rf"(\.|@?{_NAME}(?:/@?{_NAME})*)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")")


class Test(NamedTuple):
    """A number, or a way below that leads to a text."""

    number: int
    way: tuple[str, ...]
    text: str


class Step(NamedTuple):
    what: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A place: a child of its owner's list, or an attribute of its owner. The root's list is its own."""

    owner: Node
    children: list[Node | str]
    at: int
    attribute: str = ""
    root: bool = False

    @property
    def node(self) -> Node | None:
        child = None if self.attribute else self.children[self.at]
        return child if isinstance(child, Node) else None

    def insert(self, new: list[Node | str], *, after: bool, where: str) -> None:
        if self.attribute or self.root:
            raise Invalid("nothing stands beside this", where=f"{where}.sel", mend="Leave out pos.")
        at = self.at + after
        self.children[at:at] = new


@dataclass(slots=True)
class Looks:
    """How many nodes the selectors of a patch may still look at."""

    left: int = MOST_LOOKS

    def take(self, where: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooLarge(
                "the patch looks at too much", where=where, mend="Name the way to each place, in fewer steps."
            )


def select(root: Node, text: str, scope: Mapping[str, str], where: str, looks: Looks) -> list[Found]:
    """Every place that a selector names; raises Invalid for what is none, TooLarge when too much is looked at."""
    space = _Space(scope, where, looks)
    found = [Found(root, [root], 0, root=True)]
    for number, step in enumerate(read(text, where)):
        nodes = [one.node for one in found if one.node is not None]
        found = _kept(found if number == 0 else [child for node in nodes for child in _inner(node, step)], step, space)
    return found


def read(text: str, where: str) -> list[Step]:
    """The steps of a selector."""
    steps, at = [], 0
    if len(text) > LONGEST:
        raise Invalid("the selector is too long", where=where, mend=f"Write at most {LONGEST} characters.")
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or not found[0] or (at and not found[0].startswith("/")):
            break
        steps.append(Step(found["what"], tuple(_test(one, where) for one in _TEST.findall(found["tests"]))))
        at = found.end()
    if not steps or at < len(text):
        raise Invalid("not a selector", where=where, mend="Write f:Patient/f:name[1]/f:family/@value.")
    return steps


def _test(text: str, where: str) -> Test:
    if text.isascii() and text.isdigit() and len(text) < 7:
        return Test(int(text), (), "")
    found = _EQUALS.fullmatch(text)
    if found is None:
        raise Invalid(
            "not a condition of a selector", where=where, mend="Write [1], [@url='…'] or [f:system/@value='…']."
        )
    return Test(0, tuple(found[1].split("/")), found[2] if found[2] is not None else found[3] or "")


class _Space:
    """Names by their prefixes."""

    def __init__(self, scope: Mapping[str, str], where: str, looks: Looks) -> None:
        self._looks = looks
        self._known = {"": scope.get("", FHIR), **PREFIXES, **{p: space for p, space in scope.items() if p}}
        self._where = where

    def fits(self, node: Node, name: str) -> bool:
        self._looks.take(self._where)
        prefix, _, local = name.rpartition(":")
        if prefix not in self._known:
            raise Invalid("the prefix is not declared", where=self._where, mend="Declare it, or write f: for FHIR.")
        return local in ("*", node.name) and (name == "*" or node.space == self._known[prefix])


def _inner(node: Node, step: Step) -> Iterator[Found]:
    if step.what.startswith("@"):
        name = step.what[1:]
        if name in node.attributes:
            yield Found(node, node.children, 0, name)
        return
    for at in range(len(node.children)):
        yield Found(node, node.children, at)


def _kept(found: list[Found], step: Step, space: _Space) -> list[Found]:
    kept = [one for one in found if _is(one, step.what, space)]
    for test in step.tests:
        if test.way:
            kept = [one for one in kept if one.node is not None and _leads(one.node, test.way, test.text, space)]
        else:
            kept = _numbered(kept, test.number)
    return kept


def _is(found: Found, what: str, space: _Space) -> bool:
    if found.attribute:
        return True
    child = found.children[found.at]
    if isinstance(child, Node):
        return not what.endswith("()") and space.fits(child, what)
    return what == ("comment()" if isinstance(child, Comment) else "text()")


def _numbered(found: list[Found], number: int) -> list[Found]:
    """The one of this number in each list of siblings."""
    counts: dict[int, int] = {}
    kept = []
    for one in found:
        counts[id(one.children)] = counts.get(id(one.children), 0) + 1
        if counts[id(one.children)] == number:
            kept.append(one)
    return kept


def _leads(node: Node, way: tuple[str, ...], text: str, space: _Space) -> bool:
    """Whether an attribute or an element at the end of a way has this text."""
    name, *rest = way
    if name == ".":
        return node.text == text
    if name.startswith("@"):
        return node.attributes.get(name[1:]) == text
    inner = [child for child in node.elements if space.fits(child, name)]
    return any(_leads(child, tuple(rest) or (".",), text, space) for child in inner)
