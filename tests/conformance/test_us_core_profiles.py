"""US Core 6.1.0, 7.0.0 and 8.0.0 as the public kits ask for them: what each package says, asked over HTTP of a served chart."""

from __future__ import annotations

import pytest

from suture.services.interactions import us_core
from tests.conformance.checks import check
from tests.conformance.us_core import report
from tests.conformance.us_core_guide import PACKAGES, guide
from tests.conformance.us_core_walk import Result

every_version = pytest.mark.parametrize("version", list(PACKAGES))
SEARCH, ONE, ACROSS, STATEMENT = "Searches", "Resources", "Across profiles", "CapabilityStatement"
SERVER = "The server as a whole"


def of(version: str, *kinds: str) -> list[Result]:
    """The checks of these kinds, none of which may have failed."""
    found = [one for one in report(version) if one.kind in kinds]
    assert [f"{one.group}, {one.says}: {one.why}" for one in found if one.why] == []
    return found


def groups(version: str) -> set[str]:
    return {one.name for one in guide(version).groups}


@check(
    SEARCH,
    "of each profile resources are found: by patient, with the category or code the profile says, or by what refers to them",
    "each page is 200, FHIR JSON and a searchset; only the type asked for is in it, with Medications beside prescriptions and dispenses",
)
@every_version
def test_resources_are_found(version: str) -> None:
    assert {one.group for one in of(version, "first")} == groups(version)


@check(
    SEARCH,
    "each SHALL search, with the values of each patient's resources, finds exactly what matches by the tests' own rules",
    "each SHOULD search does so too, with the four search parameters of US Core that R4 has not put to work as a site's own",
)
@every_version
def test_searches(version: str) -> None:
    found = of(version, "search")
    asked = [(g.name, s.says, s.expectation) for g in guide(version).groups for s in g.type.searches]
    assert sorted((one.group, one.says, one.expectation) for one in found) == sorted(asked)
    assert len([one for one in found if one.expectation == "SHALL"]) > 100


@check(SEARCH, "POST _search finds the same as GET")
@every_version
def test_by_post(version: str) -> None:
    assert len(of(version, "post")) > 40


@check(SEARCH, "a patient or practitioner as id, as Type/id and as an address on this server finds the same")
@every_version
def test_forms_of_references(version: str) -> None:
    assert len(of(version, "reference")) > 40


@check(SEARCH, "a code with its system before it finds its resource")
@every_version
def test_codes_with_their_system(version: str) -> None:
    assert len(of(version, "token")) > 60


@check(SEARCH, "each date parameter takes gt, ge, lt and le: a day before and a day after find exactly what matches")
@every_version
def test_comparators(version: str) -> None:
    found = of(version, "comparator")
    assert len(found) > 60
    assert all(one.says.endswith("gt, ge, lt, le") for one in found)


@check(SEARCH, "where several values SHALL be taken, all of a patient's values at once find all of the resources")
@every_version
def test_several_values(version: str) -> None:
    assert len(of(version, "or")) > 30


@check(
    SEARCH,
    "_include brings exactly what is referred to: medications, endpoints, practitioners, each kind of participant",
)
@every_version
def test_includes(version: str) -> None:
    assert {one.says for one in of(version, "include")} == {
        "_include=CareTeam:participant:Patient",
        "_include=CareTeam:participant:Practitioner",
        "_include=CareTeam:participant:PractitionerRole",
        "_include=CareTeam:participant:RelatedPerson",
        "_include=MedicationDispense:medication",
        "_include=MedicationRequest:medication",
        "_include=PractitionerRole:endpoint",
        "_include=PractitionerRole:practitioner",
    }


@check(
    SEARCH,
    "_revinclude=Provenance:target brings exactly the Provenances of what is found, for every profile that asks for it",
)
@every_version
def test_provenance(version: str) -> None:
    assert len(of(version, "revinclude")) >= 40


@check(
    ONE,
    "read of each resource that was found shows what the search showed",
    "vread and the history of a resource show it too",
)
@every_version
def test_reads(version: str) -> None:
    found = of(version, "read")
    assert {one.group for one in found} == groups(version)
    assert {"vread", "history-instance"} < {one.says for one in found}


@check(ONE, "each resource that was found is valid R4 and keeps the profile as the package defines it")
@every_version
def test_profiles(version: str) -> None:
    assert {one.group for one in of(version, "valid")} == groups(version)


@check(ONE, "each must-support element, slice, extension and choice of each profile is seen")
@every_version
def test_must_support(version: str) -> None:
    assert {one.group for one in of(version, "must-support")} == groups(version)


@check(ONE, "each must-support reference leads to a resource that can be read and keeps the profile it should")
@every_version
def test_references(version: str) -> None:
    assert len(of(version, "references")) >= 80


@check(ONE, "where create SHALL be there (DiagnosticReport, DocumentReference): 201, and a read shows the same")
@every_version
def test_create(version: str) -> None:
    assert {"us-core-diagnosticreport-note", "us-core-documentreference"} <= {o.group for o in of(version, "create")}


def across(version: str, group: str, count: int) -> None:
    assert len([one for one in of(version, "special") if one.group == group]) == count


@check(SEARCH, "small pages, followed by their next links, show the same as one page")
@every_version
def test_pages(version: str) -> None:
    across(version, "Paging", 1)


@check(
    ACROSS,
    "clinical notes: each of ten kinds of DocumentReference, DiagnosticReports of cardiology, pathology and radiology",
    "clinical notes: what a DiagnosticReport presents is a DocumentReference's attachment too, and its address can be read",
)
@every_version
def test_clinical_notes(version: str) -> None:
    across(version, "Clinical notes", 4)


@check(
    ACROSS,
    "screening: Observations of sdoh, functional, disability and cognitive status, activity and social history; Conditions of sdoh",
)
@every_version
def test_screening(version: str) -> None:
    across(version, "Screening and assessments", 7)


@check(ACROSS, "missing data: an extension data-absent-reason and a code `unknown` of its code system are seen")
@every_version
def test_missing_elements(version: str) -> None:
    across(version, "Missing data", 2)


@check(
    ACROSS,
    "a Practitioner has a whole address, or there are PractitionerRoles",
    "the need of an interpreter is told on a Patient or an Encounter (7.0.0 on)",
    "a Provenance's agent that is a Practitioner or a Device acts for an Organization",
)
@every_version
def test_people(version: str) -> None:
    across(version, "People", 2 if version == "6.1.0" else 3)


@check(ACROSS, "advance directives have a custodian (8.0.0)")
@every_version
def test_directives(version: str) -> None:
    across(version, "Advance directives", 1 if version == "8.0.0" else 0)


@check(
    STATEMENT,
    "/metadata answers without a token, is valid, says fhirVersion 4.0.1 and a format of JSON",
    "supportedProfile names every profile, alone and with its version",
    "instantiates names the US Core server's CapabilityStatement",
    "every interaction, search parameter, include and revinclude that SHALL or SHOULD be there is listed",
    "so are formats, patch formats, operations and reference policies",
)
@every_version
def test_statement(version: str) -> None:
    assert len(of(version, "statement")) == 7


@check(
    SERVER,
    "400, 401, 403 and 404 come with an OperationOutcome, for every type; 400 names the parameter",
    "XML: a read of a resource of each profile says what JSON says; a search of each type",
    "each resource names its profile in meta.profile",
)
@every_version
def test_refusals_and_formats(version: str) -> None:
    assert len(of(version, "server")) == 8


@check(SERVER, "$docref finds exactly a patient's documents of each type; $expand gives a value set's codes")
@every_version
def test_operations(version: str) -> None:
    assert {one.says for one in of(version, "operation")} == {"DocumentReference: $docref", "ValueSet: $expand"}


@check(
    SERVER,
    "what only MAY be there: create, update, JSON Patch, delete, histories of each type; batch, transaction, search and history of the system",
    "read, vread and the rest of the types without a profile: Endpoint, HealthcareService, Media",
    "search parameters that are asked for only with others, by themselves",
)
@every_version
def test_what_may_be_there(version: str) -> None:
    assert len(of(version, "interaction")) > 120
    assert len(of(version, "alone")) > 40


@check(
    SERVER,
    "every interaction, operation, search parameter, combination, include and revinclude of the CapabilityStatement has a check",
)
@every_version
def test_nothing_the_statement_says_is_left_out(version: str) -> None:
    """Read from the package itself once more, by other means than the walk's."""
    made = {(row.kind, row.says) for row in report(version)}
    by_type: dict[str, list[Result]] = {}
    names = {group.name: group.type.name for group in guide(version).groups}
    for row in report(version):
        by_type.setdefault(names.get(row.group, ""), []).append(row)
    lacking = [said for said in said_of(version) if not has(said, by_type, made)]
    assert lacking == []
    assert len(made) > 300


def said_of(version: str) -> list[tuple[str, str, str]]:
    """(type, what, its name) of everything that the package's CapabilityStatement lists."""
    found: list[tuple[str, str, str]] = []
    rest = guide(version).statement["rest"][0]
    found += [("", "interaction", one["code"]) for one in rest["interaction"]]
    for row in rest["resource"]:
        type = row["type"]
        found += [(type, "interaction", one["code"]) for one in row.get("interaction", ())]
        found += [(type, "operation", one["name"]) for one in row.get("operation", ())]
        found += [(type, "parameter", one["name"]) for one in row.get("searchParam", ())]
        found += [(type, "include", one) for one in row.get("searchInclude", ())]
        found += [(type, "revinclude", one) for one in row.get("searchRevInclude", ())]
        for one in row.get("extension", ()):
            required = [part["valueString"] for part in one.get("extension", ()) if part["url"] == "required"]
            found += [(type, "together", "+".join(required))] if required else []
    return found


STEPS = {"read": "read", "vread": "read", "history-instance": "read", "search-type": "search", "create": "create"}


def has(said: tuple[str, str, str], by_type: dict[str, list[Result]], made: set[tuple[str, str]]) -> bool:
    type, what, name = said
    own = {(row.kind, row.says) for row in by_type.get(type, ())}
    if what == "interaction":
        steps = {says for kind, says in own if kind == STEPS.get(name)}
        walked = any(says == name or (name not in ("vread", "history-instance") and says) for says in steps)
        return walked or ("interaction", f"{type}: {name}" if type else name) in made
    if what == "operation":
        return ("operation", f"{type}: ${name}") in made
    if what == "parameter":
        return ("search", name) in own or ("alone", f"{type}: {name}") in made
    if what == "together":
        return ("search", name) in own
    return (what, f"_{what}={name}") in own


@check(
    ONE, "each code that a required binding asks for is of its value set, as far as package and R4 say what is in it"
)
@every_version
def test_codes(version: str) -> None:
    assert {one.group for one in of(version, "codes")} == groups(version)


@check(STATEMENT, "no profile is named but those whose every check here holds")
@every_version
def test_only_what_is_proven_is_named(version: str) -> None:
    named = {url for type in us_core.PROFILES for url in us_core.profiles(type) if url.endswith("|" + version)}
    proven = {
        one.url for one in guide(version).groups if not any(r.why for r in report(version) if r.group == one.name)
    }
    assert named == {f"{url}|{version}" for url in proven}
    assert tuple(PACKAGES) == us_core.VERSIONS
