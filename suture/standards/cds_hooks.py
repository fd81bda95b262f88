"""CDS Hooks documents: lists of services, calls, answers and feedback, checked as https://cds-hooks.hl7.org/2.0/ tells.

`kind` says what a JSON document is, `check` what is wrong with it. FHIR resources inside are checked as R4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from suture.errors import Issue
from suture.standards.fhir import validate
from suture.standards.fhir.definitions import RESOURCE_TYPES

MOST = 200  # findings of one document
_DEEPEST = 60  # values inside values
LONGEST_SUMMARY = 139
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_LOCAL = re.compile(rf"(?:{'|'.join(sorted(RESOURCE_TYPES))})/[A-Za-z0-9\-.]{{1,64}}").fullmatch
_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_URL = re.compile(r"https?://[^\s/]+\S*").fullmatch
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)").fullmatch
_TOKEN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_NAMED = re.compile(r"context(?:\.\w+){1,2}|user(?:Practitioner|PractitionerRole|Patient|RelatedPerson)Id").fullmatch
NOTHING = frozenset({"response.cards", "services.services"})  # lists that may be empty


class Field(NamedTuple):
    """One member: its form is a name of FORMS, of SHAPES, `code:a|b`, or one of them in [ ]."""

    name: str
    form: str
    needed: bool = False


def _fields(*rows: str) -> tuple[Field, ...]:
    """`name form`, with a ! where it is required."""
    return tuple(Field(name.rstrip("!"), form, name.endswith("!")) for name, form in (row.split(" ") for row in rows))


SHAPES: dict[str, tuple[Field, ...]] = {
    "services": _fields("services! [service]"),
    "service": _fields("hook! string", "title string", "description! string", "id! string", "prefetch templates", "usageRequirements string"),
    "request": _fields("hook! string", "hookInstance! uuid", "fhirServer url", "fhirAuthorization authorization", "context! object", "prefetch prefetched"),
    "authorization": _fields("access_token! string", "token_type! code:Bearer", "expires_in! integer", "scope! string", "subject! string", "patient id"),
    "response": _fields("cards! [card]", "systemActions [action]"),
    "card": _fields("uuid string", "summary! string", "detail string", "indicator! code:info|warning|critical", "source! source", "suggestions [suggestion]", "selectionBehavior code:at-most-one|any", "overrideReasons [reason]", "links [link]"),
    "source": _fields("label! string", "url url", "icon url", "topic coding"),
    "suggestion": _fields("label! string", "uuid string", "isRecommended boolean", "actions [action]"),
    "action": _fields("type! code:create|update|delete", "description! string", "resource resource", "resourceId string"),
    "link": _fields("label! string", "url! url", "type! code:absolute|smart", "appContext string", "autolaunchable boolean"),
    "coding": _fields("code! string", "system! string", "display string"),
    "reason": _fields("code! string", "system! string", "display! string"),
    "feedback": _fields("feedback! [entry]"),
    "entry": _fields("card! string", "outcome! code:accepted|overridden", "acceptedSuggestions [accepted]", "overrideReason override", "outcomeTimestamp! instant"),
    "accepted": _fields("id! string"),
    "override": _fields("reason coding", "userComment string"),
}  # fmt: skip
_WHO = ("userId! local", "patientId! id")
CONTEXTS: dict[str, tuple[Field, ...]] = {
    "patient-view": _fields(*_WHO, "encounterId id"),
    "order-select": _fields(*_WHO, "encounterId id", "selections! [local]", "draftOrders! bundle"),
    "order-sign": _fields(*_WHO, "encounterId id", "draftOrders! bundle"),
    "order-dispatch": _fields("patientId! id", "dispatchedOrders! [local]", "performer! local", "fulfillmentTasks [resource]"),
    "appointment-book": _fields(*_WHO, "encounterId id", "appointments! bundle"),
    "encounter-start": _fields(*_WHO, "encounterId! id"),
    "encounter-discharge": _fields(*_WHO, "encounterId! id"),
    "medication-refill": _fields("userId local", "patientId! id", "encounterId id", "medications! bundle"),
    "problem-list-item-create": _fields(*_WHO, "encounterId id", "conditions! bundle"),
    "allergyintolerance-create": _fields(*_WHO, "encounterId id", "allergyIntolerance! resource"),
}  # fmt: skip


def kind(document: Any) -> str:
    """services, request, response or feedback; '' for what is no document of CDS Hooks."""
    if not isinstance(document, dict) or "resourceType" in document:
        return ""
    if "hook" in document and ("hookInstance" in document or "context" in document):
        return "request"
    names = {"services": "services", "cards": "response", "systemActions": "response", "feedback": "feedback"}
    return next((told for name, told in names.items() if isinstance(document.get(name), list)), "")


def check(document: dict[str, Any], told: str = "") -> list[Issue]:
    """The findings about a document of a kind (that which it looks like), up to a number."""
    told = told or kind(document)
    if told not in ("services", "request", "response", "feedback"):
        return [_error("", "This is no document of CDS Hooks.", "Send services, a call, cards or feedback.")]
    found: list[Issue] = []
    for issue in (*_empty(document, told, 0), *_object(document, told, told)):
        found.append(issue)
        if len(found) >= MOST:
            found.append(Issue("information", "informational", "There are more findings.", "", "Mend these first."))
            break
    return found


def _error(path: str, text: str, mend: str, code: str = "structure") -> Issue:
    return Issue("error", code, text, path, mend)


# --- forms


def _object(value: Any, shape: str, path: str) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield _error(path, "This must be an object.", "Write { … }.")
        return
    yield from _members(value, SHAPES[shape], path)
    for rule in RULES.get(shape, ()):
        yield from rule(value, path)


def _members(value: dict[str, Any], fields: tuple[Field, ...], path: str) -> Iterator[Issue]:
    for field in fields:
        if field.name in value:
            yield from _member(value[field.name], field.form, f"{path}.{field.name}")
        elif field.needed:
            yield _error(f"{path}.{field.name}", "This is required.", "Add it.", "required")
    for name in sorted(set(value) - {field.name for field in fields} - {"extension"}):
        mend = "Put what is your own into extension."
        yield Issue("warning", "structure", "The standard does not know this.", f"{path}.{name[:60]}", mend)


def _member(value: Any, form: str, path: str) -> Iterator[Issue]:
    if value is None:
        return  # told already
    if form.startswith("["):
        if not isinstance(value, list):
            yield _error(path, "This must be a list.", "Write [ … ].")
            return
        for number, one in enumerate(value):
            yield from _member(one, form[1:-1], f"{path}[{number}]")
    elif form in SHAPES:
        yield from _object(value, form, path)
    elif form.startswith("code:"):
        codes = form[5:].split("|")
        if value not in codes:
            yield _error(path, "This is none of the codes.", f"Write one of: {', '.join(codes)}.", "code-invalid")
    elif form in RESOURCES:
        yield from RESOURCES[form](value, path)
    elif not FORMS[form][0](value):
        yield _error(path, f"This is no {FORMS[form][1]}.", FORMS[form][2], "value")


def _matches(pattern: Callable[[str], object]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern(value))


FORMS: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "string": (lambda value: isinstance(value, str), "text", "Write a string."),
    "boolean": (lambda value: isinstance(value, bool), "boolean", "Write true or false."),
    "integer": (lambda value: type(value) is int, "whole number", "Write a whole number."),
    "object": (lambda value: isinstance(value, dict), "object", "Write { … }."),
    "uuid": (_matches(_UUID), "UUID", "Write a fresh UUID for every call."),
    "url": (_matches(_URL), "absolute URL", "Write https://…"),
    "id": (_matches(_ID), "id", "Write the resource's id alone, without its type."),
    "local": (_matches(_LOCAL), "local reference", "Write Type/id."),
    "instant": (_matches(_INSTANT), "date and time", "Write 2024-05-01T10:00:00Z."),
}


def _resource(value: Any, path: str) -> Iterator[Issue]:
    """What the validator of R4 says of a resource, at its place here."""
    if not isinstance(value, dict) or "resourceType" not in value:
        yield _error(path, "This is no FHIR resource.", "Send the resource itself, with its resourceType.")
        return
    for issue in validate.check(value):
        below = issue.expression.partition(".")[2]
        yield replace(issue, expression=f"{path}.{below}" if below else path)


def _bundle(value: Any, path: str) -> Iterator[Issue]:
    if isinstance(value, dict) and value.get("resourceType") != "Bundle":
        yield _error(path, "This is no Bundle.", "Send the resources in a Bundle.")
    yield from _resource(value, path)


def _prefetched(value: Any, path: str) -> Iterator[Issue]:
    """Each key holds a resource, or null where there is none."""
    if not isinstance(value, dict):
        yield _error(path, "This must be an object.", "Write { … }.")
        return
    for key, one in value.items():
        if one is not None:
            yield from _resource(one, f"{path}.{key[:60]}")


def _templates(value: Any, path: str) -> Iterator[Issue]:
    """Each key holds a query, whose tokens name what a client can fill in."""
    if not isinstance(value, dict):
        yield _error(path, "This must be an object.", "Write { … }.")
        return
    for key, one in value.items():
        place = f"{path}.{key[:60]}"
        if not isinstance(one, str):
            yield _error(place, "This is no query.", "Write Type/id or Type?parameters.", "value")
        elif not all(_NAMED(token) for token in _TOKEN.findall(one)):
            mend = "Write {{context.NAME}} or {{userPractitionerId}} and its like."
            yield _error(place, "A token of the query is none that a client can fill in.", mend, "value")


RESOURCES: dict[str, Callable[[Any, str], Iterator[Issue]]] = {
    "resource": _resource,
    "bundle": _bundle,
    "prefetched": _prefetched,
    "templates": _templates,
}


# --- rules over whole objects


def _empty(value: Any, path: str, depth: int) -> Iterator[Issue]:
    """Nothing is null or empty, but what was not found and lists of nothing to say; resources have rules of their own."""
    if isinstance(value, dict) and ("resourceType" in value or depth > _DEEPEST):
        return
    pairs = value.items() if isinstance(value, dict) else ((f"[{n}]", one) for n, one in enumerate(value))
    for key, one in pairs:
        place = f"{path}{key}" if isinstance(value, list) else f"{path}.{key[:60]}"
        if one in ("", None, {}) or (one == [] and place not in NOTHING):
            if path != "request.prefetch":
                yield _error(place, "Nothing may be null or empty.", "Leave it out.", "value")
        elif isinstance(one, (dict, list)) and key != "extension":
            yield from _empty(one, place, depth + 1)


def _request(value: dict[str, Any], path: str) -> Iterator[Issue]:
    if "fhirAuthorization" in value and "fhirServer" not in value:
        yield _error(
            f"{path}.fhirServer", "With fhirAuthorization this is required.", "Add the server's URL.", "required"
        )
    context, fields = value.get("context"), CONTEXTS.get(str(value.get("hook")))
    if fields is not None and isinstance(context, dict):
        yield from _members(context, fields, f"{path}.context")
        yield from _selected(context, f"{path}.context")


def _selected(context: dict[str, Any], path: str) -> Iterator[Issue]:
    """What is selected is among the drafts."""
    drafts, chosen = context.get("draftOrders"), context.get("selections")
    rows = drafts.get("entry") if isinstance(drafts, dict) else None
    if not isinstance(rows, list) or not isinstance(chosen, list):
        return
    inner = [row.get("resource") for row in rows if isinstance(row, dict)]
    there = {f"{one.get('resourceType')}/{one.get('id')}" for one in inner if isinstance(one, dict)}
    for number, one in enumerate(chosen):
        if isinstance(one, str) and _LOCAL(one) and one not in there:
            yield _error(
                f"{path}.selections[{number}]", "This is none of the drafts.", "Add it to draftOrders.", "value"
            )


def _authorization(value: dict[str, Any], path: str) -> Iterator[Issue]:
    scopes = value.get("scope")
    if isinstance(scopes, str) and any(one.startswith("patient/") for one in scopes.split()) and "patient" not in value:
        yield _error(
            f"{path}.patient", "With scopes of patient/ this is required.", "Add the patient's id.", "required"
        )


def _card(value: dict[str, Any], path: str) -> Iterator[Issue]:
    summary = value.get("summary")
    if isinstance(summary, str) and len(summary) > LONGEST_SUMMARY:
        yield _error(
            f"{path}.summary", "A summary has less than 140 characters.", "Move the rest to detail.", "too-long"
        )
    if "suggestions" in value and "selectionBehavior" not in value:
        mend = "Add it: at-most-one or any."
        yield _error(f"{path}.selectionBehavior", "With suggestions this is required.", mend, "required")


def _action(value: dict[str, Any], path: str) -> Iterator[Issue]:
    if value.get("type") in ("create", "update") and "resource" not in value:
        yield _error(f"{path}.resource", "To create or update, this is required.", "Add the resource.", "required")
    if value.get("type") == "delete" and not {"resource", "resourceId"} & set(value):
        yield _error(f"{path}.resourceId", "To delete, this is needed.", "Add it: Type/id.", "required")


def _link(value: dict[str, Any], path: str) -> Iterator[Issue]:
    if "appContext" in value and value.get("type") == "absolute":
        yield _error(f"{path}.appContext", "This is for links of type smart.", "Remove it, or mend the type.")


def _entry(value: dict[str, Any], path: str) -> Iterator[Issue]:
    if value.get("outcome") == "accepted" and "acceptedSuggestions" not in value:
        yield _error(
            f"{path}.acceptedSuggestions", "What was accepted is required.", "Name the suggestions.", "required"
        )


RULES: dict[str, tuple[Callable[[dict[str, Any], str], Iterator[Issue]], ...]] = {
    "request": (_request,),
    "authorization": (_authorization,),
    "card": (_card,),
    "action": (_action,),
    "link": (_link,),
    "entry": (_entry,),
}
