"""The syntax tree of an expression (http://hl7.org/fhirpath/N1/grammar.html); every node knows its column and depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Syntax:
    """What all nodes share."""

    column: int
    depth: int

    def parts(self) -> Iterator[Syntax]:
        """The nodes below this one."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Literal(Syntax):
    """A value written out; `values` is empty for `{}`."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Special(Syntax):
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class External(Syntax):
    """`%name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Location(Syntax):
    """A location of another standard, such as `PID-3.1`."""

    text: str


@dataclass(frozen=True, slots=True)
class Member(Syntax):
    """A child element; without `source` the path starts here."""

    source: Syntax | None
    name: str

    def parts(self) -> Iterator[Syntax]:
        return iter((self.source,) if self.source else ())


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """A function; without `source` it works on `$this`."""

    source: Syntax | None
    name: str
    arguments: tuple[Syntax, ...]

    def parts(self) -> Iterator[Syntax]:
        return iter((*((self.source,) if self.source else ()), *self.arguments))


@dataclass(frozen=True, slots=True)
class Index(Syntax):
    """`source[index]`."""

    source: Syntax
    index: Syntax

    def parts(self) -> Iterator[Syntax]:
        return iter((self.source, self.index))


@dataclass(frozen=True, slots=True)
class Unary(Syntax):
    """`+x` or `-x`."""

    operator: str
    operand: Syntax

    def parts(self) -> Iterator[Syntax]:
        return iter((self.operand,))


@dataclass(frozen=True, slots=True)
class Operation(Syntax):
    """An operator with its operands: two, or more for `|`, `and`, `or`, which are flattened."""

    operator: str
    operands: tuple[Syntax, ...]

    def parts(self) -> Iterator[Syntax]:
        return iter(self.operands)


@dataclass(frozen=True, slots=True)
class TypeTest(Syntax):
    """`x is T` or `x as T`."""

    operator: str
    operand: Syntax
    name: str

    def parts(self) -> Iterator[Syntax]:
        return iter((self.operand,))


@dataclass(frozen=True, slots=True)
class Sorted(Syntax):
    """An argument of sort(): its key and direction."""

    key: Syntax
    descending: bool

    def parts(self) -> Iterator[Syntax]:
        return iter((self.key,))
