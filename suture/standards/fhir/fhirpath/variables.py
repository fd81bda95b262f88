"""`%name`: what the standard names, what the environment brings (http://hl7.org/fhirpath/N1/#environment-variables)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.standards.fhir.fhirpath.code import Code, Evaluation, constant, unfit
from suture.standards.fhir.fhirpath.values import Many

_FIXED = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
_PREFIXES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
_FOCUS = ("resource", "rootResource", "context")


def variable(name: str, column: int) -> Code:
    """The piece that reads `%name`."""
    if name in _FIXED:
        return constant((_FIXED[name],), "System.String")
    for prefix, start in _PREFIXES.items():
        if name.startswith(prefix):
            return constant((start + name[len(prefix) :],), "System.String")
    return Code(_read(name, column), None)


def _read(name: str, column: int) -> Callable[[Evaluation, Any], list[Any]]:
    def run(state: Evaluation, this: Any) -> list[Any]:
        if name in state.defined:
            return state.defined[name]
        variables = state.environment.variables
        if name in variables:
            return _listed(variables[name])
        if name in _FOCUS:
            return _listed(state.focus)
        raise unfit(column, f"there is no %{name}")

    return run


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Many | list):
        return [one for one in value if one is not None]
    return [] if value is None else [value]
