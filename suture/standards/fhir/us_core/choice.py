"""Which profile of US Core a resource has to keep: by its type, its code and its categories.

https://hl7.org/fhir/us/core/general-guidance.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from suture.errors import Invalid, Issue
from suture.standards.fhir.profiles.claims import Claim
from suture.standards.fhir.profiles.rules import Profile
from suture.standards.fhir.us_core.tables import NEWEST, PROFILE, VERSIONS, guide, profile

NAME = "us-core"
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
OWN = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
Coding = tuple[str, str]  # system, code

# codes that a profile is for besides the one its pattern asks for; a version without the profile skips the row
CODES: dict[Coding, str] = {
    (LOINC, "59408-5"): "us-core-pulse-oximetry",
    (LOINC, "2708-6"): "us-core-pulse-oximetry",
    (LOINC, "72166-2"): "us-core-smokingstatus",
    (SNOMED, "401201003"): "us-core-smokingstatus",
    (SNOMED, "782516008"): "us-core-smokingstatus",
}
# the first row with one of the resource's categories; "" holds for all others
CATEGORIES: dict[str, tuple[tuple[str, frozenset[str], str], ...]] = {
    "Observation": (
        (CATEGORY, frozenset({"vital-signs"}), "us-core-vital-signs"),
        (CATEGORY, frozenset({"laboratory"}), "us-core-observation-lab"),
        (CATEGORY, frozenset({"survey"}), "us-core-observation-screening-assessment"),
        (CATEGORY, frozenset({"social-history"}), "us-core-simple-observation"),
        (
            CATEGORY,
            frozenset({"exam", "therapy", "imaging", "procedure", "activity"}),
            "us-core-observation-clinical-result",
        ),
        (OWN, frozenset(), "us-core-simple-observation"),
    ),
    "Condition": (
        (
            "http://terminology.hl7.org/CodeSystem/condition-category",
            frozenset({"encounter-diagnosis"}),
            "us-core-condition-encounter-diagnosis",
        ),
        ("", frozenset(), "us-core-condition-problems-health-concerns"),
    ),
    "DiagnosticReport": (
        ("http://terminology.hl7.org/CodeSystem/v2-0074", frozenset({"LAB"}), "us-core-diagnosticreport-lab"),
        ("", frozenset(), "us-core-diagnosticreport-note"),
    ),
    "DocumentReference": (
        (LOINC, frozenset({"42348-3"}), "us-core-adi-documentreference"),
        ("", frozenset(), "us-core-documentreference"),
    ),
}


@dataclass(frozen=True, slots=True)
class Named:
    """What a name asks for: one profile, or (without a url) the one that fits each resource in this version."""

    version: str
    url: str = ""

    def urls(self, resource: dict[str, Any]) -> list[str]:
        """The profiles a resource has to keep; none when no profile of US Core is for it."""
        return [self.url] if self.url else fitting(self.version, resource)


def named(name: str) -> Named | None:
    """`us-core`, `us-core@7.0.0`, `us-core-patient`, `us-core-patient@7.0.0`, or a canonical; None for other names."""
    plain, mark, version = name.partition("|") if "|" in name else name.partition("@")
    if plain.startswith(NAME) and mark and version not in VERSIONS:
        text = f"US Core {version[:50]} is not inside"
        raise Invalid(text, where="profile", mend=f"One of {', '.join(VERSIONS)}, or install the guide's package.")
    version = version or NEWEST
    if plain == NAME:
        return Named(version)
    found = profile(f"{plain if plain.startswith(PROFILE) else PROFILE + plain}|{version}")
    return Named(version, found.name) if found is not None else None


def fitting(version: str, resource: dict[str, Any]) -> list[str]:
    """The canonical, with its version, of the profile that a resource has to keep; empty when there is none for it."""
    type = str(resource.get("resourceType", ""))
    if type not in CATEGORIES:
        return _types(version).get(type, [])
    if type == "Observation":
        coded = _codes(version)
        for coding in _codings(resource.get("code")):
            if coding in coded:
                return [coded[coding]]
    found = _codings(resource.get("category"))
    for system, codes, url in _rows(version, type):
        if not system or any(of == system and (not codes or code in codes) for of, code in found):
            return [url]
    return []


def asked(named: Sequence[Named], resource: dict[str, Any]) -> Iterator[Claim]:
    """What has to be kept: by the resource what is named, by each entry of a Bundle what fits it."""
    for found, path, one in _meant(named, resource):
        yield from (Claim(found, path, url) for url in one.urls(found))


def unmet(named: Sequence[Named], resource: dict[str, Any]) -> Iterator[Issue]:
    """A note for each resource that US Core has no profile for."""
    for found, path, one in _meant(named, resource):
        type = str(found.get("resourceType", ""))
        if type != "Bundle" and not one.urls(found):
            text = f"no profile of US Core {one.version} is for this {type}"
            mend = "Give it a category or a code that US Core knows." if type in CATEGORIES else ""
            yield Issue("information", "not-found", text, path, mend)


def _meant(named: Sequence[Named], resource: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Named]]:
    type = str(resource.get("resourceType", ""))
    yield from ((resource, type, one) for one in named)
    entries = resource.get("entry") if type == "Bundle" else None
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict):
            yield from ((inner, f"Bundle.entry[{number}].resource", one) for one in named if not one.url)


@lru_cache(64)
def _rows(version: str, type: str) -> tuple[tuple[str, frozenset[str], str], ...]:
    """The rows of a type whose profiles the version has."""
    known = guide(version)
    return tuple(
        (system, codes, f"{PROFILE}{name}|{version}")
        for system, codes, name in CATEGORIES[type]
        if known is not None and known.profile(PROFILE + name) is not None
    )


def _codings(value: Any) -> list[Coding]:
    """The codings of a CodeableConcept, or of a list of them; what is malformed is passed over."""
    found = []
    for concept in value if isinstance(value, list) else (value,):
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for one in codings if isinstance(codings, list) else ():
            if isinstance(one, dict):
                found.append((str(one.get("system", "")), str(one.get("code", ""))))
    return found


@lru_cache(8)
def _types(version: str) -> dict[str, list[str]]:
    """The types that have one profile."""
    made = {found.type: [found.name] for found in _profiles(version) if found.type != "Extension"}
    return {type: urls for type, urls in made.items() if type not in CATEGORIES}


@lru_cache(8)
def _codes(version: str) -> dict[Coding, str]:
    """The codes of observations that have a profile of their own."""
    known = guide(version)
    made = {
        coding: f"{PROFILE}{name}|{version}"
        for coding, name in CODES.items()
        if known is not None and known.profile(PROFILE + name) is not None
    }
    for found in _profiles(version):
        rule = found.root.children.get("code") if found.type == "Observation" else None
        if rule is not None and rule.pattern is not None:
            made |= dict.fromkeys(_codings(rule.pattern), found.name)
    return made


def _profiles(version: str) -> Iterator[Profile]:
    known = guide(version)
    for url in known.urls if known is not None else ():
        found = known.profile(url) if known is not None else None
        if found is not None:
            yield found
