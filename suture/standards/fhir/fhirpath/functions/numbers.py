"""Functions on numbers and quantities, and sums over collections (http://hl7.org/fhirpath/N1/#math)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.quantity as quantity
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Scope, unfit
from suture.standards.fhir.fhirpath.functions.scalars import measure, number, scalar, whole
from suture.standards.fhir.fhirpath.operators import bounded
from suture.standards.fhir.fhirpath.quantity import Quantity

_DECIMAL = "System.Decimal"


def _on_value(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of numbers that keeps a quantity's unit."""

    def called(value: Any) -> Any:
        if isinstance(value, Quantity):
            return replace(value, value=Decimal(call(value.value)))
        return call(value)

    return called


def _whole(rounding: str) -> Callable[[Any], Any]:
    return _on_value(lambda value: int(Decimal(value).to_integral_value(rounding)))


def _round(value: Any, digits: int = 0) -> Any:
    if isinstance(value, Quantity):
        rounded = _round(value.value, digits)
        return None if rounded is None else replace(value, value=rounded)
    if not 0 <= digits <= 28:
        return None
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _power(value: Any, exponent: Any) -> Any:
    if value < 0 and exponent != int(exponent):
        return None
    result = Decimal(value) ** Decimal(exponent)
    both = isinstance(value, int) and isinstance(exponent, int) and exponent >= 0
    return int(result) if both and abs(result) < 2**31 else None if both else result


def _log(value: Any, base: Any) -> Any:
    if value <= 0 or base <= 0 or base == 1:
        return None
    result = Decimal(value).ln() / Decimal(base).ln()
    near = result.to_integral_value()
    return near if Decimal(base) ** near == Decimal(value) else result


def _positive(call: Callable[[Decimal], Decimal], least: int) -> Callable[[Any], Any]:
    return lambda value: call(Decimal(value)) if value >= least and (value or call is Decimal.sqrt) else None


# --- over collections


def _folded(fold: Callable[[list[Any], int], Any]) -> Callable[..., Code]:
    def built(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        values, column = compiler.values(source), node.column

        def run(state: Evaluation, this: Any) -> list[Any]:
            items = values(state, this)
            state.spend(len(items))
            return bounded(fold(items, column)) if items else NONE

        return Code(run, None)

    return built


def _sum(items: list[Any], column: int) -> Any:
    total = items[0]
    if measure(total) is None:
        raise unfit(column, "only numbers and quantities have a sum")
    for item in items[1:]:
        if number(total) is not None and number(item) is not None:
            total = total + item
            continue
        one, other = equality.as_quantity(total), equality.as_quantity(item)
        if one is None or other is None:
            raise unfit(column, "only numbers and quantities have a sum")
        total = quantity.add(one, other, 1)
        if total is None:
            return None
    return total


def _average(items: list[Any], column: int) -> Any:
    total = _sum(items, column)
    if isinstance(total, Quantity):
        return replace(total, value=total.value / len(items))
    return None if total is None else Decimal(total) / len(items)


def _extreme(sign: int) -> Callable[[list[Any], int], Any]:
    def found(items: list[Any], column: int) -> Any:
        best = items[0]
        try:
            for item in items[1:]:
                order = equality.compare(item, best)
                if order is None:
                    return None
                best = item if order * sign > 0 else best
        except TypeError:
            raise unfit(column, "values of these types have no order") from None
        return best

    return found


ROWS: dict[str, Row] = {
    "abs": scalar(_on_value(abs), measure),
    "ceiling": scalar(_whole(ROUND_CEILING), measure),
    "floor": scalar(_whole(ROUND_FLOOR), measure),
    "truncate": scalar(_whole(ROUND_DOWN), measure),
    "round": scalar(_round, measure, whole, optional=1),
    "exp": scalar(lambda value: Decimal(value).exp(), number, kind=_DECIMAL),
    "ln": scalar(_positive(Decimal.ln, 0), number, kind=_DECIMAL),
    "sqrt": scalar(_positive(Decimal.sqrt, 0), number, kind=_DECIMAL),
    "log": scalar(_log, number, number, kind=_DECIMAL),
    "power": scalar(_power, number, number),
    "sum": Row(_folded(_sum), 0, 0),
    "avg": Row(_folded(_average), 0, 0),
    "min": Row(_folded(_extreme(-1)), 0, 0),
    "max": Row(_folded(_extreme(1)), 0, 0),
}
