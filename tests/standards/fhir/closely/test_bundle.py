"""What a Bundle's entries, addresses and links must be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standards.fhir.closely.looking import bundle, entry, errors

URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.mark.parametrize(
    "sound",
    [
        bundle("collection", entry("http://a.org/fhir/Patient/1", "Patient", "1"), entry(URN, "Patient", "1")),
        bundle("collection", entry(URN, "Patient"), entry("resource:0", "Patient", "1")),
        bundle("transaction", {"resource": {"resourceType": "Patient"}}),
        bundle("history", {"request": {"method": "DELETE", "url": "Patient/1"}}),
        bundle("collection", entry("http://a.org/anything", "Patient", "1")),
    ],
)
def test_sound_addresses(sound: dict[str, Any]) -> None:
    assert errors(sound) == []


@pytest.mark.parametrize(
    ("broken", "place", "text"),
    [
        (entry("Patient/1", "Patient", "1"), ".fullUrl", "A fullUrl is an absolute address."),
        (entry("http://a.org/Patient/2", "Patient", "1"), ".fullUrl", "The fullUrl ends with another id than the resource has."),
        (entry("http://a.org/Patient/1", "Patient"), ".fullUrl", "The fullUrl is one of a server, but the resource has no id."),
        (entry("http://a.org/Group/1", "Patient", "1"), ".fullUrl", "The fullUrl names another type than the resource has."),
        ({"resource": {"resourceType": "Patient"}}, "", "An entry with a resource needs a fullUrl."),
    ],
)  # fmt: skip
def test_an_address_that_is_none_of_the_resource(broken: dict[str, Any], place: str, text: str) -> None:
    assert errors(bundle("collection", broken)) == [(f"Bundle.entry[0]{place}", text)]


def test_a_bundle_inside_a_bundle_is_looked_at_too() -> None:
    inner = bundle("collection", entry("Patient/1", "Patient", "1"))
    found = errors(bundle("collection", {"fullUrl": URN, "resource": inner}))
    assert found == [("Bundle.entry[0].resource.entry[0].fullUrl", "A fullUrl is an absolute address.")]


def test_links_are_there_once_and_pages_only_where_there_are_pages() -> None:
    twice = [{"relation": "self", "url": "http://a.org"}] * 2
    assert errors(bundle("searchset", link=twice)) == [("Bundle.link[1].relation", "This relation is there twice.")]
    paged = [{"relation": "first", "url": "http://a.org"}]
    assert errors(bundle("searchset", link=paged)) == []
    text = "Links to pages belong to search results and histories."
    assert errors(bundle("document", link=paged))[0] == ("Bundle.link[0].relation", text)


def result(mode: str, type: str, id: str = "") -> dict[str, Any]:
    return {**entry(URN, type, id), "search": {"mode": mode}}


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (result("match", "Patient", "1"), None),
        (result("include", "Group", "1"), None),
        (result("outcome", "OperationOutcome"), None),
        (result("outcome", "Patient", "1"), "The outcome of a search is an OperationOutcome."),
        (result("match", "Patient"), "What a search found has an id."),
        (result("match", "Group", "1"), "This is of no type that the self link asked for."),
    ],
)
@pytest.mark.parametrize("link", ["http://a.org/fhir/Patient?name=x", "Patient?_id=1", "fhir?_type=Patient,Device"])
def test_search_results(one: dict[str, Any], text: str | None, link: str) -> None:
    found = errors(bundle("searchset", one, link=[{"relation": "self", "url": link}]))
    assert found == ([("Bundle.entry[0].resource", text)] if text else [])


def test_a_broken_bundle_is_no_trouble() -> None:
    broken = {
        "resourceType": "Bundle",
        "type": 3,
        "link": [1, {"relation": [], "url": "http://["}],
        "entry": [None, {"resource": []}, {"fullUrl": 3}, {"search": 3}],
    }
    assert isinstance(errors(broken), list)
    assert isinstance(errors(bundle("searchset", link=[{"relation": "self", "url": "http://["}])), list)
