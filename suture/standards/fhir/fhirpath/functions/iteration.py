"""Functions whose argument runs for each item: where, select, repeat, aggregate, iif, sort (http://hl7.org/fhirpath/N1/#filtering-and-projection)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cmp_to_key
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.kinds as kinds
import suture.standards.fhir.fhirpath.operators as operators
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import (
    NONE,
    Code,
    Compiler,
    Evaluation,
    Row,
    Run,
    Scope,
    Truth,
    again,
    unfit,
    wrong,
)
from suture.standards.fhir.fhirpath.values import Many, all_children, plain


def _mentions(node: tree.Syntax, name: str) -> bool:
    if isinstance(node, tree.Special):
        return node.name == name
    return any(_mentions(part, name) for part in node.parts())


def _indexed(node: tree.Syntax) -> bool:
    return _mentions(node, "$index")


def first_holding(
    compiler: Compiler, node: tree.Call, source: Code, scope: Scope, *, wanted: bool
) -> Callable[[Evaluation, Any], bool]:
    """Whether an item is found for which the criterion is true (or is not)."""
    truth = compiler.truth(compiler.compile(node.arguments[0], scope.within(source)))
    run = source.run

    def found(state: Evaluation, this: Any) -> bool:
        items = run(state, this)
        state.spend(len(items))
        outer = state.index
        try:
            for at, item in enumerate(items):
                state.index = at
                if (truth(state, item) is True) is wanted:
                    return True
            return False
        finally:
            state.index = outer

    return found


def _where(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    argument = node.arguments[0]
    criterion = compiler.compile(argument, scope.within(source))
    if compiler.checked and criterion.possible and criterion.possible[0] in _NEVER_TRUE:
        raise wrong(argument.column, "the criterion of where() is no condition")
    truth = compiler.truth(criterion)
    run = _filter_indexed(source.run, truth) if _indexed(argument) else _filter(source.run, truth)
    return again(source, run)


_NEVER_TRUE = ("System.Quantity", "System.Date", "System.DateTime", "System.Time")


def _filter(source: Run, truth: Truth) -> Run:
    def run(state: Evaluation, this: Any) -> list[Any]:
        items = source(state, this)
        if not items:
            return NONE
        state.left -= len(items)
        if state.left < 0:
            state.spend(0)
        return [item for item in items if truth(state, item)]

    return run


def _filter_indexed(source: Run, truth: Truth) -> Run:
    def run(state: Evaluation, this: Any) -> list[Any]:
        items, outer, found = source(state, this), state.index, []
        state.spend(len(items))
        for state.index, item in enumerate(items):
            if truth(state, item):
                found.append(item)
        state.index = outer
        return found

    return run


def _select(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    projection = compiler.compile(node.arguments[0], scope.within(source))
    origin, project = source.run, projection.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        items, outer = origin(state, this), state.index
        found: list[Any] = []
        for state.index, item in enumerate(items):
            found += project(state, item)
        state.index = outer
        state.spend(len(items) + len(found))
        return found

    ordered = source.ordered and projection.ordered
    return replace(again(projection, run), ordered=ordered)


# --- repeat, descendants


def _repeat(once: bool) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        first = compiler.compile(node.arguments[0], scope.within(source))
        later = compiler.compile(node.arguments[0], scope.within(first))
        if first.type is None or first.type != later.type:
            start, scope_ = compiler.boxed(source), _open(source, first, later)
            first = later = compiler.boxed(compiler.compile(node.arguments[0], scope_))
            source = start
        possible = None if first.possible is None or later.possible is None else (*first.possible, *later.possible)
        run = _spread(source.run, first.run, later.run, once)
        return Code(run, first.type, possible=possible, ordered=False)

    return built


def _open(source: Code, *found: Code) -> Scope:
    """The scope of a projection that runs over what it has found itself."""
    if source.possible is None or any(code.possible is None for code in found):
        return Scope(None, None, True)
    return Scope(None, (*source.possible, *(kind for code in found for kind in code.possible or ())), True)


def _spread(source: Run, first: Run, later: Run, once: bool) -> Run:
    def run(state: Evaluation, this: Any) -> list[Any]:
        seen: set[Hashable] = set()
        found: list[Any] = []
        wave, project = source(state, this), first
        while wave:
            ahead: list[Any] = []
            for item in wave:
                for one in project(state, item):
                    state.spend(1)
                    if not once or not _met(one, seen):
                        ahead.append(one)
            found += ahead
            wave, project = ahead, later
        return found

    return run


def _met(item: Any, seen: set[Hashable]) -> bool:
    one = equality.key(item)
    if one in seen:
        return True
    seen.add(one)
    return False


def _children(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = compiler.boxed(source).run

    def below(state: Evaluation, this: Any) -> list[Any]:
        found = [one for item in run(state, this) for one in all_children(item)]
        state.spend(len(found))
        return found

    return Code(below, None, ordered=False)


def _descendants(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = compiler.boxed(source).run

    def below(state: Evaluation, this: Any) -> list[Any]:
        found: list[Any] = []
        wave = run(state, this)
        while wave:
            wave = [one for item in wave for one in all_children(item)]
            state.spend(len(wave))
            found += wave
        return found

    return Code(below, None, ordered=False)


# --- aggregate, iif, sort


def _aggregate(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    step = compiler.boxed(compiler.compile(node.arguments[0], scope.within(source))).run
    start = compiler.compile(node.arguments[1], scope).run if len(node.arguments) > 1 else None
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        outer, index = state.total, state.index
        items = origin(state, this)
        total = start(state, this) if start else NONE
        for at, item in enumerate(items):
            state.index, state.total = at, total
            total = step(state, item)
            state.spend(1 + len(total))
        state.total, state.index = outer, index
        return total

    return Code(run, None)


def _iif(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    inner = scope if source.this else scope.within(source)
    criterion = compiler.compile(node.arguments[0], inner)
    if compiler.checked and criterion.possible and not set(criterion.possible) & {"System.Boolean", "boolean"}:
        raise wrong(node.arguments[0].column, "the criterion of iif() is no boolean")
    truth, column = compiler.truth(criterion), node.column
    branches = [compiler.compile(argument, inner) for argument in node.arguments[1:]]
    runs, kind, possible = operators.same_kind(compiler, branches)
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = origin(state, this)
        if len(items) > 1 and not source.this:
            raise unfit(column, "iif() works on one value, there are several")
        focus = this if source.this else items[0] if items else Many()
        if truth(state, focus):
            return runs[0](state, focus)
        return runs[1](state, focus) if len(runs) > 1 else NONE

    return Code(run, kind, possible=possible)


_Keyed = tuple[list[Any], Any]  # the keys of an item, and the item


def _sort(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    inner = scope.within(source)
    keys = [(compiler.values(compiler.compile(one, inner)), _descends(one)) for one in node.arguments]
    keys = keys or [(compiler.values(compiler.compile(tree.Special(node.column, 1, "$this"), inner)), False)]
    origin, column, directions = source.run, node.column, [down for _, down in keys]

    def order(left: _Keyed, right: _Keyed) -> int:
        return _before(left, right, directions, column)

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = origin(state, this)
        state.spend(len(items) * len(keys) * 4)
        rows: list[_Keyed] = [([_one(key(state, item), column) for key, _ in keys], item) for item in items]
        rows.sort(key=cmp_to_key(order))
        return [item for _, item in rows]

    return replace(again(source, run), ordered=True)


def _descends(node: tree.Syntax) -> bool:
    return isinstance(node, tree.Sorted) and node.descending


def _one(items: list[Any], column: int) -> Any:
    if len(items) > 1:
        raise unfit(column, "a key of sort() needs one value, there are several")
    return items[0] if items else None


def _before(left: _Keyed, right: _Keyed, directions: list[bool], column: int) -> int:
    for one, other, down in zip(left[0], right[0], directions, strict=True):
        order = _order(one, other, column)
        if order:
            return -order if down else order
    return 0


def _order(one: Any, other: Any, column: int) -> int:
    if one is None or other is None:
        return (one is not None) - (other is not None)
    try:
        return equality.compare(one, other) or 0
    except TypeError:
        raise unfit(column, "sort() can't compare values of these types") from None


# --- types, traces, variables


def _of_type(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    return kinds.of_type(compiler, source, compiler.type_name(node.arguments[0]))


def _is(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    return kinds.is_type(compiler, source, compiler.type_name(node.arguments[0]), node.column)


def _trace(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    name = compiler.values(compiler.compile(node.arguments[0], scope))
    shown = compiler.compile(node.arguments[1], scope.within(source)).run if len(node.arguments) > 1 else None
    origin = source.run

    def run(state: Evaluation, this: Any) -> list[Any]:
        items, listener = origin(state, this), state.environment.trace
        if listener:
            found = items if shown is None else [one for item in items for one in shown(state, item)]
            listener(str(next(iter(name(state, this)), "")), plain(found))
        return items

    return replace(source, run=run, truth=None, this=False, constant=None)


def _define(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    name = node.arguments[0]
    if not isinstance(name, tree.Literal) or not name.values or not isinstance(name.values[0], str):
        raise wrong(name.column, "the name of a variable is a string")
    value = compiler.compile(node.arguments[1], scope.within(source)) if len(node.arguments) > 1 else source
    read, origin, label = compiler.boxed(value).run, source.run, name.values[0]

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = origin(state, this)
        focus = Many(items) if len(items) != 1 else items[0]
        state.defined[label] = read(state, focus if len(node.arguments) > 1 else this)
        return items

    return replace(source, run=run, truth=None, this=False, constant=None)


ROWS: dict[str, Row] = {
    "where": Row(_where, 1, 1),
    "select": Row(_select, 1, 1),
    "repeat": Row(_repeat(once=True), 1, 1),
    "repeatAll": Row(_repeat(once=False), 1, 1),
    "children": Row(_children, 0, 0),
    "descendants": Row(_descendants, 0, 0),
    "aggregate": Row(_aggregate, 1, 2),
    "iif": Row(_iif, 2, 3),
    "sort": Row(_sort, 0, 20),
    "ofType": Row(_of_type, 1, 1),
    "as": Row(_of_type, 1, 1),
    "is": Row(_is, 1, 1),
    "trace": Row(_trace, 1, 2),
    "defineVariable": Row(_define, 1, 2),
}
