"""The entries of a searchset that say what was left out (https://hl7.org/fhir/R4/search.html#errors)."""

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


def unread(count: int) -> list[bytes]:
    """What may not be named, for nobody knows whether the caller may see it, or whether it matches; none when there is none."""
    if not count:
        return []
    text = f"left out, for what is stored of it is damaged and can't be read: {count} of the chart"
    body = json.write(outcome.outcome([Issue("error", "exception", text, mend="Ask whoever runs this server.")]))
    return [b'{"resource":%s,"search":{"mode":"outcome"}}' % body]
