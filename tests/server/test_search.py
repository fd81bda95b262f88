"""Searches over HTTP: what stands in the Bundle, links, includes, parts of resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import Running, outcome_of, serving


async def bundle_of(server: Running, path: str) -> dict[str, Any]:
    answer = await server.http.get(path)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return dict(bundle)


def places(bundle: dict[str, Any]) -> list[str]:
    return [
        f"{e['search']['mode']} {e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", [])
    ]


async def test_entries_have_their_address_and_the_stored_bytes(server: Running) -> None:
    raw = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50}}'
    )
    await server.http.put("/fhir/Observation/o1", content=raw, headers={"Content-Type": "application/fhir+json"})
    answer = await server.http.get("/fhir/Observation?_id=o1")
    assert b'"value":1.50' in answer.content
    entry = answer.json()["entry"][0]
    assert entry["fullUrl"] == f"{server.url}/fhir/Observation/o1"
    assert entry["resource"] == (await server.http.get("/fhir/Observation/o1")).json()


async def test_an_empty_search_has_no_entry_and_a_self_link(server: Running) -> None:
    bundle = await bundle_of(server, "/fhir/Patient?name=No one&_count=5")
    assert "entry" not in bundle
    assert bundle["link"] == [{"relation": "self", "url": f"{server.url}/fhir/Patient?name=No+one&_count=5"}]


async def test_includes_both_ways(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(practitioner("d1"))
    await server.put(encounter("e1", "p1"))
    await server.put(
        observation("o1", "p1", performer=[{"reference": "Practitioner/d1"}], encounter={"reference": "Encounter/e1"})
    )
    found = await bundle_of(
        server, "/fhir/Observation?patient=p1&_include=Observation:performer&_include=Observation:encounter"
    )
    assert sorted(places(found)) == ["include Encounter/e1", "include Practitioner/d1", "match Observation/o1"]
    back = await bundle_of(server, "/fhir/Patient?_id=p1&_revinclude=Observation:patient&_revinclude=Encounter:patient")
    assert sorted(places(back)) == ["include Encounter/e1", "include Observation/o1", "match Patient/p1"]


async def test_counts_and_parts(server: Running) -> None:
    for n in range(5):
        await server.put(observation(f"o{n}", "p1"))
    assert await bundle_of(server, "/fhir/Observation?_summary=count") == {
        "resourceType": "Bundle", "type": "searchset", "total": 5,
        "link": [{"relation": "self", "url": f"{server.url}/fhir/Observation?_summary=count"}],
    }  # fmt: skip
    assert (await bundle_of(server, "/fhir/Observation?_total=accurate&_count=2"))["total"] == 5
    assert "total" not in await bundle_of(server, "/fhir/Observation?_count=2")
    cut = (await bundle_of(server, "/fhir/Observation?_elements=subject&_count=1"))["entry"][0]["resource"]
    assert set(cut) == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert cut["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_post_and_get_find_the_same(server: Running) -> None:
    await server.put(patient("p1", "One"))
    await server.put(patient("p2", "Two"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    by_get = await bundle_of(server, "/fhir/Patient?family=one")
    by_post = (await server.http.post("/fhir/Patient/_search", content="family=one", headers=form)).json()
    mixed = (await server.http.post("/fhir/Patient/_search?gender=female", content="family=one", headers=form)).json()
    assert places(by_get) == places(by_post) == places(mixed) == ["match Patient/p1"]


async def test_several_types_at_once(server: Running) -> None:
    await server.put(patient("p1"))
    await server.put(practitioner("d1"))
    await server.put(observation("o1", "p1"))
    assert len(places(await bundle_of(server, "/fhir"))) == 3
    assert sorted(places(await bundle_of(server, "/fhir?_type=Patient,Practitioner"))) == [
        "match Patient/p1", "match Practitioner/d1"
    ]  # fmt: skip
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = (await server.http.post("/fhir/_search", content="_id=o1", headers=form)).json()
    assert places(found) == ["match Observation/o1"]


async def test_a_huge_count_and_a_huge_id_list_are_bounded(server: Running) -> None:
    await server.put(patient("p1"))
    assert len(places(await bundle_of(server, "/fhir/Patient?_count=999999999"))) == 1
    many = ",".join(f"x{n}" for n in range(3000))
    answer = await server.http.get(f"/fhir/Patient?_id={many},p1")
    assert answer.status_code in (200, 400, 422), answer.text


async def test_injected_sql_finds_nothing_and_breaks_nothing(server: Running) -> None:
    await server.put(patient("p1"))
    for text in ("' OR '1'='1", "'; DROP TABLE res; --", '" OR ""="', "1) UNION SELECT * FROM user --", "%", "_", "\\"):
        for name in ("name", "identifier", "_id", "birthdate", "_sort", "_lastUpdated", "general-practitioner"):
            answer = await server.http.get("/fhir/Patient", params={name: text})
            assert answer.status_code in (200, 400), answer.text
            assert "entry" not in answer.json() or json.dumps(answer.json()).count("p1") == 0
    assert (await server.http.get("/fhir/Patient/p1")).status_code == 200


async def test_a_long_search_runs_beside_the_others_and_ends_by_its_budget(tmp_path: Path) -> None:
    async with serving(tmp_path, search__quick=0.0, fhir__max_includes=10) as server:
        entries = [
            {"resource": observation(f"o{n}", "p1"), "request": {"method": "PUT", "url": f"Observation/o{n}"}}
            for n in range(3000)
        ]
        made = await server.http.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert (made.status_code, len(made.json()["entry"])) == (200, 3000)
        path = "/fhir/Observation?value-string:contains=7&_sort=value-string&_total=accurate&_count=1"
        assert (await bundle_of(server, path))["total"] == 3000
        server.app.interactions._chart.settings = server.app.settings.with_values(search__quick=0.0, search__budget=0.0)
        answer = await server.http.get(path)
        assert outcome_of(answer) == (422, "too-costly", "the query ran longer than it may")
        told = "Leave out or narrow value-string:contains, _sort, _total. Name a patient or a code or a date."
        assert answer.json()["issue"][0]["diagnostics"] == told
        assert [row.outcome for row in server.trail()[-2:]] == [200, 422]


async def test_more_includes_than_a_page_may_hold(tmp_path: Path) -> None:
    async with serving(tmp_path, fhir__max_includes=3) as server:
        await server.put(patient("p1"))
        for n in range(5):
            await server.put(observation(f"o{n}", "p1"))
        answer = await server.http.get("/fhir/Patient?_revinclude=Observation:patient")
        assert outcome_of(answer)[:2] == (422, "too-costly")


async def test_a_large_transaction_is_one_commit_all_the_same(server: Running) -> None:
    entries = [{"resource": patient(f"p{n}"), "request": {"method": "PUT", "url": f"Patient/p{n}"}} for n in range(400)]
    entries[399]["request"]["ifMatch"] = 'W/"3"'
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await server.http.post("/fhir", json=bundle)).status_code == 412
    assert (await server.http.get("/fhir/Patient?_summary=count")).json()["total"] == 0
    del entries[399]["request"]["ifMatch"]
    assert (await server.http.post("/fhir", json=bundle)).status_code == 200
    assert (await server.http.get("/fhir/Patient?_summary=count")).json()["total"] == 400
