"""Subscription topics: which change of which resource is an event, and by what a subscriber may narrow it.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from suture.errors import InvalidSearch, SutureError
from suture.standards.fhir import fhirpath, search
from suture.standards.fhir.search import Condition, Match, Missing, Subject

BASE = "https://suture.health/fhir/SubscriptionTopic/"
CREATE, UPDATE, DELETE = "create", "update", "delete"
MOST_CONDITIONS = 10  # of one query
MOST_STEPS = 20_000  # of one evaluation of a FHIRPath criterion
_UNSTEADY = ("words", "special")
_OF_TERMS = ("in", "not-in", "above", "below")  # of tokens: they stand for codes that a terminology knows
_KEPT_BESIDE = ("_lastUpdated",)  # not in what is stored of a version


@dataclass(frozen=True, slots=True)
class Trigger:
    """One kind of change that is an event (SubscriptionTopic.resourceTrigger)."""

    type: str
    on: tuple[str, ...] = (CREATE, UPDATE)
    previous: str = ""  # a query the version before must fit
    current: str = ""  # a query the version now must fit
    both: bool = True  # whether both queries must fit, or one is enough
    for_create: bool = True  # what `previous` comes to where nothing was before
    for_delete: bool = False  # what `current` comes to where nothing is left
    fhirpath: str = ""  # over %current and %previous


@dataclass(frozen=True, slots=True)
class Topic:
    """`filters`: type -> the search parameters a subscriber may filter by. `includes`: Type:parameter that goes along."""

    url: str
    title: str
    triggers: tuple[Trigger, ...]
    filters: Mapping[str, tuple[str, ...]]
    includes: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(trigger.type for trigger in self.triggers))


@dataclass(slots=True)
class Change:
    """A version that was written, with the one before; a side that is not there is None."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    base: str = ""
    _subjects: tuple[Subject | None, Subject | None] | None = None

    @property
    def act(self) -> str:
        return CREATE if self.before is None else DELETE if self.after is None else UPDATE

    @property
    def subjects(self) -> tuple[Subject | None, Subject | None]:
        if self._subjects is None:
            before = Subject(self.before, base=self.base) if self.before else None
            after = Subject(self.after, base=self.base) if self.after else None
            self._subjects = (before, after)
        return self._subjects

    @property
    def shown(self) -> Subject | None:
        """What filters are held against: the version now, or the last one of what was deleted."""
        before, after = self.subjects
        return after or before


def fires(topic: Topic, type: str, change: Change) -> bool:
    """Whether the change is an event of the topic."""
    return any(trigger.type == type and _fires(trigger, change) for trigger in topic.triggers)


def _fires(trigger: Trigger, change: Change) -> bool:
    if change.act not in trigger.on:
        return False
    before, after = change.subjects
    was = _fits(trigger.type, trigger.previous, before, trigger.for_create)
    now = _fits(trigger.type, trigger.current, after, trigger.for_delete)
    asked = [found for found in (was, now) if found is not None]
    fine = not asked or (all(asked) if trigger.both else any(asked))
    return fine and (not trigger.fhirpath or _true(trigger.fhirpath, change))


def _fits(type: str, query: str, subject: Subject | None, absent: bool) -> bool | None:
    """None when nothing is asked of this side."""
    if not query:
        return None
    return absent if subject is None else search_holds(conditions(type, query), subject)


def search_holds(found: tuple[Condition, ...], subject: Subject) -> bool:
    return all(search.holds(condition, subject) for condition in found)


def _true(expression: str, change: Change) -> bool:
    """What can't be worked out, or not within the budget, is no event."""
    sides = {"current": change.after, "previous": change.before}
    environment = fhirpath.Environment(variables=sides, steps=MOST_STEPS)
    try:
        return fhirpath.compile(expression).holds(change.after or change.before or {}, environment)
    except SutureError:
        return False


@lru_cache(maxsize=4096)
def conditions(type: str, query: str, base: str = "") -> tuple[Condition, ...]:
    """What a query asks of one resource; raises InvalidSearch for what a single resource can't answer."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_CONDITIONS
        )
    except ValueError:
        raise InvalidSearch("not PARAMETER=VALUE, joined by &", where="query") from None
    asked = search.parse(type, pairs, base_url=base)
    if len(asked.conditions) != len(pairs):
        raise InvalidSearch("it shapes results, it says nothing about a resource", where="query")
    for condition in asked.conditions:
        if not isinstance(condition, Match | Missing) or condition.kind in _UNSTEADY:
            raise InvalidSearch(
                "chains, _has, filters and full text look beyond a parameter of the resource", where="query"
            )
        if condition.parameter in _KEPT_BESIDE:
            raise InvalidSearch("every change is new; its time is nothing to choose by", where="query")
        if isinstance(condition, Match) and condition.kind == "token" and condition.modifier in _OF_TERMS:
            raise InvalidSearch(f":{condition.modifier} looks into a terminology, beyond the resource", where="query")
    return asked.conditions


def _changed(name: str, title: str, type: str, *filters: str, includes: tuple[str, ...] = ()) -> Topic:
    """Every version of a type, deletions too."""
    return Topic(BASE + name, title, (Trigger(type, (CREATE, UPDATE, DELETE)),), {type: ("_id", *filters)}, includes)


_ADMITTED = "status=in-progress&class=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP,http://terminology.hl7.org/CodeSystem/v3-ActCode|ACUTE,http://terminology.hl7.org/CodeSystem/v3-ActCode|NONAC"
_ENCOUNTER = {"Encounter": ("_id", "patient", "subject", "class", "type", "status", "participant", "service-provider")}
_FINAL = "status=final,amended,corrected"

SHIPPED: tuple[Topic, ...] = (
    Topic(
        BASE + "patient-created", "A patient is new", (Trigger("Patient", (CREATE,)),),
        {"Patient": ("_id", "identifier", "general-practitioner", "organization")},
    ),
    _changed("patient-changed", "A patient is new, changed or deleted", "Patient", "identifier", "general-practitioner", "organization"),
    Topic(
        BASE + "encounter-start", "An encounter begins",
        (Trigger("Encounter", previous="status:not=in-progress", current="status=in-progress"),),
        _ENCOUNTER, ("Encounter:patient",),
    ),
    Topic(
        BASE + "encounter-end", "An encounter ends",
        (Trigger("Encounter", previous="status:not=finished", current="status=finished"),),
        _ENCOUNTER, ("Encounter:patient",),
    ),
    Topic(
        BASE + "admission", "A patient is admitted",
        (Trigger("Encounter", previous="status:not=in-progress", current=_ADMITTED),),
        _ENCOUNTER, ("Encounter:patient",),
    ),
    Topic(
        BASE + "discharge", "An inpatient stay ends",
        (Trigger("Encounter", previous="status:not=finished", current=_ADMITTED.replace("in-progress", "finished")),),
        _ENCOUNTER, ("Encounter:patient",),
    ),
    Topic(
        BASE + "observation-created", "An observation is new", (Trigger("Observation", (CREATE,)),),
        {"Observation": ("_id", "patient", "subject", "encounter", "category", "code", "status")}, ("Observation:patient",),
    ),
    _changed("observation-changed", "An observation is new, changed or deleted", "Observation", "patient", "subject", "encounter", "category", "code", "status"),
    Topic(
        BASE + "lab-result", "A laboratory result becomes final",
        (Trigger("Observation", previous="status:not=final,amended,corrected", current=f"category=laboratory&{_FINAL}"),),
        {"Observation": ("_id", "patient", "subject", "encounter", "category", "code", "status")}, ("Observation:patient",),
    ),
    Topic(
        BASE + "diagnostic-report", "A diagnostic report becomes final",
        (Trigger("DiagnosticReport", previous="status:not=final,amended,corrected", current=_FINAL),),
        {"DiagnosticReport": ("_id", "patient", "subject", "encounter", "category", "code", "status")},
        ("DiagnosticReport:patient", "DiagnosticReport:result"),
    ),
    _changed("appointment-changed", "An appointment is new, changed or deleted", "Appointment", "patient", "actor", "status", "date"),
    _changed("medication-request-changed", "A prescription is new, changed or deleted", "MedicationRequest", "patient", "subject", "encounter", "status", "intent"),
    _changed("service-request-changed", "An order is new, changed or deleted", "ServiceRequest", "patient", "subject", "encounter", "status", "intent", "code"),
    _changed("condition-changed", "A problem or diagnosis is new, changed or deleted", "Condition", "patient", "subject", "encounter", "category", "clinical-status", "code"),
    _changed("document-changed", "A document is new, changed or deleted", "DocumentReference", "patient", "subject", "encounter", "category", "type", "status"),
    _changed("task-changed", "A task is new, changed or deleted", "Task", "patient", "owner", "requester", "status", "code"),
)  # fmt: skip
