"""One walk over a resource that knows each value's type and place (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from suture.standards.fhir.definitions import RESOURCE_TYPES, type_definition
from suture.standards.fhir.profiles.values import MemberOf

R = TypeVar("R")
# unknown extensions, HTML in texts and markdown, addresses, displays of systems that grow elsewhere
STRICT = ("extensions", "html", "markdown", "examples", "displays")


@dataclass(frozen=True, slots=True)
class Around:
    """What comes in from outside: definitions by type and canonical, and which codes value sets hold.

    `strict` names what is refused that is otherwise let pass (STRICT). `profiles` are those the whole is held against, besides what it claims.
    """

    definition: Callable[[str, str], dict[str, Any] | None] = lambda type, url: None
    member_of: MemberOf = lambda system, code, url: None
    strict: frozenset[str] = frozenset()
    profiles: tuple[str, ...] = ()


@dataclass(slots=True)
class Whole:
    """What is looked at, and what rules have made of it once for all its places."""

    resource: dict[str, Any]
    around: Around
    _made: dict[Callable[[Whole], Any], Any] = field(default_factory=dict)

    def once(self, make: Callable[[Whole], R]) -> R:
        """What `make` makes of the whole; made at the first call."""
        if make not in self._made:
            self._made[make] = make(self)
        found: R = self._made[make]
        return found


@dataclass(frozen=True, slots=True)
class Node:
    """One value. `element` is where its type's owner defines it (`HumanName.family`); `path` is its place (`Patient.name[0].family`)."""

    value: Any
    type: str
    path: str
    element: str
    whole: Whole
    up: Node | None = None
    shadow: dict[str, Any] | None = None  # of a primitive: its id and extensions

    @property
    def resource(self) -> Node:
        """The resource it stands in; itself when it is one."""
        node = self
        while node.up is not None and not is_resource(node):
            node = node.up
        return node

    @property
    def around(self) -> Around:
        return self.whole.around


def is_resource(node: Node) -> bool:
    return node.type in RESOURCE_TYPES


def nodes(whole: Whole) -> Iterator[Node]:
    """Every value of it, parents first, in the order of the document; what R4 does not know is passed over."""
    type = str(whole.resource.get("resourceType", ""))
    rest = [Node(whole.resource, type, type, type, whole)] if type in RESOURCE_TYPES else []
    while rest:
        node = rest.pop()
        yield node
        rest.extend(reversed(list(_children(node))))


def _children(node: Node) -> Iterator[Node]:
    inner = node.value if isinstance(node.value, dict) else node.shadow
    definition = type_definition(node.type if isinstance(node.value, dict) else "Element")
    if inner is None or definition is None:
        return
    for key in dict.fromkeys(key.removeprefix("_") for key in inner):
        if key in definition.keys:
            element, kind = definition.keys[key]
            place = f"{node.path}.{element.name}" + f".ofType({kind})" * element.choice
            yield from _values(node, inner.get(key), inner.get(f"_{key}"), kind, place, element.path)


def _values(up: Node, value: Any, shadow: Any, kind: str, place: str, element: str) -> Iterator[Node]:
    if not isinstance(value, list) and not isinstance(shadow, list):
        yield from _one(up, value, shadow, kind, place, element)
        return
    values, shadows = (one if isinstance(one, list) else [] for one in (value, shadow))
    for number in range(max(len(values), len(shadows))):
        own, beside = (one[number] if number < len(one) else None for one in (values, shadows))
        yield from _one(up, own, beside, kind, f"{place}[{number}]", element)


def _one(up: Node, value: Any, shadow: Any, kind: str, place: str, element: str) -> Iterator[Node]:
    shadow = shadow if isinstance(shadow, dict) else None
    if kind == "Resource":
        kind = str(value.get("resourceType", "")) if isinstance(value, dict) else ""
        if kind not in RESOURCE_TYPES:
            return
    if value is not None or shadow is not None:
        yield Node(value, kind, place, element, up.whole, up, shadow)
