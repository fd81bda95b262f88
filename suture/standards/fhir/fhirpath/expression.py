"""The door: compile() and the Expression it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import DecimalException
from functools import lru_cache
from typing import Any

import suture.standards.fhir.fhirpath.kinds as kinds
import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.parser as parser
import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import Inapplicable, TooCostly
from suture.standards.fhir.fhirpath.code import Code, Environment, Evaluation, Function, Run, Truth, wrong
from suture.standards.fhir.fhirpath.compiler import Compilation
from suture.standards.fhir.fhirpath.values import Many, plain, system_name, type_of

EMPTY = Environment()
_NO_FUNCTIONS: Mapping[str, Function] = {}


class Expression:
    """A compiled expression. It is compiled once more for each resource type it meets, so that paths are bare walks."""

    __slots__ = ("_codes", "_functions", "_roots", "_tree", "_truths", "text", "type")

    def __init__(
        self, text: str, syntax: tree.Syntax, type: str, roots: tuple[str, ...], functions: Mapping[str, Function]
    ) -> None:
        self.text = text
        self.type = type
        self._tree = syntax
        self._roots = roots
        self._functions = functions
        self._codes: dict[str, Code] = {}
        self._truths: dict[str, Truth] = {}

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, focus: Any, environment: Environment = EMPTY) -> list[Any]:
        """The result as plain values; elements without a value (only extensions) are left out."""
        return plain(self._run(self._code(focus).run, focus, environment))

    def typed(self, focus: Any, environment: Environment = EMPTY) -> list[tuple[str, Any]]:
        """The result with the type of each item: (`FHIR.code`, value), (`System.Integer`, 4)."""
        items = self._run(self._boxed(focus), focus, environment)
        return [(_type_text(item), plain([item])[0] if plain([item]) else None) for item in items]

    def holds(self, focus: Any, environment: Environment = EMPTY) -> bool:
        """Whether the expression is true here: empty is not, a single value that is no boolean is."""
        return self.verdict(focus, environment) is True

    def verdict(self, focus: Any, environment: Environment = EMPTY) -> bool | None:
        """True, False, or None when the result is empty: undecided."""
        name = self._name(focus)
        truth = self._truths.get(name)
        if truth is None:
            truth = self._truths[name] = self._compilation().truth(self._code(focus))
        state = Evaluation(environment, focus)
        try:
            return truth(state, _this(focus))
        except RecursionError:
            raise _too_deep(self.text) from None
        except DecimalException as error:
            raise Inapplicable("a number can't be represented", where=self.text[:80]) from error

    def _run(self, run: Run, focus: Any, environment: Environment) -> list[Any]:
        state = Evaluation(environment, focus)
        try:
            return run(state, _this(focus))
        except RecursionError:
            raise _too_deep(self.text) from None
        except DecimalException as error:
            raise Inapplicable("a number can't be represented", where=self.text[:80]) from error

    def _name(self, focus: Any) -> str:
        if type(focus) is dict:
            name = focus.get("resourceType")
            if name is not None and isinstance(name, str):
                return name if name in self._codes or model.resource(name) else self.type
        return self.type

    def _code(self, focus: Any) -> Code:
        name = self._name(focus)
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = self._compilation().compile(self._tree, kinds.scope_of(name))
        return code

    def _boxed(self, focus: Any) -> Run:
        return self._compilation().boxed(self._code(focus)).run

    def _compilation(self) -> Compilation:
        return Compilation(self._roots, self._functions)


def _this(focus: Any) -> Any:
    if type(focus) is list:
        return focus[0] if len(focus) == 1 else Many(focus)
    return Many() if focus is None else focus


def _too_deep(text: str) -> TooCostly:
    return TooCostly("the content is nested too deeply for this expression", where=text[:80])


def _type_text(item: Any) -> str:
    kind = type_of(item)
    return f"FHIR.{kind}" if kind else f"System.{system_name(item) or 'Any'}"


def compile(
    expression: str,
    *,
    type: str = "",
    roots: Sequence[str] = (),
    locations: bool = False,
    components: Sequence[str] = (),
    functions: Mapping[str, Function] = _NO_FUNCTIONS,
    ordered: bool = False,
) -> Expression:
    """Compiles a text; raises InvalidSyntax naming the column.

    `type` names the focus: unknown elements are then errors. `roots` are names that may begin a path beside the focus.
    `locations` reads PID-3.1 as a location of HL7 v2 or X12; `components` are heads (CX) whose CX.5 is one too.
    `functions` are registered ones. `ordered` refuses first() and its like where there is no order.
    """
    extra = tuple(functions.items())
    return _compile(expression, type, tuple(roots), locations, tuple(components), extra, ordered)


@lru_cache(4096)
def _compile(
    text: str,
    type: str,
    roots: tuple[str, ...],
    locations: bool,
    components: tuple[str, ...],
    extra: tuple[tuple[str, Function], ...],
    ordered: bool,
) -> Expression:
    if type and not model.known(type):
        raise wrong(1, f"there is no type '{type}' to begin with")
    functions = dict(extra)
    syntax = parser.parse(text, locations=locations, components=components)
    Compilation(roots, functions, checked=bool(type), ordered=ordered).compile(syntax, kinds.scope_of(type))
    return Expression(text, syntax, type, roots, functions)
