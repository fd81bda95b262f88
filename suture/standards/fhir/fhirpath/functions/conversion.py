"""toX() and convertsToX() (http://hl7.org/fhirpath/N1/#conversion)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import suture.standards.fhir.fhirpath.tree as tree
from suture.standards import ucum
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Scope, unfit
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Moment, Time
from suture.standards.fhir.fhirpath.operators import bounded
from suture.standards.fhir.fhirpath.quantity import CALENDAR, Quantity

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_LONG = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,28}(\.\d{1,28})?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d{1,28}(?:\.\d{1,28})?)\s*(?:'([^']+)'|([a-zA-Z]+))?", re.ASCII)


def to_boolean(value: Any) -> Any:
    """True or False for what the standard lists."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        low = value.lower()
        return True if low in _TRUE else False if low in _FALSE else None
    return None


def to_integer(value: Any) -> Any:
    """32 bits; a decimal is none."""
    if isinstance(value, bool | int) or (isinstance(value, str) and _INTEGER.fullmatch(value)):
        number = int(value)
    else:
        return None
    return number if -(2**31) <= number < 2**31 else None


def to_long(value: Any) -> Any:
    """64 bits."""
    if isinstance(value, str):
        value = int(value) if _LONG.fullmatch(value) else None
    return int(value) if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def to_decimal(value: Any) -> Any:
    """Numbers, booleans, and strings of digits."""
    if isinstance(value, bool | int):
        return Decimal(int(value))
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def to_string(value: Any) -> Any:
    """The text of a single value; structures have none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int | str | Moment | Quantity) else None


def to_date(value: Any) -> Any:
    """A date, the date of a date-time, or a string that is one."""
    if isinstance(value, Date):
        return value
    if isinstance(value, DateTime):
        return Date(value.parts[:3])
    return Date.parse(value) if isinstance(value, str) else None


def to_date_time(value: Any) -> Any:
    """A date-time, a date, or a string that is one."""
    if isinstance(value, DateTime):
        return value
    if isinstance(value, Date):
        return DateTime(value.parts)
    return DateTime.parse(value) if isinstance(value, str) else None


def to_time(value: Any) -> Any:
    """A time, or a string that is one."""
    if isinstance(value, Time):
        return value
    return Time.parse(value) if isinstance(value, str) else None


def to_quantity(value: Any) -> Any:
    """Numbers and booleans with unit 1, and strings such as `4 days` or `4 'mg'`."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool | int | Decimal):
        return Quantity(Decimal(value))
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[3] and match[3] not in CALENDAR):
        return None
    return Quantity(Decimal(match[1]), match[2] or match[3] or "1", calendar=bool(match[3]))


def _in_unit(quantity: Quantity, unit: str) -> Quantity | None:
    calendar = unit in CALENDAR
    code = CALENDAR[unit][1] if calendar else unit
    value = ucum.convert(quantity.value, quantity.code, code)
    return None if value is None else Quantity(value, unit, calendar)


_CONVERSIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Boolean": (to_boolean, "System.Boolean"),
    "Integer": (to_integer, "System.Integer"),
    "Long": (to_long, "System.Integer"),
    "Decimal": (to_decimal, "System.Decimal"),
    "String": (to_string, "System.String"),
    "Date": (to_date, "System.Date"),
    "DateTime": (to_date_time, "System.DateTime"),
    "Time": (to_time, "System.Time"),
    "Quantity": (to_quantity, "System.Quantity"),
}


def _row(convert: Callable[[Any], Any], kind: str, asks: bool) -> Row:
    def build(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
        values, column, name = compiler.values(source), node.column, node.name
        unit = compiler.values(compiler.compile(node.arguments[0], scope)) if node.arguments else None

        def run(state: Evaluation, this: Any) -> list[Any]:
            items = values(state, this)
            if not items:
                return NONE
            if len(items) > 1:
                raise unfit(column, f"{name}() needs one value, there are several")
            result = convert(items[0])
            for code in unit(state, this) if unit else ():
                result = _in_unit(result, code) if isinstance(result, Quantity) and isinstance(code, str) else None
            if asks:
                return [result is not None]
            return [result] if name == "toLong" and result is not None else bounded(result)

        result_kind = "System.Boolean" if asks else kind
        return Code(run, result_kind, possible=(result_kind,))

    return Row(build, 0, 1 if kind == "System.Quantity" else 0)


ROWS: dict[str, Row] = {
    **{f"to{name}": _row(*row, asks=False) for name, row in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _row(*row, asks=True) for name, row in _CONVERSIONS.items()},
}
