"""A StructureDefinition as a tree of rules, one for each element it constrains (https://hl7.org/fhir/R4/elementdefinition.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from suture.errors import InvalidResource
from suture.standards.fhir.definitions import Invariant, TypeDefinition, type_definition

BASE = "http://hl7.org/fhir/StructureDefinition/"
# the base validator holds these against everything already
EVERYWHERE = re.compile(r"ele-1|ext-1|dom-\d|bdl-\d+|us-core-0")
_MOST = 5000  # elements of one profile
_PART = BASE + "elementdefinition-profile-element"
_SHORTEST = BASE + "minLength"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."  # what R5 has more, in R4's clothes


@dataclass(frozen=True, slots=True)
class TypeRule:
    """One allowed type: profiles it must follow (one of them), and what a reference of it may point to.

    A profile is a canonical; `canonical#element id` is one element of it.
    """

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    aggregation: frozenset[str] = frozenset()  # contained, bundled, referenced; empty: any


@dataclass(frozen=True, slots=True)
class Slicing:
    """How the values of a list are told apart: (kind, path) each; `rules`: open, closed or openAtEnd."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str = "open"
    ordered: bool = False


@dataclass(slots=True)
class Rule:
    """What holds of one element. `children` by name, a choice without its `[x]`; `slices` in their order."""

    id: str
    name: str
    min: int = 0
    max: int | None = None
    types: tuple[TypeRule, ...] = ()
    fixed: Any = None
    pattern: Any = None
    least: Any = None
    most: Any = None
    longest: int | None = None  # characters
    shortest: int = 0
    present: bool = False  # a value must be there, an extension can't stand for it
    instead: tuple[str, ...] = ()  # extensions, one of which must be there where the value is not
    binding: tuple[str, str] | None = None  # strength, value set
    bindings: tuple[tuple[str, str], ...] = ()  # additional ones
    invariants: tuple[Invariant, ...] = ()
    must_support: bool = False
    slicing: Slicing | None = None
    slices: dict[str, Rule] = field(default_factory=dict)
    children: dict[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile's rules. `whole`: they come from a snapshot; else those of `base` hold, too."""

    url: str
    version: str
    type: str
    base: str
    root: Rule
    whole: bool

    @property
    def name(self) -> str:
        """The canonical with its version."""
        return f"{self.url}|{self.version}" if self.version else self.url


def read(definition: dict[str, Any]) -> Profile:
    """Reads a StructureDefinition that constrains a type; raises InvalidResource for one that can't be read."""
    elements = definition.get("snapshot", definition.get("differential", {})).get("element", [])
    type, url = definition.get("type"), definition.get("url")
    if not isinstance(type, str) or not isinstance(url, str) or not elements or len(elements) > _MOST:
        raise InvalidResource("this StructureDefinition has no url, type or elements", where="StructureDefinition")
    root = Rule(type, type)
    for id, element in _identified(elements):
        _place(root, id, element)
    base, version = str(definition.get("baseDefinition", "")), str(definition.get("version", ""))
    return Profile(url, version, type, base, root, "snapshot" in definition)


def part(profile: Profile, id: str) -> Rule | None:
    """The rule of one element of a profile, by the element's id; of the whole profile when none is named."""
    rule: Rule | None = profile.root
    for segment in id.split(".")[1:]:
        name, _, slice = segment.partition(":")
        rule = rule.children.get(name.removesuffix("[x]")) if rule is not None else None
        for one in slice.split("/") if slice else ():
            rule = rule.slices.get(one) if rule is not None else None
    return rule


def _identified(elements: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each element with its id; one without gets it from its path and the slices it stands in."""
    within: dict[str, str] = {}  # path -> the slice that is being told
    for element in elements:
        path, slice = str(element.get("path", "")), element.get("sliceName")
        within = {at: name for at, name in within.items() if path.startswith(f"{at}.")}
        if slice:
            within[path] = str(slice)
        yield str(element.get("id") or _id(path, within)), element


def _id(path: str, within: dict[str, str]) -> str:
    found, at = [], ""
    for part in path.split("."):
        at = f"{at}.{part}" if at else part
        found.append(f"{part}:{within[at]}" if at in within else part)
    return ".".join(found)


def _place(root: Rule, id: str, element: dict[str, Any]) -> None:
    """Puts an element's rule into the tree, where its id says; `valueString` is the slice of `value` with this type."""
    rule, about, kind = root, type_definition(root.name), ""
    for segment in id.split(".")[1:]:
        name, _, slice = segment.partition(":")
        name = name.removesuffix("[x]")
        name, kind, about = _meant(about, name)
        rule = rule.children.setdefault(name, Rule(f"{rule.id}.{name}", name))
        for part in slice.split("/") if slice else [segment] if kind else ():
            rule = rule.slices.setdefault(part, Rule(f"{rule.id}:{part}", name))
        if kind and not rule.types:
            rule.types = (TypeRule(kind),)
    _fill(rule, element, id, rule.types if kind else ())


def _meant(about: TypeDefinition | None, name: str) -> tuple[str, str, TypeDefinition | None]:
    """The element's own name, the type that the name says (of a choice written with its type), and what stands below."""
    if about is None:
        return name, "", None
    element = about.elements.get(name)
    if element is not None:
        return name, "", type_definition(element.types[0]) if len(element.types) == 1 else None
    chosen, kind = about.keys.get(name, (None, ""))
    return (chosen.name, kind, type_definition(kind)) if chosen is not None else (name, "", None)


def _fill(rule: Rule, element: dict[str, Any], id: str, types: tuple[TypeRule, ...] = ()) -> None:
    rule.id = id
    rule.min = int(element.get("min", rule.min))
    most = element.get("max")
    rule.max = None if most in (None, "*") else int(most)
    rule.types = tuple(_type(row) for row in element.get("type", [])) or types
    rule.fixed = next((v for k, v in element.items() if k.startswith("fixed")), None)
    rule.pattern = next((v for k, v in element.items() if k.startswith("pattern")), None)
    rule.least = next((v for k, v in element.items() if k.startswith("minValue")), None)
    rule.most = next((v for k, v in element.items() if k.startswith("maxValue")), None)
    rule.longest = element.get("maxLength")
    _fill_more(rule, element)
    binding = element.get("binding", {})
    if binding.get("valueSet"):
        rule.binding = (binding.get("strength", "example"), binding["valueSet"])
    rule.bindings = tuple(_additional(binding))
    rule.invariants = tuple(_invariants(element))
    rule.must_support = bool(element.get("mustSupport"))
    if "slicing" in element:
        rule.slicing = _slicing(element["slicing"])


def _fill_more(rule: Rule, element: dict[str, Any]) -> None:
    """What is said in extensions: HL7's own, and what R5 says of its own."""
    found = _extensions(element)
    rule.shortest = max((int(v) for v in found.get(_SHORTEST, ()) if isinstance(v, int)), default=0)
    rule.present = True in found.get(_R5 + "mustHaveValue", ())
    rule.instead = tuple(str(v) for v in found.get(_R5 + "valueAlternatives", ()))


def _extensions(element: Any) -> dict[str, list[Any]]:
    """The simple extensions of something: url -> values."""
    found: dict[str, list[Any]] = {}
    for row in element.get("extension", []) if isinstance(element, dict) else ():
        value = next((v for k, v in row.items() if k.startswith("value")), None)
        found.setdefault(str(row.get("url", "")), []).append(value)
    return found


def _additional(binding: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Bindings beside the first one that hold always: (strength, value set)."""
    for row in binding.get("extension", []):
        if str(row.get("url", "")) in (
            _R5 + "binding.additional",
            "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
        ):
            found = _extensions(row)
            purpose, url = found.get("purpose", [None])[0], found.get("valueSet", [None])[0]
            if purpose in _ALWAYS and isinstance(url, str) and "usage" not in found:
                yield _ALWAYS[purpose], url


_ALWAYS = {"required": "required", "maximum": "required", "extensible": "extensible"}


def _type(row: dict[str, Any]) -> TypeRule:
    code = str(row.get("code", ""))
    name = "" if "/System." in code else code  # FHIRPath's own types, of ids and urls: the base validator knows better
    urls = row.get("profile", [])
    parts = [_extensions(one).get(_PART, [""])[0] for one in row.get("_profile", [])] or [""] * len(urls)
    profiles = tuple(f"{url}#{part}" if part else str(url) for url, part in zip(urls, parts, strict=False))
    return TypeRule(name, profiles, tuple(row.get("targetProfile", ())), frozenset(row.get("aggregation", ())))


def _invariants(element: dict[str, Any]) -> Iterator[Invariant]:
    for row in element.get("constraint", []):
        key, expression = str(row.get("key", "")), row.get("expression")
        if expression and not EVERYWHERE.fullmatch(key) and not is_of_a_type(row):
            yield Invariant(key, str(row.get("severity", "error")), str(expression), key)


def is_of_a_type(row: dict[str, Any]) -> bool:
    """Whether a rule comes from a resource type or a datatype of R4; `vitalsigns` is a profile, by its small letter."""
    source = str(row.get("source", ""))
    return source.startswith(BASE) and re.fullmatch(r"[A-Z]\w*", source.removeprefix(BASE)) is not None


def _slicing(row: dict[str, Any]) -> Slicing:
    found = tuple((str(d.get("type", "value")), str(d.get("path", "$this"))) for d in row.get("discriminator", []))
    return Slicing(found, str(row.get("rules", "open")), bool(row.get("ordered")))
