"""The step that checks content: R4, and a profile when one is named; what is wrong ends the run (docs/validation.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.engine.plan import Step
from suture.engine.walk import DONE, LocalCheck, Walk, Walking
from suture.errors import Invalid, InvalidResource, Issue
from suture.standards.fhir import us_core, validate

BAD = ("error", "fatal")
URLS = ("http://", "https://", "urn:")


def validate_(walk: Walk, step: Step) -> Walking:
    content = walk.chosen(step.with_["from"], walk.content)
    issues = [issue for resource in resources(content) for issue in validate.check(resource)]
    name = str(step.with_["profile"] or "")
    if name and not any(issue.severity == "fatal" for issue in issues):
        own = us_core.named(name)
        if own is not None:
            issues += us_core.held(own, content)
        else:
            told = yield from walk.ask(LocalCheck(step, content, name))
            issues += [Issue(**row) for row in told["issues"]]
    errors = [issue for issue in issues if issue.severity in BAD]
    warnings = sum(issue.severity == "warning" for issue in issues)
    walk.result(step, {"errors": len(errors), "warnings": warnings})
    if errors:
        first = errors[0]
        raise InvalidResource(first.text, where=first.expression, mend=first.mend, issues=errors)
    return DONE


def resources(content: Any) -> Iterator[dict[str, Any]]:
    """The resources a content holds: the entries of a Bundle, or itself."""
    if not isinstance(content, dict) or "resourceType" not in content:
        raise InvalidResource(
            "the content is no FHIR resource", where="content", mend="Map it first, or name a resource under from:."
        )
    if content["resourceType"] != "Bundle":
        yield content
        return
    for entry in content.get("entry") or ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def pure(step: Step) -> bool:
    """Whether the step needs nothing that is stored: no profile, or one of US Core."""
    name = str(step.with_.get("profile") or "")
    return not name or us_core.named(name) is not None


def profile_problem(name: str) -> tuple[str, str]:
    """What is wrong with the name of a profile, and the mend; empty when nothing is."""
    try:
        known = us_core.named(name)
    except Invalid as error:
        return error.text, error.mend
    if known is None and not name.startswith(URLS):
        return (
            f"no profile named '{name[:100]}'",
            "Write us-core, us-core@7.0.0, us-core-patient, or the profile's URL.",
        )
    return "", ""
