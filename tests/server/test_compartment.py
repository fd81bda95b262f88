"""A patient's token never learns anything of another patient: 0 leaks over every way in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.notified import subscription
from tests.server.people import SYSTEM, encounter, observation, patient, practitioner
from tests.server.running import Running, serving

SECRET = "Bsecret"  # stands in everything that is about patient b, and nowhere else


def websocket(channel: dict[str, Any]) -> dict[str, Any]:
    """The same without an address to send to."""
    return {name: value for name, value in channel.items() if name != "endpoint"} | {"type": "websocket"}


async def fill(server: Running) -> None:
    """Patients a and b, who meet in one encounter's participant, one appointment, one list and one provenance."""
    both = [{"reference": "Patient/a"}, {"reference": "Patient/b"}]
    for resource in (
        practitioner("d1"),
        {"resourceType": "Organization", "id": "org", "name": "Lakeside"},
        patient("a", "Ainsley", generalPractitioner=[{"reference": "Practitioner/d1"}]),
        patient("b", SECRET, link=[{"other": {"reference": "Patient/a"}, "type": "seealso"}]),
        encounter("ea", "a"),
        encounter("eb", "b", reasonCode=[{"text": SECRET}], serviceProvider={"reference": "Organization/org"}),
        observation("oa", "a", encounter={"reference": "Encounter/ea"}, performer=[{"reference": "Practitioner/d1"}]),
        observation("oa2", "a", encounter={"reference": "Encounter/eb"}, hasMember=[{"reference": "Observation/ob"}]),
        observation("ob", "b", value=SECRET, encounter={"reference": "Encounter/eb"}, derivedFrom=[{"reference": "Observation/oa"}]),
        {"resourceType": "Condition", "id": "cb", "subject": {"reference": "Patient/b"}, "code": {"text": SECRET}},
        {"resourceType": "Device", "id": "db", "patient": {"reference": "Patient/b"}, "lotNumber": SECRET},
        {"resourceType": "Device", "id": "da", "patient": {"reference": "Patient/a"}, "lotNumber": "mine"},
        {
            "resourceType": "Provenance", "id": "vb", "recorded": "2024-01-02T03:04:05Z", "policy": ["urn:" + SECRET],
            "target": [{"reference": "Observation/ob"}, {"reference": "Patient/b"}], "agent": [{"who": {"reference": "Practitioner/d1"}}],
        },
        {
            "resourceType": "Provenance", "id": "va", "recorded": "2024-01-02T03:04:05Z",
            "target": [{"reference": "Patient/a"}, {"reference": "Observation/oa"}], "agent": [{"who": {"reference": "Practitioner/d1"}}],
        },
        {
            "resourceType": "Appointment", "id": "both", "status": "proposed",
            "participant": [{"actor": r, "status": "accepted"} for r in both],
        },
        {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [{"entity": both[1]}], "name": SECRET},
        {**(made := subscription("")), "id": "s", "status": "off", "reason": SECRET, "channel": websocket(made["channel"])},
    ):  # fmt: skip
        await server.put(resource)
    # versions: oc was about b and is now about a; od was about a and is now about b
    await server.put(observation("oc", "b", value=SECRET))
    await server.put(observation("oc", "a"))
    await server.put(observation("od", "a"))
    await server.put(observation("od", "b", value=SECRET))
    await server.put(observation("gone", "b", value=SECRET))
    await server.http.delete("/fhir/Observation/gone")
    await server.put(observation("mygone", "a"))
    await server.http.delete("/fhir/Observation/mygone")


class Token:
    """The patient's token: every answer is searched for what is b's."""

    def __init__(self, server: Running, scopes: str) -> None:
        self.http = httpx.AsyncClient(base_url=server.url, headers=server.key(scopes, "a"))
        self.asked = 0

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        self.asked += 1
        answer = await self.http.request(method, path, **more)
        assert answer.status_code < 500, (method, path, answer.text)
        told = re.sub(r'"link":\[\{"relation".*?\]', "", answer.text)  # the query itself comes back as the self link
        assert SECRET not in told, (method, path, answer.text)
        return answer

    async def ids(self, path: str) -> set[str]:
        """What a search gives, over all of its pages."""
        found: set[str] = set()
        following: str | None = path
        while following:
            answer = await self.ask("GET", following)
            assert answer.status_code == 200, (following, answer.text)
            bundle = answer.json()
            found |= {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", [])}
            following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        return found


@pytest_asyncio.fixture
async def token(server: Running) -> Any:
    await fill(server)
    made = Token(server, "patient/*.cruds")
    yield made
    await made.http.aclose()


OTHERS = ("Patient/b", "Encounter/eb", "Observation/ob", "Observation/od", "Condition/cb", "Device/db", "Provenance/vb",
          "Group/g", "Subscription/s", "Observation/gone")  # fmt: skip
OWN = ("Patient/a", "Encounter/ea", "Observation/oa", "Observation/oa2", "Observation/oc", "Device/da", "Provenance/va",
       "Appointment/both", "Practitioner/d1", "Organization/org")  # fmt: skip


async def test_own_records_are_there(token: Token) -> None:
    for place in OWN:
        assert (await token.ask("GET", f"/fhir/{place}")).status_code == 200, place


async def test_other_records_look_like_unknown_ones(token: Token) -> None:
    for place in OTHERS:
        kind = place.split("/")[0]
        for method in ("GET", "HEAD"):
            for tail in ("", "/_history", "/_history/1", "/_history/2", "?_elements=id"):
                if method == "HEAD" and tail:
                    continue
                known = await token.ask(method, f"/fhir/{place}{tail}")
                unknown = await token.ask(method, f"/fhir/{kind}/never-used{tail}")
                assert known.status_code in (403, 404), place
                assert (known.status_code, known.text) == (unknown.status_code, unknown.text), (place, tail)
        for headers in ({"If-None-Match": 'W/"1"'}, {"If-Modified-Since": "Wed, 01 Jan 2098 00:00:00 GMT"}):
            assert (await token.ask("GET", f"/fhir/{place}", headers=headers)).status_code in (403, 404)


async def test_a_deleted_one_is_gone_only_for_who_could_read_it(token: Token) -> None:
    assert (await token.ask("GET", "/fhir/Observation/mygone")).status_code == 410
    assert (await token.ask("GET", "/fhir/Observation/gone")).status_code == 404


async def test_old_versions_of_a_record_that_changed_hands(token: Token) -> None:
    assert (await token.ask("GET", "/fhir/Observation/oc/_history/2")).status_code == 200
    assert (await token.ask("GET", "/fhir/Observation/oc/_history/1")).status_code == 404
    history = (await token.ask("GET", "/fhir/Observation/oc/_history")).json()
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2"]
    assert (await token.ask("GET", "/fhir/Observation/od/_history/1")).status_code == 404
    everything = (await token.ask("GET", "/fhir/Observation/_history?_count=1000")).json()
    assert "od" not in {e["resource"]["id"] for e in everything["entry"] if "resource" in e}


async def test_histories_hold_own_rows_only(token: Token) -> None:
    for kind in ("Observation", "Patient", "Encounter", "Device", "Provenance"):
        answer = await token.ask("GET", f"/fhir/{kind}/_history?_count=1000")
        assert answer.status_code == 200
        assert "Patient/b" not in answer.text
    assert (await token.ask("GET", "/fhir/_history")).status_code == 403


async def test_pages_of_a_history_are_full_whatever_lies_between(token: Token) -> None:
    """Rows of others lie between: pages of two are full all the same, and the last one ends."""
    seen, url, sizes = [], "/fhir/Observation/_history?_count=2", []
    while url:
        bundle = (await token.ask("GET", url)).json()
        entries = bundle.get("entry", [])
        sizes.append(len(entries))
        seen += [e["fullUrl"].rsplit("/", 1)[1] for e in entries]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert sorted(seen) == ["mygone", "mygone", "oa", "oa2", "oc"]
    assert sizes == [2, 2, 1]


SEARCHES = {
    "Observation": {"Observation/oa", "Observation/oa2", "Observation/oc"},
    "Observation?code=8867-4": {"Observation/oa", "Observation/oa2", "Observation/oc"},
    "Observation?_count=1": {"Observation/oa", "Observation/oa2", "Observation/oc"},
    "Observation?_sort=-date&_count=2": {"Observation/oa", "Observation/oa2", "Observation/oc"},
    "Observation?subject=Patient/b": set(),
    "Observation?patient=b": set(),
    f"Observation?value-string={SECRET}": set(),
    "Observation?_id=ob": set(),
    "Observation?_id=oa,ob,od,gone": {"Observation/oa"},
    "Observation?code:not=nothing": {"Observation/oa", "Observation/oa2", "Observation/oc"},
    "Observation?encounter:missing=false": {"Observation/oa", "Observation/oa2"},
    "Patient": {"Patient/a"},
    f"Patient?name={SECRET}": set(),
    "Patient?name:missing=false": {"Patient/a"},
    f"Patient?identifier={SYSTEM}|mrn-b": set(),
    "Patient?link=a": set(),
    "Device": {"Device/da"},
    "Device?patient=b": set(),
    "Provenance": {"Provenance/va"},
    "Appointment": {"Appointment/both"},
    "Appointment?patient=b": {"Appointment/both"},  # it is the caller's own, and says so itself
    # chains: what b's records say must not be told by which of a's come back
    f"Observation?subject:Patient.name={SECRET}": set(),
    f"Observation?encounter:Encounter.subject:Patient.name={SECRET}": set(),
    "Observation?encounter.status=finished": {"Observation/oa"},
    "Observation?encounter:Encounter.class=AMB": {"Observation/oa"},
    f"Observation?has-member.value-string={SECRET}": set(),
    "Observation?has-member.code=8867-4": set(),
    "Observation?performer:Practitioner.name=Doctor": {"Observation/oa"},
    f"Appointment?actor:Patient.name={SECRET}": set(),
    f"Appointment?patient.name={SECRET}": set(),
    "Appointment?patient.name=Ainsley": {"Appointment/both"},
    # _has
    f"Observation?_has:Observation:derived-from:value-string={SECRET}": set(),
    "Observation?_has:Observation:derived-from:code=8867-4": set(),
    f"Practitioner?_has:Patient:general-practitioner:name={SECRET}": set(),
    "Practitioner?_has:Patient:general-practitioner:name=Ainsley": {"Practitioner/d1"},
    "Organization?_has:Encounter:service-provider:status=finished": set(),
    f"Patient?_has:Appointment:patient:actor:Patient.name={SECRET}": set(),
    # includes: each row by itself, and what is refused leads no further
    "Observation?_include=Observation:encounter&_id=oa2": {"Observation/oa2"},
    "Observation?_include=Observation:has-member&_id=oa2": {"Observation/oa2"},
    "Observation?_include=*&_id=oa2": {"Observation/oa2", "Patient/a"},
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:service-provider&_id=oa2": {"Observation/oa2"},
    "Observation?_revinclude=Provenance:target&_id=oa": {"Observation/oa", "Provenance/va"},
    "Observation?_revinclude=Observation:derived-from&_id=oa": {"Observation/oa"},
    "Patient?_revinclude=Patient:link": {"Patient/a"},
    "Patient?_revinclude=Appointment:patient": {"Patient/a", "Appointment/both"},
    "Appointment?_include=Appointment:actor": {"Appointment/both", "Patient/a"},
    "Practitioner?_revinclude=Provenance:agent": {"Practitioner/d1", "Provenance/va"},
    "Organization?_revinclude=Encounter:service-provider": {"Organization/org"},
    "Organization?_revinclude=Encounter:service-provider&_revinclude:iterate=Observation:encounter": {"Organization/org"},
}  # fmt: skip


async def test_searches_find_own_rows_only(token: Token) -> None:
    wrong = {}
    for path, wanted in SEARCHES.items():
        found = await token.ids(f"/fhir/{path}")
        if found != wanted:
            wrong[path] = found
    assert wrong == {}


async def test_post_searches_find_the_same(token: Token) -> None:
    for path, wanted in SEARCHES.items():
        kind, _, query = path.partition("?")
        if "_count" in query:
            continue
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        bundle = (await token.ask("POST", f"/fhir/{kind}/_search", content=query, headers=headers)).json()
        found = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", [])}
        assert found == wanted, path


async def test_totals_count_own_rows_only(token: Token) -> None:
    for path, total in [
        ("Observation?_summary=count", 3),
        ("Observation?_count=0", 3),
        ("Observation?_total=accurate", 3),
        ("Observation?_total=estimate", 3),
        ("Patient?_summary=count", 1),
        ("Patient?link:missing=false&_summary=count", 0),
        ("Device?_total=accurate", 1),
        ("Appointment?_summary=count", 1),
        (f"Observation?value-string={SECRET}&_summary=count", 0),
        (f"Observation?subject:Patient.name={SECRET}&_summary=count", 0),
    ]:
        assert (await token.ask("GET", f"/fhir/{path}")).json()["total"] == total, path


async def test_types_that_are_not_the_patients_are_refused_by_name(token: Token) -> None:
    for path in (
        "Group",
        "Group?member=Patient/a",
        "Subscription",
        "Patient?_has:Group:member:type=person",
        "?_type=Group",
    ):
        answer = await token.ask("GET", f"/fhir/{path}" if not path.startswith("?") else f"/fhir{path}")
        assert answer.status_code == 403, path
        assert "may not search-type" in answer.text
    found = await token.ids("/fhir?_count=1000")
    assert found == set(OWN)


async def test_batches_and_transactions_are_judged_entry_by_entry(token: Token) -> None:
    entries = [{"request": {"method": "GET", "url": place}} for place in (*OTHERS, *SEARCHES)]
    answer = await token.ask("POST", "/fhir", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    statuses = [e["response"]["status"] for e in answer.json()["entry"]]
    assert set(statuses[: len(OTHERS)]) <= {"403", "404"}
    for place in OTHERS:
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "GET", "url": place}}],
        }
        assert (await token.ask("POST", "/fhir", json=bundle)).status_code in (403, 404)


async def test_writes_stay_in_the_compartment(token: Token, server: Running) -> None:
    own, other = observation("new", "a"), observation("new", "b")
    assert (await token.ask("POST", "/fhir/Observation", json=own)).status_code == 201
    assert (await token.ask("POST", "/fhir/Observation", json=other)).status_code == 403
    assert (await token.ask("POST", "/fhir/Patient", json=patient("a"))).status_code == 403
    assert (await token.ask("PUT", "/fhir/Patient/a", json=patient("a", "New"))).status_code == 200
    # one of b, one that never was: the same answer
    stolen = await token.ask("PUT", "/fhir/Observation/ob", json=observation("ob", "a"))
    never = await token.ask("PUT", "/fhir/Observation/never", json=observation("never", "a"))
    assert (stolen.status_code, stolen.text) == (never.status_code, never.text) == (404, never.text)
    assert (await token.ask("PUT", "/fhir/Observation/oa", json=observation("oa", "b"))).status_code == 403
    for place in ("Observation/ob", "Observation/never", "Observation/gone", "Condition/cb"):
        assert (await token.ask("DELETE", f"/fhir/{place}")).status_code == 204
    assert (await token.ask("DELETE", "/fhir/Practitioner/d1")).status_code == 403
    assert (await token.ask("PUT", "/fhir/Practitioner/d1", json=practitioner("d1"))).status_code == 403
    assert (await server.http.get("/fhir/Observation/ob")).json()["valueString"] == SECRET
    assert (await server.http.get("/fhir/Condition/cb")).status_code == 200


async def test_conditions_on_writes_tell_nothing(token: Token, server: Running) -> None:
    body = {k: v for k, v in observation("x", "a").items() if k != "id"}
    for query in (f"value-string={SECRET}", f"subject:Patient.name={SECRET}", "_id=ob"):
        made = await token.ask("POST", "/fhir/Observation", json=body, headers={"If-None-Exist": query})
        assert made.status_code == 201, query
        gone = await token.ask("DELETE", f"/fhir/Observation?{quote(query, safe='=:')}")
        assert gone.status_code == 204
    assert (await server.http.get("/fhir/Observation/ob")).status_code == 200
    for kind in ("batch", "transaction"):
        entry = {
            "resource": observation("ob", "a"),
            "request": {"method": "PUT", "url": f"Observation?value-string={SECRET}"},
        }
        await token.ask("POST", "/fhir", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert (await server.http.get("/fhir/Observation/ob")).json()["valueString"] == SECRET


@pytest.mark.parametrize("query", ["&".join(["code=x"] * 51), "code=%ff", "code=x&code:exact=%c3%28"])
async def test_a_condition_that_cannot_be_read_is_the_callers_fault(server: Running, query: str) -> None:
    body = {k: v for k, v in observation("x", "a").items() if k != "id"}
    answer = await server.http.post("/fhir/Observation", json=body, headers={"If-None-Exist": query})
    assert answer.status_code == 400
    entry = {"resource": body, "request": {"method": "POST", "url": "Observation", "ifNoneExist": query}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = await server.http.post("/fhir", json=bundle)
    assert answer.json()["entry"][0]["response"]["status"] == "400"


async def test_a_token_with_read_only_scopes_writes_nothing(server: Running) -> None:
    await fill(server)
    token = Token(server, "patient/*.rs")
    for method, path, body in (
        ("POST", "/fhir/Observation", observation("n", "a")),
        ("PUT", "/fhir/Observation/oa", observation("oa", "a")),
        ("DELETE", "/fhir/Observation/oa", None),
    ):
        assert (await token.ask(method, path, json=body)).status_code == 403
    assert (await token.ask("GET", "/fhir/Observation/oa")).status_code == 200
    await token.http.aclose()


async def test_scopes_on_one_type_open_that_type_only(server: Running) -> None:
    await fill(server)
    token = Token(server, "patient/Observation.rs")
    assert (await token.ids("/fhir/Observation")) == {"Observation/oa", "Observation/oa2", "Observation/oc"}
    assert (await token.ids("/fhir/Observation?_include=Observation:subject&_id=oa")) == {"Observation/oa"}
    assert (await token.ids("/fhir/Observation?_revinclude=Provenance:target&_id=oa")) == {"Observation/oa"}
    for path in ("Patient", "Patient/a", "Encounter", "Observation?subject:Patient.name=Ainsley"):
        assert (await token.ask("GET", f"/fhir/{path}")).status_code == 403, path
    assert await token.ids("/fhir/Observation?subject.name=Ainsley") == set()
    assert (await token.ids("/fhir")) == {"Observation/oa", "Observation/oa2", "Observation/oc"}
    await token.http.aclose()


async def test_absolute_references_to_this_server_count_as_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path, http__base_url="https://own.example", login__second_factor="privileged") as server:
        await server.put(patient("a"))
        await server.put(observation("abs", "x", subject={"reference": "https://own.example/fhir/Patient/a"}))
        await server.put(observation("far", "x", subject={"reference": "https://elsewhere.example/fhir/Patient/a"}))
        token = Token(server, "patient/*.rs")
        assert (await token.ask("GET", "/fhir/Observation/abs")).status_code == 200
        assert (await token.ask("GET", "/fhir/Observation/far")).status_code == 404
        assert await token.ids("/fhir/Observation?patient=a") == {"Observation/abs"}
        made = await token.ask("GET", "/fhir/Observation?subject=https://own.example/fhir/Patient/a")
        assert made.json()["entry"][0]["fullUrl"] == "https://own.example/fhir/Observation/abs"
        await token.http.aclose()
