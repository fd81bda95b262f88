"""Reads a map file: head, rows, entries, overlay, tables and the maps it uses, and checks both ends (docs/map-language.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from suture.errors import InvalidFile
from suture.mapping import checks, overlay, read_entries, read_rows, sheet
from suture.mapping.model import Entry, Map, Part, Row
from suture.mapping.read_entries import MEETING
from suture.mapping.read_rows import keys
from suture.mapping.sheet import Findings, Sheet, nearest, plain
from suture.mapping.tables import Table
from suture.standards.fhir import definitions
from suture.standards.hl7v2 import tables as v2

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
BUNDLES = ("transaction", "batch", "collection", "message")
PRIMITIVES = frozenset(["ST", "NM", "ID", "IS", "TX", "FT", "SI", "DT", "TM", "DTM", "TS", "GTS", "SNM", "varies"])
OLD = {"CE": "CWE", "CF": "CWE", "CNE": "CWE"}  # datatypes of older versions that read like a newer one
HEAD: dict[str, tuple[type, ...]] = {
    "suture": (str,), "map": (str,), "title": (str,), "note": (str,), "source": (str,), "target": (str,), "extends": (str,),
    "tables": (dict,), "rows": (list,), "entries": (list,), "bundle": (str,), "covers": (list,), "ignore": (dict,), "examples": (list,), **MEETING,
}  # fmt: skip


class Load(Protocol):
    """Where the other maps and the tables come from."""

    def sheet(self, name: str, beside: str = "") -> Sheet | None:
        """The content of the map called `name`, another file than `beside`; None when there is none."""

    def map(self, name: str) -> Map | None:
        """The map called `name`, read; None when there is none."""

    def table(self, file: str) -> Table | None:
        """The table in a file; None when there is none."""

    def names(self) -> Iterable[str]:
        """The names of all maps."""

    def tables(self) -> Iterable[str]:
        """The files of all tables."""


def read(text: str, file: str, load: Load) -> Map:
    """The map in a text; raises InvalidFile with every finding. `map.warnings` keeps what is not an error."""
    return read_sheet(sheet.load(text, file), file, load)


def read_sheet(own: Sheet, file: str, load: Load) -> Map:
    """The map in the content of a file."""
    findings = Findings()
    content = extended(own, load, findings)
    made = _head(content, file, findings)
    _tables(made, content, load, findings)
    made.rows = read_rows.rows(content.get("rows", []), findings)
    made.meeting = read_entries.meeting(content, findings)
    if "entries" in content:
        made.part = read_entries.part(content, content["entries"], findings)
    _uses(made, load, findings)
    checks.check(made, findings)
    findings.raise_if_any()
    made.warnings = tuple(findings.found)
    return made


def extended(content: Sheet, load: Load, findings: Findings, depth: int = 0) -> Sheet:
    """The content laid over what it extends."""
    name = content.get("extends")
    if name is None:
        return content
    base = load.sheet(name, content.spot.file) if isinstance(name, str) and depth < 10 else None
    if base is None:
        text = "extends itself" if depth >= 10 else f"extends '{name}', which is not there"
        findings.add(content.value_at("extends"), text, nearest(str(name), load.names()))
        findings.raise_if_any()  # what it would have taken from there can't be missed
        return content
    return overlay.lay(extended(base, load, findings, depth + 1), content, findings)


def _head(content: Sheet, file: str, findings: Findings) -> Map:
    if content.get("suture") != "map/1":
        findings.add(content.value_at("suture"), "not a map file of a kind known here", "Begin with: suture: map/1")
    keys(content, HEAD, findings, "a map")
    for key in ("map", "source", "target"):
        if not content.get(key):
            findings.add(content.spot, f"the map says no {key}", "Write map:, source: and target:.")
    name = str(content.get("map", ""))
    if name and not NAME.fullmatch(name):
        findings.add(content.value_at("map"), "not a map name", "Write it like lakeside/PID-Patient.")
    made = Map(name, file, content, title=str(content.get("title", "")))
    made.source, made.target = str(content.get("source", "")), str(content.get("target", ""))
    _ends(made, findings)
    made.bundle = str(content.get("bundle", "transaction"))
    if made.bundle not in BUNDLES:
        findings.add(
            content.value_at("bundle"), f"'{made.bundle}' is no bundle of a map", nearest(made.bundle, BUNDLES)
        )
    _covers(made, findings)
    made.ignore = {str(k): str(v or "") for k, v in content.get("ignore", {}).items()}
    made.examples = _examples(content, findings)
    return made


def _covers(made: Map, findings: Findings) -> None:
    """Other message structures that the map reads, too."""
    made.covers = tuple(str(name) for name in made.sheet.get("covers", ()))
    for name in made.covers:
        if made.kind != "message" or v2.structure(name) is None:
            known = [n for n in (made.source_name[:4] + f"A{n:02d}" for n in range(1, 64)) if v2.structure(n)]
            findings.add(made.sheet.value_at("covers"), f"'{name}' is no message structure", nearest(name, known))


def _ends(made: Map, findings: Findings) -> None:
    """Which kind of source and target the map has."""
    standard, _, name = made.source.partition(".")
    made.kind, made.source_name = _source(standard, name)
    if made.source and not made.kind:
        known = [f"hl7v2.{n}" for n in [*v2.segments(), *v2.types()]] + ["json", "fhir.Patient"]
        findings.add(
            made.sheet.value_at("source"),
            f"'{made.source}' is no source",
            nearest(made.source, known, "hl7v2.PID, hl7v2.CX, hl7v2.ADT_A01, json, fhir.Patient"),
        )
    if made.target and made.target != "json":
        definition = definitions.type_definition(made.target)
        if definition is None:
            findings.add(
                made.sheet.value_at("target"),
                f"FHIR R4 has no type '{made.target}'",
                nearest(
                    made.target, definitions.RESOURCE_TYPES, "Write a resource type or a datatype such as Identifier."
                ),
            )
    if (made.kind == "message") != ("entries" in made.sheet) and made.kind:
        text = "a message map needs entries" if made.kind == "message" else "only a message map has entries"
        findings.add(made.sheet.at("entries"), text, "source: hl7v2.ADT_A01 with entries:, or hl7v2.PID with rows:.")
    if made.kind == "message" and made.target not in ("Bundle", ""):
        findings.add(made.sheet.value_at("target"), "a message map makes a Bundle", "Write target: Bundle.")


def _source(standard: str, name: str) -> tuple[str, str]:
    if standard == "json" and not name:
        return "json", ""
    if standard == "fhir" and (not name or name in definitions.RESOURCE_TYPES):
        return "fhir", name
    if standard == "hl7v2" and name:
        if v2.structure(name) is not None:
            return "message", name
        if v2.fields(name) or (len(name) == 3 and name[0] == "Z" and name.isalnum() and name.isupper()):
            return "segment", name
        if v2.components(name) or name in PRIMITIVES or name in OLD:
            return "datatype", name
    return "", name


def _examples(content: Sheet, findings: Findings) -> list[dict[str, Any]]:
    found = []
    for item in content.get("examples", []):
        if isinstance(item, Sheet) and (set(item) >= {"in", "out"} or set(item) >= {"text", "value"}):
            found.append(plain(item))
        else:
            findings.add(content.value_at("examples"), "an example is {in: FILE, out: FILE} or {text: …, value: …}")
    return found


def _tables(made: Map, content: Sheet, load: Load, findings: Findings) -> None:
    listed = content.get("tables", {})
    for name, file in listed.items():
        spot = listed.value_at(name)
        try:
            table = load.table(str(file))
        except InvalidFile as error:
            findings.found += error.problems
            continue
        if table is None:
            findings.add(spot, f"there is no table '{file}'", nearest(str(file), load.tables()))
        else:
            made.tables[name] = table


def _uses(made: Map, load: Load, findings: Findings) -> None:
    """Reads every map that is named, by the name as written (the same folder goes without saying)."""
    for name, spot in _named(made):
        if name in made.uses:
            continue
        full = name if "/" in name or not made.folder else f"{made.folder}/{name}"
        try:
            used = load.map(full) or (load.map(f"hl7v2/{name}") if "/" not in name else None)
        except InvalidFile as error:
            findings.found += [p for p in error.problems if p not in findings.found]
            continue
        if used is None:
            findings.add(spot, f"there is no map '{full}'", nearest(full, load.names()))
        else:
            made.uses[name] = used


def _named(made: Map) -> Iterable[tuple[str, sheet.Spot]]:
    yield from _named_rows(made.rows)
    if made.part:
        yield from _named_part(made.part)


def _named_rows(rows: list[Row]) -> Iterable[tuple[str, sheet.Spot]]:
    for row in rows:
        if row.using:
            yield from ((name, row.sheet.value_at("using")) for name in row.using.maps.values())
        yield from _named_rows(row.rows)


def _named_part(part: Part) -> Iterable[tuple[str, sheet.Spot]]:
    for entry in part.entries:
        yield from _named_entry(entry)
    for inner in part.parts:
        yield from _named_part(inner)


def _named_entry(entry: Entry) -> Iterable[tuple[str, sheet.Spot]]:
    for feed in [entry.feed, *entry.also]:
        if feed and feed.using:
            yield feed.using, feed.sheet.value_at("using")
    yield from _named_rows(entry.rows)


__all__ = ["HEAD", "Load", "extended", "read"]
