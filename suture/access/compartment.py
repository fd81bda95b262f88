"""Whether a resource lies in a patient's compartment, compiled from R4's definition of it.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from suture.standards.fhir.definitions import compartment, search_parameter
from suture.standards.fhir.search_query import NOTHING, AnyOf, Compartment, Condition, Match, Target, Token

# Types about no patient at all: a patient's token may read them, as US Core's profiles expect.
SHARED = frozenset(
    [
        "ActivityDefinition",
        "CapabilityStatement",
        "CodeSystem",
        "ConceptMap",
        "Endpoint",
        "HealthcareService",
        "ImplementationGuide",
        "InsurancePlan",
        "Library",
        "Location",
        "Measure",
        "Medication",
        "MedicationKnowledge",
        "OperationDefinition",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "SearchParameter",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "ValueSet",
    ]
)
# What R4 leaves out of the compartment though it names a patient.
ADDED = {"Device": ("patient",)}
# What R4 puts into the compartment though it names many patients at once.
REMOVED = frozenset({"Group"})
# `Patient.link` would open other people's records: a patient's compartment holds that one Patient only.
OWN_RECORD = "Patient"

_WHERE = re.compile(r"\.where\(resolve\(\) is \w+\)")
_PATH = re.compile(r"[A-Z]\w*(\.[a-z]\w*)+")


@cache
def parameters(resource_type: str) -> tuple[str, ...]:
    """The search parameters through which a resource of this type belongs to a patient; none: never."""
    if resource_type == OWN_RECORD or resource_type in REMOVED:
        return ()
    return ADDED.get(resource_type) or compartment("Patient").get(resource_type, ())


def rule(patient: str, resource_type: str) -> Condition:
    """What must hold of a row of this type that belongs to the patient; NOTHING for types that are no patient's."""
    if resource_type == OWN_RECORD:
        return Match("_id", "token", (Token(None, patient),))
    if resource_type in ADDED:
        target = Target("Patient", patient)
        return AnyOf(tuple(Match(code, "reference", (target,)) for code in ADDED[resource_type]))
    return Compartment((patient,)) if parameters(resource_type) else NOTHING


# Types that a caller bound to a practitioner or an encounter may read whole, besides those about no patient.
BOUND = {"practitioner": "Practitioner", "encounter": "Encounter"}


def bound(kind: str, id: str, resource_type: str, letter: str) -> Condition | None:
    """What holds of a row inside R4's compartment of one practitioner or encounter; None: all rows of the type.

    https://hl7.org/fhir/R4/compartmentdefinition-practitioner.html · …-encounter.html
    """
    owner = BOUND[kind]
    if resource_type in SHARED:
        return None if letter in "rs" else NOTHING
    if not id:
        return NOTHING
    if resource_type == owner:
        return Match("_id", "token", (Token(None, id),))
    if kind == "encounter" and resource_type == OWN_RECORD:
        return None  # whose patient it is, the patient's own scopes say
    codes = compartment(owner).get(resource_type, ())
    target = Target(owner, id)
    ways = tuple(Match(code, "reference", (target,)) for code in codes if search_parameter(resource_type, code))
    return AnyOf(ways) if ways else NOTHING


def holds(patient: str, resource: dict[str, Any], base: str = "") -> bool:
    """Whether this resource belongs to the patient with this id; `base` begins absolute references to this server."""
    kind = resource.get("resourceType", "")
    if kind == OWN_RECORD:
        return bool(resource.get("id") == patient)
    wanted = f"Patient/{patient}"
    return any(_names(value, wanted, base) for path in _paths(kind) for value in _walk(resource, path))


def owners(resource: dict[str, Any], base: str = "") -> set[str]:
    """The ids of the patients whose record a resource is part of."""
    kind = resource.get("resourceType", "")
    if kind == OWN_RECORD:
        return {str(resource.get("id", ""))}
    found = {_patient(value, base) for path in _paths(kind) for value in _walk(resource, path)}
    return found - {""}


def _patient(value: Any, base: str) -> str:
    reference = value.get("reference") if isinstance(value, dict) else None
    local = reference.removeprefix(base) if isinstance(reference, str) else ""
    kind, _, rest = local.partition("/")
    return rest.partition("/")[0] if kind == OWN_RECORD else ""


@cache
def _paths(resource_type: str) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for code in parameters(resource_type):
        parameter = search_parameter(resource_type, code)
        if parameter is not None:
            found += _read(resource_type, parameter.expression)
    return tuple(found)


def _read(resource_type: str, expression: str) -> Iterator[tuple[str, ...]]:
    """The plain paths of an expression such as `A.b.where(resolve() is Patient) | A.c.d`."""
    for branch in _WHERE.sub("", expression).split("|"):
        path = branch.strip().strip("()").strip()
        if not _PATH.fullmatch(path):
            raise AssertionError(f"compartment of {resource_type}: no plain path: {branch}")
        kind, *names = path.split(".")
        if kind == resource_type:
            yield tuple(names)


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _names(value: Any, wanted: str, base: str) -> bool:
    reference = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(reference, str):
        return False
    local = reference.removeprefix(base)
    return local == wanted or local.startswith(wanted + "/_history/")
