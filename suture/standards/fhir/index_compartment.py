"""In whose compartment a resource is: https://hl7.org/fhir/R4/compartmentdefinition-patient.html"""

from __future__ import annotations

from functools import cache

from suture.standards.fhir.definitions import compartment
from suture.standards.fhir.index import Rows, atoms


@cache
def compartment_atoms(resource_type: str) -> frozenset[int]:
    """The atoms whose references put a resource into a patient's compartment."""
    members = compartment("Patient").get(resource_type, ())
    return frozenset(atom for code in members for atom in atoms(resource_type, code))


def patients(rows: Rows) -> set[str]:
    """The ids of the patients in whose compartment the resource is, by its references."""
    wanted = compartment_atoms(rows.type)
    return {id for atom, type, id in rows.references if type == "Patient" and atom in wanted} if wanted else set()
