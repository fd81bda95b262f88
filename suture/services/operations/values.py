"""The parameters of a call: of a URL, or of a Parameters resource (https://hl7.org/fhir/R4/operations.html#request)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from suture.errors import Invalid, NotAllowed
from suture.services.operations.operation import Operation, Parameter
from suture.standards.fhir.validate.primitives import FINE, MENDS

Pairs = Sequence[tuple[str, str]]
Values = dict[str, list[Any]]
SEARCH = "search"
_WHOLE = {"integer", "unsignedInt", "positiveInt"}
_WHOLE_TEXT = re.compile(r"-?(?:0|[1-9]\d{0,9})", re.ASCII).fullmatch
_DECIMAL_TEXT = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?", re.ASCII).fullmatch


def of_url(operation: Operation, pairs: Pairs, lenient: bool = False) -> Values:
    """The values of a query string; only simple ones stand there."""
    found: Values = {}
    known = {p.name: p for p in operation.parameters}
    for name, text in pairs:
        parameter = _known(operation, known, name, lenient)
        if parameter is not None:
            found.setdefault(name, []).append(_of_text(parameter, text))
        elif operation.open:
            found.setdefault(name, []).append(text)
    return found


def of_body(operation: Operation, resource: dict[str, Any] | None, lenient: bool = False) -> Values:
    """The values of a Parameters resource, or of the one resource that the operation takes."""
    if not resource:
        return {}
    takes = [p for p in operation.parameters if p.type == "Resource" or p.type == resource.get("resourceType")]
    if resource.get("resourceType") != "Parameters":
        if len(takes) != 1:
            raise Invalid(
                "the body is no Parameters resource", where="resourceType", mend="Send a Parameters resource."
            )
        return {takes[0].name: [resource]}
    rows = resource.get("parameter", [])
    if not isinstance(rows, list):
        raise Invalid("parameter must be a list", where="Parameters.parameter")
    known = {p.name: p for p in operation.parameters}
    found: Values = {}
    for at, row in enumerate(rows):
        _take(operation, known, row, f"Parameters.parameter[{at}]", lenient, found)
    return found


def check(operation: Operation, values: Values) -> None:
    """Raises Invalid for a parameter that is missing, or comes more often than it may."""
    for parameter in operation.parameters:
        given = len(values.get(parameter.name, ()))
        if given < parameter.min:
            raise Invalid(f"${operation.name} needs {parameter.name}", where=parameter.name, mend=parameter.says)
        if given > 1 and not parameter.many:
            raise Invalid("this parameter comes once", where=parameter.name, mend="Send it once.")


def _take(
    operation: Operation, known: dict[str, Parameter], row: Any, where: str, lenient: bool, found: Values
) -> None:
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str) or not name:
        raise Invalid("a parameter needs a name", where=where, mend='Write {"name": …, "valueString": …}.')
    parameter = _known(operation, known, name, lenient)
    if parameter is None and not operation.open:
        return
    found.setdefault(name, []).append(_value(parameter, row, where))


def _value(parameter: Parameter | None, row: dict[str, Any], where: str) -> Any:
    """A value, a resource, or the parts as a dict of lists."""
    keys = [key for key in row if key.startswith("value") and len(key) > 5]
    if len(keys) + ("resource" in row) + ("part" in row) != 1:
        raise Invalid("a parameter has one value, resource or part", where=where, mend="Give it exactly one.")
    if "part" in row:
        return _parts(row["part"], where)
    if not keys:
        if not isinstance(row["resource"], dict):
            raise Invalid("must be a resource", where=f"{where}.resource")
        return row["resource"]
    value = row[keys[0]]
    if parameter is None or parameter.type == SEARCH:
        return value
    return _checked(parameter, value, f"{where}.{keys[0]}")


def _parts(rows: Any, where: str) -> Values:
    if not isinstance(rows, list):
        raise Invalid("part must be a list", where=f"{where}.part")
    found: Values = {}
    for at, row in enumerate(rows):
        place = f"{where}.part[{at}]"
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise Invalid("a part needs a name", where=place)
        found.setdefault(row["name"], []).append(_value(None, row, place))
    return found


def _known(operation: Operation, known: dict[str, Parameter], name: str, lenient: bool) -> Parameter | None:
    found = known.get(name)
    if found is None and not lenient and not operation.open:
        names = ", ".join(known) or "none"
        raise Invalid(f"${operation.name} has no such parameter", where=name[:100], mend=f"It knows: {names}.")
    return found


def _of_text(parameter: Parameter, text: str) -> Any:
    """A value as the URL writes it."""
    if parameter.type == SEARCH:
        return text
    if parameter.type not in FINE:
        raise NotAllowed(
            f"{parameter.name} does not fit into a URL", where=parameter.name, mend="POST a Parameters resource."
        )
    return _checked(parameter, _converted(parameter.type, text), parameter.name)


def _converted(type: str, text: str) -> Any:
    if type == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if type in _WHOLE and _WHOLE_TEXT(text):
        return int(text)
    return Decimal(text) if type == "decimal" and _DECIMAL_TEXT(text) else text


def _an(type: str) -> str:
    return f"an {type}" if type[0] in "aeio" else f"a {type}"


def _checked(parameter: Parameter, value: Any, where: str) -> Any:
    fine = FINE.get(parameter.type)
    if fine is None:
        if not isinstance(value, dict):
            raise Invalid(f"must be a {parameter.type}", where=where)
        return value
    try:
        good = fine(value)
    except TypeError:
        good = None
    if good is None or good is False:
        kind, mend = MENDS[parameter.type]
        raise Invalid(f"not {_an(parameter.type)}", where=where, mend=f"A {kind}. {mend}")
    return value
