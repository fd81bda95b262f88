"""The sure yes of a profile's rule: written out for the rules of US Core, by the FHIRPath engine for all others.

A row's function may say yes only where its FHIRPath does not say no; a test holds them against each other.
https://hl7.org/fhir/us/core/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from suture.errors import Inapplicable, InvalidSyntax
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.profiles.quick_test import Seen, Test

UCUM, SNOMED = "http://unitsofmeasure.org", "http://snomed.info/sct"
CVX, NDC = "http://hl7.org/fhir/sid/cvx", "http://hl7.org/fhir/sid/ndc"
Formula = Callable[[Any], bool]
_NPI, _CLIA, _NAIC = re.compile("[0-9]{10}"), re.compile("[0-9]{2}D[0-9]{7}"), re.compile("[0-9]{5}")


def invariant(expression: str) -> Test:
    """The written one; when it doesn't say yes, or there is none, the engine is asked."""
    written = FORMULAS.get(expression)

    def engine(value: Any, seen: Seen) -> bool:
        named = {"resource": seen.resource, "rootResource": seen.resource}
        try:
            told = compile(expression).verdict(value, Environment(variables=named, resolve=seen.resolve or _outside))
        except (Inapplicable, InvalidSyntax):
            return False
        return told is not False

    if written is None:
        return engine
    return lambda value, seen: written(value) or engine(value, seen)


def _outside(reference: str) -> None:
    return None


def _any(*names: str) -> Formula:
    """One of the elements is there."""

    def fits(value: Any) -> bool:
        if type(value) is dict:
            for name in names:
                if value.get(name):
                    return True
        return False

    return fits


def _choice(*names: str) -> Formula:
    """One of the elements is there, or one of the choices."""

    def fits(value: Any) -> bool:
        if type(value) is dict:
            for key in value:
                if key.startswith(names) and value[key]:
                    return True
        return False

    return fits


def _coded(name: str, *codes: str) -> Formula:
    """The element is there, or the code is none of these."""

    def fits(value: Any) -> bool:
        if type(value) is not dict:
            return False
        code = value.get("code")
        codings = code.get("coding") if type(code) is dict else None
        plain = type(codings) is list and all(type(one) is dict and one.get("code") not in codes for one in codings)
        return plain or bool(value.get(name))

    return fits


def _answers(value: Any) -> bool:
    """Where items are answered their linkIds differ, in the whole and inside every item and answer."""
    if type(value) is not dict:
        return False
    items, answers = value.get("item", []), value.get("answer", [])
    if type(items) is not list or type(answers) is not list or not all(type(one) is dict for one in (*items, *answers)):
        return False
    ids = [one.get("linkId") for one in items if "answer" in one]
    sound = all(type(one) is str for one in ids) and len(set(ids)) == len(ids)
    return sound and all(map(_answers, items)) and all(map(_answers, answers))


def _ucum(value: Any) -> bool:
    return type(value) is not dict or "system" not in value or value["system"] == UCUM


def _range(value: Any) -> bool:
    return type(value) is dict and all(_ucum(value.get(side)) for side in ("low", "high"))


def _snomed(value: Any) -> bool:
    return type(value) is dict and ("coding" not in value or SNOMED in _systems(value))


def _systems(value: dict[str, Any]) -> set[str]:
    codings = value.get("coding")
    return {str(one.get("system")) for one in codings if type(one) is dict} if type(codings) is list else set()


def _vaccine(value: Any) -> bool:
    code = value.get("vaccineCode") if type(value) is dict else None
    found = _systems(code) if type(code) is dict else set()
    return type(code) is dict and (NDC in found or CVX not in found)


def _no_drug(value: Any) -> bool:
    code = value.get("vaccineCode") if type(value) is dict else None
    return type(code) is dict and NDC not in _systems(code)


def _name(value: Any) -> bool:
    return type(value) is dict and "extension" not in value and bool(value.get("family") or value.get("given"))


def _as_long(most: int) -> Formula:
    return lambda value: type(value) is dict or (type(value) is str and len(value) >= most)


def _value_like(form: re.Pattern[str]) -> Formula:
    def fits(value: Any) -> bool:
        found = value.get("value") if type(value) is dict else None
        return type(found) is str and form.fullmatch(found) is not None

    return fits


def _npi(value: Any) -> bool:
    """The check digit of a National Provider Identifier (Luhn, with the prefix 80840)."""
    found = value.get("value") if type(value) is dict else None
    if type(found) is not str or _NPI.fullmatch(found) is None:
        return False
    digits = [int(one) for one in found]
    doubled = [one * 2 - 9 * (one > 4) for one in digits[::2]]
    return (sum(doubled) + sum(digits[1::2]) + 24) % 10 == 0


def _one_category(value: Any) -> bool:
    found = value.get("extension") if type(value) is dict else None
    urls = [one.get("url") for one in found if type(one) is dict] if type(found) is list else []
    return urls.count("ombCategory") == 1


_REPORTED = (
    "(status='partial' or status='preliminary' or status='final' or status='amended' or status='corrected' "
    "or status='appended' ) implies "
)
_DIGIT = (
    "(((select(value.substring(0,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+(value.substring(1,1).toInteger())"
    "+(select(value.substring(2,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+(value.substring(3,1).toInteger())"
    "+(select(value.substring(4,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+(value.substring(5,1).toInteger())"
    "+(select(value.substring(6,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+(value.substring(7,1).toInteger())"
    "+(select(value.substring(8,1).toInteger()).select(iif($this<5, $this*2, (($this*2)-9))))+(value.substring(9,1).toInteger())"
    " + 24)mod 10=0)"
)
FORMULAS: dict[str, Formula] = {
    "(component.empty() and hasMember.empty()) implies (dataAbsentReason.exists() or value.exists())": _choice(
        "component", "hasMember", "dataAbsentReason", "value"
    ),
    "value.exists() or dataAbsentReason.exists()": _choice("value", "dataAbsentReason"),
    "$this is dateTime implies $this.toString().length() >= 10": _as_long(10),
    "$this is DateTime implies $this.toString().length() >= 10": _as_long(10),
    "($this as dateTime).toString().length() >= 8": _as_long(8),
    "ofType(Quantity).system.empty() or ofType(Quantity).system = 'http://unitsofmeasure.org'": _ucum,
    "ofType(CodeableConcept).coding.system.empty() or (ofType(CodeableConcept).coding.system contains 'http://snomed.info/sct')": _snomed,
    "(low.system.empty() or low.system = 'http://unitsofmeasure.org') and (high.system.empty() or high.system = 'http://unitsofmeasure.org')": _range,
    "url.exists() or data.exists()": _any("url", "data"),
    "telecom or endpoint": _any("telecom", "endpoint"),
    "telecom.exists() or endpoint.exists()": _any("telecom", "endpoint"),
    "name.exists() or relationship.exists()": _any("name", "relationship"),
    "practitioner or organization or healthcareService or location": _any(
        "practitioner", "organization", "healthcareService", "location"
    ),
    "practitioner.exists() or organization.exists() or healthcareService.exists() or location.exists()": _any(
        "practitioner", "organization", "healthcareService", "location"
    ),
    f"{_REPORTED}effective.exists()": _choice("effective"),
    f"{_REPORTED}issued.exists()": _any("issued"),
    "status='completed' implies whenHandedOver.exists()": _any("whenHandedOver"),
    "(status='completed' or status='in-progress') implies performed.exists()": _choice("performed"),
    "(intent='order' or intent='original-order' or intent='reflex-order'or intent='filler-order' or intent='instance-order') implies requester.exists()": _any(
        "requester"
    ),
    "who.exists((resolve() is Practitioner) or (resolve() is Device)) implies onBehalfOf.exists()": _any("onBehalfOf"),
    "identifier.type.coding.where(system='http://terminology.hl7.org/CodeSystem/v2-0203' and code='MB').exists() or subscriberId.exists()": _any(
        "subscriberId"
    ),
    "subject.exists()": _any("subject"),
    "(QuestionnaireResponse|repeat(answer|item)).select(item.where(answer.value.exists()).linkId.isDistinct()).allTrue()": _answers,
    "vaccineCode.coding.where(system='http://hl7.org/fhir/sid/cvx').exists() implies vaccineCode.coding.where(system='http://hl7.org/fhir/sid/ndc').exists()": _vaccine,
    "vaccineCode.coding.where(system='http://hl7.org/fhir/sid/ndc').empty()": _no_drug,
    "(family.exists() or given.exists()) xor extension.where(url='http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()": _name,
    "code.coding.where(code in '72166-2'|'11367-0').exists() implies value.is(CodeableConcept)": _coded(
        "valueCodeableConcept", "72166-2", "11367-0"
    ),
    "code.coding.where(code in '401201003'|'782516008').exists() implies value.is(Quantity)": _coded(
        "valueQuantity", "401201003", "782516008"
    ),
    "extension.where(url = 'ombCategory').value.where(code in 'ASKU'|'UNK').exists() implies extension.where(url = 'ombCategory').count() = 1": _one_category,
    "value.matches('^[0-9]{10}$')": _value_like(_NPI),
    "value.matches('^[0-9]{2}D[0-9]{7}$')": _value_like(_CLIA),
    "value.matches('^[0-9]{5}$')": _value_like(_NAIC),
    _DIGIT: _npi,
}  # fmt: skip
