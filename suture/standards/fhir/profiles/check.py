"""Holds a resource against a profile and names every place where it does not keep it (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import suture.standards.fhir.profiles.values as values
from suture.errors import Inapplicable, InvalidSyntax, Issue
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.patch_place import Place, children
from suture.standards.fhir.profiles.rules import Profile, Rule, TypeRule
from suture.standards.fhir.profiles.slices import URL, Told, type_of
from suture.standards.fhir.profiles.values import MemberOf

MOST = 200  # findings of one profile
DEEPEST = 12  # profiles inside profiles
_PLAIN = frozenset({"BackboneElement", "Element", "Resource", "DomainResource", ""})


@dataclass(frozen=True, slots=True)
class Around:
    """What comes in from outside: other profiles, what references lead to, and which codes value sets hold."""

    profile: Callable[[str], Profile | None] = lambda url: None
    resolve: Callable[[str], dict[str, Any] | None] = lambda reference: None
    member_of: MemberOf = lambda system, code, url: None


@dataclass(slots=True)
class _Check:
    """One walk. `quiet`: only whether it is kept matters."""

    around: Around
    resource: dict[str, Any]
    profile: Profile
    depth: int = 0
    issues: list[Issue] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)  # profiles nobody knows here

    def add(self, path: str, code: str, text: str, mend: str = "", severity: str = "error") -> None:
        if len(self.issues) < MOST:
            self.issues.append(Issue(severity, code, f"{text} ({self.profile.name})", path, mend))

    @property
    def told(self) -> Told:
        return Told(self.around.member_of, self.around.resolve, self.keeps)

    # --- elements

    def walk(self, rule: Rule, place: Place, path: str) -> None:
        """The children of one value."""
        for name, child in rule.children.items():
            found = children(place, name)
            where = f"{path}.{name}"
            self.count(child, len(found), where)
            if child.slices:
                self.sliced(child, found, where)
            for one in found:
                self.value(child, one, _at(where, one))

    def count(self, rule: Rule, number: int, path: str, what: str = "element") -> None:
        if number < rule.min:
            few = "is missing" if number == 0 else f"is there {number} times, at least {rule.min} are asked for"
            self.add(path, "required", f"The {what} {few}.", "Add it.")
        if rule.max is not None and number > rule.max:
            text = "may not be there" if rule.max == 0 else f"is there {number} times, at most {rule.max} are allowed"
            self.add(path, "structure", f"The {what} {text}.", "Leave out what is too much.")

    def value(self, rule: Rule, place: Place, path: str) -> None:
        if place.value is None:  # an extension stands for it
            return
        if not self.typed(rule, place, path):
            return
        if rule.fixed is not None and not equal(place.value, rule.fixed):
            self.add(path, "value", f"The value is not {_short(rule.fixed)}.", "The profile fixes it.")
        if rule.pattern is not None and not values.fits(place.value, rule.pattern):
            self.add(path, "value", f"The value does not hold {_short(rule.pattern)}.", "The profile asks for it.")
        self.bounds(rule, place.value, path)
        self.bound(rule, place, path)
        self.invariants(rule, place, path)
        if rule.children:
            self.walk(rule, place, path)

    def bounds(self, rule: Rule, value: Any, path: str) -> None:
        """Not less, not more, not longer than allowed; what can't be compared is let through."""
        if rule.least is not None and values.order(value, rule.least) == -1:
            self.add(path, "value", f"The value is less than {_short(rule.least)}.", "The profile allows no less.")
        if rule.most is not None and values.order(value, rule.most) == 1:
            self.add(path, "value", f"The value is more than {_short(rule.most)}.", "The profile allows no more.")
        if rule.longest is not None and isinstance(value, str) and len(value) > rule.longest:
            self.add(path, "too-long", f"The text has more than {rule.longest} characters.", "Shorten it.")

    def typed(self, rule: Rule, place: Place, path: str) -> bool:
        """One of the types (else nothing more is asked), one of its profiles; a reference leads to one of its targets."""
        kind = _kind(place)
        fitting = [
            t for t in rule.types if t.code == place.type or t.code == kind or t.code in _PLAIN or place.type in _PLAIN
        ]
        if rule.types and not fitting and not place.type.startswith(self.profile.type + "."):
            codes = ", ".join(t.code for t in rule.types)
            self.add(path, "structure", f"{place.type} is not allowed here.", f"Allowed: {codes}.")
            return False
        for one in fitting[:1]:
            if one.profiles and not any(self.keeps(place.value, place.type, url) for url in one.profiles):
                self.because(one, place, path)
            if one.targets and kind != "Reference" and place.type in ("Reference", "canonical"):
                self.target(one, place, path)
        return True

    def because(self, rule: TypeRule, place: Place, path: str) -> None:
        """Why a value keeps none of the profiles: the findings of the one profile, or that there are several."""
        if len(rule.profiles) > 1:
            self.add(
                path, "structure", "It keeps none of the profiles that are allowed here.", ", ".join(rule.profiles)
            )
            return
        found = self.inner(rule.profiles[0], place.value, place.type, path)
        self.issues += found[: max(0, MOST - len(self.issues))]

    def target(self, rule: TypeRule, place: Place, path: str) -> None:
        reference = place.value.get("reference") if isinstance(place.value, dict) else None
        if not isinstance(reference, str):
            return
        there = self.around.resolve(reference)
        kind = str((there or {}).get("resourceType") or _named(reference, place.value))
        allowed = {self.type_of(url) for url in rule.targets}
        if kind and "" not in allowed and not {kind, "Resource", "Any"} & allowed:
            self.add(path, "structure", f"It refers to a {kind}.", f"Allowed: {', '.join(sorted(allowed))}.")

    def type_of(self, url: str) -> str:
        found = type_of(url)
        if found:
            return found
        known = self.around.profile(url)
        return known.type if known is not None else ""

    # --- slices

    def sliced(self, rule: Rule, found: list[Place], path: str) -> None:
        """Each value to its slice; then how many each slice has, and what holds there."""
        discriminators = (
            rule.slicing.discriminators
            if rule.slicing
            else URL
            if rule.name in ("extension", "modifierExtension")
            else ()
        )
        told, counts, last = self.told, dict.fromkeys(rule.slices, 0), -1
        names = list(rule.slices)
        for place in found:
            name = next((n for n, slice in rule.slices.items() if told.belongs(place, slice, discriminators)), "")
            if not name:
                self.unsliced(rule, place, path)
                continue
            counts[name] += 1
            if rule.slicing and rule.slicing.ordered and names.index(name) < last:
                self.add(
                    _at(path, place), "structure", f"The slice {name} stands behind a later one.", "Put it before."
                )
            last = max(last, names.index(name))
            self.value(rule.slices[name], place, _at(path, place))
            if rule.slices[name].slices:
                self.sliced(rule.slices[name], [place], path)
        if discriminators:
            for name, number in counts.items():
                if rule.slices[name].id in told.undecided:
                    text = f"Whether the slice {name} is there can't be told, its value set is not listed here."
                    self.add(path, "informational", text, "Install the value set.", "information")
                    continue
                self.count(rule.slices[name], number, path, f"slice {name}")

    def unsliced(self, rule: Rule, place: Place, path: str) -> None:
        if rule.slicing and rule.slicing.rules == "closed":
            self.add(
                _at(path, place),
                "structure",
                "It is none of the slices that are allowed here.",
                f"Allowed: {', '.join(rule.slices)}.",
            )

    # --- codes and invariants

    def bound(self, rule: Rule, place: Place, path: str) -> None:
        if rule.binding is None or rule.binding[0] not in ("required", "extensible"):
            return
        strength, url = rule.binding
        if values.member(place.value, url, self.around.member_of) is not False:
            return
        severity = "error" if strength == "required" else "warning"
        if (
            strength == "extensible"
            and isinstance(place.value, dict)
            and "coding" not in place.value
            and "code" not in place.value
        ):
            return
        self.add(
            path, "code-invalid", f"No code of {url} is there ({strength}).", "Take a code of the value set.", severity
        )

    def invariants(self, rule: Rule, place: Place, path: str) -> None:
        for invariant in rule.invariants:
            around = Environment(
                variables={"resource": self.resource, "rootResource": self.resource}, resolve=self.around.resolve
            )
            try:
                kept = compile(invariant.expression).verdict(place.value, around)
            except (Inapplicable, InvalidSyntax):
                self.add(path, "informational", f"The rule {invariant.key} can't be evaluated here.", "", "information")
                continue
            if kept is False:
                self.add(
                    path,
                    "invariant",
                    f"The rule {invariant.key} is broken.",
                    f"It says: {invariant.expression[:300]}",
                    invariant.severity,
                )

    # --- profiles inside

    def keeps(self, value: Any, type: str, url: str) -> bool:
        return not any(issue.severity in ("error", "fatal") for issue in self.inner(url, value, type, ""))

    def inner(self, url: str, value: Any, type: str, path: str) -> list[Issue]:
        """What another profile finds about a value; nothing when nobody knows the profile."""
        if type_of(url) or self.depth >= DEEPEST:
            return []
        profile = self.around.profile(url)
        if profile is None:
            self.unknown.add(url)
            return []
        return _findings(profile, Place(value, type), path or type, self.around, self.resource, self.depth + 1)


def check(resource: dict[str, Any], profile: Profile, around: Around) -> list[Issue]:
    """The findings about a resource that should keep the profile; an empty list when it does."""
    type = str(resource.get("resourceType", ""))
    if type != profile.type and profile.type not in ("Resource", "DomainResource"):
        text = f"A {type} can't keep a profile of {profile.type} ({profile.name})"
        return [Issue("error", "structure", text, type, "Name a profile of its type.")]
    return _findings(profile, Place(resource, type), type, around, resource, 0)


def _findings(
    profile: Profile, place: Place, path: str, around: Around, resource: dict[str, Any], depth: int
) -> list[Issue]:
    made = _Check(around, resource, profile, depth)
    made.invariants(profile.root, place, path)
    made.walk(profile.root, place, path)
    for url in sorted(made.unknown):
        made.add(
            path,
            "informational",
            f"The profile {url} is not known here.",
            "Install it to have it checked.",
            "information",
        )
    if not profile.whole and not type_of(profile.base):
        made.issues += made.inner(profile.base, place.value, place.type, path)
    return made.issues


def _at(path: str, place: Place) -> str:
    return path if place.index is None else f"{path}[{place.index}]"


def _kind(place: Place) -> str:
    return str(place.value.get("resourceType", "")) if isinstance(place.value, dict) else ""


def _named(reference: str, value: dict[str, Any]) -> str:
    """The type a reference names, by its address or by Reference.type."""
    parts = reference.partition("/_history/")[0].split("/")
    return parts[-2] if len(parts) > 1 and parts[-2][:1].isupper() else str(value.get("type", ""))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "…"
