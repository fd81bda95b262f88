"""Parts and mixtures of collections: first() … combine() (http://hl7.org/fhirpath/N1/#subsetting)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.operators as operators
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Scope, again, unfit


def _part(cut: Callable[[list[Any]], list[Any]]) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        run = source.run
        return again(source, lambda state, this: cut(run(state, this)))

    return built


def _single(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run, column = source.run, node.column

    def one(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        if len(items) > 1:
            raise unfit(column, "single() found several items")
        return items

    return again(source, one)


def _counted(cut: Callable[[list[Any], int], list[Any]]) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        run, number = source.run, compiler.values(compiler.compile(node.arguments[0], scope))
        column, name = node.column, node.name

        def part(state: Evaluation, this: Any) -> list[Any]:
            numbers = number(state, this)
            if not numbers:
                return NONE
            if len(numbers) > 1 or type(numbers[0]) is not int:
                raise unfit(column, f"{name}() needs one whole number")
            return cut(run(state, this), numbers[0])

        return again(source, part)

    return built


def _both(mix: Callable[[list[Any], list[Any]], list[Any]], *, narrows: bool) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        codes = [source, compiler.compile(node.arguments[0], scope)]
        (one, other), kind, possible = operators.same_kind(compiler, codes)

        def run(state: Evaluation, this: Any) -> list[Any]:
            items, others = one(state, this), other(state, this)
            state.spend(len(items) + len(others))
            return mix(items, others)

        return Code(run, kind, possible=source.possible if narrows else possible, ordered=narrows and source.ordered)

    return built


def _intersect(items: list[Any], others: list[Any]) -> list[Any]:
    keys = {equality.key(other) for other in others}
    return equality.distinct(item for item in items if equality.key(item) in keys)


def _exclude(items: list[Any], others: list[Any]) -> list[Any]:
    keys = {equality.key(other) for other in others}
    return [item for item in items if equality.key(item) not in keys]


def _union(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    return operators.union(compiler, [source, compiler.compile(node.arguments[0], scope)])


def _coalesce(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    runs, kind, possible = operators.same_kind(compiler, [compiler.compile(one, scope) for one in node.arguments])

    def run(state: Evaluation, this: Any) -> list[Any]:
        return next((items for one in runs if (items := one(state, this))), NONE)

    return Code(run, kind, possible=possible)


ROWS: dict[str, Row] = {
    "single": Row(_single, 0, 0),
    "first": Row(_part(lambda items: items[:1]), 0, 0),
    "last": Row(_part(lambda items: items[-1:]), 0, 0),
    "tail": Row(_part(lambda items: items[1:]), 0, 0),
    "skip": Row(_counted(lambda items, number: items[max(number, 0) :]), 1, 1),
    "take": Row(_counted(lambda items, number: items[: max(number, 0)]), 1, 1),
    "intersect": Row(_both(_intersect, narrows=True), 1, 1),
    "exclude": Row(_both(_exclude, narrows=True), 1, 1),
    "combine": Row(_both(lambda items, others: items + others, narrows=False), 1, 2),
    "union": Row(_union, 1, 1),
    "coalesce": Row(_coalesce, 1, 50),
}
