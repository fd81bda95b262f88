"""A batch: each entry for itself, judged, written and audited for itself (https://hl7.org/fhir/R4/http.html#transaction)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import suture.services.interactions.bundle as bundle
import suture.services.interactions.entries as entries
import suture.services.interactions.patch as patch
import suture.services.interactions.search as search
import suture.services.interactions.write as write
import suture.services.operations.call as call
from suture.access.caller import Caller
from suture.errors import Invalid, SutureError
from suture.services.interactions.chart import Chart, names_of
from suture.services.interactions.entries import Entry
from suture.services.interactions.incoming import Translated
from suture.services.interactions.look import look
from suture.services.interactions.rules import Conditions, Preferences
from suture.services.interactions.search import Asked
from suture.services.interactions.write import Body
from suture.standards.fhir import json, outcome
from suture.store.resources import Row

AT_ONCE = 64  # entries in flight; they share group commits
_GROUPS = (("DELETE",), ("POST",), ("PUT", "PATCH"), ("GET", "HEAD", ""))


async def batch(
    chart: Chart,
    caller: Caller,
    content: dict[str, Any],
    preferences: Preferences,
    *,
    large: bool,
    translated: bool = False,
) -> bytes:
    """Runs the entries in FHIR's order of methods and returns their batch-response; `large`: one of them may be so;
    `translated`: they came as XML.
    """
    found = content.get("entry", [])
    if not isinstance(found, list):
        raise Invalid("entry must be a list", where="Bundle.entry")
    read_entries = _read(chart, found, translated)
    heavy = await chart.aside(partial(_heavy, read_entries)) if large else {}
    done: dict[int, bytes] = {}
    for methods in _GROUPS:
        group = [n for n, entry in enumerate(read_entries) if _method(entry) in methods]
        for start in range(0, len(group), AT_ONCE):
            part = group[start : start + AT_ONCE]
            answers = await asyncio.gather(
                *(_run(chart, caller, read_entries[n], preferences, heavy.get(n)) for n in part)
            )
            done.update(zip(part, answers, strict=True))
    return bundle.responses("batch-response", [done[n] for n in range(len(read_entries))])


def _read(chart: Chart, found: Sequence[Any], translated: bool) -> list[Entry | SutureError]:
    """The entries, or for each what is wrong with it."""
    entries.require_few(found, chart.settings["fhir.max_bundle"])
    read_entries: list[Entry | SutureError] = []
    for index, entry in enumerate(found):
        try:
            read_entries.append(entries.read_one(index, entry, chart.fhir_url, translated=translated))
        except SutureError as error:
            read_entries.append(error)
    return read_entries


def _heavy(read_entries: Sequence[Entry | SutureError]) -> dict[int, bytes]:
    """The bytes of resources that are so large that they are to be checked in threads."""
    found = (
        (n, json.write(one.resource)) for n, one in enumerate(read_entries) if isinstance(one, Entry) and one.resource
    )
    return {n: raw for n, raw in found if len(raw) > write.LARGE}


def _method(entry: Entry | SutureError) -> str:
    return entry.method if isinstance(entry, Entry) else ""


async def _run(
    chart: Chart, caller: Caller, entry: Entry | SutureError, preferences: Preferences, raw: bytes | None
) -> bytes:
    try:
        if isinstance(entry, SutureError):
            raise entry
        status, row, body = await _one(chart, caller, entry, raw)
    except SutureError as error:
        return bundle.response(error.status, None, outcome=json.write(outcome.from_error(error)))
    if entry.method == "HEAD":
        body = b""
    elif entry.method != "GET" and not entry.operation:
        wanted = preferences.stated and preferences.returns == "representation"
        body = row.body if wanted and row is not None else b""
    return bundle.response(status, row, chart.fhir_url, body)


async def _one(chart: Chart, caller: Caller, entry: Entry, raw: bytes | None) -> tuple[int, Row | None, bytes]:
    if entry.operation:
        return await _operation(chart, caller, entry)
    if entry.method in ("GET", "HEAD"):
        return await _look(chart, caller, entry)
    conditions = Conditions(entry.if_match, entry.if_none_match)
    resource = raw or entry.resource or {}
    if entry.translated and entry.method == "PUT":
        resource = Translated(raw or json.write(resource))
    run = _BY_ID if entry.id else _BY_SEARCH
    result = await run[entry.method](chart, caller, entry, resource, conditions)
    return result.status, result.row, b""


async def _operation(chart: Chart, caller: Caller, entry: Entry) -> tuple[int, Row | None, bytes]:
    body = (entry.resource or {}) if entry.method == "POST" else None
    asked = call.Call(entry.operation, entry.type, entry.id, entry.pairs, body)
    answer = await call.run(chart, caller, asked)
    return answer.status, None, answer.body


Run = Callable[[Chart, Caller, Entry, Body, Conditions], Awaitable[write.Outcome]]


def _change(body: Body) -> patch.Change:
    return patch.of_entry(json.read(body) if isinstance(body, bytes) else body)


_BY_SEARCH: dict[str, Run] = {
    "POST": lambda chart, who, e, body, _: write.create(chart, who, e.type, body, e.if_none_exist),
    "PUT": lambda chart, who, e, body, when: write.update_where(chart, who, e.type, e.pairs, body, when),
    "PATCH": lambda chart, who, e, body, when: patch.patch_where(chart, who, e.type, e.pairs, _change(body), when),
    "DELETE": lambda chart, who, e, _, when: write.delete_where(chart, who, e.type, e.pairs, when),
}
_BY_ID: dict[str, Run] = {
    "PUT": lambda chart, who, e, body, when: write.update(chart, who, e.type, e.id, body, when),
    "PATCH": lambda chart, who, e, body, when: patch.patch(chart, who, e.type, e.id, _change(body), when),
    "DELETE": lambda chart, who, e, _, when: write.delete(chart, who, e.type, e.id, when),
}


async def _look(chart: Chart, caller: Caller, entry: Entry) -> tuple[int, Row | None, bytes]:
    """A GET with an audit frame of its own."""
    if len(entry.path) <= 1 and (entry.type or not entry.path):
        return 200, None, (await search.search(chart, caller, Asked(entry.type, entry.pairs))).body
    if within := search.within(entry):
        return 200, None, (await search.search(chart, caller, within)).body
    async with chart.access(caller, _interaction(entry), entry.type, entry.id, names_of(entry.pairs)) as access:
        found = look(chart, caller, entry, chart.database.read)
        access.concerns(found.patients)
        return found[:3]


def _interaction(entry: Entry) -> str:
    if "_history" in entry.path[-1:]:
        return "history-instance" if entry.id else "history-type" if entry.type else "history-system"
    if entry.id:
        return "vread" if len(entry.path) > 2 else "read"
    return "unknown"
