"""Holds a resource against a profile and names every place where it does not keep it (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import suture.standards.fhir.profiles.bounds as bounds
import suture.standards.fhir.profiles.values as values
from suture.errors import Inapplicable, InvalidSyntax, Issue
from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.patch_place import Place, children
from suture.standards.fhir.profiles.rules import Profile, Rule, TypeRule, part
from suture.standards.fhir.profiles.slices import TYPE, URL, Told, is_a, resource_type, type_of
from suture.standards.fhir.profiles.values import MemberOf

MOST = 200  # findings of one profile
DEEPEST = 12  # profiles inside profiles
_PLAIN = frozenset({"BackboneElement", "Element", "Resource", "DomainResource", ""})


@dataclass(frozen=True, slots=True)
class Around:
    """What comes in from outside: other profiles, what references lead to, which codes value sets hold, the day.

    It is made for one resource: which of its parts keep which profiles is remembered here.
    """

    profile: Callable[[str], Profile | None] = lambda url: None
    resolve: Callable[[str], dict[str, Any] | None] = lambda reference: None
    member_of: MemberOf = lambda system, code, url: None
    today: str = ""  # 2026-11-25; empty: bounds that are counted from today are not checked
    kept: dict[tuple[int, str, str], tuple[Any, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class _Check:
    """One walk."""

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
        return Told(self.around.member_of, self.around.resolve, self.keeps, self.within, self.type_of)

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
            self.absent(rule, place, path)
        elif self.typed(rule, place, path):
            self.held(rule, place, path)

    def absent(self, rule: Rule, place: Place, path: str) -> None:
        """Where an extension stands for the value: whether it may, and whether it is one of those that are asked for."""
        if rule.present:
            self.add(path, "required", "A value must be here.", "An extension can't stand for it.")
        there = place.shadow.get("extension", []) if isinstance(place.shadow, dict) else []
        urls = {one.get("url") for one in there if isinstance(one, dict)}
        if rule.instead and not urls & set(rule.instead):
            allowed = ", ".join(rule.instead)
            self.add(path, "required", "The value is missing, and no extension says why.", f"Allowed: {allowed}.")

    def held(self, rule: Rule, place: Place, path: str) -> None:
        """All that is asked of the value itself and of what it holds."""
        if rule.fixed is not None and not equal(place.value, rule.fixed):
            self.add(path, "value", f"The value is not {_short(rule.fixed)}.", "The profile fixes it.")
        if rule.pattern is not None and not values.fits(place.value, rule.pattern):
            self.add(path, "value", f"The value does not hold {_short(rule.pattern)}.", "The profile asks for it.")
        for code, text, mend in bounds.broken(rule, place.value, self.around.today):
            self.add(path, code, text, mend)
        for strength, url in (*([rule.binding] if rule.binding else ()), *rule.bindings):
            self.bound(strength, url, place, path)
        self.invariants(rule, place, path)
        if rule.children:
            self.walk(rule, place, path)

    def typed(self, rule: Rule, place: Place, path: str) -> bool:
        """One of the types (else nothing more is asked), one of its profiles; a reference leads to one of its targets."""
        kind = resource_type(place)
        fitting = [
            t for t in rule.types if t.code == place.type or t.code == kind or t.code in _PLAIN or place.type in _PLAIN
        ]
        if rule.types and not fitting and not place.type.startswith(self.profile.type + "."):
            codes = ", ".join(t.code for t in rule.types)
            self.add(path, "structure", f"{kind or place.type} is not allowed here.", f"Allowed: {codes}.")
            return False
        if fitting and not any(self.suits(one, place) for one in fitting):
            self.because(fitting[0], place, path)
        for one in fitting[:1]:
            if one.targets and kind != "Reference" and place.type in ("Reference", "canonical"):
                self.target(one, place, path)
        return True

    def suits(self, rule: TypeRule, place: Place) -> bool:
        return not rule.profiles or any(self.keeps(place.value, place.type, url) for url in rule.profiles)

    def because(self, rule: TypeRule, place: Place, path: str) -> None:
        """Why a value keeps none of the profiles: the findings of the one profile, or that there are several."""
        if len(rule.profiles) > 1:
            self.add(
                path, "structure", "It keeps none of the profiles that are allowed here.", ", ".join(rule.profiles)
            )
            return
        found = self.inner(rule.profiles[0], place.value, place.type, path)
        self.issues += found[: max(0, MOST - len(self.issues))]

    # --- references

    def target(self, rule: TypeRule, place: Place, path: str) -> None:
        reference = place.value.get("reference") if isinstance(place.value, dict) else None
        if not isinstance(reference, str):
            return
        there = self.around.resolve(reference)
        kind = str((there or {}).get("resourceType") or _named(reference, place.value))
        allowed = {self.type_of(url) for url in rule.targets}
        if kind and "" not in allowed and not any(is_a(kind, one) for one in allowed) and "Any" not in allowed:
            self.add(path, "structure", f"It refers to a {kind}.", f"Allowed: {', '.join(sorted(allowed))}.")
        elif there is not None and not any(self.keeps(there, kind, url) for url in rule.targets):
            text = "What it refers to keeps none of the profiles that are asked for."
            self.add(path, "structure", text, f"Allowed: {', '.join(rule.targets)}.")
        self.aggregated(rule, reference, there, path)

    def aggregated(self, rule: TypeRule, reference: str, there: dict[str, Any] | None, path: str) -> None:
        """Contained, in the Bundle or outside, where the profile says which."""
        bundled = self.resource.get("resourceType") == "Bundle"
        way = "contained" if reference.startswith("#") else "bundled" if bundled and there is not None else "referenced"
        if rule.aggregation and way not in rule.aggregation and (bundled or way == "contained"):
            text = f"The reference is {way}, which is not allowed here."
            self.add(path, "structure", text, f"Allowed: {', '.join(sorted(rule.aggregation))}.")

    def type_of(self, url: str) -> str:
        found = type_of(url)
        if found:
            return found
        known = self.around.profile(url.partition("#")[0])
        return known.type if known is not None else ""

    # --- slices

    def sliced(self, rule: Rule, found: list[Place], path: str) -> None:
        """Each value to its slice; then how many each slice has, and what holds there."""
        extension = rule.name in ("extension", "modifierExtension")
        chosen = URL if extension else TYPE if _choice(found) else ()
        discriminators = rule.slicing.discriminators if rule.slicing else chosen
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

    def bound(self, strength: str, url: str, place: Place, path: str) -> None:
        if strength not in ("required", "extensible"):
            return
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
        """Whether a value keeps a profile; one that is being asked about, in a circle, counts as keeping it."""
        known, at = self.around.kept, (id(value), type, url)
        if at not in known:
            known[at] = (value, True)
            found = self.inner(url, value, type, "")
            known[at] = (value, not any(issue.severity in ("error", "fatal") for issue in found))
        return known[at][1]

    def inner(self, url: str, value: Any, type: str, path: str) -> list[Issue]:
        """What another profile finds about a value; nothing when nobody knows the profile."""
        found, place = type_of(url), Place(value, type)
        about = resource_type(place) or type
        if found or self.depth >= DEEPEST:
            return [] if found in ("", "Any") or _may_be(about, found) else [_stranger(about, found, url, path)]
        profile = self.around.profile(url.partition("#")[0])
        rule = part(profile, url.partition("#")[2]) if profile is not None else None
        if profile is None or rule is None:
            self.unknown.add(url)
            return []
        if rule is profile.root and not _may_be(about, profile.type):
            return [_stranger(about, profile.type, profile.name, path)]
        return _findings(profile, rule, place, path or type, self.around, self.resource, self.depth + 1)

    def within(self, url: str, name: str, depth: int = 0) -> Rule | None:
        """The rule that a profile, or one it builds on, has for a child element."""
        profile = self.around.profile(url.partition("#")[0]) if depth < DEEPEST and not type_of(url) else None
        rule = part(profile, url.partition("#")[2]) if profile is not None else None
        if profile is None or rule is None:
            return None
        if name in rule.children or profile.whole or "#" in url:
            return rule.children.get(name)
        return self.within(profile.base, name, depth + 1)


def _may_be(about: str, wanted: str) -> bool:
    """Whether a value of a type can keep a profile of another; what R4 has no name for is let through."""
    both = type_definition(about) is not None and type_definition(wanted) is not None
    return not both or is_a(about, wanted) or is_a(wanted, about) or wanted in _PLAIN


def _stranger(about: str, wanted: str, url: str, path: str) -> Issue:
    text = f"A {about} can't keep a profile of {wanted} ({url})"
    return Issue("error", "structure", text, path or about, "Name a profile of its type.")


def check(resource: dict[str, Any], profile: Profile, around: Around) -> list[Issue]:
    """The findings about a resource that should keep the profile; an empty list when it does."""
    type = str(resource.get("resourceType", ""))
    if type != profile.type and profile.type not in ("Resource", "DomainResource"):
        text = f"A {type} can't keep a profile of {profile.type} ({profile.name})"
        return [Issue("error", "structure", text, type, "Name a profile of its type.")]
    return _findings(profile, profile.root, Place(resource, type), type, around, resource, 0)


def _findings(
    profile: Profile, rule: Rule, place: Place, path: str, around: Around, resource: dict[str, Any], depth: int
) -> list[Issue]:
    made = _Check(around, resource, profile, depth)
    made.held(rule, place, path)
    for url in sorted(made.unknown):
        text, mend = f"The profile {url} is not known here.", "Install it to have it checked."
        made.add(path, "informational", text, mend, "information")
    if rule is profile.root and not profile.whole and not type_of(profile.base):
        made.issues += made.inner(profile.base, place.value, place.type, path)
    return made.issues


def _choice(found: list[Place]) -> bool:
    """Whether the values stand under a name that has their type in it."""
    return any(place.key and place.key != place.name for place in found)


def _at(path: str, place: Place) -> str:
    return path if place.index is None else f"{path}[{place.index}]"


def _named(reference: str, value: dict[str, Any]) -> str:
    """The type a reference names, by its address or by Reference.type."""
    parts = reference.partition("/_history/")[0].split("/")
    return parts[-2] if len(parts) > 1 and parts[-2][:1].isupper() else str(value.get("type", ""))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "…"
