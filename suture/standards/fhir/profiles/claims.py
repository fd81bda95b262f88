"""Which profiles a resource and the resources inside it say they keep: meta.profile (https://hl7.org/fhir/R4/resource.html#Meta)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from suture.errors import Issue

DEEPEST = 20  # resources inside resources
MOST = 1000  # findings of all claims
_INSIDE = {"Bundle": ("entry", "resource"), "Parameters": ("parameter", "resource")}


class Claim(NamedTuple):
    """One claim: the resource that makes it, the place where it stands, the profile's canonical."""

    resource: dict[str, Any]
    path: str
    url: str


def claims(resource: dict[str, Any]) -> Iterator[Claim]:
    """The claims of a resource, of what it contains, of the entries of a Bundle, of resources in Parameters."""
    yield from _claims(resource, str(resource.get("resourceType", "")), 0)


def _claims(resource: dict[str, Any], path: str, depth: int) -> Iterator[Claim]:
    meta = resource.get("meta")
    named = meta.get("profile") if isinstance(meta, dict) else None
    for url in dict.fromkeys(one for one in named if isinstance(one, str)) if isinstance(named, list) else ():
        yield Claim(resource, path, url)
    if depth < DEEPEST:
        for inner, place in _inside(resource, path):
            yield from _claims(inner, place, depth + 1)


def _inside(resource: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    for number, one in _dicts(resource.get("contained")):
        yield one, f"{path}.contained[{number}]"
    rows, name = _INSIDE.get(str(resource.get("resourceType")), ("", ""))
    for number, row in _dicts(resource.get(rows)) if rows else ():
        inner = row.get(name)
        if isinstance(inner, dict):
            yield inner, f"{path}.{rows}[{number}].{name}"


def _dicts(found: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((n, one) for n, one in enumerate(found if isinstance(found, list) else ()) if isinstance(one, dict))


def below(path: str, issues: Iterable[Issue]) -> Iterator[Issue]:
    """The findings about an inner resource, at its place in the whole."""
    for issue in issues:
        yield replace(issue, expression=path + issue.expression[len(issue.expression.partition(".")[0]) :])


def few(issues: list[Issue]) -> list[Issue]:
    """So many findings that they can be read; that there are more is said."""
    more = Issue("information", "informational", "There are more findings.", "", "Mend these first.")
    return [*issues[:MOST], more] if len(issues) > MOST else issues
