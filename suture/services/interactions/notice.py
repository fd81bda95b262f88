"""The entry of a searchset that says which parameters were left out (https://hl7.org/fhir/R4/search.html#errors)."""

from __future__ import annotations

from suture.errors import Issue
from suture.standards.fhir import json, outcome
from suture.standards.fhir.search import SearchQuery


def notice(query: SearchQuery) -> list[bytes]:
    """None when all were heeded."""
    if not query.unknown:
        return []
    issues = [
        Issue("warning", "not-supported", "a search parameter was left out, it is not known here", name[:100])
        for name in query.unknown
    ]
    body = json.write(outcome.outcome(issues))
    return [b'{"resource":%s,"search":{"mode":"outcome"}}' % body]
