"""The one date by which resources of a type are sorted most: it stands in every posting of theirs."""

from __future__ import annotations

from functools import cache

from suture.standards.fhir.index import Rows, atoms
from suture.standards.fhir.index_time import EARLIEST

PRIMARY = {
    "AdverseEvent": "date",
    "AllergyIntolerance": "date",
    "Appointment": "date",
    "AuditEvent": "date",
    "CarePlan": "date",
    "CareTeam": "date",
    "Claim": "created",
    "ClaimResponse": "created",
    "ClinicalImpression": "date",
    "Communication": "sent",
    "CommunicationRequest": "authored",
    "Composition": "date",
    "Condition": "onset-date",
    "Consent": "date",
    "DeviceRequest": "authored-on",
    "DiagnosticReport": "date",
    "DocumentManifest": "created",
    "DocumentReference": "date",
    "Encounter": "date",
    "EpisodeOfCare": "date",
    "ExplanationOfBenefit": "created",
    "FamilyMemberHistory": "date",
    "Flag": "date",
    "Goal": "start-date",
    "ImagingStudy": "started",
    "Immunization": "date",
    "List": "date",
    "Media": "created",
    "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover",
    "MedicationRequest": "authoredon",
    "MedicationStatement": "effective",
    "Observation": "date",
    "Patient": "birthdate",
    "Procedure": "date",
    "Provenance": "recorded",
    "QuestionnaireResponse": "authored",
    "RelatedPerson": "birthdate",
    "RiskAssessment": "date",
    "Schedule": "date",
    "ServiceRequest": "authored",
    "Slot": "start",
    "Specimen": "collected",
    "Task": "authored-on",
}
UNDATED = EARLIEST - 1  # sorts before every date


@cache
def primary_atoms(resource_type: str) -> frozenset[int]:
    return frozenset(atoms(resource_type, PRIMARY.get(resource_type, "")))


def sorting_date(rows: Rows) -> int:
    """The earliest beginning of the type's date, or UNDATED."""
    wanted = primary_atoms(rows.type)
    return min((low for atom, low, _ in rows.dates if atom in wanted), default=UNDATED)
