"""The tree of a GraphQL document: operations, fragments, selections, arguments (https://spec.graphql.org/October2021/)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name` where a value stands."""

    name: str


class Word(str):
    """A name that stands as a value: an enum's."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Directive:
    """`@name(arguments)`."""

    name: str
    arguments: dict[str, Any]


Directives = tuple[Directive, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """`alias: name(arguments) @directives { selections }`."""

    name: str
    alias: str
    arguments: dict[str, Any]
    directives: Directives
    selections: tuple[Selection, ...]
    place: str  # line:column

    @property
    def key(self) -> str:
        """The name its value has in the answer."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class Spread:
    """`...fragment` or `... on Type { selections }`."""

    fragment: str
    type: str
    directives: Directives
    selections: tuple[Selection, ...]
    place: str


Selection = Field | Spread


@dataclass(frozen=True, slots=True)
class Declared:
    """`$name: Type! = default`."""

    name: str
    type: str  # as it was written
    default: Any = None


@dataclass(frozen=True, slots=True)
class Fragment:
    """`fragment name on type { selections }`."""

    name: str
    type: str
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """`query name($variables) { selections }`."""

    kind: str  # query | mutation | subscription
    name: str
    variables: tuple[Declared, ...]
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """All that one text holds."""

    operations: tuple[Operation, ...]
    fragments: dict[str, Fragment] = field(default_factory=dict)
