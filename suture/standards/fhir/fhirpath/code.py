"""What a compiled piece of an expression is, and the state of one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol

import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import Inapplicable, InvalidSyntax, TooCostly

STEPS: Final = 2_000_000  # items that one evaluation may touch
NONE: Final[list[Any]] = []  # the empty collection; collections are never changed once made
TRUE: Final[list[Any]] = [True]
FALSE: Final[list[Any]] = [False]


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function: called with the collection it stands on and its arguments, each a list of plain values."""

    call: Callable[..., Any]  # (items, *arguments) -> a value, a list of values, or None
    least: int = 0
    most: int = 0
    summary: str = ""


@dataclass(slots=True, eq=False)
class Environment:
    """What comes in from outside: the clock, other resources, terminology, variables, roots and locations."""

    now: datetime | None = None
    resolve: Callable[[str], dict[str, Any] | None] | None = None
    member_of: Callable[[Any, str], bool | None] | None = None  # (code, Coding or CodeableConcept; value set)
    variables: Mapping[str, Any] = field(default_factory=dict)  # %name
    roots: Mapping[str, Any] = field(default_factory=dict)
    locate: Callable[[str], list[str]] | None = None
    conforms: Callable[[Any, str], bool | None] | None = None  # (resource, profile)
    trace: Callable[[str, list[Any]], None] | None = None
    steps: int = STEPS


class Evaluation:
    """The state of one evaluation."""

    __slots__ = ("defined", "environment", "focus", "index", "left", "total")

    def __init__(self, environment: Environment, focus: Any) -> None:
        self.environment = environment
        self.focus = focus
        self.left = environment.steps
        self.index = 0
        self.total: list[Any] = NONE
        self.defined: dict[str, list[Any]] = {}

    def spend(self, steps: int) -> None:
        """Counts work; raises TooCostly when there was enough of it."""
        self.left -= steps
        if self.left < 0:
            raise TooCostly(
                "the expression needs more work than is allowed", mend="Narrow the path before it is repeated."
            )


Run = Callable[[Evaluation, Any], list[Any]]
Truth = Callable[[Evaluation, Any], "bool | None"]


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled piece: how to run it, and what is known about its items before it runs."""

    run: Run
    type: str | None = None  # FHIR type of all items (they may then be bare), 'System.X', or None: they know themselves
    truth: Truth | None = None
    possible: tuple[str, ...] | None = None  # what the items may be, for checking; None: anything
    this: bool = False  # nothing but $this
    ordered: bool = True
    constant: tuple[Any, ...] | None = None
    children: tuple[tuple[str, str], ...] = ()  # of a choice not yet read: (JSON key, type)
    source: Code | None = None  # of that choice


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a piece stands: the type of `$this`, and whether it is inside the argument of another function."""

    type: str | None
    possible: tuple[str, ...] | None
    inner: bool = False

    def within(self, source: Code) -> Scope:
        """The scope of an argument that is evaluated for each item of `source`."""
        return Scope(source.type, source.possible, True)


class Compiler(Protocol):
    """What functions ask of the compiler."""

    checked: bool

    def compile(self, node: tree.Syntax, scope: Scope) -> Code: ...

    def boxed(self, code: Code) -> Code: ...

    def values(self, code: Code) -> Run: ...

    def truth(self, code: Code) -> Truth: ...

    def type_name(self, node: tree.Syntax) -> str: ...


Builder = Callable[[Compiler, tree.Call, Code, Scope], Code]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the function tables: how many arguments it takes and how it is built."""

    build: Builder
    least: int
    most: int


def from_truth(truth: Truth) -> Code:
    """A boolean piece from its verdict."""

    def run(state: Evaluation, this: Any) -> list[Any]:
        verdict = truth(state, this)
        return NONE if verdict is None else TRUE if verdict else FALSE

    return Code(run, "System.Boolean", truth, ("System.Boolean",))


def constant(values: Sequence[Any], kind: str | None) -> Code:
    """A piece that is always the same."""
    items = list(values)

    def run(state: Evaluation, this: Any) -> list[Any]:
        return items

    return Code(run, kind, possible=(kind,) if kind else None, constant=tuple(items))


def again(code: Code, run: Run) -> Code:
    """Items of the same types, found by another way."""
    return replace(code, run=run, truth=None, this=False, constant=None, children=(), source=None)


def wrong(column: int, text: str, mend: str = "") -> InvalidSyntax:
    """An error of the text, naming the column."""
    return InvalidSyntax(text, where=f"column {column}", mend=mend)


def unfit(column: int, text: str, mend: str = "") -> Inapplicable:
    """An error of applying the expression to this content; names the column, never a value."""
    return Inapplicable(text, where=f"column {column}", mend=mend)
