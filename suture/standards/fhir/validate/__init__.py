"""Is a resource valid R4? Structure, formats, required bindings, references, narrative and invariants.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from typing import Any

from suture.errors import InvalidResource, Issue, TooCostly
from suture.standards.fhir.validate.explain import Enough, Findings, explain_resource
from suture.standards.fhir.validate.shapes import fine_resource, surely

__all__ = ["check", "require"]


def check(resource: dict[str, Any]) -> list[Issue]:
    """The findings about a resource, up to a number; an empty list when it is valid."""
    if surely(fine_resource, resource):
        return []
    found = Findings(resource, resource)
    try:
        explain_resource(resource, "", found)
    except Enough:
        found.issues.append(Issue("information", "informational", "There are more findings.", "", "Mend these first."))
    except RecursionError:
        found.issues.append(Issue("error", "too-costly", "The resource is nested too deep.", "", "Send a flatter one."))
    except TooCostly as error:
        found.issues.append(Issue("error", "too-costly", "A rule takes too long over this resource.", "", error.mend))
    return found.issues


def require(resource: dict[str, Any]) -> None:
    """Raises InvalidResource with every finding when there is an error among them."""
    issues = check(resource)
    errors = [issue for issue in issues if issue.severity in {"error", "fatal"}]
    if errors:
        first, more = errors[0], len(errors) - 1
        text = first.text + (f" And {more} more." if more else "")
        raise InvalidResource(text, where=first.expression, mend=first.mend, issues=issues)
