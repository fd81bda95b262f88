"""A Consent is decided as R4 says: base rule, criteria, exceptions; in doubt a deny applies and a permit does not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from suture.access import consent, labels
from suture.access.consent import SEEING, WRITING, Asked
from suture.standards.fhir.definitions import code_parents

DOCTOR = "Practitioner/d1"
LOINC = "http://loinc.org"
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"profile": ["http://example.org/lab"]},
    "code": {"coding": [{"system": LOINC, "code": "1234-5"}]},
    "subject": {"reference": "Patient/p1"},
}
TYPES = "http://hl7.org/fhir/resource-types"


def denied(provision: dict[str, Any], resource: dict[str, Any] = OBSERVATION, rule: str = "", **asked: Any) -> bool:
    body: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "patient": {"reference": "Patient/p1"},
        "provision": provision,
    }
    if rule:
        body["policyRule"] = {"coding": [{"system": labels.ACT_CODE, "code": rule}]}
    directive = consent.read(orjson.dumps(body))
    assert directive is not None
    return consent.denies([directive], Asked(asked.pop("actors", frozenset({DOCTOR})), **asked), resource)


def actor(reference: str) -> list[dict[str, Any]]:
    return [{"role": {"text": "x"}, "reference": {"reference": reference}}]


def deny(**criteria: Any) -> dict[str, Any]:
    return {"type": "deny", **criteria}


def permit(**criteria: Any) -> dict[str, Any]:
    return {"type": "permit", **criteria}


OPEN = 1_700_000_000_000_000  # in November 2023
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any], bool]] = [
    ("nothing said", {}, "", {}, False),
    ("a bare deny", deny(), "", {}, True),
    ("a bare permit", permit(), "", {}, False),
    ("opted out", {}, "OPTOUT", {}, True),
    ("opted out with an exception for the doctor", {"provision": [permit(actor=actor(DOCTOR))]}, "OPTOUTE", {}, False),
    ("… and another asks", {"provision": [permit(actor=actor("Practitioner/d2"))]}, "OPTOUTE", {}, True),
    ("opted in, the doctor not", {"provision": [deny(actor=actor(DOCTOR))]}, "OPTINR", {}, True),
    ("opted in, another not", {"provision": [deny(actor=actor("Practitioner/d2"))]}, "OPTINR", {}, False),
    ("deny beats permit beside it", {"provision": [permit(), deny()]}, "", {}, True),
    ("an exception of an exception", {"provision": [deny(provision=[permit(actor=actor(DOCTOR))])]}, "", {}, False),
    ("its type", deny(**{"class": [{"system": TYPES, "code": "Observation"}]}), "", {}, True),
    ("another type", deny(**{"class": [{"system": TYPES, "code": "Condition"}]}), "", {}, False),
    (
        "its profile",
        deny(**{"class": [{"system": "urn:ietf:rfc:3986", "code": "http://example.org/lab"}]}),
        "",
        {},
        True,
    ),
    ("a class nobody knows", deny(**{"class": [{"system": "urn:x", "code": "x"}]}), "", {}, True),
    (
        "… that is permitted",
        {"provision": [permit(**{"class": [{"system": "urn:x", "code": "x"}]})]},
        "OPTOUT",
        {},
        True,
    ),
    ("its code", deny(code=[{"coding": [{"system": LOINC, "code": "1234-5"}]}]), "", {}, True),
    ("another code", deny(code=[{"coding": [{"system": LOINC, "code": "9999-9"}]}]), "", {}, False),
    ("a code in words", deny(code=[{"text": "labs"}]), "", {}, True),
    (
        "the very resource",
        deny(data=[{"meaning": "instance", "reference": {"reference": "Observation/o1"}}]),
        "",
        {},
        True,
    ),
    (
        "another resource",
        deny(data=[{"meaning": "instance", "reference": {"reference": "Observation/o2"}}]),
        "",
        {},
        False,
    ),
    ("its purpose", deny(purpose=[{"system": "x", "code": "HRESCH"}]), "", {"purpose": "HRESCH"}, True),
    ("another purpose", deny(purpose=[{"system": "x", "code": "HRESCH"}]), "", {"purpose": "TREAT"}, False),
    ("no purpose named", deny(purpose=[{"system": "x", "code": "HRESCH"}]), "", {}, True),
    (
        "a kind of the purpose",
        {"provision": [permit(purpose=[{"code": "TREAT"}])]},
        "OPTOUT",
        {"purpose": "ETREAT"},
        False,
    ),
    ("seeing", deny(action=[{"coding": [{"code": "disclose"}]}]), "", {"actions": SEEING}, True),
    ("writing", deny(action=[{"coding": [{"code": "disclose"}]}]), "", {"actions": WRITING}, False),
    ("before its time", deny(period={"start": "2024-01-01"}), "", {"now": OPEN}, False),
    ("in its time", deny(period={"start": "2023-01-01", "end": "2023-12-31"}), "", {"now": OPEN}, True),
    ("after its time", deny(period={"end": "2022"}), "", {"now": OPEN}, False),
    ("restricted ones, this is not", deny(securityLabel=[{"code": "R"}]), "", {}, False),
    ("a team nobody resolves", deny(actor=actor("CareTeam/t1")), "", {}, True),
    ("… that is permitted", {"provision": [permit(actor=actor("CareTeam/t1"))]}, "OPTOUT", {}, True),
    ("the patient about everybody", deny(), "", {"own": "p1"}, False),
    ("another patient", deny(), "", {"own": "p2"}, True),
    ("a date of the data", deny(dataPeriod={"start": "2001"}), "", {}, True),
    ("… that is permitted", {"provision": [permit(dataPeriod={"start": "2001"})]}, "OPTOUT", {}, True),
]


@pytest.mark.parametrize(("says", "provision", "rule", "asked", "expected"), CASES, ids=[c[0] for c in CASES])
def test_decisions(says: str, provision: dict[str, Any], rule: str, asked: dict[str, Any], expected: bool) -> None:
    assert denied(provision, rule=rule, **asked) is expected


@pytest.mark.parametrize(
    ("label", "mark", "kind", "expected"),
    [("R", "R", "deny", True), ("V", "R", "deny", True), ("N", "R", "deny", False), ("PSY", "PSY", "deny", True),
     ("R", "R", "permit", False), ("N", "R", "permit", False), ("V", "R", "permit", True)],
)  # fmt: skip
def test_confidentiality_is_a_scale(label: str, mark: str, kind: str, expected: bool) -> None:
    resource = {**OBSERVATION, "meta": {"security": [{"system": labels.CONFIDENTIALITY, "code": label}]}}
    rule = {"type": kind, "securityLabel": [{"code": mark}]}
    provision = rule if kind == "deny" else {"provision": [rule]}
    assert denied(provision, resource, "" if kind == "deny" else "OPTOUT") is expected


@pytest.mark.parametrize(
    "change", [{"status": "draft"}, {"status": "inactive"}, {"patient": {}}, {"patient": {"reference": "Group/g"}}]
)
def test_what_is_not_in_force_says_nothing(change: dict[str, Any]) -> None:
    body = {"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/p1"}, "provision": deny()}
    assert consent.read(orjson.dumps(body)) is not None
    assert consent.read(orjson.dumps({**body, **change})) is None


def test_an_actor_may_be_named_by_identifier() -> None:
    named = [{"reference": {"identifier": {"system": "urn:suture:client", "value": "lab"}}}]
    assert denied(deny(actor=named), actors=frozenset({"urn:suture:client|lab"}))
    assert not denied(deny(actor=named), actors=frozenset({"urn:suture:client|other"}))


def test_the_table_of_labels_is_hl7s() -> None:
    parents = code_parents(labels.ACT_CODE) or {}

    def sensitive(code: str) -> bool:
        return any(p == "_ActInformationSensitivityPolicy" or sensitive(p) for p in parents.get(code, ()))

    assert {code for code in parents if sensitive(code)} | {"R", "V"} == labels.CODES


def test_who_may_see_the_very_restricted_may_see_the_restricted() -> None:
    assert labels.hidden(labels.clearance("V", "x")).isdisjoint({"R", "V"})
    assert labels.hidden(labels.clearance("*", "x")) == frozenset()
    assert labels.hidden(frozenset()) == labels.CODES
