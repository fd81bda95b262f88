"""A full admission and a full result carry what US Core asks of each resource (https://hl7.org/fhir/us/core, must support)."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir import fhirpath
from tests.maps.chart import HOSPITAL, Chart, Resource, adt, errors, msh, pid, pv1

RACE = "extension.where(url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-race')"
ETHNICITY = "extension.where(url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity')"
NPI = "NPI&2.16.840.1.113883.4.6&ISO"
DOCTOR = f"1234567893^Okafor^Chidi^A^^Dr^^^{NPI}^L^^^NPI"

# what the messages below can say; each is FHIRPath that must find something
SUPPORTED: dict[str, tuple[str, ...]] = {
    "Patient": (
        "identifier.system", "identifier.value", "name.family", "name.given", "name.use", "telecom.system", "telecom.value", "telecom.use",
        "gender", "birthDate", "address.line", "address.city", "address.state", "address.postalCode", "address.period", "deceased",
        "communication.language.coding", f"{RACE}.extension.where(url = 'ombCategory').value", f"{RACE}.extension.where(url = 'text').value",
        f"{ETHNICITY}.extension.where(url = 'ombCategory').value", f"{ETHNICITY}.extension.where(url = 'text').value",
    ),
    "Encounter": (
        "identifier.system", "identifier.value", "status", "class.code", "type", "subject.reference", "participant.type", "participant.individual.reference",
        "period.start", "period.end", "reasonCode", "hospitalization.dischargeDisposition", "location.location.reference", "location.status", "serviceProvider.reference",
    ),
    "Condition": (
        "clinicalStatus", "verificationStatus", "category.coding.where(code = 'encounter-diagnosis')", "code.coding", "subject.reference",
        "encounter.reference", "onset", "recordedDate", "extension.where(url.endsWith('condition-assertedDate'))",
    ),
    "AllergyIntolerance": ("clinicalStatus", "code.coding", "patient.reference", "reaction.manifestation"),
    "Coverage": (
        "identifier.where(type.coding.code = 'MB').value", "status", "type", "subscriberId", "beneficiary.reference", "relationship", "period.start",
        "payor.reference", "class.where(type.coding.code = 'group').value", "class.where(type.coding.code = 'plan').value", "class.name",
    ),
    "RelatedPerson": ("active", "patient.reference", "relationship", "name", "telecom", "address"),
    "Procedure": ("status", "code.coding", "subject.reference", "encounter.reference", "performed", "performer.actor", "reasonCode"),
    "Practitioner": ("identifier.where(system = 'http://hl7.org/fhir/sid/us-npi').value", "name.family"),
    "Location": ("status", "name", "physicalType"),
    "Organization": ("active", "name", "identifier.value"),
    "DiagnosticReport": (
        "status", "category.coding.where(code = 'LAB')", "code.coding", "subject.reference", "encounter.reference", "effective", "issued", "performer",
        "result.reference", "presentedForm",
    ),
    "Observation": (
        "status", "category.coding.where(code = 'laboratory')", "code.coding", "subject.reference", "encounter.reference", "effective", "value", "interpretation",
        "referenceRange", "specimen.reference",
    ),
    "ServiceRequest": ("status", "intent", "category", "code.coding", "subject.reference", "encounter.reference", "occurrence", "requester", "reasonCode"),
    "Specimen": ("identifier", "accessionIdentifier", "type.coding", "subject.reference", "collection.collected", "collection.bodySite", "condition"),
}  # fmt: skip
REQUIRED = {"Coverage": ("payor",), "Encounter": ("type",), "Organization": ("name",), "Location": ("name",)}


@pytest.fixture(scope="module")
def chart() -> Chart:
    made = Chart()
    person = pid(
        name="Rivera^Maya^Q^^^^L",
        more="||2028-9^Asian^CDCREC|12 Elm^Apt 4^Cedar Falls^WI^53202^USA^H^^^^^^20200101||^PRN^PH^^1^555^5550192||en^English^ISO639|M^Married^HL70002"
        + "||||||2186-5^Not Hispanic or Latino^CDCREC"
        + "|" * 8
        + "N",
    )
    visit = pv1(end="20261125093000", disposition="01").replace("|4W^402^1||||", f"|4W^402^1|E|||{DOCTOR}", 1)
    made.send(
        *adt(
            "A03",
            person,
            "NK1|1|Rivera^Tom|SPO^Spouse^HL70063|12 Elm^^Cedar Falls^WI^53202|(555)555-0199^PRN^PH||C^Emergency Contact^HL70131",
            visit,
            "PV2|||R07.9^Chest pain^I10C",
            "AL1|1|DA|7980^Penicillin^RXNORM|SV|Hives",
            f"DG1|1||R07.9^Chest pain^I10C||20261124|F||||||||||{DOCTOR}|||20261125",
            f"PR1|1||80146002^Appendectomy^SCT||20261124120000||||||{DOCTOR}||||K35.80^Acute appendicitis^I10C",
            "IN1|1|PPO^Preferred plan|PAY04^^^NAIC&2.16.840.1.113883.4.2&ISO|Acme Health||||GRP9|Staff|||20260101|20261231||PPO^Preferred^L|Rivera^Maya|SEL|19840913"
            + "|" * 18 + "POL998",
        )
    )  # fmt: skip
    made.send(
        msh("ORU^R01"),
        person,
        pv1(),
        f"OBR|1|P1^EHR|F1^LAB|24323-8^Panel^LN||20261125060000|20261125070000|||||||||{DOCTOR}||||||20261125075900||LAB|F||||||R07.9^Chest pain^I10C|||2001&Lab&Tech",
        f"OBX|1|NM|2345-7^Glucose^LN||95|mg/dL^mg/dL^UCUM|70-99|N|||F|||20261125070000||{DOCTOR}",
        "OBX|2|ED|11502-2^Report^LN||^AP^PDF^Base64^JVBERi0=||||||F",
        f"SPM|1|S1&EHR^S1&LAB||119297000^Blood specimen^SCT||||368208006^Left upper arm^SCT|||||||||20261125070000|||||||HEM^Hemolyzed^HL70493||||||A77^^^{HOSPITAL}",
    )
    return made


def found(resources: list[Resource], expression: str) -> list[Any]:
    return [value for r in resources for value in fhirpath.compile(expression, type=r["resourceType"]).evaluate(r)]


@pytest.mark.parametrize(("kind", "expression"), [(kind, e) for kind, listed in SUPPORTED.items() for e in listed])
def test_what_the_message_says_stands_where_us_core_looks(chart: Chart, kind: str, expression: str) -> None:
    assert found(chart.all(kind), expression) != []


@pytest.mark.parametrize("kind", list(SUPPORTED))
def test_all_of_them_are_valid(chart: Chart, kind: str) -> None:
    assert [error for resource in chart.all(kind) for error in errors(resource)] == []


def test_nothing_but_the_sandbox_of_the_sender_is_lost(chart: Chart) -> None:
    assert chart.loss == []
