"""Which must-support elements of a US Core package a set of resources lacks; reads the published package itself."""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
REQUIRED = "http://hl7.org/fhir/us/core/StructureDefinition/uscdi-requirement"
KINDS = ("StructureDefinition-", "ValueSet-")
BASE = ("http://hl7.org/fhir/us/core/StructureDefinition/us-core-vital-signs",)  # its children are claimed instead


@cache
def package(file: Path) -> dict[str, Resource]:
    """URL -> StructureDefinition or ValueSet."""
    found = {}
    with tarfile.open(file) as opened:
        for member in opened:
            name = member.name.rpartition("/")[2]
            if member.name.startswith("package/") and name.startswith(KINDS) and name.endswith(".json"):
                content = opened.extractfile(member)
                assert content is not None
                one = json.load(content)
                found[one["url"]] = one
    return found


def missing(file: Path, resources: list[Resource]) -> tuple[int, list[str]]:
    """How many elements were looked for, and those that no resource of their profile holds."""
    known, by = package(file), defaultdict(list)
    for one in resources:
        for profile in one["meta"].get("profile", []):
            by[profile].append(one)
    looked, absent = 0, []
    for url, definition in known.items():
        if (
            definition["resourceType"] == "StructureDefinition"
            and definition["type"] != "Extension"
            and url not in BASE
        ):
            count, some = lacking(definition, by[url], known)
            looked += count
            absent += some
    return looked, absent


def lacking(definition: Resource, resources: list[Resource], known: dict[str, Resource]) -> tuple[int, list[str]]:
    """The same for one profile and the resources of it."""
    elements = [one for one in definition["snapshot"]["element"] if _must(one) and "." in one["id"]]
    absent = [
        f"{definition['id']} {element['id']}"
        for element in elements
        if not any(_has(one, element["id"], definition, known) for one in resources)
    ]
    return len(elements), absent


def _must(element: Resource) -> bool:
    return bool(element.get("mustSupport")) or any(one["url"] == REQUIRED for one in element.get("extension", []))


def _has(resource: Resource, id: str, definition: Resource, known: dict[str, Resource]) -> bool:
    at: list[Any] = [resource]
    elements = {one["id"]: one for one in definition["snapshot"]["element"]}
    path = definition["type"]
    for step in id.split(".")[1:]:
        path += "." + step
        name, _, slice = step.partition(":")
        at = [value for one in at for value in _values(one, name, slice)]
        if slice:
            at = [value for value in at if _fits(value, path, elements, known)]
    return bool(at)


def _values(one: Any, name: str, slice: str) -> Iterator[Any]:
    if not isinstance(one, dict):
        return
    stem = name.removesuffix("[x]")
    for key, value in one.items():
        chosen = key == slice if slice.startswith(stem) and name.endswith("[x]") else key.startswith(stem)
        if key == name or (name.endswith("[x]") and chosen and (key[len(stem) :] or "a")[0].isupper()):
            yield from value if isinstance(value, list) else [value]
    if name == "extension" or (isinstance(one.get(f"_{name}"), dict) and name not in one):
        yield one.get(f"_{name}", {})
    if isinstance(one.get(f"_{name}"), dict) and name in one:
        yield one[f"_{name}"]  # an extension of a primitive


def _fits(value: Any, path: str, elements: dict[str, Resource], known: dict[str, Resource]) -> bool:
    element = elements[path]
    profiles = [
        url for type in element.get("type", []) if type["code"] == "Extension" for url in type.get("profile", [])
    ]
    if profiles:
        return isinstance(value, dict) and value.get("url") in profiles
    for id, one in elements.items():
        if id == path or id.startswith(path + "."):
            wanted = next((one[k] for k in one if k.startswith(("pattern", "fixed"))), None)
            inner = [step.partition(":")[0] for step in id[len(path) :].split(".")[1:]]
            if (
                wanted is not None
                and "value[x]" not in inner
                and (one["min"] or id == path)
                and not _inside(value, inner, wanted)
            ):
                return False
    return _bound(value, element, known)


def _inside(value: Any, inner: list[str], wanted: Any) -> bool:
    at = [value]
    for name in inner:
        at = [found for one in at for found in _values(one, name, "")]
    return any(_matches(one, wanted) for one in at)


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(k in value and _matches(value[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(_matches(have, want) for have in value) for want in wanted)
    return bool(value == wanted)


def _bound(value: Any, element: Resource, known: dict[str, Resource]) -> bool:
    """A slice that is known by a required value set of the package: one of its listed codes."""
    binding = element.get("binding", {})
    listed = known.get(binding.get("valueSet", "").partition("|")[0], {}).get("compose", {}).get("include", [])
    if any("concept" not in part for part in listed):
        return True  # a whole system or another value set
    codes = {(part.get("system"), one["code"]) for part in listed for one in part["concept"]}
    if binding.get("strength") != "required" or not codes or not isinstance(value, dict):
        return True
    return (
        any((one.get("system"), one.get("code")) in codes for one in value.get("coding", []))
        if isinstance(value, dict)
        else True
    )
