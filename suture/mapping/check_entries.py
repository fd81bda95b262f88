"""Checks the entries of a message map: groups, segments, resource types, references and what the maps together write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from suture.errors import InvalidSyntax
from suture.mapping import engine
from suture.mapping.merge import deep
from suture.mapping.model import Entry, Feed, Map, Part, Row
from suture.mapping.origins import Frame, is_z
from suture.mapping.sheet import Findings, nearest
from suture.mapping.targets import is_resource
from suture.standards.fhir import definitions
from suture.standards.hl7v2 import tables as v2

Rows = Callable[[Map, list[Row], Frame, str, Findings], None]
Structure = dict[str, Any]  # name -> count for a segment, (count, Structure) for a group


def structure(rows: list[list[Any]]) -> Structure:
    """The rows of a message structure by name."""
    made: Structure = {}
    for row in rows:
        made.setdefault(row[0], (row[1], structure(row[2])) if len(row) > 2 else row[1])
    return made


def check(made: Map, part: Part, findings: Findings, rows: Rows) -> None:
    """Adds what is wrong with the entries to the findings."""
    inside = structure(v2.structure(made.source_name) or [])
    _part(made, part, inside, [], findings, rows)


def _part(made: Map, part: Part, inside: Structure, outside: list[str], findings: Findings, rows: Rows) -> None:
    ids = [entry.id for entry in part.entries]
    for entry in part.entries:
        if ids.count(entry.id) > 1 and entry.when is None:
            text = f"a second entry '{entry.id}' in the same group"
            findings.add(entry.sheet.value_at("id"), text, "Give it another id, or conditions (when:) to all of them.")
        _entry(made, entry, inside, findings, rows)
    known = [*outside, *ids, *below(part)]
    for entry in part.entries:
        _references(made, entry, known, findings)
    for inner in part.parts:
        found = inside.get(inner.name)
        if not isinstance(found, tuple):
            groups = [name for name, value in inside.items() if isinstance(value, tuple)]
            where = f"group {part.name}" if part.name else made.source_name
            findings.add(
                inner.sheet.value_at("group"), f"{where} has no group '{inner.name}'", nearest(inner.name, groups)
            )
            continue
        _part(made, inner, found[1], [*outside, *ids], findings, rows)


def below(part: Part) -> Iterator[str]:
    """The ids of the entries in all groups below."""
    for inner in part.parts:
        yield from (entry.id for entry in inner.entries)
        yield from below(inner)


def _entry(made: Map, entry: Entry, inside: Structure, findings: Findings, rows: Rows) -> None:
    for feed in [entry.feed, *entry.also]:
        if feed:
            _feed(made, entry, feed, inside, findings)
    if not entry.resource and entry.feed and entry.feed.using in made.uses:
        entry.resource = made.uses[entry.feed.using].target
    if entry.resource and not is_resource(entry.resource):
        spot = entry.sheet.value_at("resource" if "resource" in entry.sheet else "using")
        findings.add(
            spot, f"'{entry.resource}' is no resource type", nearest(entry.resource, definitions.RESOURCE_TYPES)
        )
        return
    for feed in entry.also:
        used = made.uses.get(feed.using)
        if used and entry.resource and used.target != entry.resource:
            text = f"'{used.name}' makes {used.target}, entry '{entry.id}' is {entry.resource}"
            findings.add(feed.sheet.value_at("using"), text, "Make it an entry of its own.")
    if entry.resource:
        rows(made, entry.rows, Frame(), entry.resource, findings)
        _required(made, entry, findings)
        _elements(entry, findings)


def _required(made: Map, entry: Entry, findings: Findings) -> None:
    definition = definitions.type_definition(entry.resource)
    feeds = [feed for feed in [entry.feed, *entry.also] if feed]
    used = [made.uses[feed.using] for feed in feeds if feed.using in made.uses]
    if definition is None or len(used) != len([f for f in feeds if f.using]):
        return
    written = [row.to[0].name for row in entry.rows] + [row.to[0].name for m in used for row in m.rows]
    names = {definition.keys[name][0].name for name in written if name in definition.keys}
    for name, element in definition.elements.items():
        if element.min and name not in names:
            findings.warn(
                entry.sheet.value_at("id"),
                f"{element.path} is required and no row writes it",
                f"Add a row with to: {name}.",
            )


def _elements(entry: Entry, findings: Findings) -> None:
    definition = definitions.type_definition(entry.resource)
    if definition is None:
        return
    for name in entry.meeting.snapshot or ():
        element = definition.elements.get(name)
        if element is None:
            findings.add(
                entry.sheet.value_at("snapshot"),
                f"{entry.resource} has no element '{name}'",
                nearest(name, definition.elements),
            )
        elif not element.many and not deep(element.types[0]):
            findings.warn(
                entry.sheet.value_at("snapshot"),
                f"{element.path} is neither a list nor put together from parts; a value replaces it anyway",
                "Take it away.",
            )
    for path in entry.meeting.clears or ():
        if path.split(".")[0] not in definition.elements:
            text = f"{entry.resource} has no element '{path}'"
            findings.add(entry.sheet.value_at("clears"), text, nearest(path, definition.elements))
    if entry.meeting.match not in (None, "identifier"):
        _compiles(str(entry.meeting.match), entry.resource, entry, "match", findings)
    for keep in entry.meeting.keep or ():
        _compiles(keep.condition, entry.resource, entry, "keep", findings)
        for name in keep.elements:
            if name not in definition.elements:
                findings.add(
                    entry.sheet.value_at("keep"),
                    f"{entry.resource} has no element '{name}'",
                    nearest(name, definition.elements),
                )


def _compiles(text: str, resource: str, entry: Entry, key: str, findings: Findings) -> None:
    """Whether an expression over the resource names what it has."""
    try:
        engine.expression(text, type_=resource)
    except InvalidSyntax as error:
        findings.add(entry.sheet.value_at(key), f"'{key}': {error.text} ({error.where})", error.mend)


def _feed(made: Map, entry: Entry, feed: Feed, inside: Structure, findings: Findings) -> None:
    key = "each" if feed.each else "from"
    spot = feed.sheet.value_at(key)
    for group in feed.place[:-1]:
        found = inside.get(group)
        if not isinstance(found, tuple):
            findings.add(spot, f"there is no group '{group}' here", nearest(group, inside))
            return
        inside = found[1]
    if feed.segment not in inside and not is_z(feed.segment):
        segments = [name for name, value in inside.items() if not isinstance(value, tuple)]
        findings.add(
            spot,
            f"there is no segment '{feed.segment}' here",
            nearest(feed.segment, segments, "It may stand in a group: write GROUP.SEG or a group: entry."),
        )
    used = made.uses.get(feed.using)
    if used is None:
        return
    if used.kind != "segment" or used.source_name != feed.segment:
        findings.add(
            feed.sheet.value_at("using"),
            f"'{used.name}' maps {used.source}, not the segment {feed.segment}",
            f"Name a map with source: hl7v2.{feed.segment}.",
        )


def _references(made: Map, entry: Entry, known: list[str], findings: Findings) -> None:
    for row in entry.rows:
        if row.reference and row.reference not in known:
            findings.add(
                row.sheet.value_at("reference"),
                f"there is no entry '{row.reference}' to point to",
                nearest(row.reference, known),
            )
    for feed in [entry.feed, *entry.also]:
        used = made.uses.get(feed.using) if feed else None
        for row in used.rows if used else []:
            if row.reference and row.reference not in known:
                findings.add(
                    entry.sheet.value_at("id"),
                    f"'{used.name if used else ''}' points to entry '{row.reference}', which is not there",
                    nearest(row.reference, known),
                )
