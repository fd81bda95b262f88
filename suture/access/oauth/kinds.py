"""What kinds of data there are, in words a person understands, and the finer kinds a person may allow instead of a whole.

The finer kinds are those of US Core (https://hl7.org/fhir/us/core/scopes.html).
"""

from __future__ import annotations

import re

# resource type -> what it holds, for the people it is about
TYPES = {
    "Patient": "Name, birth date, address and other personal details",
    "AllergyIntolerance": "Allergies",
    "CarePlan": "Care plans",
    "CareTeam": "Care teams",
    "Condition": "Conditions and diagnoses",
    "Coverage": "Insurance coverage",
    "Device": "Implanted and other devices",
    "DiagnosticReport": "Reports of laboratory, imaging and other examinations",
    "DocumentReference": "Clinical notes and documents",
    "Encounter": "Visits and hospital stays",
    "Goal": "Goals of care",
    "Immunization": "Immunizations",
    "Location": "Places of care",
    "Medication": "What medications are",
    "MedicationDispense": "Medications handed out by pharmacies",
    "MedicationRequest": "Prescriptions",
    "Observation": "Laboratory results, vital signs and other observations",
    "Organization": "Hospitals and practices",
    "Practitioner": "Doctors, nurses and other staff",
    "PractitionerRole": "What staff do, and where",
    "Procedure": "Procedures",
    "Provenance": "Where data came from",
    "QuestionnaireResponse": "Answers to questionnaires",
    "RelatedPerson": "Relatives and representatives",
    "ServiceRequest": "Orders and referrals",
    "Specimen": "Samples",
}
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
# resource type -> (system|code of a category, what it holds)
FINER: dict[str, tuple[tuple[str, str], ...]] = {
    "Condition": (
        (f"{_CONDITION}|problem-list-item", "The list of problems"),
        (f"{_CONDITION}|encounter-diagnosis", "Diagnoses of visits"),
        ("http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern", "Health concerns"),
    ),
    "Observation": (
        (f"{_OBSERVATION}|laboratory", "Laboratory results"),
        (f"{_OBSERVATION}|vital-signs", "Vital signs"),
        (f"{_OBSERVATION}|social-history", "Social history, such as smoking"),
        (f"{_OBSERVATION}|survey", "Surveys and screenings"),
        (f"{_US_CORE}|sdoh", "Social circumstances"),
    ),
}
_DOES = {"c": "add", "r": "read", "u": "change", "d": "delete", "s": "search"}


def title(type: str) -> str:
    """What a type holds; one without words of its own is named by its name."""
    return TYPES.get(type) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type)


def does(letters: str) -> str:
    """What an app may do, such as `read and search`."""
    told = [_DOES[letter] for letter in letters]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def finer_title(type: str, query: str) -> str:
    """A narrowed scope in words; one that is not in the table is shown as its query."""
    known = {f"category={value}": words for value, words in FINER.get(type, ())}
    return known.get(query) or f"{title(type)}, only {query}"


# what an app learns about the person who lets it in
IDENTITY = {
    "openid": "that it is you, by a number that is yours here",
    "fhirUser": "which record of a person in the chart is yours",
    "profile": "your name",
}
