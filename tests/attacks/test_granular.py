"""Granular scopes against an exact oracle: what is found, counted, included, read and written is what the granted queries say."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from suture.access import compartment, smart
from suture.access.caller import Scope
from suture.standards.fhir import search
from suture.standards.fhir.search import SearchQuery
from tests.attacks.world import put
from tests.server.people import encounter, observation, patient, practitioner
from tests.server.running import serving

Resource = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
OF_CONDITIONS = "http://terminology.hl7.org/CodeSystem/condition-category"
KINDS, CODES, STATES = (
    ("laboratory", "vital-signs", "survey", ""),
    ("8867-4", "1234-5", "85354-9"),
    ("final", "amended"),
)
POOL = {  # what an app may be granted on each type
    "Observation": [
        f"?category={CATEGORY}|laboratory", f"?category={CATEGORY}|vital-signs", "?category=survey", "?status=final",
        f"?category={CATEGORY}|laboratory&status=amended", "?code=8867-4,1234-5", "?category:not=laboratory",
        "?category:missing=true", "?date=lt2022", "?encounter=Encounter/e1,Encounter/e2", "",
    ],
    "Condition": [f"?category={OF_CONDITIONS}|encounter-diagnosis", "?category=problem-list-item", ""],
    "Encounter": ["?status=finished", "?class=AMB", "?status:not=finished", ""],
    "Patient": ["?gender=female", "?birthdate=lt1981", ""],
}  # fmt: skip
QUERIES = {
    "Observation": [
        "", "category=laboratory", "category:not=laboratory", "category:missing=true", "category:missing=false", "status=final",
        "code=8867-4", "code:not=8867-4", "patient=a", "subject=Patient/b", "date=ge2021", "encounter:missing=true", "_id=o1,o2,o3,o4",
        "encounter.status=finished", "encounter:Encounter.class=AMB", "subject:Patient.gender=female", "patient.birthdate=lt1981",
        "has-member.status=final", "has-member.category=laboratory", "has-member:Observation.category:not=laboratory",
        "_has:Observation:has-member:category=laboratory", "_has:Observation:has-member:status:not=final",
        "performer:Practitioner.name=Doctor", "_sort=code&category=laboratory", "_sort=-date", "combo-code=8867-4",
    ],
    "Condition": ["", "category=problem-list-item", "category:not=problem-list-item", "encounter.status=finished", "patient.gender=male"],
    "Encounter": ["", "status=finished", "_has:Observation:encounter:category=laboratory", "_has:Condition:encounter:category:not=x", "subject.gender=female"],
    "Patient": ["", "gender=female", "_has:Observation:patient:category=survey", "_has:Encounter:subject:status=finished", "_id=a,b,c"],
}  # fmt: skip
INCLUDES = (
    "",
    "",
    "_include=Observation:encounter&_include=Observation:has-member",
    "_revinclude=Observation:patient",
    "_include=*",
)


def chart(chance: random.Random) -> Iterator[Resource]:
    yield practitioner("d1")
    for n, id in enumerate("abc"):
        yield patient(id) | {"gender": chance.choice(("female", "male")), "birthDate": f"19{79 + n}-01-01"}
    for n in range(6):
        yield encounter(f"e{n}", "abc"[n % 3]) | {"status": chance.choice(("finished", "planned"))}
    for n in range(40):
        yield observed(chance, n)
    for n in range(12):
        kind = chance.choice(("encounter-diagnosis", "problem-list-item"))
        yield {
            "resourceType": "Condition", "id": f"k{n}", "subject": {"reference": f"Patient/{'abc'[n % 3]}"},
            "category": [{"coding": [{"system": OF_CONDITIONS, "code": kind}]}], "encounter": {"reference": f"Encounter/e{n % 6}"},
            "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        }  # fmt: skip


def observed(chance: random.Random, n: int) -> Resource:
    made = observation(f"o{n}", "abc"[n % 3], code=chance.choice(CODES)) | {"status": chance.choice(STATES)}
    kind = chance.choice(KINDS)
    made["category"] = [{"coding": [{"system": CATEGORY, "code": kind}]}] if kind else []
    made["effectiveDateTime"] = f"20{chance.choice((19, 21, 23))}-01-02T00:00:00Z"
    if chance.random() < 0.6:
        made["encounter"] = {"reference": f"Encounter/e{chance.randrange(6)}"}
    if chance.random() < 0.5:
        made["hasMember"] = [{"reference": f"Observation/o{chance.randrange(40)}"}]
    if chance.random() < 0.3:
        made["performer"] = [{"reference": "Practitioner/d1"}]
    return {k: v for k, v in made.items() if v != []}


class Oracle:
    """What a caller may see, one by one; and what a search over only that finds."""

    def __init__(self, members: Iterable[Resource], scopes: tuple[Scope, ...], whose: str) -> None:
        self.scopes, self.whose = scopes, whose
        self.seen = {(r["resourceType"], r["id"]): r for r in members if self.opens(r)}

    def opens(self, resource: Resource) -> bool:
        kind = resource["resourceType"]
        return any(s.type in ("*", kind) and self._opens(s, resource) for s in self.scopes)

    def _opens(self, scope: Scope, resource: Resource) -> bool:
        kind = resource["resourceType"]
        own = scope.context != "patient" or kind in compartment.SHARED or compartment.holds(self.whose, resource)
        return own and search.matches(
            SearchQuery(kind, smart.conditions(kind, scope.query) if scope.query else ()), resource
        )

    def resolve(self, type: str, id: str) -> Resource | None:
        return self.seen.get((type, id))

    def all(self, type: str) -> list[Resource]:
        return [r for (t, _), r in self.seen.items() if t == type]

    def found(self, type: str, pairs: list[tuple[str, str]]) -> set[str]:
        query = search.parse(type, pairs)
        return {r["id"] for r in self.all(type) if search.matches(query, r, self)}


def granted(chance: random.Random) -> tuple[str, str]:
    """Scopes on every type that is asked about, narrow or whole, for one patient or all; and whose."""
    context = chance.choice(("patient", "user"))
    words = [
        f"{context}/{type}.cruds{query}"
        for type, queries in POOL.items()
        for query in chance.sample(queries[:-1] if type == "Observation" else queries, chance.choice((1, 1, 2)))
    ]
    return " ".join([*words, "user/Practitioner.rs"]), chance.choice("abc") if context == "patient" else ""


def asked(chance: random.Random) -> tuple[str, str, str]:
    type = chance.choice(("Observation", "Observation", "Observation", *QUERIES))
    extra = chance.choice(INCLUDES) if type == "Observation" else ""
    return type, chance.choice(QUERIES[type]), extra


async def pages(
    http: httpx.AsyncClient, type: str, query: str, count: int
) -> tuple[list[Resource], list[Resource], int]:
    """Matches and included resources of all pages, and the total."""
    url: str | None = f"/fhir/{type}?{query}&_count={count}&_total=accurate".replace("?&", "?")
    matches, included, total = [], [], -1
    while url:
        answer = await http.get(url)
        assert answer.status_code == 200, (url, answer.text)
        bundle = answer.json()
        total = bundle["total"] if total < 0 else total
        for entry in bundle.get("entry", ()):
            (matches if entry["search"]["mode"] == "match" else included).append(entry["resource"])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    return matches, included, total


def pairs_of(query: str) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, _, value in (part.partition("=") for part in query.split("&"))
        if name and name != "_sort"
    ]


@pytest.mark.slow
async def test_searches_equal_the_oracle(tmp_path: Path) -> None:
    chance, done, narrowed = random.Random(20261125), 0, 0
    members = list(chart(chance))
    async with serving(tmp_path) as server:
        await put(server, members)
        for _ in range(16):
            words, whose = granted(chance)
            oracle = Oracle(members, smart.parse(words), whose)
            async with httpx.AsyncClient(base_url=server.url, headers=server.key(words, whose)) as http:
                for _ in range(15):
                    type, query, extra = asked(chance)
                    wanted = oracle.found(type, pairs_of(query))
                    matches, included, total = await pages(
                        http, type, "&".join(filter(None, (query, extra))), chance.choice((2, 7, 100))
                    )
                    said = (words, whose, type, query, extra)
                    assert {r["id"] for r in matches} == wanted, said
                    assert (len(matches), total) == (len(wanted), len(wanted)), said
                    assert all(oracle.resolve(r["resourceType"], r["id"]) for r in included), said
                    assert {(r["resourceType"], r["id"]) for r in included} >= _led_to(oracle, matches, extra), said
                    done += 1
                    narrowed += len(wanted) < len([r for r in members if r["resourceType"] == type])
    assert done >= 200
    assert narrowed > done / 2  # the scopes did narrow


def _led_to(oracle: Oracle, matches: list[Resource], extra: str) -> set[tuple[str, str]]:
    """What `_include=Observation:encounter` and `:has-member` must bring, when the caller may see it."""
    if "has-member" not in extra:
        return set()
    shown = {(r["resourceType"], r["id"]) for r in matches}
    references = [r.get("encounter", {}).get("reference", "") for r in matches]
    references += [m["reference"] for r in matches for m in r.get("hasMember", ())]
    led = {tuple(reference.split("/")) for reference in references if reference}
    return {(t, i) for t, i in led if oracle.resolve(t, i)} - shown


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> Any:
    """A chart, a caller for laboratory results only, and what it may see."""
    members = list(chart(random.Random(7)))
    words = f"patient/Observation.cruds?category={CATEGORY}|laboratory patient/Patient.rs"
    async with serving(tmp_path) as server:
        await put(server, members)
        async with httpx.AsyncClient(base_url=server.url, headers=server.key(words, "a")) as http:
            yield server, http, members, Oracle(members, smart.parse(words), "a")


async def test_reads_versions_and_histories_equal_the_oracle(lab: Any) -> None:
    _, http, members, oracle = lab
    for resource in members:
        if resource["resourceType"] in ("Observation", "Patient"):
            place = f"/fhir/{resource['resourceType']}/{resource['id']}"
            wanted = 200 if oracle.opens(resource) else 404
            for tail in ("", "/_history", "/_history/1", "?_elements=id"):
                assert (await http.get(place + tail)).status_code == wanted, place + tail


def kind(id: str, code: str, whose: str = "a") -> Resource:
    return observation(id, whose) | {"category": [{"coding": [{"system": CATEGORY, "code": code}]}]}


async def test_writes_are_judged_before_and_after(lab: Any) -> None:
    server, http, members, oracle = lab
    mine = next(r["id"] for r in members if r["resourceType"] == "Observation" and oracle.opens(r))
    other = next(r["id"] for r in members if r["id"].startswith("o") and not oracle.opens(r) and r["id"] != "org")
    for method, path, body, status in (
        ("POST", "Observation", kind("x", "laboratory"), 201),
        ("POST", "Observation", kind("x", "survey"), 403),
        ("POST", "Observation", kind("x", "laboratory", "b"), 403),
        ("PUT", f"Observation/{mine}", kind(mine, "laboratory"), 200),
        ("PUT", f"Observation/{mine}", kind(mine, "survey"), 403),
        ("PUT", f"Observation/{mine}", kind(mine, "laboratory", "b"), 403),
        ("PUT", f"Observation/{other}", kind(other, "laboratory"), 404),
        ("PUT", "Observation/never-used", kind("never-used", "laboratory"), 404),
        ("PUT", f"Observation?_id={other}", kind(other, "laboratory"), 404),
        ("PUT", f"Observation?_id={mine}", {k: v for k, v in kind(mine, "survey").items() if k != "id"}, 403),
        ("DELETE", f"Observation/{other}", None, 204),
        ("DELETE", f"Observation?_id={other}", None, 204),
        ("DELETE", f"Patient/{'a'}", None, 403),
    ):
        entry: Resource = {"request": {"method": method, "url": path}, **({"resource": body} if body else {})}
        answer = (
            await http.request(method, f"/fhir/{path}", json=body)
            if body
            else await http.request(method, f"/fhir/{path}")
        )
        assert answer.status_code == status, (method, path, answer.text)
        for bundled in ("batch", "transaction"):
            if method == "DELETE" or status < 300:
                continue
            answer = await http.post("/fhir", json={"resourceType": "Bundle", "type": bundled, "entry": [entry]})
            told = answer.json()["entry"][0]["response"]["status"] if bundled == "batch" else str(answer.status_code)
            assert told == str(status), (bundled, method, path)
    assert (await server.http.get(f"/fhir/Observation/{other}")).headers["etag"] == 'W/"1"'


async def test_a_result_that_leaves_the_scope_takes_its_past_with_it(lab: Any) -> None:
    server, http, members, oracle = lab
    mine = next(r["id"] for r in members if r["resourceType"] == "Observation" and oracle.opens(r))
    await server.put(kind(mine, "survey"))
    for tail in ("", "/_history", "/_history/1", "/_history/2"):
        assert (await http.get(f"/fhir/Observation/{mine}{tail}")).status_code == 404
    assert mine not in (await http.get("/fhir/Observation/_history?_count=1000")).text
    await server.put(kind(mine, "laboratory"))
    statuses = [(await http.get(f"/fhir/Observation/{mine}/_history/{n}")).status_code for n in (1, 2, 3)]
    assert statuses == [200, 404, 200]


async def test_several_scopes_open_what_one_of_them_opens(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server_members = [
            patient("a"),
            *(kind(f"o-{code}-{n}", code) | {"status": STATES[n]} for code in KINDS[:3] for n in (0, 1)),
        ]
        await put(server, server_members)
        words = "user/Observation.rs?category=laboratory&status=final user/Observation.rs?category=survey user/Observation.r?category=vital-signs"
        async with httpx.AsyncClient(base_url=server.url, headers=server.key(words)) as http:
            bundle = (await http.get("/fhir/Observation?_count=100")).json()
            assert {e["resource"]["id"] for e in bundle["entry"]} == {"o-laboratory-0", "o-survey-0", "o-survey-1"}
            assert (await http.get("/fhir/Observation/o-vital-signs-0")).status_code == 200  # by read alone
            assert (await http.get("/fhir/Observation/o-laboratory-1")).status_code == 404
