"""Patient.link, which says that two records are of one person: written on both sides, as maps write a merge (A40), and read.

https://hl7.org/fhir/R4/patient-definitions.html#Patient.link
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

REPLACES, REPLACED, ALSO = "replaces", "replaced-by", "seealso"
KINDS = (REPLACES, ALSO)  # what a person may choose; the other record gets the other side of it
OTHER_SIDE = {REPLACES: REPLACED, ALSO: ALSO}
Patient = dict[str, Any]


def targets(patient: Patient, base: str, *kinds: str) -> Iterator[str]:
    """The ids of the Patients here that it is linked with, by links of these kinds, or of all."""
    for link in patient.get("link", ()):
        reference = str(link.get("other", {}).get("reference", ""))
        type, _, id = reference.removeprefix(base).partition("/")
        if type == "Patient" and id and "/" not in id and (not kinds or link.get("type") in kinds):
            yield id


def linked(one: Patient, other: Patient, base: str) -> bool:
    """Whether either of them says that it is linked with the other."""
    return str(other.get("id")) in targets(one, base) or str(one.get("id")) in targets(other, base)


def replaced(patient: Patient) -> bool:
    """Whether another record stands for this one."""
    return any(link.get("type") == REPLACED for link in patient.get("link", ()))


def tied(patient: Patient, other: str, kind: str) -> Patient:
    """With a link to the other; a record that is replaced is no longer in use."""
    links = [*patient.get("link", ()), {"other": {"reference": f"Patient/{other}"}, "type": kind}]
    return {**patient, "link": links, **({"active": False} if kind == REPLACED else {})}


def untied(patient: Patient, other: str, base: str) -> Patient:
    """Without any link to the other."""
    links = [link for link in patient.get("link", ()) if other not in targets({"link": [link]}, base)]
    rest = {name: value for name, value in patient.items() if name != "link"}
    return {**rest, "link": links} if links else rest
