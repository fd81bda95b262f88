"""What the CapabilityStatement of a US Core package says of the server as a whole: refusals, formats, operations, interactions that may be there."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from suture.standards.fhir import xml
from tests.conformance.us_core_guide import Resource, Type
from tests.conformance.us_core_walk import Walk, must, references

GROUP, BESIDE, ALONE = (
    "Server",
    "Interactions of no profile, or that may be there",
    "Search parameters that may stand alone",
)
JSON_PATCH = "application/json-patch+json"
BY_GROUPS = (
    "read",
    "vread",
    "history-instance",
    "search-type",
)  # walked for each profile, where they SHALL or SHOULD be
SMALLEST: dict[str, Resource] = {
    "HealthcareService": {"resourceType": "HealthcareService", "name": "Clinic"},
    "ValueSet": {"resourceType": "ValueSet", "status": "active"},
}  # of what the families have none


async def walk(kit: Walk, narrow: Mapping[str, str]) -> None:
    """`narrow`: the header of a caller who may read Patients, and no more."""
    await _refusals(kit, narrow)
    await _operations(kit)
    await _formats(kit)
    await _alone(kit)
    for type in kit.guide.types.values():
        await _interactions(kit, type)
    await _system(kit)


# --- refusals


async def _refusals(kit: Walk, narrow: Mapping[str, str]) -> None:
    types = [one for one in kit.guide.types.values() if one.interactions.get("search-type") in ("SHALL", "SHOULD")]
    with kit.checking(GROUP, "server", "400 and an OperationOutcome for a parameter that is none, and a wrong value"):
        for type in types:
            dates = [code for code, one in type.parameters.items() if one.kind == "date"][:1]
            for asked in ("not-a-parameter=x", *(f"{code}=yesterday" for code in dates)):
                outcome(await kit.http.get(f"/fhir/{type.name}?{asked}"), 400, asked.partition("=")[0])
    async with httpx.AsyncClient(base_url=kit.http.base_url, timeout=20) as nobody:
        with kit.checking(GROUP, "server", "401 and an OperationOutcome without a token, for search and read"):
            for type in types:
                outcome(await nobody.get(f"/fhir/{type.name}"), 401)
                outcome(await nobody.get(f"/fhir/{type.name}/{next(iter(kit.stored[type.name]), 'x')}"), 401)
        with kit.checking(GROUP, "server", "401 and an OperationOutcome with a token that is none"):
            outcome(await nobody.get("/fhir/Patient", headers={"Authorization": "Bearer none"}), 401)
        with kit.checking(GROUP, "server", "403 and an OperationOutcome where the scopes do not reach"):
            for type in types:
                if type.name != "Patient":
                    outcome(await nobody.get(f"/fhir/{type.name}", headers=dict(narrow)), 403)
    with kit.checking(GROUP, "server", "404 and an OperationOutcome for a resource that is not there"):
        for type in types:
            outcome(await kit.http.get(f"/fhir/{type.name}/nothing-is-here"), 404)


def outcome(answer: httpx.Response, status: int, named: str = "") -> None:
    asked = f"{answer.request.url.path}: {answer.status_code}"
    must(answer.status_code == status, asked)
    body = answer.json()
    must(body["resourceType"] == "OperationOutcome" and body["issue"], f"{asked}, no OperationOutcome")
    must(named in answer.text, f"{asked}: {named} is not named")


# --- operations


async def _operations(kit: Walk) -> None:
    for type in kit.guide.types.values():
        for name, expectation in type.operations.items():
            with kit.checking(GROUP, "operation", f"{type.name}: ${name}", expectation):
                await OPERATIONS[name](kit)


async def _docref(kit: Walk) -> None:
    """By patient and type what the chart has of it, by GET and by POST; the newest summary when no type is said."""
    found = 0
    for patient in kit.patients:
        mine = {i: one for i, one in kit.stored["DocumentReference"].items() if f"Patient/{patient}" in references(one)}
        for code in sorted({c["code"] for one in mine.values() for c in one["type"]["coding"]}):
            wanted = {i for i, one in mine.items() if code in {c["code"] for c in one["type"]["coding"]}}
            pairs = {"patient": patient, "type": f"http://loinc.org|{code}"}
            got = _ids(await kit.http.get("/fhir/DocumentReference/$docref", params=pairs))
            must(got == wanted, f"{patient} {code}: {sorted(got ^ wanted)}")
            found += len(got)
    must(found, "no document is found")
    rows = [{"name": "patient", "valueId": kit.patients[0]}]
    body = {"resourceType": "Parameters", "parameter": rows}
    _ids(await kit.http.post("/fhir/DocumentReference/$docref", json=body))


def _ids(answer: httpx.Response) -> set[str]:
    must(answer.status_code == 200, answer.text[:200])
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


async def _expand(kit: Walk) -> None:
    url = "http://hl7.org/fhir/ValueSet/administrative-gender"
    answer = await kit.http.get("/fhir/ValueSet/$expand", params={"url": url})
    must(answer.status_code == 200, answer.text[:200])
    codes = {one["code"] for one in answer.json()["expansion"]["contains"]}
    must(codes == {"male", "female", "other", "unknown"}, str(codes))


OPERATIONS = {"docref": _docref, "expand": _expand}


# --- formats


async def _formats(kit: Walk) -> None:
    with kit.checking(GROUP, "server", "read of a resource of each profile as XML: what JSON shows", "SHOULD"):
        for group in kit.guide.groups:
            one = next(iter(kit.found[group.name].values()))
            place = f"/fhir/{one['resourceType']}/{one['id']}"
            answer = await kit.http.get(place, headers={"Accept": "application/fhir+xml"})
            must(answer.headers["content-type"].startswith("application/fhir+xml"), f"{place}: {answer.status_code}")
            must(_plain(xml.read(answer.content)) == _plain(one), f"{place}: XML says something else")
    with kit.checking(GROUP, "server", "a search of each type as XML", "SHOULD"):
        for name in sorted({group.type.name for group in kit.guide.groups}):
            answer = await kit.http.get(
                f"/fhir/{name}", params={"_id": "x"}, headers={"Accept": "application/fhir+xml"}
            )
            must(xml.read(answer.content)["type"] == "searchset", f"{name}: {answer.status_code}")
    with kit.checking(GROUP, "server", "each resource that was found says its profile in meta.profile", "SHOULD"):
        for name in {group.type.name for group in kit.guide.groups}:
            silent = [id for id, one in kit.stored[name].items() if not one["meta"].get("profile")]
            must(not silent, f"{name}: {silent[:3]}")


def _plain(value: object) -> object:
    """Numbers as they are written, whatever they are read into."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | str | None) else float(str(value))


# --- what may be there


async def _alone(kit: Walk) -> None:
    """Parameters that SHALL or SHOULD be there only together with others, by themselves."""
    for type in kit.guide.types.values():
        for search in type.others:
            if len(search.codes) != 1 or search.codes[0] not in type.parameters:
                continue
            (code,) = search.codes
            with kit.checking(ALONE, "alone", f"{type.name}: {code}", search.expectation):
                seen = ((one, kit.value_of(type, code, one)) for one in kit.stored[type.name].values())
                source, value = next(((one, value) for one, value in seen if value), ({}, None))
                must(value, "no resource has the element")
                must(source["id"] in await kit.search(type.name, ((code, str(value)),)), "the source is not found")


async def _interactions(kit: Walk, type: Type) -> None:
    """On a copy, so that the chart stays as it is; the copy is deleted at last."""
    grouped = any(group.type is type for group in kit.guide.groups)
    asked = {
        code: how
        for code, how in type.interactions.items()
        if not (grouped and how in ("SHALL", "SHOULD") and code in (*BY_GROUPS, "create"))
    }
    if not asked:
        return
    one = next(iter(kit.stored[type.name].values()), None) or SMALLEST[type.name]
    sent = {key: value for key, value in one.items() if key not in ("id", "meta", "text")}
    made = await kit.http.post(f"/fhir/{type.name}", json=sent)
    must(made.status_code == 201, f"{type.name}: {made.text[:200]}")
    place = "/fhir/" + "/".join(made.json().get(key, "") for key in ("resourceType", "id"))
    for code in sorted(asked, key=lambda code: code == "delete"):
        with kit.checking(BESIDE, "interaction", f"{type.name}: {code}", asked[code]):
            answer = await _asked(kit, code, place, {**sent, "id": made.json()["id"]})
            must(answer.status_code in (200, 201, 204), f"{code}: {answer.status_code} {answer.text[:200]}")
    if "delete" not in asked:
        await kit.http.delete(place)


async def _asked(kit: Walk, code: str, place: str, body: Resource) -> httpx.Response:
    type = place.split("/")[2]
    if code == "create":
        return await kit.http.get(place)
    if code == "search-type":
        return await kit.http.get(f"/fhir/{type}", params={"_id": body["id"]})
    if code == "patch":
        change = b'[{"op": "add", "path": "/language", "value": "en"}]'
        return await kit.http.patch(place, content=change, headers={"Content-Type": JSON_PATCH})
    if code == "update":
        return await kit.http.put(place, json={**body, "language": "en-US"})
    tail = {"vread": "/_history/1", "history-instance": "/_history"}.get(code, "")
    if code == "delete":
        return await kit.http.delete(place)
    return await kit.http.get(f"/fhir/{type}/_history?_count=1" if code == "history-type" else place + tail)


async def _system(kit: Walk) -> None:
    """Interactions with the whole system."""
    entry = {"request": {"method": "GET", "url": "Patient?_count=1"}}
    asks = {
        "batch": ("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}),
        "transaction": ("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
        "search-system": ("GET", "/fhir?_type=Patient&_count=1", None),
        "history-system": ("GET", "/fhir/_history?_count=1", None),
    }
    for code, expectation in kit.guide.interactions.items():
        with kit.checking(BESIDE, "interaction", code, expectation):
            method, path, body = asks[code]
            answer = await kit.http.request(method, path, json=body)
            must(answer.status_code == 200 and answer.json()["resourceType"] == "Bundle", answer.text[:200])
