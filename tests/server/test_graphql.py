"""$graphql over HTTP: the official cases, what is refused, bounds, and nothing of another patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from suture.standards.fhir import json as exact
from suture.standards.fhir import xml
from tests import public
from tests.server.people import observation, patient
from tests.server.running import Running, outcome_of, serving

SUITE = "fhir-test-cases/r4/graphql"
LOADED = ("patient-example", "observation-example", "condition-example", "patient-example-xds", "patient-glossy-example", "observation-example-20minute-apgar-score", "medicationdispenseexample8", "list-example-long")  # fmt: skip


_NAMED = {"list-example-long": {"id": "example-long"}}  # as the cases call it


async def ask(server: Running, query: str, path: str = "/fhir/$graphql", **more: Any) -> httpx.Response:
    headers = more.pop("headers", None)
    return await server.http.post(path, json={"query": query, **more}, headers=headers)


async def good(server: Running, query: str, path: str = "/fhir/$graphql", **more: Any) -> Any:
    answer = await ask(server, query, path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _resource(folder: Path, name: str) -> dict[str, Any]:
    plain = folder / f"{name}.json"
    return exact.read(plain.read_bytes()) if plain.exists() else xml.read((folder / f"{name}.xml").read_bytes())


@pytest.mark.slow
async def test_the_official_cases(server: Running) -> None:
    folder = public.path(SUITE)
    for name in LOADED:
        await _put(server, {**_resource(folder.parent, name), **_NAMED.get(name, {})})
    cases = [case.attrib for case in ElementTree.parse(folder / "manifest.xml").getroot()]
    for case in cases:
        if "resource" in case:
            await _put(server, _meant(case, _resource(folder.parent, case["resource"])))
        await _hold(server, folder, case)
    assert len(cases) > 25


def _meant(case: dict[str, str], made: dict[str, Any]) -> dict[str, Any]:
    """The resource under the id of the case; of the dispense the suite holds another one than its answers are about."""
    there = {**made, "id": case["context"].split("/")[1]}
    if made["resourceType"] == "MedicationDispense":
        there["authorizingPrescription"] = [{"reference": "MedicationRequest/medrx0309"}]
    return there


async def _put(server: Running, made: dict[str, Any]) -> None:
    path = f"/fhir/{made['resourceType']}/{made['id']}"
    headers = {"Content-Type": "application/fhir+json"}
    sent = await server.http.put(path, content=exact.write(made), headers=headers)
    assert sent.status_code in (200, 201), sent.text


async def _hold(server: Running, folder: Path, case: dict[str, str]) -> None:
    query = (folder / case["source"]).read_text()
    place = case["context"] or "$graphql"
    answer = await ask(server, query, f"/fhir/{place}", variables={"var": True})
    if case["output"] == "$error":
        assert answer.status_code in (400, 422), (case["name"], answer.text)
        return
    wanted = json.loads((folder / case["output"]).read_text())
    assert answer.status_code == 200, (case["name"], answer.text)
    assert _comparable(answer.json()["data"]) == _comparable(wanted), case["name"]


def _comparable(found: Any) -> Any:
    """Lists of searches in any order; a page's figures and scores are each server's own.

    A field that is asked twice is one object by GraphQL's own rules (6.3.2), where one case of the suite has a list.
    """
    if isinstance(found.get("subject"), list):
        resource = {key: value for one in found["subject"] for key, value in one["resource"].items()}
        found = {"subject": {"resource": resource}}
    if "PatientConnection" in found:
        found = {"PatientList": [edge["resource"] for edge in found["PatientConnection"]["edges"]]}
    if "PatientList" in found:
        found = {
            "PatientList": sorted(
                (one for one in found["PatientList"] if one["id"] != "glossy"), key=lambda one: one["id"]
            )
        }
    return found


async def test_references_both_ways_and_lists_by_their_values(server: Running) -> None:
    await server.put(
        {**patient("p1"), "name": [{"use": "official", "family": "One"}, {"use": "usual", "family": "Two"}]}
    )
    await server.put(observation("o1", "p1"))
    await server.put(observation("o2", "p2"))
    query = """query ($id: ID!) { Patient(id: $id) { resourceType id
        who: name(use: official) { family } last: name(_offset: 1, _count: 1) { family }
        ObservationList(_reference: patient) { id subject { resource { ...p } } } } }
        fragment p on Patient { __typename id }"""
    found = await good(server, query, variables={"id": "p1"})
    assert found["Patient"] == {
        "resourceType": "Patient",
        "id": "p1",
        "who": [{"family": "One"}],
        "last": [{"family": "Two"}],
        "ObservationList": [{"id": "o1", "subject": {"resource": {"__typename": "Patient", "id": "p1"}}}],
    }
    last = server.trail()[-1]
    assert (last.what, last.patient) == ("$graphql", "Patient/p1")


async def test_a_connection_is_followed_page_by_page(server: Running) -> None:
    for n in range(5):
        await server.put(observation(f"o{n}", "p1"))
    inner = "{ count offset pagesize next edges { mode resource { id } } }"
    page = (await good(server, f"{{ ObservationConnection(_count: 2, _sort: date) {inner} }}"))["ObservationConnection"]
    seen, offsets = [], []
    while True:
        seen += [edge["resource"]["id"] for edge in page["edges"]]
        offsets.append((page["count"], page["offset"]))
        if "next" not in page:
            break
        asked = f'{{ ObservationConnection(_cursor: "{page["next"]}") {inner} }}'
        page = (await good(server, asked))["ObservationConnection"]
    assert sorted(seen) == [f"o{n}" for n in range(5)]
    assert offsets == [(5, 0), (5, 2), (5, 4)]


async def test_a_query_comes_in_the_url_as_text_or_as_json(server: Running) -> None:
    await server.put(patient("p1"))
    found = await server.http.get("/fhir/Patient/p1/$graphql", params={"query": "{id}"})
    assert (found.headers["content-type"], found.json()) == ("application/json", {"data": {"id": "p1"}})
    text = await server.http.post(
        "/fhir/Patient/p1/$graphql", content="{id}", headers={"Content-Type": "application/graphql"}
    )
    assert text.json() == {"data": {"id": "p1"}}
    wrong = await server.http.post("/fhir/$graphql", content="{id}", headers={"Content-Type": "text/plain"})
    assert outcome_of(wrong)[0] == 415


BOMB = "{ Patient(id: \"p1\") { ...f0 } } " + " ".join(
    f"fragment f{n} on Patient {{ ...f{n + 1} ...f{n + 1} }}" for n in range(20)
) + " fragment f20 on Patient { id }"  # fmt: skip
LOOP = '{ Patient(id: "p1") { ...f } } fragment f on Patient { link { other { resource { ...f } } } }'


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "no query"),
        ('{ Patient(id: "p1") { frob } }', 400, "'Patient' has no field 'frob'"),
        ('{ Patient(id: "p1") { name { id frob } } }', 400, "'HumanName' has no field 'frob'"),
        ("{ PatientList { name(frob: 1) { family } } }", 400, "'name' takes no 'frob'"),
        ("{ PatientList { name } }", 400, "which fields of 'name'?"),
        ("{ PatientList { id { x } } }", 400, "'id' has no fields"),
        ("{ PatientList(shoesize: 9) { id } }", 400, "Patient has no such search parameter"),
        ('{ PatientList(_include: "x") { id } }', 400, "no _include here"),
        ("{ Patient { id } }", 400, "which Patient?"),
        ('{ Patient(id: "none") { id } }', 404, "no such Patient"),
        ('{ Patient(id: "p1") { ObservationList { id } } }', 400, "which reference of Observation leads here?"),
        ('{ Patient(id: "p1") { id @frob } }', 400, "there is no @frob"),
        ('{ Patient(id: "p1") { id @skip } }', 400, "@skip takes one argument, 'if'"),
        ("{ Patient(id: $x) { id } }", 400, "this variable is not declared"),
        ("query ($x: Int!) { Patient(id: $x) { id } }", 400, "this variable needs a value"),
        ('{ Patient(id: "p1") { ...gone } }', 400, "the fragment 'gone' is not there"),
        ("mutation { PatientCreate { id } }", 405, "only queries are answered"),
        ("{ PatientList { x: id x: birthDate } }", 400, "'x' stands here twice with different meanings"),
        ("{ AuditEventList { id } }", 400, "AuditEvents are not asked for here"),
        ('{ PatientConnection(_cursor: "x") { next } }', 400, "not a cursor that was given to this caller here"),
        (BOMB, 422, "the query has more than 5000 fields"),
        (LOOP, 422, "the query is nested deeper than 30"),
    ],
)
async def test_what_is_refused(server: Running, query: str, status: int, text: str) -> None:
    await server.put(patient("p1"))
    answer = await ask(server, query)
    assert (answer.status_code, outcome_of(answer)[2]) == (status, text)


async def test_a_patients_token_gets_nothing_of_others(server: Running) -> None:
    for person in ("p1", "p2"):
        await server.put(patient(person))
        await server.put(observation(f"o-{person}", person))
    await server.put({**patient("p1"), "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}]})
    own = server.key("patient/*.rs", patient="p1")
    found = await good(
        server, "{ PatientList { id } ObservationConnection { count edges { resource { id } } } }", headers=own
    )
    assert found == {
        "PatientList": [{"id": "p1"}],
        "ObservationConnection": {"count": 1, "edges": [{"resource": {"id": "o-p1"}}]},
    }
    link = '{ Patient(id: "p1") { id link { other { reference resource(optional: true) { id birthDate } } } } }'
    assert (await good(server, link, headers=own))["Patient"]["link"] == [{"other": {"reference": "Patient/p2"}}]
    for query in ('{ Patient(id: "p2") { id } }', '{ Patient(id: "nobody") { id } }'):
        assert outcome_of(await ask(server, query, headers=own)) == (404, "not-found", "no such Patient")
    few = server.key("patient/Patient.r", patient="p1")
    refused = await ask(server, "{ ObservationList { id } }", headers=few)
    assert refused.status_code == 403, refused.text


async def test_a_list_that_is_no_page_names_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, fhir__max_page_size=2) as server:
        for n in range(3):
            await server.put(patient(f"p{n}"))
        answer = await ask(server, "{ PatientList { id } }")
        assert (answer.status_code, outcome_of(answer)[2]) == (422, "more than 2 fit")
        assert len((await good(server, "{ PatientList(_count: 1) { id } }"))["PatientList"]) == 1


async def test_metadata_lists_it(server: Running) -> None:
    rest = (await server.http.get("/fhir/metadata")).json()["rest"][0]
    assert "graphql" in {operation["name"] for operation in rest["operation"]}


INNER = [
    "id", "name { family }", "name(use: official) { given @first }", 'name(fhirpath: "given.first() = \'x\'") { family }',
    'name(fhirpath: "1/0 = (") { family }', 'name(fhirpath: "repeat(extension)") { family }', 'name(_count: "x") { family }',
    "name(use: [1]) { family }", "name(use: null) { family }", "contained { id frob }", "contained { ... on Patient { name { frob } } }",
    "contained { ObservationList(_reference: patient) { id } }", "_birthDate { extension { url valueAddress { city } } }",
    "name @flatten @slice(path: 5) { family @singleton }", 'name @slice(fhirpath: "(") { family }', "name @first @first { given }",
    "link { other { resource(optional: null) { id } } }", "link { other { resource(type: [1], optional: true) { id } } }",
    "link { other { resource(type: HumanName, optional: true) { family } } }", "extension(url: {a: 1}) { url }", "text { div status }",
    "ObservationList(_reference: [patient]) { id }", "ObservationList(_reference: patient, date: null, code: [a, true, 1.5]) { id }",
    'ObservationConnection(_reference: patient, _count: 0) { count edges { resource { ... on Observation { id } } } }',
    "ListList(_reference: subject) { id }", "meta { lastUpdated profile }", "__typename", "id @skip(if: null)", "identifier { assigner { resource { id } } }",
]  # fmt: skip


async def test_no_query_is_a_fault_of_the_server(server: Running) -> None:
    contained = [{"resourceType": "Patient", "id": "in"}]
    link = [{"other": {"reference": "#in"}, "type": "seealso"}]
    await server.put({**patient("p1"), "contained": contained, "link": link})
    odd = [f'{{ Patient(id: "p1") {{ {inner} }} }}' for inner in INNER]
    odd += [f"{{ PatientList {{ {inner} id: {inner} }} }}" for inner in INNER]
    odd += [
        "{ Patient(id: [1]) { id } }",
        "{ PatientList(_reference: patient) { id } }",
        "{ PatientConnection { edges { frob } } }",
    ]
    for query in odd:
        answer = await ask(server, query)
        assert answer.status_code in (200, 400, 403, 404, 405, 422), (query, answer.text)
    for body in (
        "[]",
        "{}",
        '{"query": 1}',
        '{"query": "{id}", "variables": []}',
        '{"query": "{id}", "operationName": 5}',
        "{",
    ):
        sent = await server.http.post("/fhir/$graphql", content=body, headers={"Content-Type": "application/json"})
        assert sent.status_code == 400, (body, sent.text)
