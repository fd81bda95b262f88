"""Invariants that are evaluated as FHIRPath: https://hl7.org/fhir/R4/fhirpath.html"""

from __future__ import annotations

from typing import Any

from suture.standards.fhir.definitions import Invariant


def holds(invariant: Invariant, kind: str, value: Any, resource: dict[str, Any], root: dict[str, Any]) -> bool:
    return True
