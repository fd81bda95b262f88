"""Is there something, and how many: empty() … isDistinct() (http://hl7.org/fhirpath/N1/#existence)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.operators as operators
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import Code, Compiler, Evaluation, Row, Scope, again, from_truth, unfit
from suture.standards.fhir.fhirpath.functions.iteration import first_holding
from suture.standards.fhir.fhirpath.values import Item, system


def _empty(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run
    return from_truth(lambda state, this: not run(state, this))


def _exists(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run
    if not node.arguments:
        return from_truth(lambda state, this: bool(run(state, this)))
    found = first_holding(compiler, node, source, scope, wanted=True)
    return from_truth(lambda state, this: found(state, this))


def _all(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    failing = first_holding(compiler, node, source, scope, wanted=False)
    return from_truth(lambda state, this: not failing(state, this))


def _every(wanted: bool, verdict: bool) -> Callable[..., Code]:
    """allTrue and its like: `verdict` when any item is `wanted`, else its opposite."""

    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        run, column, name = compiler.values(source), node.column, node.name

        def truth(state: Evaluation, this: Any) -> bool | None:
            items = run(state, this)
            if not all(isinstance(item, bool) for item in items):
                raise unfit(column, f"{name}() needs booleans only")
            return verdict if wanted in items else not verdict

        return from_truth(truth)

    return built


def _not(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    truth = compiler.truth(source)

    def verdict(state: Evaluation, this: Any) -> bool | None:
        one = truth(state, this)
        return None if one is None else not one

    return from_truth(verdict)


def _subset(flipped: bool) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        codes = [source, compiler.compile(node.arguments[0], scope)]
        (one, other), _, _ = operators.same_kind(compiler, codes)

        def truth(state: Evaluation, this: Any) -> bool | None:
            items, others = one(state, this), other(state, this)
            state.spend(len(items) + len(others))
            return equality.subset(others, items) if flipped else equality.subset(items, others)

        return from_truth(truth)

    return built


def _count(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run
    return Code(lambda state, this: [len(run(state, this))], "System.Integer", possible=("System.Integer",))


def _distinct(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run

    def distinct(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        state.spend(len(items))
        return equality.distinct(items) if len(items) > 1 else items

    return again(source, distinct)


def _is_distinct(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run

    def truth(state: Evaluation, this: Any) -> bool | None:
        items = run(state, this)
        state.spend(len(items))
        return len(items) < 2 or not equality.repeated(items)

    return from_truth(truth)


def _has_value(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run

    def truth(state: Evaluation, this: Any) -> bool | None:
        items = run(state, this)
        if len(items) != 1:
            return False
        value = items[0].value if type(items[0]) is Item else items[0]
        return value is not None and not isinstance(value, dict)

    return from_truth(truth)


def _get_value(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = compiler.boxed(source).run

    def got(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        value = system(items[0]) if len(items) == 1 else None
        return [] if value is None or isinstance(value, dict) else [value]

    return Code(got, None)


ROWS: dict[str, Row] = {
    "empty": Row(_empty, 0, 0),
    "exists": Row(_exists, 0, 1),
    "all": Row(_all, 1, 1),
    "allTrue": Row(_every(wanted=False, verdict=False), 0, 0),
    "anyTrue": Row(_every(wanted=True, verdict=True), 0, 0),
    "allFalse": Row(_every(wanted=True, verdict=False), 0, 0),
    "anyFalse": Row(_every(wanted=False, verdict=True), 0, 0),
    "not": Row(_not, 0, 0),
    "subsetOf": Row(_subset(flipped=False), 1, 1),
    "supersetOf": Row(_subset(flipped=True), 1, 1),
    "count": Row(_count, 0, 0),
    "distinct": Row(_distinct, 0, 0),
    "isDistinct": Row(_is_distinct, 0, 0),
    "hasValue": Row(_has_value, 0, 0),
    "getValue": Row(_get_value, 0, 0),
}
