"""What a published US Core package asks of a server: its CapabilityStatement and profiles, read into groups to be checked.

https://hl7.org/fhir/us/core/CapabilityStatement-us-core-server.html
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from suture.standards.fhir import profiles
from tests import public

Resource = dict[str, Any]
PACKAGES = {"6.1.0": "us_core_610.tgz", "7.0.0": "us_core_700.tgz", "8.0.0": "us_core_800.tgz"}
PLACE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_EXPECTED = _EXTENSION + "capabilitystatement-expectation"
_TOGETHER = _EXTENSION + "capabilitystatement-search-parameter-combination"
_MUST = _EXTENSION + "elementdefinition-type-must-support"
_KINDS = ("CapabilityStatement", "StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter")
ASKED = ("SHALL", "SHOULD")
BROAD = ("us-core-vital-signs",)  # the kits check its children instead


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter as the package describes it."""

    code: str
    kind: str
    expression: str
    comparators: tuple[str, ...]  # SHALL
    many: bool  # several values, SHALL
    definition: Resource = field(repr=False, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Search:
    """Parameters that are asked for together."""

    codes: tuple[str, ...]
    expectation: str

    @property
    def says(self) -> str:
        return "+".join(self.codes)


@dataclass(slots=True)
class Type:
    """What is asked of one resource type."""

    name: str
    parameters: dict[str, Parameter]
    searches: list[Search]
    includes: dict[str, str]  # each with its expectation
    revincludes: dict[str, str]
    interactions: dict[str, str]
    operations: dict[str, str]
    others: list[Search]  # that MAY be there


@dataclass(slots=True)
class Group:
    """One profile, with the type it is of and the values that lead to its resources."""

    definition: Resource
    type: Type
    fixed: list[tuple[str, str]]  # a parameter and a value, one search each

    @property
    def name(self) -> str:
        return str(self.definition["id"])

    @property
    def url(self) -> str:
        return str(self.definition["url"])


@dataclass(slots=True)
class Guide:
    """One version of US Core."""

    version: str
    resources: dict[str, Resource]  # by URL
    types: dict[str, Type]
    groups: list[Group]
    profiles: dict[str, profiles.Profile]
    interactions: dict[str, str]  # with the whole system
    statement: Resource


@cache
def guide(version: str) -> Guide:
    """Skips the calling test where the package is not there."""
    found = dict(_read(PACKAGES[version]))
    server = next(one for one in found.values() if one.get("id") == "us-core-server")
    types = {row["type"]: _type(row, found) for row in server["rest"][0]["resource"]}
    groups = [
        _group(found[url], types[row["type"]], found, len(listed) == 1)
        for row in server["rest"][0]["resource"]
        for listed in [_listed(row)]
        for url in listed
    ]
    known = {url: profiles.read(one) for url, one in found.items() if one["resourceType"] == "StructureDefinition"}
    whole = {one["code"]: _expectation(one) for one in server["rest"][0]["interaction"]}
    groups.sort(key=lambda one: (one.type.name, one.name))
    return Guide(version, found, types, groups, known, whole, server)


def _read(file: str) -> Iterator[tuple[str, Resource]]:
    with tarfile.open(public.path(f"fhir/{file}")) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if folder == "package" and name.endswith(".json") else None
            if content is not None and name.partition("-")[0] in _KINDS:
                one = json.load(content)
                yield one["url"], one


def _listed(row: Resource) -> list[str]:
    """The profiles that are groups, without their versions."""
    all = [url.partition("|")[0] for url in row.get("supportedProfile", ())]
    return [url for url in all if url.startswith(PLACE) and url.rpartition("/")[2] not in BROAD]


def _expectation(one: Resource | None) -> str:
    rows = (one or {}).get("extension", ())
    return next((str(row["valueCode"]) for row in rows if row["url"] == _EXPECTED), "")


def _type(row: Resource, known: dict[str, Resource]) -> Type:
    parameters = {
        one["name"]: _parameter(known[one["definition"]]) for one in row.get("searchParam", ()) if "definition" in one
    }
    return Type(
        row["type"],
        parameters,
        [one for one in _searches(row) if one.expectation in ASKED],
        _marked_each(row, "searchInclude"),
        _marked_each(row, "searchRevInclude"),
        {one["code"]: _expectation(one) for one in row.get("interaction", ())},
        {one["name"]: _expectation(one) for one in row.get("operation", ())},
        [one for one in _searches(row) if one.expectation not in ASKED],
    )


def _marked_each(row: Resource, name: str) -> dict[str, str]:
    listed = row.get(name, [])
    return {
        one: _expectation(mark) for one, mark in zip(listed, row.get(f"_{name}", [None] * len(listed)), strict=True)
    }


def _searches(row: Resource) -> Iterator[Search]:
    for one in row.get("searchParam", ()):
        yield Search((one["name"],), _expectation(one))
    for one in row.get("extension", ()):
        if one["url"] == _TOGETHER:
            yield Search(tuple(r["valueString"] for r in one["extension"] if r["url"] == "required"), _expectation(one))


def _parameter(one: Resource) -> Parameter:
    marks = zip(one.get("comparator", ()), one.get("_comparator", ()), strict=True)
    shall = tuple(prefix for prefix, mark in marks if _expectation(mark) == "SHALL")
    many = one.get("multipleOr") is True and _expectation(one.get("_multipleOr")) == "SHALL"
    return Parameter(one["code"], one["type"], one["expression"], shall, many, one)


# --- the values that lead to a profile's resources


def _group(definition: Resource, type: Type, known: dict[str, Resource], alone: bool) -> Group:
    together = {one.codes for one in type.searches if one.expectation == "SHALL"}
    if alone and ("patient",) in together:
        return Group(definition, type, [])
    for code in ("code", "category"):
        values = _fixed(definition, code, known) if ("patient", code) in together else []
        if values and not (code == "code" and type.name != "Observation"):
            return Group(definition, type, [(code, value) for value in values])
    return Group(definition, type, [])


def _fixed(definition: Resource, element: str, known: dict[str, Resource]) -> list[str]:
    """The codes a profile says its resources have there: from patterns; for a category also from value sets."""
    path = f"{definition['type']}.{element}"
    rows = [one for one in definition["snapshot"]["element"] if one["id"].startswith(path)]
    patterns = [value for row in rows for value in _pattern(row)]
    if patterns or element == "code":
        return list(dict.fromkeys(patterns))
    bound = [row["binding"]["valueSet"] for row in sorted(rows, key=_whole) if "binding" in row]
    lists = (codes(known.get(url.partition("|")[0], {}), known) for url in bound)
    return next((found for found in lists if found), [])


def _whole(row: Resource) -> tuple[bool, bool]:
    """Slices that must be there come first, the element itself last."""
    return ":" not in row["id"], row["min"] == 0


def _pattern(row: Resource) -> Iterator[str]:
    if "patternCodeableConcept" in row:
        yield from (one["code"] for one in row["patternCodeableConcept"]["coding"])
    if "patternCoding" in row:
        yield row["patternCoding"]["code"]
    for name in ("patternCode", "fixedCode"):
        if name in row:
            yield row[name]


def codes(value_set: Resource, known: dict[str, Resource]) -> list[str]:
    """The codes a value set of the package lists, or those of a code system of the package."""
    found: list[str] = []
    for part in value_set.get("compose", {}).get("include", ()):
        system = next((o for o in known.values() if o["url"] == part.get("system")), {})
        listed = part.get("concept") or (system.get("concept", ()) if "filter" not in part else ())
        found += [one["code"] for one in listed]
        for url in part.get("valueSet", ()):
            found += codes(known.get(url.partition("|")[0], {}), known)
    return found


# --- what must-support references lead to


def targets(definition: Resource) -> Iterator[tuple[str, str]]:
    """Each must-support reference's path with each US Core profile that a server must be able to refer to there."""
    for row in definition["snapshot"]["element"]:
        for type in row.get("type", ()) if row.get("mustSupport") else ():
            if type["code"] == "Reference":
                yield from ((row["path"], url) for url in _targets(type) if url.startswith(PLACE))


def _targets(type: Resource) -> list[str]:
    """Those that are marked; where none is marked there is but one, or any will do."""
    all = type.get("targetProfile", [])
    marks = type.get("_targetProfile", [None] * len(all))
    marked = [url for url, mark in zip(all, marks, strict=True) if _marked(mark)]
    return marked or all[:1]


def _marked(mark: Resource | None) -> bool:
    return any(one["url"] == _MUST and one.get("valueBoolean") for one in (mark or {}).get("extension", ()))
