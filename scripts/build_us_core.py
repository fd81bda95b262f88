"""Makes suture/standards/fhir/us_core/ from the CC0 packages hl7.fhir.us.core: https://hl7.org/fhir/us/core/

    python scripts/build_us_core.py hl7.fhir.us.core-6.1.0.tgz hl7.fhir.us.core-7.0.0.tgz hl7.fhir.us.core-8.0.0.tgz

Kept is what a profile asks for beyond R4, since R4 itself is checked first: no text, and no element that says nothing new.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suture.standards.fhir import packages
from suture.standards.fhir.definitions import Element, type_definition
from suture.standards.fhir.profiles.rules import EVERYWHERE, is_of_a_type

Row = dict[str, Any]
OUT = Path(__file__).parents[1] / "suture/standards/fhir/us_core"
SD = "http://hl7.org/fhir/StructureDefinition/"
SIMPLE = [SD + "SimpleQuantity"]
PLAIN = frozenset({"BackboneElement", "Element", "Resource", "DomainResource"})
VALUES = ("fixed", "pattern", "minValue", "maxValue", "maxLength")
CHECKED = ("required", "extensible")
SET = ("resourceType", "url", "compose")
SYSTEM = ("resourceType", "url", "content", "caseSensitive")


def lines(package: packages.Package) -> Iterator[list[Any]]:
    """["profile", canonical, type, base, elements], ["terms", canonical, resource]."""
    for one in sorted(package.resources, key=lambda r: (r["resourceType"], r["url"])):
        if one["resourceType"] == "StructureDefinition":
            yield ["profile", one["url"], one["type"], one["baseDefinition"], elements(one)]
        if one["resourceType"] == "ValueSet":
            yield ["terms", one["url"], {key: bare(one[key]) for key in SET if key in one}]
        if one["resourceType"] == "CodeSystem":
            head = {key: one[key] for key in SYSTEM if key in one}
            yield ["terms", one["url"], head | {"concept": concepts(one.get("concept", []))}]


def bare(thing: Any) -> Any:
    """Without displays and extensions."""
    left = ("display", "designation", "extension")
    if isinstance(thing, dict):
        return {k: bare(v) for k, v in thing.items() if k not in left and not k.startswith("_")}
    return [bare(v) for v in thing] if isinstance(thing, list) else thing


def concepts(found: list[Row]) -> list[Row]:
    below = ((one["code"], concepts(one.get("concept", []))) for one in found)
    return [{"code": code} | ({"concept": inner} if inner else {}) for code, inner in below]


# --- elements


def elements(definition: Row) -> list[list[Any]]:
    """[id, what it asks for], of those that ask for anything and of every slice."""
    found = definition["snapshot"]["element"]
    cut = {one["id"].rpartition(":")[0] for one in found if "sliceName" in one}
    rows = ((one["id"], asked(one, one["id"] in cut)) for one in found)
    return [[id, row] for id, row in rows if row or ":" in id.rpartition(".")[2]]


def asked(element: Row, cut: bool) -> Row:
    """What the element asks for beyond R4; `cut`: it has slices."""
    ours, base = known(element), element["base"]
    made: Row = {}
    if element["min"] > base["min"]:
        made["min"] = element["min"]
    if element["max"] != base["max"]:
        made["max"] = element["max"]
    kinds = types(element)
    if kinds and ("sliceName" in element or kinds != r4_types(ours)):
        made["type"] = kinds
    made |= {key: value for key, value in element.items() if key.startswith(VALUES)}
    made |= bound(element, ours) | ruled(element, ours) | (slicing(element) if cut else {})
    return made | ({"mustSupport": True} if element.get("mustSupport") else {})


def known(element: Row) -> Element | None:
    """R4's element that this one constrains."""
    owner, _, name = str(element["base"]["path"]).rpartition(".")
    found = type_definition(owner)
    return found.elements.get(name.removesuffix("[x]")) if found is not None else None


def types(element: Row) -> list[Row]:
    """Type, profiles (but those R4 itself gives), targets; nothing for backbones and FHIRPath's own types, which R4 knows."""
    found = [
        {key: row[key] for key in ("code", "profile", "targetProfile") if row.get(key) and row[key] != SIMPLE}
        for row in element.get("type", [])
        if "/System." not in row["code"] and row["code"] not in PLAIN
    ]
    return sorted(found, key=lambda row: str(row["code"]))


def r4_types(ours: Element | None) -> list[Row]:
    if ours is None:
        return []
    profiles = [SD + name for name in ours.profiles if SD + name not in SIMPLE]
    targets = [SD + name for name in ours.targets or ("Resource",)]
    return [
        {"code": code}
        | ({"profile": profiles} if profiles else {})
        | ({"targetProfile": targets} if code in ("Reference", "canonical") else {})
        for code in sorted(ours.types)
    ]


def bound(element: Row, ours: Element | None) -> Row:
    """The binding, when codes are held against it and R4 does not do that already."""
    found = element.get("binding", {})
    strength, url = found.get("strength"), str(found.get("valueSet", ""))
    if strength not in CHECKED or not url:
        return {}
    if strength == "required" and ours and ours.binding == (strength, url.partition("|")[0]):
        return {}
    return {"binding": {"strength": strength, "valueSet": url}}


def ruled(element: Row, ours: Element | None) -> Row:
    """The rules that are not R4's own."""
    types = [type_definition(name) for name in ours.types] if ours is not None else []
    here = [ours, *types] if ours is not None else [type_definition(element["path"])]
    told = {rule.key for one in here if one is not None for rule in one.invariants}
    found = [
        {key: row[key] for key in ("key", "severity", "expression")}
        for row in element.get("constraint", [])
        if row.get("expression")
        and not EVERYWHERE.fullmatch(row["key"])
        and row["key"] not in told
        and not is_of_a_type(row)
    ]
    return {"constraint": found} if found else {}


def slicing(element: Row) -> Row:
    found = element.get("slicing")
    kept = ("discriminator", "rules", "ordered")
    return {"slicing": {key: found[key] for key in kept if found.get(key)}} if found else {}


def write(archive: Path, out: Path = OUT) -> None:
    package = packages.read(archive.read_bytes(), archive.name)
    rows = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in lines(package)]
    (out / f"{package.version}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{package}: {len(rows)} rows, {sum(map(len, rows)) // 1024} KiB")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name))
