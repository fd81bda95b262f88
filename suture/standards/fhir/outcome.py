"""Findings as a FHIR OperationOutcome: https://hl7.org/fhir/R4/operationoutcome.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.errors import Issue, SutureError

FINE = Issue("information", "informational", "No issues were found.")


def outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """One OperationOutcome; without issues it says that all is well."""
    return {"resourceType": "OperationOutcome", "issue": [_row(issue) for issue in issues or (FINE,)]}


def from_error(error: SutureError) -> dict[str, Any]:
    return outcome(error.issues)


def _row(issue: Issue) -> dict[str, Any]:
    row: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": {"text": issue.text}}
    if issue.mend:
        row["diagnostics"] = issue.mend
    if issue.expression:  # a line and column is no FHIRPath
        row["location" if issue.expression.startswith("line ") else "expression"] = [issue.expression]
    return row
