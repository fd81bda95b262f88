"""Deny by default; a patient's token reaches that patient's compartment and nothing else."""

from __future__ import annotations

import pytest

from suture.access import compartment, policy, smart
from suture.access.caller import ANONYMOUS, Caller
from suture.access.policy import Reach
from suture.errors import Forbidden, Unauthenticated
from suture.standards.fhir.definitions import RESOURCE_TYPES


def caller(scopes: str, patient: str | None = None) -> Caller:
    return Caller("client:t", "client", "t", smart.parse(scopes), patient)


def test_a_caller_without_scopes_reaches_nothing() -> None:
    nobody = caller("")
    assert {policy.reach(nobody, i, t) for i in policy.LETTERS for t in RESOURCE_TYPES} == {Reach.NOTHING}


def test_an_unknown_interaction_reaches_nothing() -> None:
    assert policy.reach(policy.SYSTEM, "merge", "Patient") is Reach.NOTHING


def test_a_patient_scope_without_a_patient_reaches_nothing() -> None:
    assert policy.reach(caller("patient/*.cruds"), "read", "Practitioner") is Reach.NOTHING


@pytest.mark.parametrize(
    ("scopes", "interaction", "resource_type", "expected"),
    [
        ("patient/*.rs", "read", "Observation", Reach.PART),
        ("patient/*.rs", "search-type", "Patient", Reach.PART),
        ("patient/*.rs", "read", "Practitioner", Reach.EVERYTHING),
        ("patient/*.rs", "read", "Device", Reach.PART),
        ("patient/*.cruds", "update", "Practitioner", Reach.NOTHING),
        ("patient/*.rs", "read", "Subscription", Reach.NOTHING),
        ("patient/*.rs", "create", "Observation", Reach.NOTHING),
        ("patient/*.r", "search-type", "Observation", Reach.NOTHING),
        ("patient/*.r", "history-type", "Observation", Reach.NOTHING),
        ("patient/*.r", "history-instance", "Observation", Reach.PART),
        ("patient/*.rs user/Observation.r", "read", "Observation", Reach.EVERYTHING),
        ("patient/*.rs user/Observation.r", "search-type", "Observation", Reach.PART),
        ("user/Observation.r", "read", "Patient", Reach.NOTHING),
    ],
)
def test_reach(scopes: str, interaction: str, resource_type: str, expected: Reach) -> None:
    assert policy.reach(caller(scopes, "p1"), interaction, resource_type) is expected


def test_a_refusal_names_the_scope_that_is_missing() -> None:
    with pytest.raises(Forbidden) as caught:
        policy.require(caller("user/Patient.r"), "search-type", "Observation")
    assert str(caught.value) == (
        "Observation: 't' may not search-type Observation. "
        "It needs a scope such as user/Observation.s; its scopes and bounds do not reach that."
    )


def test_an_anonymous_caller_is_asked_to_sign_in() -> None:
    with pytest.raises(Unauthenticated, match="bearer key"):
        policy.require(ANONYMOUS, "read", "Patient")


@pytest.mark.parametrize(
    ("resource", "inside"),
    [
        ({"resourceType": "Patient", "id": "p1"}, True),
        ({"resourceType": "Patient", "id": "p2", "link": [{"other": {"reference": "Patient/p1"}}]}, False),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/p1"}}, True),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/p1/_history/3"}}, True),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/p11"}}, False),
        ({"resourceType": "Observation", "subject": {"reference": "https://elsewhere/Patient/p1"}}, False),
        ({"resourceType": "Observation", "subject": {"display": "Patient/p1"}}, False),
        ({"resourceType": "Observation", "focus": [{"reference": "Patient/p1"}]}, False),
        ({"resourceType": "Observation", "performer": [{"reference": "x"}, {"reference": "Patient/p1"}]}, True),
        ({"resourceType": "Appointment", "participant": [{"actor": {"reference": "Patient/p1"}}]}, True),
        ({"resourceType": "Provenance", "target": [{"reference": "Patient/p1"}]}, True),
        ({"resourceType": "Observation", "subject": {"reference": "https://own/fhir/Patient/p1"}}, True),
        ({"resourceType": "Observation", "subject": {"reference": "https://own/fhir/Patient/p2"}}, False),
        ({"resourceType": "Device", "patient": {"reference": "Patient/p1"}}, True),
        ({"resourceType": "Practitioner"}, True),
        ({"resourceType": "Subscription"}, False),
        ({"resourceType": "Observation", "subject": ["Patient/p1", None, 5]}, False),
    ],
)
def test_a_row_is_judged_by_what_it_says(resource: dict[str, object], inside: bool) -> None:
    patient = caller("patient/*.rs", "p1")
    assert policy.allows(patient, "read", str(resource["resourceType"]), resource, "https://own/fhir/") is inside


def test_without_a_body_only_a_wide_grant_allows() -> None:
    assert policy.allows(policy.SYSTEM, "read", "Observation", None)
    assert not policy.allows(caller("patient/*.rs", "p1"), "read", "Observation", None)


def test_every_type_of_the_compartment_can_be_judged() -> None:
    judged = {t for t in RESOURCE_TYPES if compartment.parameters(t)}
    assert {"Observation", "Encounter", "Claim", "Device", "Provenance"} <= judged
    assert {t for t in judged if not compartment._paths(t)} == set()


def test_shared_types_are_outside_the_compartment() -> None:
    assert {t for t in compartment.SHARED if compartment.parameters(t)} == set()
    assert compartment.SHARED <= RESOURCE_TYPES
