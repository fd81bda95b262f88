"""Invariants that are evaluated as FHIRPath: https://hl7.org/fhir/R4/fhirpath.html"""

from __future__ import annotations

import re
from typing import Any

from suture.errors import Inapplicable
from suture.standards.fhir.definitions import Invariant
from suture.standards.fhir.fhirpath import EMPTY, Environment, compile
from suture.standards.fhir.validate.rules import Rule

CONTEXTUAL = re.compile(r"%(?:resource|rootResource|context)\b")


def rule(invariant: Invariant, kind: str) -> Rule | None:
    """The invariant as a function of the value alone; None when it looks at the resource around the value."""
    if CONTEXTUAL.search(invariant.expression):
        return None
    expression = compile(invariant.expression, type=kind)
    return lambda value: expression.holds(value, EMPTY)


def holds(invariant: Invariant, kind: str, value: Any, resource: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether the invariant holds; what can't be evaluated (several values where one is meant) does not."""
    around = Environment(variables={"resource": resource, "rootResource": root})
    try:
        return compile(invariant.expression, type=kind).holds(value, around)
    except Inapplicable:
        return False
