"""Profiles made for tests: a pulse with sliced categories, components and extensions.

Its code is that of no vital sign, so that nothing else is asked of it.
"""

from __future__ import annotations

from typing import Any

LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
PULSE, MARK = "http://example.org/pulse", "http://example.org/mark"
Resource = dict[str, Any]


def element(id: str, **more: Any) -> Resource:
    return {"id": id, "path": ".".join(part.partition(":")[0] for part in id.split(".")), **more}


def profile(url: str, type: str, *elements: Resource, **more: Any) -> Resource:
    return {
        "resourceType": "StructureDefinition", "url": url, "version": "1", "name": "Made", "status": "active", "kind": "resource",
        "abstract": False, "type": type, "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type}", "derivation": "constraint",
        "differential": {"element": list(elements)}, **more,
    }  # fmt: skip


def coded(code: str, system: str = LOINC) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def sliced(kind: str, path: str, **more: Any) -> Resource:
    return {"discriminator": [{"type": kind, "path": path}], "rules": "open", **more}


REQUIRED = {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}
PATIENT = [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}]
pulse_profile = profile(
    PULSE,
    "Observation",
    element(
        "Observation",
        constraint=[{"key": "p-1", "human": "x", "severity": "error", "expression": "status != 'cancelled'"}],
    ),
    element("Observation.extension", min=0, max="*"),
    element(
        "Observation.extension:mark", sliceName="mark", min=1, max="1", type=[{"code": "Extension", "profile": [MARK]}]
    ),
    element("Observation.identifier", max="0"),
    element("Observation.category", min=1, slicing=sliced("pattern", "$this")),
    element(
        "Observation.category:vital",
        sliceName="vital",
        min=1,
        max="1",
        patternCodeableConcept=coded("vital-signs", CATEGORY),
    ),
    element("Observation.code", patternCodeableConcept=coded("8478-0")),
    element("Observation.subject", min=1, type=PATIENT),
    element("Observation.value[x]", min=1, type=[{"code": "Quantity"}]),
    element("Observation.value[x].code", min=1, fixedCode="/min"),
    element("Observation.component", slicing=sliced("value", "code.coding.code", rules="closed", ordered=True)),
    element("Observation.component:first", sliceName="first", max="1"),
    element("Observation.component:first.code.coding.code", fixedCode="first"),
    element("Observation.component:second", sliceName="second", max="1"),
    element("Observation.component:second.code.coding.code", fixedCode="second"),
    element("Observation.interpretation", binding=REQUIRED),
)
mark_profile = profile(
    MARK,
    "Extension",
    element("Extension.url", fixedUri=MARK),
    element("Extension.value[x]", min=1, type=[{"code": "string"}]),
    kind="complex-type",
    context=[{"type": "element", "expression": "Observation"}],
)


def pulse(**changes: Any) -> Resource:
    made = {
        "resourceType": "Observation", "id": "o1", "status": "final", "extension": [{"url": MARK, "valueString": "x"}],
        "category": [coded("vital-signs", CATEGORY), coded("exam", CATEGORY)], "code": {**coded("8478-0"), "text": "Pulse"},
        "subject": {"reference": "Patient/p1"},
        "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        "component": [{"code": coded("first"), "valueString": "a"}, {"code": coded("second"), "valueString": "b"}],
        **changes,
    }  # fmt: skip
    return {key: value for key, value in made.items() if value is not None}
