"""How a function on one value is made from a plain Python function: empty in, empty out; several is an error."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any

import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Run, Scope, unfit, wrong
from suture.standards.fhir.fhirpath.moments import Moment
from suture.standards.fhir.fhirpath.operators import bounded
from suture.standards.fhir.fhirpath.quantity import Quantity

Test = Callable[[Any], Any]  # the value as the function wants it, or None when it is of the wrong type

_TEXT_BARRED = ("boolean", "integer", "decimal", "unsignedInt", "positiveInt")


def text(value: Any) -> Any:
    """A string; a date or time is its text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, Moment) else None


def whole(value: Any) -> Any:
    """An integer."""
    return value if type(value) is int else None


def number(value: Any) -> Any:
    """An integer or decimal."""
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def measure(value: Any) -> Any:
    """A number or a quantity."""
    return value if isinstance(value, Quantity) else number(value)


def anything(value: Any) -> Any:
    """Any single value."""
    return value


_WANTED: dict[Test, str] = {
    text: "a string",
    whole: "a whole number",
    number: "a number",
    measure: "a number or quantity",
}


def scalar(
    call: Callable[..., Any], wants: Test = text, *arguments: Test, optional: int = 0, kind: str | None = None
) -> Row:
    """A row for a function that takes one value and single arguments; `call` answers None for empty."""

    def build(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        if compiler.checked and wants is text:
            _check_text(source, node)
        runs = [compiler.values(compiler.compile(argument, scope)) for argument in node.arguments]
        pieces = [(compiler.values(source), wants), *zip(runs, arguments, strict=False)]
        run = _scalar_run(node, call, pieces, len(arguments) - optional)
        return Code(run, kind, possible=(kind,) if kind else None)

    return Row(build, len(arguments) - optional, len(arguments))


def _check_text(source: Code, node: tree.Call) -> None:
    kinds = source.possible
    if kinds and not any(_may_be_text(kind) for kind in kinds):
        raise wrong(node.column, f"{node.name}() needs a string, {kinds[0]} is none")


def _may_be_text(kind: str) -> bool:
    if kind.startswith("System."):
        return kind in ("System.String", "System.Any", "System.Date", "System.DateTime", "System.Time")
    return (model.primitive(kind) and kind not in _TEXT_BARRED) or kind in ("Element", *model.ABSTRACT)


def _scalar_run(node: tree.Call, call: Callable[..., Any], pieces: list[tuple[Run, Test]], needed: int) -> Run:
    column, name = node.column, node.name

    def run(state: Evaluation, this: Any) -> list[Any]:
        values: list[Any] = []
        for piece, wants in pieces:
            items = piece(state, this)
            if not items and len(values) > needed:
                break  # an empty optional argument is none
            if not items:
                return NONE
            values.append(_single(items, wants, column, name))
        try:
            result = call(*values)
        except (DecimalException, ValueError, OverflowError):
            return NONE
        return _measured(result, state, column, name)

    return run


def _single(items: list[Any], wants: Test, column: int, name: str) -> Any:
    if len(items) > 1:
        raise unfit(column, f"{name}() needs one value, there are several")
    value = wants(items[0])
    if value is None:
        raise unfit(column, f"{name}() needs {_WANTED.get(wants, 'another type of value')}")
    return value


def _measured(result: Any, state: Evaluation, column: int, name: str) -> list[Any]:
    if isinstance(result, str):
        state.spend(1 + len(result) // 64)
        if len(result) > MAX_TEXT:
            raise unfit(column, f"the text of {name}() grows past {MAX_TEXT} characters")
    if isinstance(result, list):
        state.spend(len(result))
        return result
    return bounded(result)


MAX_TEXT = 1_000_000
