"""Documents of CDS Hooks: what each is, and everything that can be wrong with it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.cds_hooks import CONTEXTS, MOST, SHAPES, check, kind
from tests import public

CALL: dict[str, Any] = {
    "hook": "order-select",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "fhirServer": "https://a.org/fhir",
    "fhirAuthorization": {
        "access_token": "x",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/Patient.read",
        "subject": "service",
        "patient": "1",
    },
    "context": {
        "userId": "Practitioner/1",
        "patientId": "1",
        "selections": ["NutritionOrder/9"],
        "draftOrders": {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {
                    "fullUrl": "https://a.org/fhir/NutritionOrder/9",
                    "resource": {
                        "resourceType": "NutritionOrder",
                        "id": "9",
                        "status": "draft",
                        "intent": "order",
                        "patient": {"reference": "Patient/1"},
                        "dateTime": "2024-05-01",
                        "oralDiet": {"instruction": "soft"},
                    },
                }
            ],
        },
    },
    "prefetch": {"patient": {"resourceType": "Patient", "id": "1"}, "nothing": None},
}
CARDS: dict[str, Any] = {
    "cards": [
        {
            "summary": "Look",
            "indicator": "info",
            "source": {"label": "We", "url": "https://a.org", "topic": {"code": "x", "system": "urn:x"}},
            "selectionBehavior": "any",
            "suggestions": [
                {
                    "label": "Do",
                    "actions": [
                        {"type": "create", "description": "x", "resource": {"resourceType": "Patient"}},
                        {"type": "delete", "description": "x", "resourceId": "Patient/1"},
                    ],
                }
            ],
            "overrideReasons": [{"code": "x", "system": "urn:x", "display": "no"}],
            "links": [{"label": "x", "url": "https://a.org", "type": "smart", "appContext": "{}"}],
        }
    ]
}
SERVICES: dict[str, Any] = {
    "services": [
        {
            "hook": "patient-view",
            "description": "x",
            "id": "x",
            "prefetch": {"p": "Patient/{{context.patientId}}", "u": "Practitioner/{{userPractitionerId}}"},
        }
    ]
}
FEEDBACK: dict[str, Any] = {
    "feedback": [
        {
            "card": "x",
            "outcome": "accepted",
            "acceptedSuggestions": [{"id": "y"}],
            "outcomeTimestamp": "2024-05-01T10:00:00Z",
        },
        {
            "card": "x",
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": "x", "system": "urn:x"}, "userComment": "no"},
            "outcomeTimestamp": "2024-05-01T10:00:00.5+02:00",
        },
    ]
}
SOUND = {"request": CALL, "response": CARDS, "services": SERVICES, "feedback": FEEDBACK}


@pytest.mark.parametrize(("name", "document"), SOUND.items())
def test_sound_documents(name: str, document: dict[str, Any]) -> None:
    assert kind(document) == name
    assert check(document) == []


def test_lists_of_nothing_are_sound() -> None:
    assert check({"cards": []}) == check({"services": []}) == []


@pytest.mark.parametrize("other", [None, [], {}, {"resourceType": "Patient"}, {"cards": 1}, {"hook": "x"}])
def test_what_is_no_document_of_cds_hooks(other: Any) -> None:
    assert kind(other) == ""
    assert [i.text for i in check({})] == ["This is no document of CDS Hooks."]


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with another value at a path; with the member gone when the value is Ellipsis."""
    made = deepcopy(document)
    at: Any = made
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return made


LONG = "A summary has less than 140 characters."
REQUIRED = "This is required."
ACTION = "cards.0.suggestions.0.actions.0"
AT = "response.cards[0].suggestions[0].actions[0]"


@pytest.mark.parametrize(
    ("document", "path", "value", "place", "text"),
    [
        (CALL, "hookInstance", "1", "request.hookInstance", "This is no UUID."),
        (CALL, "hookInstance", ..., "request.hookInstance", REQUIRED),
        (CALL, "fhirServer", ..., "request.fhirServer", "With fhirAuthorization this is required."),
        (CALL, "fhirServer", "a.org", "request.fhirServer", "This is no absolute URL."),
        (CALL, "fhirAuthorization.token_type", "bearer", "request.fhirAuthorization.token_type", "This is none of the codes."),
        (CALL, "fhirAuthorization.expires_in", "300", "request.fhirAuthorization.expires_in", "This is no whole number."),
        (CALL, "fhirAuthorization.patient", ..., "request.fhirAuthorization.patient", "With scopes of patient/ this is required."),
        (CALL, "context.patientId", "Patient/1", "request.context.patientId", "This is no id."),
        (CALL, "context.userId", "1", "request.context.userId", "This is no local reference."),
        (CALL, "context.draftOrders", ..., "request.context.draftOrders", REQUIRED),
        (CALL, "context.draftOrders", {"resourceType": "Patient"}, "request.context.draftOrders", "This is no Bundle."),
        (CALL, "context.selections", ["NutritionOrder/8"], "request.context.selections[0]", "This is none of the drafts."),
        (CALL, "context.selections", "NutritionOrder/9", "request.context.selections", "This must be a list."),
        (CALL, "prefetch.patient", {"id": "1"}, "request.prefetch.patient", "This is no FHIR resource."),
        (CALL, "prefetch.patient", {"resourceType": "Patient", "gender": "x"}, "request.prefetch.patient.gender", ""),
        (CALL, "prefetch", [1], "request.prefetch", "This must be an object."),
        (CARDS, "cards.0.summary", "x" * 140, "response.cards[0].summary", LONG),
        (CARDS, "cards.0.indicator", "hard-stop", "response.cards[0].indicator", "This is none of the codes."),
        (CARDS, "cards.0.source", ..., "response.cards[0].source", REQUIRED),
        (CARDS, "cards.0.source.label", "", "response.cards[0].source.label", "Nothing may be null or empty."),
        (CARDS, "cards.0.source.icon", "x.png", "response.cards[0].source.icon", "This is no absolute URL."),
        (CARDS, "cards.0.selectionBehavior", ..., "response.cards[0].selectionBehavior", "With suggestions this is required."),
        (CARDS, "cards.0.detail", None, "response.cards[0].detail", "Nothing may be null or empty."),
        (CARDS, "cards.0.overrideReasons.0.display", ..., "response.cards[0].overrideReasons[0].display", REQUIRED),
        (CARDS, "cards.0.links.0.type", "absolute", "response.cards[0].links[0].appContext", "This is for links of type smart."),
        (CARDS, f"{ACTION}.resource", ..., f"{AT}.resource", "To create or update, this is required."),
        (CARDS, f"{ACTION}.resource", "Patient/1", f"{AT}.resource", "This is no FHIR resource."),
        (CARDS, f"{ACTION[:-1]}1.resourceId", ..., f"{AT[:-2]}1].resourceId", "To delete, this is needed."),
        (CARDS, "cards.0.suggestions.0.actions", [], "response.cards[0].suggestions[0].actions", "Nothing may be null or empty."),
        (CARDS, "cards.0.suggestions.0.isRecommended", "yes", "response.cards[0].suggestions[0].isRecommended", "This is no boolean."),
        (SERVICES, "services.0.id", ..., "services.services[0].id", REQUIRED),
        (SERVICES, "services.0.prefetch.p", "Patient/{{secret}}", "services.services[0].prefetch.p", "A token of the query is none that a client can fill in."),
        (SERVICES, "services.0.prefetch.p", 1, "services.services[0].prefetch.p", "This is no query."),
        (FEEDBACK, "feedback.0.acceptedSuggestions", ..., "feedback.feedback[0].acceptedSuggestions", "What was accepted is required."),
        (FEEDBACK, "feedback.0.outcomeTimestamp", "today", "feedback.feedback[0].outcomeTimestamp", "This is no date and time."),
    ],
)  # fmt: skip
def test_each_thing_that_can_be_wrong(document: dict[str, Any], path: str, value: Any, place: str, text: str) -> None:
    found = [(i.expression, i.text) for i in check(changed(document, path, value)) if i.severity == "error"]
    assert any(at == place and (not text or said == text) for at, said in found), found


def test_what_is_unknown_is_a_warning_and_an_extension_none() -> None:
    assert [(i.severity, i.expression) for i in check({"cards": [], "own": 1})] == [("warning", "response.own")]
    assert check({"cards": [], "extension": {"org.a": {"x": None}}}) == []
    assert check({**CALL, "hook": "a.own-hook", "context": {"anything": 1}}) == []


def test_every_hook_asks_for_a_patient() -> None:
    for hook in CONTEXTS:
        found = check({"hook": hook, "hookInstance": CALL["hookInstance"], "context": {"x": 1}})
        assert "request.context.patientId" in {i.expression for i in found}


def test_findings_are_bounded_and_repeat_no_value() -> None:
    found = check({"cards": [{"summary": "secret" * 50, "indicator": "secret"}] * 1000})
    assert len(found) == MOST + 1
    assert "secret" not in str(found)


NAMES = st.sampled_from(
    sorted({field.name for fields in SHAPES.values() for field in fields} | {"resourceType", "extension"})
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["order-select", "patient/x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.sampled_from(sorted(SOUND)))
def test_anything_can_be_checked(document: dict[str, Any], told: str) -> None:
    for issue in (*check(document), *check(document, told)):
        assert issue.text
        assert issue.mend


# of HL7's examples these break the standard, whatever their names say
BROKEN = {
    "cdshooks-request-order-select-bad.json",
    "cdshooks-request-order-select-extensions.json",
    "cdshooks-request-order-sign-bad-1.json",
    "cdshooks-request-order-sign-bad-2.json",
    "cdshooks-request-patient-view-bad.json",
    "cdshooks-response-empty-source.json",
    "cdshooks-response-empty2.json",
    "cdshooks-response-source-link.json",  # a link without type, a summary of more than 139 characters
    "cdshooks-response-suggestion.json",  # suggestions without selectionBehavior
}


def test_hl7s_examples() -> None:
    folder = public.path("fhir-test-cases/validator")
    files = [*folder.glob("cdshooks-*.json"), *folder.glob("cdshooks/*.json")]
    found = {file.name for file in files if any(i.severity == "error" for i in check(json.loads(file.read_bytes())))}
    assert found == BROKEN
    assert len(files) == 20
