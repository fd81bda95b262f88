"""What a Bundle's entries, addresses and links must be: https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import suture.standards.fhir.closely.within as within
from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.definitions import RESOURCE_TYPES

WITHOUT = frozenset({"transaction", "batch", "transaction-response", "batch-response", "history"})  # a fullUrl
PAGES = frozenset({"first", "previous", "prev", "next", "last"})
PAGED = frozenset({"searchset", "history"})


def full_urls(node: Node) -> Iterator[Issue]:
    """An absolute address, and where it is one of a REST server, that of the resource."""
    for number, row in enumerate(_rows(node, "entry")):
        place, resource, url = f"{node.path}.entry[{number}]", row.get("resource"), row.get("fullUrl")
        if isinstance(url, str):
            yield from _full_url(f"{place}.fullUrl", url, resource)
        elif resource is not None and node.value.get("type") not in WITHOUT:
            yield error(place, "An entry with a resource needs a fullUrl.", "Add it: urn:uuid:… will do.", "required")


def _full_url(place: str, url: str, resource: Any) -> Iterator[Issue]:
    if not within.ABSOLUTE(url):
        mend = "Write http://SERVER/Type/id, urn:uuid:… or urn:oid:…"
        yield error(place, "A fullUrl is an absolute address.", mend, "value")
        return
    named = within.restful(url)
    if named and isinstance(resource, dict):
        yield from _same(place, named[2], named[3], resource)


def _same(place: str, type: str, id: str, resource: dict[str, Any]) -> Iterator[Issue]:
    if resource.get("resourceType") != type:
        yield error(
            place, "The fullUrl names another type than the resource has.", "End it with the resource's Type/id."
        )
    elif "id" not in resource:
        yield error(
            place, "The fullUrl is one of a server, but the resource has no id.", "Give it the id, or use urn:uuid:…"
        )
    elif resource["id"] != id:
        yield error(
            place, "The fullUrl ends with another id than the resource has.", "End it with the resource's Type/id."
        )


def links(node: Node) -> Iterator[Issue]:
    """Each relation once; pages only where there are pages."""
    seen: set[str] = set()
    for number, row in enumerate(_rows(node, "link")):
        relation, place = str(row.get("relation", "")), f"{node.path}.link[{number}].relation"
        if relation in seen and relation in PAGES | {"self"}:
            yield error(place, "This relation is there twice.", "Keep one link of it.")
        if relation in PAGES and node.value.get("type") not in PAGED:
            yield error(place, "Links to pages belong to search results and histories.", "Remove the link.")
        seen.add(relation)


def results(node: Node) -> Iterator[Issue]:
    """What was found has an id and the type that was searched for; outcomes are OperationOutcomes."""
    if node.value.get("type") != "searchset":
        return
    wanted = _searched(node.value)
    for number, row in enumerate(_rows(node, "entry")):
        search, resource = row.get("search"), row.get("resource")
        if isinstance(search, dict) and isinstance(resource, dict):
            yield from _result(f"{node.path}.entry[{number}].resource", search.get("mode"), resource, wanted)


def _result(place: str, mode: Any, resource: dict[str, Any], wanted: frozenset[str]) -> Iterator[Issue]:
    type = resource.get("resourceType")
    if mode == "outcome" and type != "OperationOutcome":
        yield error(place, "The outcome of a search is an OperationOutcome.", "Mend search.mode, or the resource.")
    if mode == "match" and "id" not in resource:
        yield error(place, "What a search found has an id.", "Give it its id.", "required")
    if mode == "match" and wanted and type not in wanted:
        mend = "Mend search.mode, or the self link."
        yield error(place, "This is of no type that the self link asked for.", mend)


def _searched(bundle: dict[str, Any]) -> frozenset[str]:
    """The types that the self link asks for; empty when it does not tell."""
    rows = bundle.get("link")
    own = [r for r in rows if isinstance(r, dict) and r.get("relation") == "self"] if isinstance(rows, list) else []
    if len(own) != 1 or not isinstance(own[0].get("url"), str):
        return frozenset()
    try:
        url = urlsplit(own[0]["url"])
        named = parse_qs(url.query, max_num_fields=200).get("_type", [])
    except ValueError:
        return frozenset()
    last = url.path.rstrip("/").rpartition("/")[2]
    types = [last] if last in RESOURCE_TYPES else [one for text in named for one in text.split(",")]
    return frozenset(types) if set(types) <= RESOURCE_TYPES else frozenset()


def _rows(node: Node, name: str) -> Iterator[dict[str, Any]]:
    found = node.value.get(name)
    return (row if isinstance(row, dict) else {} for row in (found if isinstance(found, list) else ()))


RULES = tuple(Rule("Bundle", look) for look in (full_urls, links, results))
