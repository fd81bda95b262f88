"""The one date by which resources of a type are sorted most: it stands in every posting of theirs."""

from __future__ import annotations

from functools import cache

from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.index import Rows, atoms, plan
from suture.standards.fhir.index_atoms import step_keys
from suture.standards.fhir.index_paths import Path
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


@cache
def one_date(resource_type: str) -> bool:
    """Can a resource of the type have one such date only? Then the sorting date is the beginning of that date."""
    paths = [plan(resource_type).atoms[atom].path for atom in primary_atoms(resource_type)]
    return len(paths) == 1 and not _repeats(resource_type, paths[0])


def _repeats(type: str, path: Path) -> bool:
    types = [type]
    for step in path.steps:
        definitions = [d for t in types if (d := type_definition(t))]
        keys = [key for d in definitions for key in step_keys(d, step, ())]
        if any(many for _, _, many in keys):
            return True
        types = [kind for _, kind, _ in keys]
    return False


def sorting_date(rows: Rows) -> int:
    """The earliest beginning of the type's date, or UNDATED."""
    wanted = primary_atoms(rows.type)
    return min((low for atom, low, _ in rows.dates if atom in wanted), default=UNDATED)
