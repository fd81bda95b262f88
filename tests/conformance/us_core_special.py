"""The groups of the US Core kits that are about more than one profile: notes, screening, missing data, the CapabilityStatement."""

from __future__ import annotations

import json
from typing import Any

import httpx

from suture.standards.fhir import validate
from tests.conformance.us_core_guide import Resource
from tests.conformance.us_core_walk import Walk, must

CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ABSENT_CODES = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
NOTES = ["11488-4", "18842-5", "34117-2", "28570-0", "11506-3", "18748-4", "11502-2", "11526-1", "11504-8", "34111-5"]
REPORTS = ["LP29708-2", "LP7839-6", "LP29684-5"]
ADDRESS = ("line", "city", "state", "postalCode", "country")


async def walk(kit: Walk) -> None:
    """All of them; what is created comes last."""
    await _statement(kit)
    await _pages(kit)
    await _notes(kit)
    await _screening(kit)
    _missing(kit)
    _people(kit)
    _directives(kit)
    await _create(kit)


async def _statement(kit: Walk) -> None:
    group = "CapabilityStatement"
    async with httpx.AsyncClient(base_url=kit.http.base_url, timeout=20) as nobody:
        answer = await nobody.get("/fhir/metadata")
    one = answer.json()
    with kit.checking(group, "statement", "GET /metadata without a token: 200 and a valid CapabilityStatement"):
        must((answer.status_code, one["resourceType"]) == (200, "CapabilityStatement"), answer.text[:200])
        must(not [i for i in validate.check(one) if i.severity in {"error", "fatal"}], "not valid")
    with kit.checking(group, "statement", "fhirVersion is 4.0.x, format has JSON"):
        must(one["fhirVersion"].startswith("4.0."), one["fhirVersion"])
        must({"json", "application/json", "application/fhir+json"} & set(one["format"]), str(one["format"]))
    rows = {row["type"]: row for row in one["rest"][0]["resource"]}
    with kit.checking(group, "statement", "supportedProfile names every profile, with and without the version"):
        named = {url for row in rows.values() for url in row.get("supportedProfile", ())}
        wanted = {url for g in kit.guide.groups for url in (g.url, f"{g.url}|{kit.guide.version}")}
        must(wanted <= named, f"lacking: {sorted(wanted - named)}")
    with kit.checking(group, "statement", "instantiates names the US Core server's CapabilityStatement", "SHOULD"):
        urls = ("http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server",)
        must(set(urls) <= set(one.get("instantiates", ())), str(one.get("instantiates")))
    with kit.checking(
        group, "statement", "every interaction, search parameter and include that is asked for is listed"
    ):
        _listed(kit, rows)
    with kit.checking(group, "statement", "every format, patch format and operation that is asked for is listed"):
        asked = kit.guide.statement
        must(all(any(want in have for have in one["format"]) for want in asked["format"]), str(one["format"]))
        must(set(asked["patchFormat"]) <= set(one["patchFormat"]), str(one["patchFormat"]))
        for type in kit.guide.types.values():
            have = {o["name"]: o["definition"] for o in rows[type.name].get("operation", ())}
            must(type.operations.keys() <= have.keys(), f"{type.name}: {sorted(type.operations)}")
    with kit.checking(group, "statement", "every reference policy that is asked for is listed"):
        for row in kit.guide.statement["rest"][0]["resource"]:
            have = rows[row["type"]].get("referencePolicy", ())
            must(set(row.get("referencePolicy", ())) <= set(have), f"{row['type']}: {have}")


def _listed(kit: Walk, rows: dict[str, Resource]) -> None:
    for type in kit.guide.types.values():
        row = rows[type.name]
        have = {one["code"] for one in row.get("interaction", ())}
        wanted = {code for code, how in type.interactions.items() if how in {"SHALL", "SHOULD"}}
        must(wanted <= have, f"{type.name}: {sorted(wanted - have)}")
        have = {one["name"] for one in (*row.get("searchParam", ()), {"name": "_id"}, {"name": "_lastUpdated"})}
        wanted = {code for one in type.searches for code in one.codes}
        must(wanted <= have, f"{type.name}: {sorted(wanted - have)}")
        includes = {":".join(one.split(":")[:2]) for one in type.includes}
        must(includes <= set(row.get("searchInclude", ())), f"{type.name}: {sorted(includes)}")
        must(set(type.revincludes) <= set(row.get("searchRevInclude", ())), f"{type.name}: {type.revincludes}")


def _codes(resources: list[Resource], element: str, system: str = "") -> set[str]:
    found = [one for r in resources for one in _many(r.get(element))]
    return {c["code"] for one in found for c in one.get("coding", ()) if not system or c.get("system") == system}


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


async def _pages(kit: Walk) -> None:
    """The same search in one page and in many."""
    with kit.checking("Paging", "special", "small pages, followed by their next links, show the same as one"):
        for patient in kit.patients:
            whole = await kit.search("Observation", (("patient", patient), ("category", "vital-signs")))
            pairs = (("patient", patient), ("category", "vital-signs"), ("_count", "3"))
            got = [one["id"] for one in await kit.ask("Observation", pairs)]
            must(len(got) == len(set(got)) > 3 and set(got) == whole.keys(), f"{len(got)} of {len(whole)}")


async def _all(kit: Walk, type: str) -> list[Resource]:
    """All of a type, patient by patient."""
    return [one for patient in kit.patients for one in await kit.ask(type, (("patient", patient),))]


async def _notes(kit: Walk) -> None:
    group = "Clinical notes"
    documents, reports = await _all(kit, "DocumentReference"), await _all(kit, "DiagnosticReport")
    with kit.checking(group, "special", "a DocumentReference of each kind of note"):
        have = _codes(documents, "type")
        must(set(NOTES) <= have, f"lacking: {sorted(set(NOTES) - have)}")
    with kit.checking(group, "special", "DiagnosticReports of cardiology, pathology and radiology"):
        have = _codes(reports, "category")
        must(set(REPORTS) <= have, f"lacking: {sorted(set(REPORTS) - have)}")
    with kit.checking(group, "special", "what a DiagnosticReport presents is also a DocumentReference's attachment"):
        forms = {form["url"] for one in reports for form in one.get("presentedForm", ()) if "url" in form}
        files = {content["attachment"].get("url") for one in documents for content in one["content"]}
        must(forms and forms <= files, f"lacking: {sorted(forms - files)}")
    with kit.checking(group, "special", "an attachment's address leads to the document"):
        for url in sorted(forms)[:2]:
            answer = await kit.http.get(f"/fhir/{url}", headers={"Accept": "text/plain"})
            must(answer.status_code == 200 and answer.content, f"{url}: {answer.status_code}")


async def _screening(kit: Walk) -> None:
    group = "Screening and assessments"
    for category in ("sdoh", "functional-status", "disability-status", "cognitive-status"):
        with kit.checking(group, "special", f"Observations of category {category}"):
            got = [
                await kit.ask("Observation", (("patient", p), ("category", f"{CORE}|{category}"))) for p in kit.patients
            ]
            must(any(got), "none")
    for category in ("activity", "social-history"):
        with kit.checking(group, "special", f"Observations of category {category}"):
            got = [await kit.ask("Observation", (("patient", p), ("category", category))) for p in kit.patients]
            must(any(got), "none")
    with kit.checking(group, "special", "Conditions of category sdoh"):
        got = [await kit.ask("Condition", (("patient", p), ("category", f"{CORE}|sdoh"))) for p in kit.patients]
        must(any(got), "none")


def _missing(kit: Walk) -> None:
    seen = json.dumps([one for found in kit.found.values() for one in found.values()])
    with kit.checking("Missing data", "special", "an extension data-absent-reason is seen"):
        must(f'"{ABSENT}"' in seen, "none")
    with kit.checking("Missing data", "special", "a coding unknown of the code system data-absent-reason is seen"):
        must(f'"system": "{ABSENT_CODES}", "code": "unknown"' in seen, "none")


def _people(kit: Walk) -> None:
    found = kit.found
    with kit.checking("People", "special", "a Practitioner has a whole address, or there is a PractitionerRole"):
        addresses = [a for one in found["us-core-practitioner"].values() for a in one.get("address", ())]
        must(any(all(part in a for part in ADDRESS) for a in addresses) or found["us-core-practitionerrole"], "none")
    if kit.guide.version >= "7":
        with kit.checking("People", "special", "the need of an interpreter is told on a Patient or an Encounter"):
            both = [*found["us-core-patient"].values(), *found["us-core-encounter"].values()]
            must(
                any(e["url"].endswith("us-core-interpreter-needed") for one in both for e in one.get("extension", ())),
                "none",
            )
    with kit.checking(
        "People", "special", "a Provenance's agent that is a Practitioner or a Device acts for an Organization"
    ):
        for one in found["us-core-provenance"].values():
            for agent in one["agent"]:
                who = agent["who"]["reference"].partition("/")[0]
                must(who not in {"Practitioner", "Device"} or "onBehalfOf" in agent, one["id"])


def _directives(kit: Walk) -> None:
    found = kit.found.get("us-core-adi-documentreference")
    if found is not None:
        with kit.checking(
            "Advance directives", "special", "a document has a custodian, or a Provenance that tells its agents"
        ):
            must(found and all("custodian" in one for one in found.values()), "none")


async def _create(kit: Walk) -> None:
    for group in kit.guide.groups:
        if group.type.interactions.get("create") != "SHALL":
            continue
        with kit.checking(group.name, "create", "create: 201, and a read shows the same"):
            one = next(iter(kit.found[group.name].values()))
            sent = {key: value for key, value in one.items() if key != "id"}
            made = await kit.http.post(f"/fhir/{group.type.name}", json=sent)
            must(made.status_code == 201, f"{made.status_code} {made.text[:200]}")
            got = (await kit.http.get(made.headers["location"])).json()
            own = {key: value for key, value in got.items() if key not in {"id", "meta"}}
            must(own == {key: value for key, value in sent.items() if key != "meta"}, "another resource")
