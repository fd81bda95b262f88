"""$expand, $validate-code, $lookup, $subsumes and $translate over HTTP: R4's own, stored ones, and who may."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from suture.services.terminology import kept
from suture.store import terminology_loaded
from suture.store.connection import Tx
from tests.server.running import Running, outcome_of
from tests.standards.fhir.profiles.made import element, profile
from tests.standards.terminology.worlds import ANIMALS, RESOURCE, a_set, rule

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
STORED: dict[str, Any] = {"id": "animals", **RESOURCE, "valueSet": "http://example.org/all-animals"}


def values(body: dict[str, Any]) -> dict[str, Any]:
    """Name -> value of the simple parameters."""
    assert body["resourceType"] == "Parameters", body
    return {p["name"]: v for p in body["parameter"] for k, v in p.items() if k.startswith("value")}


def codes(body: dict[str, Any]) -> list[str]:
    assert body["resourceType"] == "ValueSet", body
    found, left = [], list(body["expansion"].get("contains", []))
    while left:
        row = left.pop(0)
        found.append(row["code"])
        left = row.get("contains", []) + left
    return found


async def got(server: Running, path: str, **query: Any) -> dict[str, Any]:
    answer = await server.http.get(f"/fhir/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_r4s_own_is_expanded_and_leaves_one_row(server: Running) -> None:
    body = await got(server, "ValueSet/$expand", url=GENDERS)
    assert codes(body) == ["male", "female", "other", "unknown"]
    expansion = body["expansion"]
    assert expansion["total"] == 4
    assert expansion["timestamp"]
    assert expansion["identifier"].startswith("urn:uuid:")
    assert {"name": "version", "valueUri": f"{GENDER}|4.0.1"} in expansion["parameter"]
    rows = [row for row in server.trail() if row.what == "$expand"]
    assert [(r.type, r.outcome, r.query) for r in rows] == [("ValueSet", 200, "url")]


async def test_pages_filters_and_languages(server: Running) -> None:
    await server.put(STORED)
    made = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": a_set({"system": ANIMALS})}]}

    async def asked(**more: Any) -> dict[str, Any]:
        rows = [{"name": n, f"value{'Integer' if isinstance(v, int) and v is not True else 'Boolean' if v is True else 'String' if n == 'filter' else 'Code'}": v} for n, v in more.items()]  # fmt: skip
        answer = await server.http.post(
            "/fhir/ValueSet/$expand", json={**made, "parameter": [*made["parameter"], *rows]}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    whole = await asked()
    assert codes(whole) == ["animal", "bird", "hen", "dodo", "swift", "mammal", "bat", "cat", "flyer"]
    assert [row["code"] for row in whole["expansion"]["contains"]] == ["animal"], "nested"
    assert whole["expansion"]["contains"][0]["abstract"] is True
    assert "old" not in codes(whole), "what has a deprecation date is not offered"
    page = await asked(offset=2, count=2)
    assert (codes(page), page["expansion"]["total"], page["expansion"]["offset"]) == (["dodo", "mammal"], 8, 2)
    assert page["expansion"]["contains"][0]["inactive"] is True
    assert codes(await asked(filter="SMALL ba")) == ["bat"]
    assert codes(await asked(filter="vogel")) == ["bird"], "designations are looked through"
    assert "dodo" not in codes(await asked(activeOnly=True))
    german = await asked(displayLanguage="de", excludeNested=True, includeDesignations=True)
    bird = german["expansion"]["contains"][0]
    assert (bird["code"], bird["display"], bird["designation"][0]["value"]) == ("bird", "Vogel", "Vogel")


async def test_what_is_stored_counts_at_once_in_its_versions(server: Running) -> None:
    absent = await server.http.get("/fhir/ValueSet/$expand", params={"url": "http://example.org/set"})
    assert outcome_of(absent) == (404, "not-found", "the value set http://example.org/set is not known here")
    await server.put({"id": "set", "version": "1", **a_set(rule("concept", "is-a", "bird"))})
    needs = await server.http.get("/fhir/ValueSet/$expand", params={"url": "http://example.org/set"})
    assert outcome_of(needs)[:2] == (422, "not-found")
    await server.put(STORED)
    assert codes(await got(server, "ValueSet/$expand", url="http://example.org/set")) == [
        "bird",
        "hen",
        "dodo",
        "swift",
    ]
    assert codes(await got(server, "ValueSet/set/$expand", excludeNested="true")) == ["bird", "hen", "dodo", "swift"]
    assert "cat" in codes(await got(server, "ValueSet/$expand", url="http://example.org/all-animals"))
    newer = copy.deepcopy({**STORED, "id": "animals10", "version": "10"})
    newer["concept"][0]["concept"][0]["concept"].append({"code": "owl", "display": "Owl"})
    await server.put(newer)
    assert "owl" in codes(await got(server, "ValueSet/set/$expand"))
    old = await got(server, "ValueSet/set/$expand", **{"system-version": f"{ANIMALS}|2"})
    assert "owl" not in codes(old)
    assert (await server.http.delete("/fhir/CodeSystem/animals10")).status_code in (200, 204)
    assert "owl" not in codes(await got(server, "ValueSet/set/$expand"))


async def test_supplements_add_designations(server: Running) -> None:
    await server.put(STORED)
    await server.put({
        "resourceType": "CodeSystem", "id": "more", "url": "http://example.org/more", "status": "active",
        "content": "supplement", "supplements": ANIMALS,
        "concept": [{"code": "cat", "designation": [{"language": "fr", "value": "Chat"}]}],
    })  # fmt: skip
    body = await got(server, "CodeSystem/$lookup", system=ANIMALS, code="cat", displayLanguage="fr")
    assert values(body)["display"] == "Chat"


VALID: list[tuple[dict[str, str], bool, str]] = [
    ({"code": "female", "system": GENDER}, True, ""),
    ({"code": "female", "system": GENDER, "display": "FEMALE"}, True, ""),
    ({"code": "female", "system": GENDER, "display": "Lady"}, False, "The display 'Lady' is not one of"),
    ({"code": "femal", "system": GENDER}, False, f"The code '{GENDER}#femal' is not in the value set {GENDERS}|4.0.1"),
    ({"code": "female", "system": "http://example.org/x"}, False, "is not in the value set"),
]


@pytest.mark.parametrize(("query", "result", "message"), VALID)
async def test_codes_are_checked(server: Running, query: dict[str, str], result: bool, message: str) -> None:
    found = values(await got(server, "ValueSet/$validate-code", url=GENDERS, **query))
    assert found["result"] is result
    assert message in found.get("message", "")


async def test_a_concept_holds_when_one_coding_does(server: Running) -> None:
    concept = {"coding": [{"system": "http://example.org/x", "code": "y"}, {"system": GENDER, "code": "male"}]}
    rows = [{"name": "url", "valueUri": GENDERS}, {"name": "codeableConcept", "valueCodeableConcept": concept}]
    answer = await server.http.post(
        "/fhir/ValueSet/$validate-code", json={"resourceType": "Parameters", "parameter": rows}
    )
    assert values(answer.json()) == {
        "result": True, "display": "Male", "code": "male", "system": GENDER, "version": "4.0.1"
    }  # fmt: skip


async def test_code_systems_check_look_up_and_compare(server: Running) -> None:
    await server.put(STORED)
    found = values(await got(server, "CodeSystem/$validate-code", url=ANIMALS, code="unicorn"))
    assert (found["result"], found["message"]) == (False, f"Unknown code 'unicorn' in the code system {ANIMALS}|2")
    assert values(await got(server, "CodeSystem/animals/$validate-code", code="cat"))["display"] == "Cat"
    body = await got(server, "CodeSystem/$lookup", system=ANIMALS, code="swift")
    assert (values(body)["display"], values(body)["name"], values(body)["version"]) == ("Swift", "Animals", "2")
    parents = [p["part"][1]["valueCode"] for p in body["parameter"] if p["name"] == "property"]
    assert parents == ["bird", "flyer"]
    for a, b, outcome in (
        ("bird", "swift", "subsumes"),
        ("swift", "animal", "subsumed-by"),
        ("cat", "hen", "not-subsumed"),
        ("cat", "cat", "equivalent"),
    ):
        body = await got(server, "CodeSystem/$subsumes", system=ANIMALS, codeA=a, codeB=b)
        assert values(body) == {"outcome": outcome}
        assert values(await got(server, "CodeSystem/animals/$subsumes", codeA=a, codeB=b)) == {"outcome": outcome}


async def test_codes_are_translated_both_ways(server: Running) -> None:
    url = "http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v2"
    body = await got(server, "ConceptMap/$translate", url=url, system=GENDER, code="female")
    assert values(body)["result"] is True
    parts = {p["name"]: p for p in body["parameter"][1]["part"]}
    assert parts["concept"]["valueCoding"]["code"] == "F"
    assert parts["source"]["valueUri"] == url
    back = await got(
        server,
        "ConceptMap/$translate",
        url=url,
        reverse="true",
        system=parts["concept"]["valueCoding"]["system"],
        code="F",
    )
    assert back["parameter"][1]["part"][1]["valueCoding"]["code"] == "female"
    none = await got(server, "ConceptMap/$translate", url=url, system=GENDER, code="femal")
    assert values(none)["result"] is False


WRONG: list[tuple[str, dict[str, str], tuple[int, str, str]]] = [
    ("ValueSet/$expand", {}, (400, "invalid", "which value set is meant?")),
    ("ValueSet/$expand", {"url": GENDERS, "count": "-1"}, (400, "invalid", "must be 0 to 10000")),
    ("ValueSet/$expand", {"url": GENDERS, "colour": "red"}, (400, "invalid", "$expand has no such parameter")),
    ("ValueSet/none/$expand", {}, (404, "not-found", "no such ValueSet")),
    ("ValueSet/$validate-code", {"url": GENDERS}, (400, "invalid", "which code is meant?")),
    ("ValueSet/$validate-code", {"url": GENDERS, "code": "male"}, (400, "invalid", "a code without its system says nothing")),
    ("CodeSystem/$validate-code", {"url": "http://e.org", "code": "x"}, (404, "not-found", "the code system http://e.org is not known here")),
    ("CodeSystem/$lookup", {"system": GENDER, "code": "x"}, (404, "not-found", f"the code 'x' is not in {GENDER}|4.0.1")),
    ("CodeSystem/$lookup", {"system": GENDER, "code": "male", "property": "x"}, (400, "invalid", f"{GENDER} has no property 'x'")),
    ("CodeSystem/$subsumes", {"system": GENDER, "codeA": "male"}, (400, "invalid", "which code B is meant?")),
    ("CodeSystem/$subsumes", {"codeA": "male", "codeB": "male"}, (400, "invalid", "which code system is meant?")),
    ("ConceptMap/$translate", {"code": "x"}, (400, "invalid", "which concept map is meant?")),
    ("ConceptMap/$translate", {"code": "x", "url": "http://e.org"}, (404, "not-found", "the concept map http://e.org is not known here")),
]  # fmt: skip


async def test_what_is_wrong_is_named(server: Running) -> None:
    for path, query, outcome in WRONG:
        answer = await server.http.get(f"/fhir/{path}", params=query)
        assert outcome_of(answer) == outcome, (path, query)


async def test_a_posted_set_is_checked_first(server: Running) -> None:
    broken = a_set({"system": ANIMALS, "concept": [{"code": "cat", "designation": "x"}]})
    answer = await server.http.post("/fhir/ValueSet/$expand", json=broken)
    assert answer.status_code == 422
    assert "designation" in answer.text
    large = await server.http.get("/fhir/ValueSet/$expand", params={"url": "http://loinc.org/vs"})
    assert outcome_of(large)[:2] == (422, "not-found")


async def test_it_needs_a_scope_and_shows_nobody_elses(server: Running) -> None:
    await server.put(
        {
            **STORED,
            "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
        }
    )
    nobody = server.key("system/Patient.rs")
    answer = await server.http.get("/fhir/ValueSet/$expand", params={"url": GENDERS}, headers=nobody)
    assert answer.status_code == 403
    assert "ValueSet" in answer.text
    only_code_systems = server.key("system/CodeSystem.rs?url=http://example.org/other")
    answer = await server.http.get(
        "/fhir/CodeSystem/$lookup", params={"system": ANIMALS, "code": "cat"}, headers=only_code_systems
    )
    assert answer.status_code == 404, "a code system that the caller may not read does not answer"
    assert "Cat" not in answer.text


async def test_searches_use_stored_sets(server: Running) -> None:
    await server.put(STORED)
    await server.put({"id": "set", **a_set(rule("concept", "is-a", "bird"))})
    for id, code in (("o1", "hen"), ("o2", "cat")):
        await server.put({
            "resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": ANIMALS, "code": code}]}
        })  # fmt: skip
    for query in ("code:in=http://example.org/set", f"code:below={ANIMALS}|bird"):
        answer = await server.http.get(f"/fhir/Observation?{query}")
        assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == ["o1"], query


async def test_a_loaded_code_system_is_used(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "SMALL", 0)

    def load(tx: Tx) -> None:
        number = terminology_loaded.begin(
            tx, "http://loinc.org", "9", {"url": "http://loinc.org", "content": "complete"}
        )
        terminology_loaded.add(
            tx, number, 0, b'[["90001-1","Moonlight",[],[{"code":"CLASS","valueString":"CHEM"}],[]]]'
        )
        terminology_loaded.finish(tx, number, 1)

    server.app.database.write_now(load)
    search = "/fhir/Observation?code:below=http://loinc.org|90001-1"
    early = await server.http.get(search)
    assert outcome_of(early) == (503, "transient", "a large code system is being read for the first time")
    reading = server.app.interactions.chart.terminology._reading
    assert reading is not None
    await asyncio.to_thread(reading.join, 20)
    assert (await server.http.get(search)).status_code == 200
    body = await got(server, "CodeSystem/$lookup", system="http://loinc.org", code="90001-1")
    assert values(body)["display"] == "Moonlight"
    checked = await got(
        server, "ValueSet/$validate-code", url="http://loinc.org/vs", system="http://loinc.org", code="90002-9"
    )
    assert values(checked)["result"] is False
    assert codes(await got(server, "ValueSet/$expand", url="http://loinc.org/vs")) == ["90001-1"]
    server.app.interactions.chart.terminology._kept.systems.clear()
    await got(server, "CodeSystem/$lookup", system="http://loinc.org", code="90001-1")
    rows = [row for row in server.trail() if row.what == "$lookup"]
    assert len(rows) == 2, "read in a thread, and still one row for each"


async def test_profiles_bind_stored_sets(server: Running) -> None:
    await server.put(STORED)
    await server.put({"id": "set", **a_set(rule("concept", "is-a", "bird"))})
    bound = {"strength": "required", "valueSet": "http://example.org/set"}
    made = profile("http://example.org/bird", "Observation", element("Observation.code", binding=bound))
    await server.put({**made, "id": "bird"})
    for code, severity in (("hen", "information"), ("cat", "error")):
        seen = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": ANIMALS, "code": code}]},
        }
        answer = await server.http.post("/fhir/Observation/$validate?profile=http://example.org/bird", json=seen)
        assert answer.json()["issue"][0]["severity"] == severity, answer.text
