"""In whose compartment a resource is: https://hl7.org/fhir/R4/compartmentdefinition.html"""

from __future__ import annotations

from functools import cache

from suture.standards.fhir.definitions import compartment
from suture.standards.fhir.index import Rows, atoms

OWNERS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")
ITSELF = "{def}"


@cache
def compartment_atoms(resource_type: str, owner: str = "Patient") -> frozenset[int]:
    """The atoms whose references put a resource into the compartment of a patient (or another owner)."""
    members = compartment(owner).get(resource_type, ())
    return frozenset(atom for code in members for atom in atoms(resource_type, code))


def patients(rows: Rows) -> set[str]:
    """The ids of the patients in whose compartment the resource is, by its references."""
    wanted = compartment_atoms(rows.type)
    return {id for atom, type, id in rows.references if type == "Patient" and atom in wanted} if wanted else set()


def within(rows: Rows, owner: str, id: str) -> bool:
    """Do the resource's references put it into this compartment?"""
    wanted = compartment_atoms(rows.type, owner)
    return any(atom in wanted and (type, far) == (owner, id) for atom, type, far in rows.references)


@cache
def member_types(owner: str) -> tuple[str, ...]:
    """The types that can be in the compartment, the owner's own among them."""
    return tuple(sorted({*compartment(owner), owner}))
