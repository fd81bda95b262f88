"""Reads a Consent and decides whether it keeps a resource from a caller: pure, from what is handed in.

A deny applies also where it can't be told for sure, a permit only where it can. https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from suture.access import labels
from suture.standards.fhir.definitions import code_parents
from suture.standards.fhir.index_values import period_range

TYPES = "http://hl7.org/fhir/resource-types"
DEFINITIONS = "http://hl7.org/fhir/StructureDefinition/"
PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SEEING, WRITING = frozenset({"access", "use", "disclose"}), frozenset({"collect", "correct", "use"})
_DENYING = frozenset({"OPTOUT", "OPTOUTE"})
_JUDGED = frozenset(
    [
        "id",
        "extension",
        "type",
        "period",
        "actor",
        "action",
        "securityLabel",
        "purpose",
        "class",
        "code",
        "data",
        "provision",
    ]
)  # elements of a provision that are heeded; any other makes it unsure
Coding = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to see something, and for what."""

    actors: frozenset[str]  # Practitioner/…, Organization/…, urn:suture:client|…, urn:suture:partner|…
    purpose: str = ""
    now: int = 0  # microseconds
    actions: frozenset[str] = SEEING
    own: str = ""  # the patient whom the caller is, or stands in for


@dataclass(frozen=True, slots=True)
class Provision:
    """A rule with its criteria (None: says nothing of it) and its exceptions."""

    denies: bool
    low: int
    high: int
    actors: frozenset[str] | None
    actions: frozenset[str] | None
    labels: frozenset[str] | None
    purposes: frozenset[str] | None
    classes: frozenset[Coding] | None
    codes: frozenset[Coding] | None
    references: frozenset[str] | None
    unsure: bool
    exceptions: tuple[Provision, ...]


@dataclass(frozen=True, slots=True)
class Directive:
    """What an active Consent of a patient says."""

    patient: str
    root: Provision


@lru_cache(maxsize=2048)
def read(body: bytes, base: str = "") -> Directive | None:
    """The directive of a stored Consent; None when it is not in force or nobody's. A version is read once."""
    consent: dict[str, Any] = orjson.loads(body)
    patient = _local(consent.get("patient", {}).get("reference", ""), base).removeprefix("Patient/")
    if consent.get("status") != "active" or not patient or "/" in patient:
        return None
    return Directive(patient, _provision(consent.get("provision", {}), _base_rule(consent), base))


def _base_rule(consent: dict[str, Any]) -> bool:
    """Whether everything is denied unless a provision says otherwise."""
    rule = consent.get("policyRule", {}).get("coding", ())
    return any(coding.get("code") in _DENYING for coding in rule)


def _provision(value: dict[str, Any], denies: bool, base: str) -> Provision:
    low, high = period_range(value.get("period", {}))
    denies = value["type"] == "deny" if "type" in value else denies
    return Provision(
        denies,
        low,
        high,
        _set(value.get("actor"), lambda actor: _actors(actor, base)),
        _set(value.get("action"), _concept_codes),
        _set(value.get("securityLabel"), lambda coding: [str(coding.get("code", "")).upper()]),
        _set(value.get("purpose"), lambda coding: [str(coding.get("code", ""))]),
        _set(value.get("class"), lambda coding: [_pair(coding)]),
        _set(value.get("code"), _concept_pairs),
        _set(value.get("data"), lambda data: [_local(data.get("reference", {}).get("reference", ""), base)]),
        not value.keys() <= _JUDGED,
        tuple(_provision(inner, False, base) for inner in value.get("provision", ())),
    )


def _set(values: list[Any] | None, read: Any) -> frozenset[Any] | None:
    return None if not values else frozenset(found for value in values for found in read(value))


def _actors(actor: dict[str, Any], base: str) -> Iterator[str]:
    reference = actor.get("reference", {})
    yield _local(reference.get("reference", ""), base)
    identifier = reference.get("identifier", {})
    if identifier.get("value"):
        yield f"{identifier.get('system', '')}|{identifier['value']}"


def _concept_codes(concept: dict[str, Any]) -> Iterator[str]:
    return (str(coding.get("code", "")) for coding in concept.get("coding", ({},)))


def _concept_pairs(concept: dict[str, Any]) -> Iterator[Coding]:
    return (_pair(coding) for coding in concept.get("coding", ({},)))


def _pair(coding: dict[str, Any]) -> Coding:
    return str(coding.get("system", "")), str(coding.get("code", ""))


def _local(reference: str, base: str) -> str:
    local = reference.removeprefix(base) if base else reference
    return local.partition("/_history/")[0]


# --- deciding


def denies(directives: Iterable[Directive], asked: Asked, resource: dict[str, Any]) -> bool:
    """Whether one of the consents keeps this resource back; no permit lifts the deny of another Consent."""
    return any(_outcome(d.root, d.patient, asked, resource) is True for d in directives)


def _outcome(rule: Provision, patient: str, asked: Asked, resource: dict[str, Any]) -> bool | None:
    """True: denied; False: permitted; None: it says nothing of this."""
    if not _applies(rule, patient, asked, resource):
        return None
    found = [_outcome(inner, patient, asked, resource) for inner in rule.exceptions]
    return True if True in found else False if False in found else rule.denies


def _applies(rule: Provision, patient: str, asked: Asked, resource: dict[str, Any]) -> bool:
    if not rule.low <= asked.now < rule.high:
        return False
    if rule.denies and rule.actors is None and asked.own == patient:
        return False  # a word about everybody is not about the patient
    answers = [*_answers(rule, asked, resource), *([None] if rule.unsure else ())]
    if False in answers:
        return False
    return rule.denies or None not in answers


def _answers(rule: Provision, asked: Asked, resource: dict[str, Any]) -> Iterator[bool | None]:
    """For each criterion whether it is met; None when that can't be told."""
    if rule.actors is not None:
        yield _named(rule.actors, asked.actors)
    if rule.actions is not None:
        yield _met(rule.actions, asked.actions)
    if rule.purposes is not None:
        yield _met(rule.purposes, _purposes(asked.purpose)) if asked.purpose else None
    if not resource:  # content whose parts can't be told apart
        yield from [None] * any(part is not None for part in (rule.labels, rule.classes, rule.codes, rule.references))
        return
    if rule.labels is not None:
        yield _labelled(rule, labels.of(resource))
    if rule.classes is not None:
        yield _classed(rule.classes, resource)
    if rule.codes is not None:
        yield _met(rule.codes, frozenset(_codings(resource)))
    if rule.references is not None:
        yield _refers(rule, resource)


def _met(wanted: frozenset[Any], found: frozenset[Any]) -> bool | None:
    """Whether one is among them; a concept without a code leaves it open."""
    if not wanted.isdisjoint(found):
        return True
    return None if "" in wanted or ("", "") in wanted else False


_KNOWN_ACTORS = ("Practitioner/", "Organization/", "Patient/", "RelatedPerson/", "Device/")


def _named(named: frozenset[str], actors: frozenset[str]) -> bool | None:
    """Roles, teams and groups are not resolved: whether one of those is meant stays open."""
    if not named.isdisjoint(actors):
        return True
    sure = all(actor == "" or "|" in actor or actor.startswith(_KNOWN_ACTORS) for actor in named)
    return False if sure and named != {""} else None


@lru_cache(maxsize=256)
def _purposes(purpose: str) -> frozenset[str]:
    """The purpose and all that it is a kind of: an emergency treatment is a treatment."""
    parents = code_parents(PURPOSES) or {}
    found, open_ = {purpose}, [purpose]
    while open_:
        new = set(parents.get(open_.pop(), ())) - found
        found |= new
        open_ += new
    return frozenset(found)


def _labelled(rule: Provision, found: set[str]) -> bool:
    """Confidentiality is a mark on a scale: a deny reaches from it upward, a permit up to it. Other labels are met or not."""
    assert rule.labels is not None
    scale = {code for code in rule.labels if code in ("U", "L", "M", "N", "R", "V")}
    height, mark = labels.confidentiality(found), labels.confidentiality(scale)
    if scale and (height >= mark if rule.denies else height <= mark):
        return True
    return not (rule.labels - scale).isdisjoint(found)


def _classed(classes: frozenset[Coding], resource: dict[str, Any]) -> bool | None:
    kind, profiles = resource.get("resourceType"), resource.get("meta", {}).get("profile", ())
    if (TYPES, kind) in classes or any(code in (f"{DEFINITIONS}{kind}", *profiles) for _, code in classes):
        return True
    return False if all(system == TYPES or code.startswith("http") for system, code in classes) else None


def _codings(resource: dict[str, Any]) -> Iterator[Coding]:
    """The codings of what a resource is about: its own concepts, one level deep."""
    for value in resource.values():
        for part in value if isinstance(value, list) else (value,):
            codings: Sequence[Any] = part.get("coding", ()) if isinstance(part, dict) else ()
            yield from (_pair(coding) for coding in codings if isinstance(coding, dict))


def _refers(rule: Provision, resource: dict[str, Any]) -> bool:
    """The very resource; for a deny also what names it."""
    assert rule.references is not None
    if f"{resource.get('resourceType')}/{resource.get('id')}" in rule.references:
        return True
    text = orjson.dumps(resource, default=str)
    return rule.denies and any(reference.encode() in text for reference in rule.references if reference)
