"""The US Core profiles and versions that this server may name in its CapabilityStatement: those whose every check the tests make.

https://hl7.org/fhir/us/core/CapabilityStatement-us-core-server.html
"""

from __future__ import annotations

SERVER = "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"
GUIDE = "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core"
PLACE = "http://hl7.org/fhir/us/core/StructureDefinition/"
VERSIONS = ("6.1.0", "7.0.0", "8.0.0")
# type -> the names of its profiles
PROFILES: dict[str, tuple[str, ...]] = {
    "AllergyIntolerance": ("us-core-allergyintolerance",),
    "CarePlan": ("us-core-careplan",),
    "CareTeam": ("us-core-careteam",),
    "Condition": ("us-core-condition-encounter-diagnosis", "us-core-condition-problems-health-concerns"),
    "Coverage": ("us-core-coverage",),
    "Device": ("us-core-implantable-device",),
    "DiagnosticReport": ("us-core-diagnosticreport-lab", "us-core-diagnosticreport-note"),
    "DocumentReference": ("us-core-adi-documentreference", "us-core-documentreference"),
    "Encounter": ("us-core-encounter",),
    "Goal": ("us-core-goal",),
    "Immunization": ("us-core-immunization",),
    "Location": ("us-core-location",),
    "Medication": ("us-core-medication",),
    "MedicationDispense": ("us-core-medicationdispense",),
    "MedicationRequest": ("us-core-medicationrequest",),
    "Observation": (
        "head-occipital-frontal-circumference-percentile",
        "pediatric-bmi-for-age",
        "pediatric-weight-for-height",
        "us-core-average-blood-pressure",
        "us-core-blood-pressure",
        "us-core-bmi",
        "us-core-body-height",
        "us-core-body-temperature",
        "us-core-body-weight",
        "us-core-care-experience-preference",
        "us-core-head-circumference",
        "us-core-heart-rate",
        "us-core-observation-adi-documentation",
        "us-core-observation-clinical-result",
        "us-core-observation-lab",
        "us-core-observation-occupation",
        "us-core-observation-pregnancyintent",
        "us-core-observation-pregnancystatus",
        "us-core-observation-screening-assessment",
        "us-core-observation-sexual-orientation",
        "us-core-pulse-oximetry",
        "us-core-respiratory-rate",
        "us-core-simple-observation",
        "us-core-smokingstatus",
        "us-core-treatment-intervention-preference",
    ),
    "Organization": ("us-core-organization",),
    "Patient": ("us-core-patient",),
    "Practitioner": ("us-core-practitioner",),
    "PractitionerRole": ("us-core-practitionerrole",),
    "Procedure": ("us-core-procedure",),
    "Provenance": ("us-core-provenance",),
    "QuestionnaireResponse": ("us-core-questionnaireresponse",),
    "RelatedPerson": ("us-core-relatedperson",),
    "ServiceRequest": ("us-core-servicerequest",),
    "Specimen": ("us-core-specimen",),
}
# Those that came after the first of VERSIONS.
SINCE = {
    "us-core-adi-documentreference": "8.0.0",
    "us-core-average-blood-pressure": "7.0.0",
    "us-core-care-experience-preference": "7.0.0",
    "us-core-observation-adi-documentation": "8.0.0",
    "us-core-treatment-intervention-preference": "7.0.0",
}


def profiles(type: str) -> list[str]:
    """The canonicals of a type's profiles: each alone, and with every version that is supported."""
    return [PLACE + name + version for name in PROFILES.get(type, ()) for version in ("", *_versions(name))]


def _versions(name: str) -> list[str]:
    first = VERSIONS.index(SINCE.get(name, VERSIONS[0]))
    return [f"|{version}" for version in VERSIONS[first:]]
