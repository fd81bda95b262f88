"""FHIRPath: CPU per evaluation of typical expressions, and the ratio to fhirpathpy in the same run.

python -m bench.fhirpath
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

from suture.standards.fhir.fhirpath import compile

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "example",
    "identifier": [{"use": "usual", "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345"}],
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
        {"use": "maiden", "family": "Windsor", "given": ["Peter", "James"], "period": {"end": "2002"}},
    ],
    "telecom": [
        {"use": "home"},
        {"system": "phone", "value": "(03) 5555 6473", "use": "work", "rank": 1},
        {"system": "phone", "value": "(03) 3410 5613", "use": "mobile", "rank": 2},
    ],
    "gender": "male",
    "birthDate": "1974-12-25",
    "address": [
        {"use": "home", "line": ["534 Erewhon St"], "city": "PleasantVille", "period": {"start": "1974-12-25"}}
    ],
    "contact": [{"name": {"family": "du Marché", "given": ["Bénédicte"]}, "gender": "female"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}, {"system": "http://snomed.info/sct", "code": "27113001"}]},
    "subject": {"reference": "Patient/example"},
    "effectiveDateTime": "2016-03-28",
    "valueQuantity": {"value": 185, "unit": "lbs", "system": "http://unitsofmeasure.org", "code": "[lb_av]"},
}  # fmt: skip

EXPRESSIONS: list[tuple[str, dict[str, Any]]] = [
    ("name.where(use = 'official').family", PATIENT),
    ("Patient.name.given", PATIENT),
    ("telecom.where(system = 'phone' and use = 'work').value", PATIENT),
    ("birthDate < @1980", PATIENT),
    ("contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())", PATIENT),
    ("code.coding.exists(system = 'http://loinc.org' and code = '29463-7')", OBSERVATION),
    ("Observation.value > 100 '[lb_av]'", OBSERVATION),
    ("(Observation.value as Quantity) | (Observation.value as SampledData)", OBSERVATION),
    ("dataAbsentReason.empty() or value.empty()", OBSERVATION),
    ("Patient.descendants().count()", PATIENT),
]


def cpu(call: Callable[[], Any], budget: float = 0.4) -> float:
    """Microseconds of CPU per call."""
    times, spent = 0, 0.0
    while spent < budget:
        started = time.process_time()
        for _ in range(50):
            call()
        spent += time.process_time() - started
        times += 50
    return spent / times * 1e6


def peer(text: str) -> Callable[[dict[str, Any]], Any]:
    """The same expression compiled by fhirpathpy with its R4 model."""
    evaluate: Callable[[dict[str, Any]], Any] = fhirpathpy.compile(text, models["r4"])
    return evaluate


def main() -> None:
    print(f"{'µs':>8} {'per s':>10} {'fhirpathpy µs':>14} {'ratio':>7}  expression")
    for text, resource in EXPRESSIONS:
        expression, other, theirs = compile(text), peer(text), copy.deepcopy(resource)
        own = cpu(lambda expression=expression, resource=resource: expression.evaluate(resource))  # type: ignore[misc]
        try:
            other(theirs)
            slow = cpu(lambda other=other, theirs=theirs: other(theirs))  # type: ignore[misc]
        except Exception as error:
            print(f"{own:8.2f} {1e6 / own:10,.0f} {'fails: ' + type(error).__name__:>14} {'':>7}  {text}")
            continue
        print(f"{own:8.2f} {1e6 / own:10,.0f} {slow:14.1f} {slow / own:6.0f}x  {text}")


if __name__ == "__main__":
    main()
