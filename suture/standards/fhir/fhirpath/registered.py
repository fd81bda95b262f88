"""Functions that others register: called with plain values."""

from __future__ import annotations

from typing import Any

import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import SutureError
from suture.standards.fhir.fhirpath.code import Code, Compiler, Evaluation, Function, Row, Scope, unfit
from suture.standards.fhir.fhirpath.values import plain


def row_of(function: Function) -> Row:
    """A registered function as a row beside the built-in ones."""

    def build(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        runs = [compiler.compile(argument, scope).run for argument in node.arguments]
        call, origin, name, column = function.call, source.run, node.name, node.column

        def run(state: Evaluation, this: Any) -> list[Any]:
            items = plain(origin(state, this))
            state.spend(len(items) + 1)
            try:
                result = call(items, *(plain(one(state, this)) for one in runs))
            except SutureError:
                raise
            except (TypeError, ValueError, KeyError, ArithmeticError) as error:
                raise unfit(column, f"{name}() can't work on this value ({type(error).__name__})") from error
            if isinstance(result, list):
                return [one for one in result if one is not None]
            return [] if result is None else [result]

        return Code(run, None)

    return Row(build, function.least, function.most)
