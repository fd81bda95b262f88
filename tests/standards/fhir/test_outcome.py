"""An error becomes an OperationOutcome that names the place and the mend."""

from __future__ import annotations

from suture.errors import InvalidResource, Issue, NotFound
from suture.standards.fhir.outcome import from_error, outcome


def test_each_issue_is_a_row() -> None:
    issues = [
        Issue("error", "required", "birthDate is missing", "Patient.birthDate", "Add it."),
        Issue("warning", "invalid", "odd"),
    ]
    assert outcome(issues)["issue"] == [
        {
            "severity": "error",
            "code": "required",
            "details": {"text": "birthDate is missing"},
            "diagnostics": "Add it.",
            "expression": ["Patient.birthDate"],
        },
        {"severity": "warning", "code": "invalid", "details": {"text": "odd"}},
    ]
    assert from_error(InvalidResource("wrong", issues=issues)) == outcome(issues)


def test_an_error_without_issues_is_its_own_issue() -> None:
    assert from_error(NotFound("Unknown here.", where="Patient/1"))["issue"][0] == {
        "severity": "error",
        "code": "not-found",
        "details": {"text": "Unknown here."},
        "expression": ["Patient/1"],
    }


def test_a_line_and_column_is_a_location() -> None:
    row = outcome([Issue("error", "structure", "not JSON", "line 1, column 2")])["issue"][0]
    assert (row["location"], "expression" in row) == (["line 1, column 2"], False)


def test_nothing_found_is_said() -> None:
    assert outcome([])["issue"][0]["severity"] == "information"
