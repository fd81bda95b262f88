"""Topics of a site's own, read from `topics/*.yaml` of the project; every finding with line, column and mend.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture import yaml
from suture.errors import InvalidFile, Problems, SutureError
from suture.standards.fhir import fhirpath, topics
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter
from suture.standards.fhir.topics import CREATE, DELETE, UPDATE, Topic, Trigger

KIND = "topic/1"
EXAMPLE = "triggers: [{type: Observation, on: [create, update], current: interpretation=HH}]"
ACTS = (CREATE, UPDATE, DELETE)
_KEYS = ("suture", "url", "title", "triggers", "filters", "includes")
_TRIGGER = ("type", "on", "previous", "current", "both", "for_create", "for_delete", "when")
_FLAGS = {"both": True, "for_create": True, "for_delete": False}


def lint(text: str, file: str) -> tuple[Topic | None, Problems]:
    """The topic as far as it can be read, and every finding."""
    problems = Problems(file)
    try:
        document = yaml.load(text, file)
    except InvalidFile as error:
        problems.found += error.problems
        return None, problems
    if not isinstance(document, dict) or document.get("suture") != KIND:
        problems.add(yaml.START, "this is not a topic file", f"Begin with: suture: {KIND}")
        return None, problems
    _known(document, _KEYS, problems)
    found = Topic(
        _url(document, problems),
        str(document.get("title") or ""),
        tuple(_triggers(document, problems)),
        _filters(document, problems),
        tuple(_includes(document, problems)),
    )
    return (None if problems.errors else found), problems


def _known(node: Any, names: tuple[str, ...], problems: Problems) -> None:
    for key in node:
        if key not in names:
            problems.add(yaml.at(node, key), f"'{key}' means nothing here", f"There are: {', '.join(names)}.")


def _url(document: Any, problems: Problems) -> str:
    url = document.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "urn:")) or " " in url or "|" in url:
        problems.add(
            yaml.value_at(document, "url"), "a topic needs its canonical url", "url: https://clinic.example/topics/NAME"
        )
        return ""
    if url.startswith(topics.BASE):
        problems.add(yaml.value_at(document, "url"), "this url belongs to Suture's own topics", "Take one of your own.")
    return url


def _triggers(document: Any, problems: Problems) -> list[Trigger]:
    rows = document.get("triggers")
    if not isinstance(rows, list) or not rows:
        problems.add(yaml.at(document, "triggers"), "a topic needs triggers", EXAMPLE)
        return []
    return [found for row in rows if (found := _trigger(rows, row, problems)) is not None]


def _trigger(rows: Any, row: Any, problems: Problems) -> Trigger | None:
    if not isinstance(row, dict) or row.get("type") not in RESOURCE_TYPES:
        problems.add(yaml.at(row if isinstance(row, dict) else rows), "a trigger needs a resource type", EXAMPLE)
        return None
    _known(row, _TRIGGER, problems)
    type, on = str(row["type"]), row.get("on", [CREATE, UPDATE])
    if not isinstance(on, list) or not on or any(act not in ACTS for act in on):
        problems.add(yaml.value_at(row, "on"), "not what can happen to a resource", "on: [create, update, delete]")
        on = []
    flags: dict[str, Any] = {name: row.get(name, usual) for name, usual in _FLAGS.items()}
    for name in (name for name, value in flags.items() if not isinstance(value, bool)):
        problems.add(yaml.value_at(row, name), f"{name} is true or false", f"{name}: true")
    previous, current = _query(row, "previous", type, problems), _query(row, "current", type, problems)
    return Trigger(type, tuple(map(str, on)), previous, current, **flags, fhirpath=_when(row, problems))


def _query(row: Any, name: str, type: str, problems: Problems) -> str:
    query = str(row.get(name) or "")
    try:
        topics.conditions(type, query) if query else ()
    except SutureError as error:
        problems.add(
            yaml.value_at(row, name), f"{name} can't be used: {error.text}", error.mend or f"{name}: status=final"
        )
    return query


def _when(row: Any, problems: Problems) -> str:
    text = str(row.get("when") or "")
    try:
        if text:
            fhirpath.compile(text)
    except SutureError as error:
        problems.add(
            yaml.value_at(row, "when"), f"not FHIRPath: {error.text}", "when: '%previous.status != %current.status'"
        )
    return text


def _filters(document: Any, problems: Problems) -> Mapping[str, tuple[str, ...]]:
    found = document.get("filters", {})
    if not isinstance(found, dict):
        problems.add(
            yaml.value_at(document, "filters"), "filters is a table", "filters: {Observation: [patient, code]}"
        )
        return {}
    return {str(type): _names(found, type, problems) for type in found}


def _names(found: Any, type: Any, problems: Problems) -> tuple[str, ...]:
    names = found[type] if isinstance(found[type], list) else []
    for name in names:
        if name != "_id" and (type not in RESOURCE_TYPES or search_parameter(str(type), str(name)) is None):
            problems.add(
                yaml.at(found, type),
                f"{type} has no search parameter {name}",
                "docs/search.md says where they are listed.",
            )
    return tuple(map(str, names))


def _includes(document: Any, problems: Problems) -> list[str]:
    rows = document.get("includes", [])
    for row in rows if isinstance(rows, list) else [rows]:
        type, _, name = str(row).partition(":")
        known = search_parameter(type, name) if type in RESOURCE_TYPES else None
        if known is None or known.type != "reference":
            problems.add(
                yaml.value_at(document, "includes"), f"{row} leads to nothing", "includes: [Observation:patient]"
            )
    return [str(row) for row in rows] if isinstance(rows, list) else []
