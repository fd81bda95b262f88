"""Turns the syntax tree into closures; knows the type of every piece as far as the text decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import suture.standards.fhir.fhirpath.kinds as kinds
import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.operators as operators
import suture.standards.fhir.fhirpath.paths as paths
import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import InvalidSyntax
from suture.standards.fhir.fhirpath.code import (
    NONE,
    Code,
    Evaluation,
    Function,
    Row,
    Run,
    Scope,
    Truth,
    constant,
    unfit,
    wrong,
)
from suture.standards.fhir.fhirpath.functions import FUNCTIONS
from suture.standards.fhir.fhirpath.registered import row_of
from suture.standards.fhir.fhirpath.values import boxed, child, converter, system_name
from suture.standards.fhir.fhirpath.variables import variable


class Compilation:
    """One compilation of one tree for one type of focus."""

    def __init__(
        self,
        roots: Sequence[str] = (),
        functions: Mapping[str, Function] | None = None,
        *,
        checked: bool = False,
        ordered: bool = False,
    ) -> None:
        self.roots = frozenset(roots)
        self.functions: dict[str, Row] = {name: row_of(one) for name, one in (functions or {}).items()}
        self.checked = checked  # unknown elements are errors
        self.ordered = ordered  # so is a function that asks for an order where there is none

    def compile(self, node: tree.Syntax, scope: Scope) -> Code:
        return _COMPILERS[type(node)](self, node, scope)

    # --- how pieces are read

    def boxed(self, code: Code) -> Code:
        """The same items, knowing their types themselves."""
        if code.type is None or code.type.startswith("System.") or model.resource(code.type):
            return replace(code, type=None) if code.type else code
        box, run = boxed(code.type), code.run
        return Code(lambda state, this: box(run(state, this)), None, possible=code.possible, ordered=code.ordered)

    def values(self, code: Code) -> Run:
        """The System values of the items."""
        run, kind = code.run, code.type
        if kind is not None and kind.startswith("System."):
            return run
        convert = converter(kind)
        return lambda state, this: convert(run(state, this))

    def truth(self, code: Code) -> Truth:
        """The verdict of a piece under the rule for single items: one item that is no boolean is true."""
        if code.truth:
            return code.truth
        run, column = self.values(code), 1

        def truth(state: Evaluation, this: Any) -> bool | None:
            items = run(state, this)
            if not items:
                return None
            if len(items) > 1:
                raise unfit(column, "one value is needed for a condition, there are several")
            one = items[0]
            return one if isinstance(one, bool) else True

        return truth

    def type_name(self, node: tree.Syntax) -> str:
        """The type that an argument names."""
        names: list[str] = []
        at: tree.Syntax | None = node
        while isinstance(at, tree.Member):
            names.insert(0, at.name)
            at = at.source
        if at is not None or not names:
            raise wrong(
                node.column, "the name of a type is expected here", "Write it without quotes: ofType(Quantity)."
            )
        return kinds.resolve(".".join(names), node.column)

    # --- nodes

    def literal(self, node: tree.Literal, scope: Scope) -> Code:
        kind = system_name(node.values[0]) if node.values else None
        return constant(node.values, f"System.{kind}" if kind else None)

    def special(self, node: tree.Special, scope: Scope) -> Code:
        if node.name == "$this":
            return paths.this(scope.type, scope.possible)
        if node.name == "$index":
            return Code(lambda state, this: [state.index], "System.Integer", possible=("System.Integer",))
        return Code(lambda state, this: state.total, None)

    def external(self, node: tree.External, scope: Scope) -> Code:
        return variable(node.name, node.column)

    def location(self, node: tree.Location, scope: Scope) -> Code:
        text, column = node.text, node.column

        def run(state: Evaluation, this: Any) -> list[Any]:
            locate = state.environment.locate
            if locate is None:
                raise unfit(column, f"no message is at hand for {text}")
            return [value for value in locate(text) if value]

        return Code(run, "System.String", possible=("System.String",))

    def member(self, node: tree.Member, scope: Scope) -> Code:
        if node.source is None:
            return self._head(node, scope)
        return self._step(node, self.compile(node.source, scope))

    def _head(self, node: tree.Member, scope: Scope) -> Code:
        name = node.name
        if name in self.roots and not self._is_element(name, scope):
            return _root(name, scope.inner and scope.type is None)
        start = paths.this(scope.type, scope.possible)
        if name[:1].isupper() and model.known(name) and not self._is_element(name, scope):
            return self._type_head(node, scope, start)
        return self._step(node, start)

    @staticmethod
    def _is_element(name: str, scope: Scope) -> bool:
        return scope.inner and scope.type is not None and name in model.children(scope.type)

    def _type_head(self, node: tree.Member, scope: Scope, start: Code) -> Code:
        """`Patient.name`: the type of the focus stands before the path."""
        name = node.name
        if scope.type is not None:
            if model.derives(scope.type, name):
                return start
            if self.checked:
                raise wrong(node.column, f"{name} can't begin a path of {scope.type}", f"Write {scope.type}.")
            return constant((), None)
        run = start.run
        return Code(
            lambda state, this: [item for item in run(state, this) if paths.is_kind(item, name)],
            model.static(name) if model.resource(name) else None,
            possible=(name,),
        )

    def _step(self, node: tree.Member, source: Code) -> Code:
        if self.checked:
            self._check(node, source)
        return paths.member(source, node.name)

    def _check(self, node: tree.Member, source: Code) -> None:
        possible = source.possible
        if possible is None or any(kind in model.ABSTRACT or kind == "Element" for kind in possible):
            return
        names = {name for kind in possible for name in kinds.element_names(kind)}
        if node.name in names:
            return
        close = get_close_matches(node.name, names, 1)
        mend = f"Did you mean '{close[0]}'?" if close else ""
        owner = " or ".join(possible[:3]) or "what stands before it"
        raise wrong(node.column, f"{owner} has no element '{node.name}'", mend)

    def index(self, node: tree.Index, scope: Scope) -> Code:
        return operators.index(self, self.compile(node.source, scope), self.compile(node.index, scope), node.column)

    def unary(self, node: tree.Unary, scope: Scope) -> Code:
        return operators.unary(self, node.operator, self.compile(node.operand, scope), node.column)

    def operation(self, node: tree.Operation, scope: Scope) -> Code:
        operands = [self.compile(one, scope) for one in node.operands]
        return operators.OPERATORS[node.operator](self, operands, node)

    def type_test(self, node: tree.TypeTest, scope: Scope) -> Code:
        operand, kind = self.compile(node.operand, scope), kinds.resolve(node.name, node.column)
        if node.operator == "is":
            return kinds.is_type(self, operand, kind, node.column)
        return kinds.of_type(self, operand, kind)

    def call(self, node: tree.Call, scope: Scope) -> Code:
        row = FUNCTIONS.get(node.name) or self.functions.get(node.name)
        if row is None:
            raise self._no_function(node)
        if not row.least <= len(node.arguments) <= row.most:
            raise wrong(node.column, f"{node.name}() takes {_arity(row)}, not {len(node.arguments)}")
        source = self.compile(node.source, scope) if node.source else paths.this(scope.type, scope.possible)
        if self.ordered and not source.ordered and node.name in _ORDER_MATTERS:
            raise wrong(node.column, f"{node.name}() asks for an order, and there is none", "Narrow the path first.")
        return row.build(self, node, source, scope)

    def _no_function(self, node: tree.Call) -> InvalidSyntax:
        close = get_close_matches(node.name, [*FUNCTIONS, *self.functions], 1)
        return wrong(node.column, f"there is no function {node.name}()", f"Did you mean {close[0]}()?" if close else "")

    def sorted(self, node: tree.Sorted, scope: Scope) -> Code:
        return self.compile(node.key, scope)


_ORDER_MATTERS = frozenset({"first", "last", "tail", "skip", "take"})


def _arity(row: Row) -> str:
    if row.least == row.most:
        return "no argument" if not row.most else f"{row.most} argument{'s' if row.most > 1 else ''}"
    return f"{row.least} to {row.most} arguments"


def _root(name: str, element_first: bool) -> Code:
    """A named root; inside an argument an element of that name stands nearer."""

    def run(state: Evaluation, this: Any) -> list[Any]:
        if element_first and kinds.has_element(this, name):
            return child(this, name)
        value = state.environment.roots.get(name)
        if value is None:
            return NONE
        return [one for one in value if one is not None] if isinstance(value, list) else [value]

    return Code(run, None)


_COMPILERS: dict[type[tree.Syntax], Callable[[Compilation, Any, Scope], Code]] = {
    tree.Literal: Compilation.literal,
    tree.Special: Compilation.special,
    tree.External: Compilation.external,
    tree.Location: Compilation.location,
    tree.Member: Compilation.member,
    tree.Call: Compilation.call,
    tree.Index: Compilation.index,
    tree.Unary: Compilation.unary,
    tree.Operation: Compilation.operation,
    tree.TypeTest: Compilation.type_test,
    tree.Sorted: Compilation.sorted,
}
