"""Reads the entries of a message map: groups, segments that feed resources, and how each meets what is stored (docs/map-language.md)."""

from __future__ import annotations

from typing import Any

from suture.mapping import read_rows
from suture.mapping.model import Entry, Feed, Keep, Meeting, Part
from suture.mapping.read_rows import ID, expression, keys
from suture.mapping.sheet import Findings, Sheet, nearest

WRITES = ("update", "once", "create", "delete")
TWICES = ("one", "number")
MEETING: dict[str, tuple[type, ...]] = {"match": (str,), "write": (str,), "snapshot": (list,), "keep": (list,)}
MEETING |= {"clears": (list,), "twice": (str,)}
PART: dict[str, tuple[type, ...]] = {"group": (str,), "when": (str,), "entries": (list,), "note": (str,)}
FEED: dict[str, tuple[type, ...]] = {
    "from": (str,), "each": (str,), "using": (str,), "when": (str,), "where": (str,), "note": (str,),
}  # fmt: skip
ENTRY: dict[str, tuple[type, ...]] = {
    "id": (str,), "resource": (str,), "also": (list,), "rows": (list,), "title": (str,), **FEED, **MEETING,
}  # fmt: skip


def part(sheet: Sheet, items: Any, findings: Findings) -> Part:
    """The entries and groups of a list."""
    made = Part(str(sheet.get("group", "")), sheet)
    if "group" in sheet and "when" in sheet:
        made.when = expression(sheet["when"], sheet.value_at("when"), findings)
    for number, item in enumerate(items):
        if not isinstance(item, Sheet):
            findings.add(
                items.spots[number], "an entry is a mapping", "Write {id: patient, from: PID, using: PID-Patient}."
            )
        elif "group" in item:
            inner = item.copy()
            keys(inner, PART, findings, "a group")
            if not inner.get("entries"):
                findings.add(item.spot, "the group has no entries")
            made.parts.append(part(inner, inner.get("entries", []), findings))
        else:
            entry = _entry(item.copy(), findings)
            if entry:
                made.entries.append(entry)
    return made


def _entry(sheet: Sheet, findings: Findings) -> Entry | None:
    keys(sheet, ENTRY, findings, "an entry")
    entry_id = str(sheet.get("id", ""))
    if not ID.fullmatch(entry_id):
        findings.add(
            sheet.value_at("id"), "an entry needs an id of small letters, digits, - and _", "Write {id: patient, …}."
        )
        return None
    feed = _feed(sheet, findings, needed=False)
    entry = Entry(entry_id, sheet, str(sheet.get("resource", "")), feed)
    if feed is None and not entry.resource:
        findings.add(
            sheet.spot, f"entry '{entry_id}' has no source", "Write from: PID or each: AL1 (or resource: and rows:)."
        )
    if feed and not feed.using and not entry.resource:
        findings.add(
            sheet.spot, f"entry '{entry_id}' says no resource", "Write using: with a map, or resource: with a type."
        )
    entry.when = expression(sheet["when"], sheet.value_at("when"), findings) if "when" in sheet else None
    for item, spot in zip(sheet.get("also", []), getattr(sheet.get("also"), "spots", []), strict=False):
        if isinstance(item, Sheet):
            inner = item.copy()
            keys(inner, FEED, findings, "an item of also")
            more = _feed(inner, findings, needed=True)
            entry.also += [more] if more else []
        else:
            findings.add(spot, "an item of 'also' is a mapping", "Write {from: PD1, using: PD1-Patient}.")
    entry.rows = read_rows.rows(sheet.get("rows", []), findings)
    entry.meeting = meeting(sheet, findings)
    return entry


def _feed(sheet: Sheet, findings: Findings, *, needed: bool) -> Feed | None:
    sources = [key for key in ("from", "each") if key in sheet]
    if len(sources) != 1:
        if needed or sources:
            findings.add(sheet.spot, "needs one of from and each", "Write from: PD1 or each: NK1.")
        return None
    if needed and "using" not in sheet:
        findings.add(sheet.spot, "needs using", "Name the map that writes this segment.")
    place = tuple(name.strip() for name in sheet[sources[0]].split("."))
    feed = Feed(place, sources[0] == "each", str(sheet.get("using", "")), sheet)
    if needed and "when" in sheet:
        feed.when = expression(sheet["when"], sheet.value_at("when"), findings)
    if "where" in sheet:
        feed.where = expression(sheet["where"], sheet.value_at("where"), findings)
    return feed


def meeting(sheet: Sheet, findings: Findings) -> Meeting:
    """match, write, snapshot and keep of an entry or of a map's head."""
    made = Meeting(match=sheet.get("match"), write=sheet.get("write"))
    if made.match is not None:
        expression(made.match, sheet.value_at("match"), findings)
    if made.write is not None and made.write not in WRITES:
        findings.add(sheet.value_at("write"), f"'{made.write}' is no way to write", nearest(made.write, WRITES))
        made.write = None
    made.twice = sheet.get("twice")
    if made.twice is not None and made.twice not in TWICES:
        text = f"'{made.twice}' is nothing that a second one of the same identity can be"
        findings.add(sheet.value_at("twice"), text, nearest(made.twice, TWICES))
    if "clears" in sheet:
        made.clears = tuple(str(name) for name in sheet["clears"])
    if "snapshot" in sheet:
        made.snapshot = tuple(str(name) for name in sheet["snapshot"])
    if "keep" in sheet:
        found = [_keep(item, sheet, findings) for item in sheet["keep"]]
        made.keep = tuple(keep for keep in found if keep)
    return made


def _keep(item: Any, sheet: Sheet, findings: Findings) -> Keep | None:
    if not isinstance(item, Sheet):
        findings.add(sheet.value_at("keep"), "an item of 'keep' is a mapping", "Write {if: \"status = 'final'\"}.")
        return None
    inner = item.copy()
    keys(inner, {"if": (str,), "elements": (list,), "note": (str,)}, findings, "keep")
    if "if" not in inner:
        findings.add(
            item.spot, "'keep' needs 'if'", "Write {if: \"status = 'final' and %new.status = 'preliminary'\"}."
        )
        return None
    expression(inner["if"], inner.value_at("if"), findings)
    return Keep(inner["if"], tuple(str(name) for name in inner.get("elements", [])))
