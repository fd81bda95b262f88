"""Findings as a FHIR OperationOutcome: https://hl7.org/fhir/R4/operationoutcome.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.errors import Issue, SutureError

FINE = Issue("information", "informational", "No issues were found.")


def outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """One OperationOutcome; without issues it says that all is well."""
    return {"resourceType": "OperationOutcome", "issue": [_row(issue) for issue in issues or (FINE,)]}


REASONS = "urn:suture:reason"  # codes of the error tree
EXCEPTIONS = "urn:suture:information-blocking-exception"  # sections of 45 CFR part 171
SECTIONS = {"171.202": "Privacy", "171.203": "Security", "171.205": "Health IT performance"}


def from_error(error: SutureError) -> dict[str, Any]:
    """Who keeps information back says why, in words and in codes a program can read (45 CFR part 171)."""
    made = outcome(error.issues)
    if error.exception:
        coding = [
            {"system": REASONS, "code": error.code},
            {"system": EXCEPTIONS, "code": error.exception, "display": SECTIONS[error.exception]},
        ]
        for issue in made["issue"]:
            issue["details"]["coding"] = coding
    return made


def _row(issue: Issue) -> dict[str, Any]:
    row: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": {"text": issue.text}}
    if issue.mend:
        row["diagnostics"] = issue.mend
    if issue.expression:  # a line and column is no FHIRPath
        row["location" if issue.expression.startswith("line ") else "expression"] = [issue.expression]
    return row
