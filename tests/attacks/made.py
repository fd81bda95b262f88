"""Smallest valid resources of every type that can be a patient's, made from R4's definitions."""

from __future__ import annotations

from typing import Any

from suture.access import compartment
from suture.standards.fhir import validate
from suture.standards.fhir.definitions import RESOURCE_TYPES, Element, TypeDefinition, type_definition, value_set

Resource = dict[str, Any]
MARK = "http://example.org/mark"
VALUES: dict[str, Any] = {
    "boolean": True, "integer": 1, "positiveInt": 1, "unsignedInt": 1, "decimal": 1, "string": "x", "markdown": "x",
    "id": "x", "code": "x", "uri": "urn:x", "url": "http://example.org", "canonical": "http://example.org/c",
    "date": "2024-01-02", "dateTime": "2024-01-02T03:04:05Z", "instant": "2024-01-02T03:04:05Z", "time": "01:02:03",
    "oid": "urn:oid:1.2.3", "base64Binary": "eA==", "xhtml": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>",
    "CodeableConcept": {"coding": [{"system": "http://example.org/cs", "code": "c1"}], "text": "x"},
    "Coding": {"system": "http://example.org/cs", "code": "c1"},
    "Identifier": {"system": "http://example.org/ids", "value": "x"},
    "Quantity": {"value": 1}, "Money": {"value": 1, "currency": "USD"}, "Period": {"start": "2024-01-02"},
    "Attachment": {"contentType": "text/plain", "data": "eA=="}, "HumanName": {"family": "x"}, "Annotation": {"text": "x"},
    "Narrative": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"}, "Range": {"low": {"value": 1}},
    "Age": {"value": 1, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}, "SimpleQuantity": {"value": 1},
    "Signature": {"type": [{"code": "x"}], "when": "2024-01-02T03:04:05Z", "who": {"display": "x"}}, "Timing": {"repeat": {"count": 1}},
}  # fmt: skip
FIXED: dict[str, dict[str, Any]] = {
    "Observation": {"code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "valueString": "x"},
    "Condition": {"clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}},
    "AllergyIntolerance": {"clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}},
    "Appointment": {"status": "proposed"},
    "ImmunizationRecommendation": {
        "recommendation": [{"vaccineCode": [{"text": "x"}], "forecastStatus": {"text": "x"}}],
    },
    "Consent": {"policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}},
}  # fmt: skip


def types() -> list[str]:
    """The types that are a patient's, the patient included; AuditEvents are never written."""
    return ["Patient", *(t for t in sorted(RESOURCE_TYPES) if compartment.parameters(t) and t != "AuditEvent")]


def made(type: str, id: str, patient: str, mark: str) -> Resource:
    """A resource of the type that belongs to the patient and carries the mark."""
    definition = type_definition(type)
    assert definition is not None
    resource: Resource = {"resourceType": type, "id": id, **_filled(definition, patient), **FIXED.get(type, {})}
    resource["extension"] = [{"url": MARK, "valueString": mark}]
    if type == "Patient":
        resource |= {"name": [{"family": mark}], "identifier": [{"system": "http://example.org/ids", "value": mark}]}
    elif not compartment.holds(patient, resource):
        _place(resource, definition, compartment._paths(type)[0], patient)
    if "identifier" in definition.elements and type != "Patient":
        one = {"system": "http://example.org/ids", "value": mark}
        resource["identifier"] = [one] if definition.elements["identifier"].max is None else one
    assert type == "Patient" or compartment.holds(patient, resource), type
    wrong = [i for i in validate.check(resource) if i.severity in ("error", "fatal")]
    assert wrong == [], (type, wrong)
    return resource


def _filled(definition: TypeDefinition, patient: str) -> Resource:
    """Every element that must be there."""
    found: Resource = {}
    for element in definition.elements.values():
        if element.min and element.name not in ("id", "resourceType"):
            key, value = _value(definition, element, patient)
            found[key] = value if element.max == 1 else [value]
    return found


def _value(definition: TypeDefinition, element: Element, patient: str) -> tuple[str, Any]:
    type = element.types[0]
    key = next(k for k, (e, t) in definition.keys.items() if e is element and t == type)
    if type == "Reference":
        targets = element.targets or ("Patient",)
        whose = "Patient" in targets or "Resource" in targets
        return key, {"reference": f"Patient/{patient}" if whose else f"{targets[0]}/x"}
    inner = type_definition(type)
    if inner is not None and inner.kind == "backbone":
        return key, _filled(inner, patient)
    members = value_set(element.binding[1]) if element.binding and element.binding[0] == "required" else None
    if members:
        system, code = min(members)
        return key, {"code": code, "CodeableConcept": {"coding": [{"system": system, "code": code}]}}.get(
            type, {"system": system, "code": code}
        )
    return key, VALUES[type]


def _place(resource: Resource, definition: TypeDefinition, path: tuple[str, ...], patient: str) -> None:
    """Puts the patient where the compartment looks for it."""
    head, *rest = path
    key = next(k for k, (e, t) in definition.keys.items() if k == head or (e.name == head and t == "Reference"))
    element, type = definition.keys[key]
    if not rest:
        value: Any = {"reference": f"Patient/{patient}"}
    else:
        inner = type_definition(type)
        assert inner is not None
        value = _filled(inner, patient)
        _place(value, inner, tuple(rest), patient)
    resource[key] = value if element.max == 1 else [value]
