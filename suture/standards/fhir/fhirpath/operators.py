"""The operators as closures (http://hl7.org/fhirpath/N1/#operations), three-valued where the standard is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, DecimalException
from typing import Any

import suture.standards.fhir.fhirpath.equality as equality
import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.moments as moments
import suture.standards.fhir.fhirpath.quantity as quantity
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir.fhirpath.code import (
    NONE,
    Code,
    Compiler,
    Evaluation,
    Run,
    Truth,
    from_truth,
    unfit,
)
from suture.standards.fhir.fhirpath.moments import Moment
from suture.standards.fhir.fhirpath.quantity import Quantity
from suture.standards.fhir.fhirpath.values import CONVERT, Item

Number = int | Decimal
LARGEST = Decimal(10) ** 28
MAX_INTEGER = 2**31 - 1
MAX_TEXT = 1_000_000  # characters of a string that an expression may build


def number(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def bounded(value: Any) -> list[Any]:
    """A result as a collection; empty when it can't be represented."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value] if -MAX_INTEGER - 1 <= value <= MAX_INTEGER else NONE
    if isinstance(value, Decimal):
        return [value] if value.is_finite() and abs(value) < LARGEST else NONE
    return NONE if value is None else [value]


# --- logic


def _and(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    truths = [compiler.truth(one) for one in operands]
    if len(truths) == 2:
        return from_truth(_and_pair(truths[0], truths[1]))

    def verdict(state: Evaluation, this: Any) -> bool | None:
        whole: bool | None = True
        for truth in truths:
            one = truth(state, this)
            if one is False:
                return False
            if one is None:
                whole = None
        return whole

    return from_truth(verdict)


def _and_pair(left: Truth, right: Truth) -> Truth:
    def verdict(state: Evaluation, this: Any) -> bool | None:
        one = left(state, this)
        if one is False:
            return False
        other = right(state, this)
        return False if other is False else None if one is None else other

    return verdict


def _or(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    truths = [compiler.truth(one) for one in operands]

    def verdict(state: Evaluation, this: Any) -> bool | None:
        whole: bool | None = False
        for truth in truths:
            one = truth(state, this)
            if one:
                return True
            if one is None:
                whole = None
        return whole

    return from_truth(verdict)


def _xor(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    left, right = (compiler.truth(one) for one in operands)

    def verdict(state: Evaluation, this: Any) -> bool | None:
        one, other = left(state, this), right(state, this)
        return None if one is None or other is None else one != other

    return from_truth(verdict)


def _implies(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    left, right = (compiler.truth(one) for one in operands)

    def verdict(state: Evaluation, this: Any) -> bool | None:
        one = left(state, this)
        if one is False:
            return True
        other = right(state, this)
        return True if other else None if one is None else other

    return from_truth(verdict)


# --- equality


def _equals(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    left, right = operands
    quick = _equals_text(left, right) or _equals_text(right, left)
    if quick:
        return from_truth(quick)
    one, other = compiler.values(left), compiler.values(right)

    def verdict(state: Evaluation, this: Any) -> bool | None:
        items = one(state, this)
        if not items:
            return None
        others = other(state, this)
        state.spend(len(items))
        return equality.equal(items, others)

    return from_truth(verdict)


def _equals_text(left: Code, right: Code) -> Truth | None:
    """A primitive that is a string in JSON against a string that stands in the text."""
    if right.type != "System.String" or right.constant is None or len(right.constant) != 1 or left.type is None:
        return None
    if left.type in CONVERT or not model.primitive(left.type):
        return None
    run, wanted = left.run, right.constant[0]

    def verdict(state: Evaluation, this: Any) -> bool | None:
        items = run(state, this)
        if len(items) == 1:
            one = items[0]
            if type(one) is Item:
                return None if one.value is None else bool(one.value == wanted)
            return bool(one == wanted)
        if not items or all(type(item) is Item and item.value is None for item in items):
            return None
        return False

    return verdict


def _negated(build: Callable[[Compiler, list[Code], tree.Operation], Code]) -> Callable[..., Code]:
    def built(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
        truth = compiler.truth(build(compiler, operands, node))

        def verdict(state: Evaluation, this: Any) -> bool | None:
            one = truth(state, this)
            return None if one is None else not one

        return from_truth(verdict)

    return built


def _equivalent(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    one, other = (compiler.values(code) for code in operands)

    def verdict(state: Evaluation, this: Any) -> bool | None:
        items, others = one(state, this), other(state, this)
        state.spend(len(items) * len(others))
        return equality.equivalent(items, others)

    return from_truth(verdict)


# --- order

_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _compares(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    one, other = (compiler.values(code) for code in operands)
    decide, sign, column = _ORDERS[node.operator], node.operator, node.column

    def verdict(state: Evaluation, this: Any) -> bool | None:
        items, others = one(state, this), other(state, this)
        if not items or not others:
            return None
        if len(items) > 1 or len(others) > 1:
            raise unfit(column, f"'{sign}' needs one value on each side, there are several")
        try:
            order = equality.compare(items[0], others[0])
        except TypeError:
            raise unfit(column, f"'{sign}' can't compare values of these types") from None
        return None if order is None else decide(order)

    return from_truth(verdict)


# --- collections


def same_kind(compiler: Compiler, codes: list[Code]) -> tuple[list[Run], str | None, tuple[str, ...] | None]:
    """Pieces as they can be mixed: bare when all are of one type, else knowing their types."""
    filled = [code for code in codes if code.constant != ()]
    kinds = {code.type for code in filled}
    possible = _together(filled)
    if len(kinds) == 1 and (kind := next(iter(kinds))) is not None:
        return [code.run for code in codes], kind, possible
    return [compiler.boxed(code).run for code in codes], None, possible


def _together(codes: list[Code]) -> tuple[str, ...] | None:
    found: list[str] = []
    for code in codes:
        if code.possible is None:
            return None
        found += code.possible
    return tuple(dict.fromkeys(found))


def union(compiler: Compiler, operands: list[Code], node: tree.Syntax | None = None) -> Code:
    """`a | b | …`, every item once."""
    runs, kind, possible = same_kind(compiler, operands)
    if all(code.constant is not None for code in operands):
        items = equality.distinct([item for code in operands for item in code.constant or ()])
        return Code(lambda state, this: items, kind, possible=possible, constant=tuple(items))

    def run(state: Evaluation, this: Any) -> list[Any]:
        found: list[Any] = []
        for one in runs:
            found += one(state, this)
        state.spend(len(found))
        return found if len(found) < 2 else equality.distinct(found)

    return Code(run, kind, possible=possible, ordered=False)


def _in(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    return membership(compiler, operands[0], operands[1], node.column)


def _contains(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    return membership(compiler, operands[1], operands[0], node.column)


def membership(compiler: Compiler, item: Code, collection: Code, column: int) -> Code:
    """`item in collection`."""
    one, others = compiler.values(item), compiler.values(collection)
    keys = frozenset(map(equality.key, collection.constant)) if collection.constant else None

    def verdict(state: Evaluation, this: Any) -> bool | None:
        items = one(state, this)
        if not items:
            return None
        if len(items) > 1:
            raise unfit(column, "one value can be looked for, there are several")
        wanted = equality.key(items[0])
        if keys is not None:
            return wanted in keys
        found = others(state, this)
        state.spend(len(found))
        return any(equality.key(other) == wanted for other in found)

    return from_truth(verdict)


def index(compiler: Compiler, source: Code, position: Code, column: int) -> Code:
    """`source[position]`."""
    run, at = source.run, compiler.values(position)

    def picked(state: Evaluation, this: Any) -> list[Any]:
        items, positions = run(state, this), at(state, this)
        if not positions:
            return NONE
        if len(positions) > 1 or type(positions[0]) is not int:
            raise unfit(column, "a position is one whole number")
        place = positions[0]
        return [items[place]] if 0 <= place < len(items) else NONE

    return Code(picked, source.type, possible=source.possible)


# --- arithmetic

_SIGN_MESSAGE = "a sign stands before a number or a quantity"


def unary(compiler: Compiler, sign: str, operand: Code, column: int) -> Code:
    """`+x`, `-x`."""
    run = compiler.values(operand)

    def signed(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        if not items:
            return NONE
        if len(items) > 1:
            raise unfit(column, "a sign needs one value, there are several")
        return _signed(items[0], sign, column)

    if operand.constant and (number(operand.constant[0]) or isinstance(operand.constant[0], Quantity)):
        values = _signed(operand.constant[0], sign, column)
        return Code(lambda state, this: values, operand.type, possible=operand.possible, constant=tuple(values))
    kind = operand.type if operand.type and operand.type.startswith("System.") else None
    return Code(signed, kind, possible=operand.possible)


def _signed(value: Any, sign: str, column: int) -> list[Any]:
    if isinstance(value, Quantity):
        return [value if sign == "+" else replace(value, value=-value.value)]
    if not number(value):
        raise unfit(column, _SIGN_MESSAGE)
    return bounded(value if sign == "+" else -value)


def _calculates(calculate: Callable[[Any, Any, str, int], Any]) -> Callable[..., Code]:
    def built(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
        one, other = (compiler.values(code) for code in operands)
        sign, column = node.operator, node.column

        def run(state: Evaluation, this: Any) -> list[Any]:
            items, others = one(state, this), other(state, this)
            if not items or not others:
                return NONE
            if len(items) > 1 or len(others) > 1:
                raise unfit(column, f"'{sign}' needs one value on each side, there are several")
            try:
                result = bounded(calculate(items[0], others[0], sign, column))
            except DecimalException:
                return NONE
            state.spend(_weight(result))
            return result

        return Code(run, None)

    return built


def _weight(result: list[Any]) -> int:
    return 1 + (len(result[0]) >> 6 if result and isinstance(result[0], str) else 0)


def _plus(left: Any, right: Any, sign: str, column: int) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return joined(left + right, column)
    return _sum(left, right, sign, column)


def _sum(left: Any, right: Any, sign: str, column: int) -> Any:
    step = 1 if sign == "+" else -1
    if number(left) and number(right):
        return left + step * right
    if isinstance(left, Moment) and isinstance(right, Quantity):
        return _moved(left, right, step, column)
    one, other = equality.as_quantity(left), equality.as_quantity(right)
    if one is None or other is None:
        raise unfit(column, f"'{sign}' can't work on values of these types")
    return quantity.add(one, other, step)


def _moved(moment: Moment, amount: Quantity, step: int, column: int) -> Any:
    unit = quantity.calendar_unit(amount)
    if unit is None or not moments.fits(moment, unit):
        raise unfit(column, "a date moves by calendar units: days, months, 'd'", "Write 1 month, not 1 'mo'.")
    return moments.add(moment, step * amount.value, unit)


def joined(text: str, column: int) -> str:
    """A string that an expression has built; raises when it grows without end."""
    if len(text) > MAX_TEXT:
        raise unfit(column, f"the text grows past {MAX_TEXT} characters")
    return text


def _times(left: Any, right: Any, sign: str, column: int) -> Any:
    if number(left) and number(right):
        return left * right
    one, other = equality.as_quantity(left), equality.as_quantity(right)
    if one is None or other is None:
        raise unfit(column, "'*' can't work on values of these types")
    return quantity.multiply(one, other)


def _over(left: Any, right: Any, sign: str, column: int) -> Any:
    if number(left) and number(right):
        return Decimal(left) / Decimal(right) if right else None
    one, other = equality.as_quantity(left), equality.as_quantity(right)
    if one is None or other is None:
        raise unfit(column, "'/' can't work on values of these types")
    return quantity.divide(one, other)


def _whole(left: Any, right: Any, sign: str, column: int) -> Any:
    if not number(left) or not number(right):
        raise unfit(column, f"'{sign}' needs numbers")
    if not right:
        return None
    one, other = Decimal(left), Decimal(right)
    whole = int(one / other) if sign == "div" else one - other * int(one / other)
    both = isinstance(left, int) and isinstance(right, int)
    return int(whole) if both else whole


def _concatenates(compiler: Compiler, operands: list[Code], node: tree.Operation) -> Code:
    one, other = (compiler.values(code) for code in operands)
    column = node.column

    def run(state: Evaluation, this: Any) -> list[Any]:
        parts = [_text(one(state, this), column), _text(other(state, this), column)]
        result = [joined(parts[0] + parts[1], column)]
        state.spend(_weight(result))
        return result

    return Code(run, "System.String", possible=("System.String",))


def _text(items: list[Any], column: int) -> str:
    if not items:
        return ""
    if len(items) > 1:
        raise unfit(column, "'&' needs one value on each side, there are several")
    if not isinstance(items[0], str):
        raise unfit(column, "'&' joins strings", "Use toString().")
    return items[0]


OPERATORS: dict[str, Callable[[Compiler, list[Code], tree.Operation], Code]] = {
    "and": _and, "or": _or, "xor": _xor, "implies": _implies,
    "=": _equals, "!=": _negated(_equals), "~": _equivalent, "!~": _negated(_equivalent),
    **dict.fromkeys(_ORDERS, _compares),
    "|": union, "in": _in, "contains": _contains,
    "+": _calculates(_plus), "-": _calculates(_sum), "*": _calculates(_times), "/": _calculates(_over),
    "div": _calculates(_whole), "mod": _calculates(_whole), "&": _concatenates,
}  # fmt: skip
