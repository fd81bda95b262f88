"""Bulk Data 2.0 as the public kits and the specification ask for it, with a token of SMART Backend Services."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import httpx
import pytest

from suture.services.bulk import faults
from suture.standards.fhir import validate
from tests.conformance.bulk import ASK, LEVELS, Bulk
from tests.conformance.checks import check
from tests.server.people import patient

pytestmark = pytest.mark.asyncio(loop_scope="module")
AFTER, FILES, KICK = "State and end", "Manifest and files", "Kick-off"
every_level = pytest.mark.parametrize("level", list(LEVELS))


@check(
    "CapabilityStatement",
    "operation export stands at the system, at Patient and at Group, with the definitions of the implementation guide",
    "instantiates names the bulk data CapabilityStatement",
)
async def test_metadata(bulk: Bulk) -> None:
    async with httpx.AsyncClient(base_url=bulk.server.url) as nobody:
        statement = (await nobody.get("/fhir/metadata")).json()
    rest = statement["rest"][0]
    kinds = {r["type"]: r.get("operation", []) for r in rest["resource"]}
    place = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
    assert {"name": "export", "definition": place + "export"} in rest["operation"]
    assert {"name": "export", "definition": place + "patient-export"} in kinds["Patient"]
    assert {"name": "export", "definition": place + "group-export"} in kinds["Group"]
    assert "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data" in statement["instantiates"]


@check(KICK, "without a token: 401, at every level")
@every_level
async def test_no_token(bulk: Bulk, level: str) -> None:
    async with httpx.AsyncClient(base_url=bulk.server.url) as nobody:
        assert (await nobody.get(LEVELS[level], headers=ASK)).status_code == 401


@check(
    KICK,
    "with Accept application/fhir+json and Prefer respond-async: 202 and an absolute Content-Location, at every level",
)
@every_level
async def test_accepted(bulk: Bulk, level: str) -> None:
    kicked = await bulk.kick(LEVELS[level])
    assert kicked.status_code == 202
    assert kicked.headers["content-location"].startswith(f"{bulk.server.url}/bulk/")
    await bulk.done(kicked)


@check(KICK, "a POST with Parameters is accepted, at every level")
@every_level
async def test_accepted_by_post(bulk: Bulk, level: str) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]}
    made = await bulk.manifest(LEVELS[level], method="POST", json=body)
    assert {f["type"] for f in made["output"]} == {"Patient"}


@check(KICK, "_outputFormat: application/fhir+ndjson, application/ndjson and ndjson are taken, every other is refused")
async def test_output_formats(bulk: Bulk) -> None:
    for name in ("application/fhir+ndjson", "application/ndjson", "ndjson"):
        kicked = await bulk.kick("/fhir/$export", params={"_type": "Patient", "_outputFormat": name})
        assert kicked.status_code == 202
        await bulk.done(kicked)
    refused = await bulk.kick("/fhir/$export", params={"_outputFormat": "text/csv"})
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")


@check(KICK, "repeated parameters mean the same as a list with commas")
async def test_repeated(bulk: Bulk) -> None:
    one = await bulk.manifest("/fhir/$export?_type=Patient,Encounter")
    two = await bulk.manifest("/fhir/$export?_type=Patient&_type=Encounter")
    kinds = [[(f["type"], f["count"]) for f in made["output"]] for made in (one, two)]
    assert kinds[0] == kinds[1] == [("Encounter", 3), ("Patient", 3)]


@check(
    KICK,
    "an unsupported parameter: 4xx with an OperationOutcome",
    "with handling=lenient it is passed over and listed in an error file",
)
async def test_unsupported(bulk: Bulk) -> None:
    refused = await bulk.kick("/fhir/$export?allowPartialManifests=true")
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")
    made = await bulk.manifest(
        "/fhir/$export?_type=Patient&allowPartialManifests=true", headers={"Prefer": "respond-async, handling=lenient"}
    )
    (outcome,) = await bulk.lines(made["error"][0])
    assert outcome["issue"][0]["expression"] == ["allowPartialManifests"]


@check(KICK, "a filter with _include, _revinclude or _sort is refused; filters joined by comma are alternatives")
async def test_type_filters(bulk: Bulk) -> None:
    for name in ("_include=Observation:subject", "_revinclude=Provenance:target", "_sort=date"):
        refused = await bulk.kick("/fhir/$export", params={"_typeFilter": f"Observation?code=1-0&{name}"})
        assert refused.status_code == 400, name
    query = {"_type": "Observation", "_typeFilter": "Observation?code=1-0,Observation?code=2-0"}
    made = await bulk.manifest("/fhir/$export", params=query)
    assert [f["count"] for f in made["output"]] == [2]


@check(KICK, "scopes: a type the token does not name is refused by name")
async def test_scopes(bulk: Bulk) -> None:
    few = bulk.server.key("system/Patient.rs")
    refused = await bulk.server.http.get("/fhir/$export?_type=Observation", headers={**ASK, **few})
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")


@check(KICK, "too many exports at once: 429 with Retry-After and an OperationOutcome")
async def test_too_many(bulk: Bulk) -> None:
    kicked = [await bulk.kick("/fhir/$export?_type=Patient") for _ in range(bulk.server.app.settings["bulk.max_jobs"])]
    for one in kicked:
        await bulk.done(one)
    _set_all(bulk, "running")
    refused = await bulk.kick("/fhir/$export")
    _set_all(bulk, "done")
    assert (refused.status_code, refused.json()["resourceType"]) == (429, "OperationOutcome")
    assert int(refused.headers["retry-after"]) > 0


def _set_all(bulk: Bulk, state: str) -> None:
    """As if all exports were that far; another worker's lease is on them."""
    far = "UPDATE export_job SET state = ?, lease = ?"
    bulk.server.app.database.write_now(lambda tx: tx.execute(far, (state, 1 << 60)))


@check(
    AFTER,
    "while it runs: 202, Retry-After, X-Progress of less than 100 characters",
    "when it is done: 200, application/json, with Expires",
)
async def test_states(bulk: Bulk) -> None:
    kicked = await bulk.kick("/fhir/$export")
    await bulk.done(kicked)
    _set_all(bulk, "running")
    running = await bulk.http.get(kicked.headers["content-location"])
    _set_all(bulk, "done")
    assert running.status_code == 202
    assert int(running.headers["retry-after"]) > 0
    assert 0 < len(running.headers["x-progress"]) < 100
    done = await bulk.done(kicked)
    assert (done.status_code, done.headers["content-type"]) == (200, "application/json")
    assert done.headers["expires"].endswith("GMT")


@check(AFTER, "asked for too often: 429 with Retry-After")
async def test_polled_too_often(bulk: Bulk) -> None:
    kicked = await bulk.kick("/fhir/$export")
    place = kicked.headers["content-location"]
    answers = [await bulk.http.get(place) for _ in range(15)]
    assert {a.status_code for a in answers} <= {200, 202, 429}
    late = [a for a in answers if a.status_code == 429]
    assert late
    assert late[0].headers["retry-after"] == "1"
    await bulk.done(kicked)


@check(AFTER, "DELETE: 202, while it runs and when it is done; then state and files are 404 with an OperationOutcome")
async def test_deleted(bulk: Bulk) -> None:
    for wait in (False, True):
        kicked = await bulk.kick("/fhir/$export?_type=Patient")
        made = (await bulk.done(kicked)).json() if wait else {"output": []}
        place = kicked.headers["content-location"]
        assert (await bulk.http.delete(place)).status_code == 202
        for url in (place, *(f["url"] for f in made["output"])):
            gone = await bulk.http.get(url)
            assert (gone.status_code, gone.json()["resourceType"]) == (404, "OperationOutcome")


@check(
    FILES,
    "the manifest has transactionTime, request, requiresAccessToken, output, deleted and error, at every level",
    "each output has type, an absolute url and a count",
)
@every_level
async def test_manifest(bulk: Bulk, level: str) -> None:
    made = await bulk.manifest(LEVELS[level])
    assert {"transactionTime", "request", "requiresAccessToken", "output", "deleted", "error"} <= set(made)
    datetime.fromisoformat(made["transactionTime"])
    assert made["request"] == f"{bulk.server.url}{LEVELS[level]}"
    assert made["requiresAccessToken"] is True
    for file in made["output"]:
        assert re.fullmatch(r"https?://.+", file["url"])
        assert file["count"] > 0


@check(
    FILES,
    "a file is application/fhir+ndjson; each line is a valid resource of the declared type, at every level",
    "records of at least two patients come, at every level",
)
@every_level
async def test_files(bulk: Bulk, level: str) -> None:
    made = await bulk.manifest(LEVELS[level])
    people = set()
    for file in made["output"]:
        answer = await bulk.http.get(file["url"], headers={"Accept": "application/fhir+ndjson"})
        assert answer.headers["content-type"].startswith("application/fhir+ndjson")
        for resource in await bulk.lines(file):
            assert resource["resourceType"] == file["type"]
            assert [i for i in validate.check(resource) if i.severity in ("error", "fatal")] == []
            if file["type"] == "Patient":
                people.add(resource["id"])
    assert len(people) >= 2


@check(FILES, "a file without the token: 401")
async def test_file_without_token(bulk: Bulk) -> None:
    made = await bulk.manifest("/fhir/$export?_type=Patient")
    async with httpx.AsyncClient() as nobody:
        assert (await nobody.get(made["output"][0]["url"])).status_code == 401


@check(FILES, "a file with Accept-Encoding gzip comes with Content-Encoding gzip")
async def test_file_compressed(bulk: Bulk) -> None:
    made = await bulk.manifest("/fhir/$export?_type=Patient")
    answer = await bulk.http.get(made["output"][0]["url"], headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.text.splitlines()) == 3


@check(FILES, "a group export holds the group's active members and nobody else")
async def test_members(bulk: Bulk) -> None:
    made = await bulk.manifest(LEVELS["group"])
    found = {f["type"]: await bulk.lines(f) for f in made["output"]}
    assert {r["id"] for r in found["Patient"]} == {"p1", "p2"}
    whose = {r["subject"]["reference"] for kind in ("Observation", "Encounter") for r in found[kind]}
    assert whose == {"Patient/p1", "Patient/p2"}


@check(FILES, "patient (POST) narrows a patient and a group export; a patient outside the group never comes")
async def test_chosen(bulk: Bulk) -> None:
    rows = [{"name": "patient", "valueReference": {"reference": f"Patient/{id}"}} for id in ("p1", "p3")]
    body = {"resourceType": "Parameters", "parameter": [*rows, {"name": "_type", "valueString": "Patient"}]}
    for level, wanted in (("patient", {"p1", "p3"}), ("group", {"p1"})):
        made = await bulk.manifest(LEVELS[level], method="POST", json=body)
        assert {r["id"] for f in made["output"] for r in await bulk.lines(f)} == wanted


@check(FILES, "Practitioners, Organizations and other shared resources that are referred to come along, others don't")
async def test_shared(bulk: Bulk) -> None:
    made = await bulk.manifest(LEVELS["group"])
    found = {f["type"]: {r["id"] for r in await bulk.lines(f)} for f in made["output"]}
    assert (found["Organization"], found["Practitioner"]) == ({"org"}, {"d1"})


@check(
    FILES,
    "Provenance of what is exported comes by default",
    "includeAssociatedData: LatestProvenanceResources brings the newest, RelevantProvenanceResources all",
)
async def test_provenance(bulk: Bulk) -> None:
    async def found(query: str) -> set[str]:
        made = await bulk.manifest(f"{LEVELS['group']}{query}")
        return {r["id"] for f in made["output"] if f["type"] == "Provenance" for r in await bulk.lines(f)}

    assert await found("") == {"pr1", "pr2"}
    assert await found("?_type=Observation") == set()
    assert await found("?_type=Observation&includeAssociatedData=LatestProvenanceResources") == {"pr2"}
    assert await found("?_type=Observation&includeAssociatedData=RelevantProvenanceResources") == {"pr1", "pr2"}


@check(FILES, "_elements: only these and the mandatory ones, with the tag SUBSETTED")
async def test_elements(bulk: Bulk) -> None:
    made = await bulk.manifest("/fhir/$export?_type=Observation&_elements=subject")
    for resource in await bulk.lines(made["output"][0]):
        assert set(resource) == {"resourceType", "id", "meta", "status", "code", "subject"}
        assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"


@check(
    FILES,
    "_since: what changed after it, and nothing else",
    "what was deleted since stands in deleted as a transaction Bundle of DELETE, and never in output",
    "only the newest version of each resource comes",
    "a resource is shown as it was at transactionTime, also when it changed before the file was fetched",
)
async def test_since(bulk: Bulk) -> None:
    await bulk.server.put(patient("moved"))
    first = await bulk.manifest("/fhir/$export?_type=Patient")
    for family in ("One", "Two"):
        await bulk.server.put(patient("moved", family))
    await bulk.server.put(patient("gone"))
    await bulk.server.http.delete("/fhir/Patient/gone")
    made = await bulk.manifest("/fhir/$export", params={"_type": "Patient", "_since": first["transactionTime"]})
    await bulk.server.put(patient("moved", "Later"))
    output = [r for f in made["output"] for r in await bulk.lines(f)]
    deleted = [r for f in made["deleted"] for r in await bulk.lines(f)]
    assert [(r["id"], r["name"][0]["family"]) for r in output] == [("moved", "Two")]
    entries: list[Any] = [e["request"] for r in deleted for e in r["entry"]]
    assert entries == [{"method": "DELETE", "url": "Patient/gone"}]
    assert {r["type"] for r in deleted} == {"transaction"}


@check(FILES, "attachments are absolute addresses that the same token reads")
async def test_attachments(bulk: Bulk) -> None:
    url = f"{bulk.server.url}/fhir/Binary/scan"
    await bulk.server.http.put("/fhir/Binary/scan", content=b"pixels", headers={"Content-Type": "image/png"})
    document = {
        "resourceType": "DocumentReference", "id": "scanned", "status": "current", "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"contentType": "image/png", "url": "Binary/scan"}}],
    }  # fmt: skip
    await bulk.server.put(document)
    made = await bulk.manifest("/fhir/Patient/$export?_type=DocumentReference")
    (found,) = await bulk.lines(made["output"][0])
    assert found["content"][0]["attachment"]["url"] == url
    answer = await bulk.http.get(url)
    assert (answer.status_code, answer.content) == (200, b"pixels")


@check(AFTER, "a token that was revoked reads neither state nor files")
async def test_revoked(bulk: Bulk) -> None:
    headers = bulk.server.key("system/*.rs")
    kicked = await bulk.server.http.get("/fhir/$export?_type=Patient", headers={**ASK, **headers})
    place = kicked.headers["content-location"]
    name = bulk.server.made[-1]
    assert (await bulk.server.http.get(place, headers=headers)).status_code in (200, 202)
    bulk.server.app.database.write_now(lambda tx: tx.execute("DELETE FROM client WHERE name = ?", (name,)))
    async with httpx.AsyncClient() as late:
        found = {(await late.get(place, headers=headers)).status_code for _ in range(2)}
    assert found == {401}


@check(
    FILES,
    "organizeOutputBy=Patient: outputOrganizedBy in the manifest, its files have no type; a header comes before each block and names its Patient",
    "a block holds the patient's own and what that refers to, and nothing of another patient",
    "organizeOutputBy: any other value is refused, or with handling=lenient passed over and listed",
)
@every_level
async def test_organized(bulk: Bulk, level: str) -> None:
    made = await bulk.manifest(f"{LEVELS[level]}?organizeOutputBy=Patient&_type=Patient,Observation,Practitioner")
    assert made["outputOrganizedBy"] == "Patient"
    assert all("type" not in file for file in made["output"])
    rows = [row for file in made["output"] for row in await bulk.lines(file)]
    assert rows[0]["resourceType"] == "Parameters"
    whose = ""
    for row in rows:
        if row["resourceType"] == "Parameters":
            whose = row["parameter"][0]["valueReference"]["reference"]
        elif row["resourceType"] == "Patient":
            assert whose == f"Patient/{row['id']}"
        elif row["resourceType"] == "Observation":
            assert whose == row["subject"]["reference"]
    odd = f"{LEVELS[level]}?organizeOutputBy=Encounter&_type=Patient"
    assert (await bulk.kick(odd)).status_code == 400
    made = await bulk.manifest(odd, headers={"Prefer": "respond-async, handling=lenient"})
    assert [(await bulk.lines(file))[0]["issue"][0]["expression"] for file in made["error"]] == [["organizeOutputBy"]]


@check(
    KICK,
    "scopes: an export needs read and search (rs) of what it holds; a token that may only read, or only search, exports nothing",
)
async def test_letters(bulk: Bulk) -> None:
    for scopes in ("system/*.r", "system/*.s"):
        refused = await bulk.server.http.get("/fhir/$export", headers={**ASK, **bulk.server.key(scopes)})
        assert (refused.status_code, refused.json()["resourceType"]) == (403, "OperationOutcome")


@check(
    AFTER, "an export that failed: 4xx or 5xx, application/fhir+json, an OperationOutcome whose code is not transient"
)
async def test_failed(bulk: Bulk) -> None:
    kicked = await bulk.kick("/fhir/$export?_type=Patient")
    await bulk.done(kicked)
    fault = faults.of_error(RuntimeError("never told"), 1)
    bulk.server.app.database.write_now(
        lambda tx: tx.execute("UPDATE export_job SET state = 'failed', fault = ? WHERE state = 'done'", (fault,))
    )
    answer = await bulk.http.get(kicked.headers["content-location"])
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (500, "application/fhir+json")
    assert answer.json()["issue"][0]["code"] == "exception"


@check(
    FILES, "a resource that can't be exported stands in an error file as an OperationOutcome, all else in output: 200"
)
async def test_part_of_it(bulk: Bulk) -> None:
    await bulk.server.put(patient("torn"))
    store, body = bulk.server.app.database, "UPDATE res SET zd = ?, body = ? WHERE fid = ?"
    sound = store.read.one("SELECT zd, body FROM res WHERE fid = ?", ("torn",)) or ()
    store.write_now(lambda tx: tx.execute(body, (0, b"x" * 90, "torn")))
    made = await bulk.manifest("/fhir/Patient/$export?_type=Patient")
    store.write_now(lambda tx: tx.execute(body, (*sound, "torn")))
    (outcome,) = await bulk.lines(made["error"][0])
    assert outcome["issue"][0]["expression"] == ["Patient/torn"]
    assert len({row["id"] for file in made["output"] for row in await bulk.lines(file)} & {"p1", "p2", "p3"}) == 3
