"""Read and vread (https://hl7.org/fhir/R4/http.html#read)."""

from __future__ import annotations

from collections.abc import Sequence

import suture.services.interactions.guard as guard
import suture.services.interactions.subset as subset
from suture.access.caller import Caller
from suture.errors import InvalidSearch
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import require_type
from suture.standards.fhir import search
from suture.store import outset, sound, whose
from suture.store.connection import Connection
from suture.store.resources import Row

Pairs = Sequence[tuple[str, str]]


async def read(chart: Chart, caller: Caller, type: str, id: str, pairs: Pairs = ()) -> Row:
    """The current version; raises NotFound, or Gone for who could have read it."""
    require_type(type)
    async with chart.access(caller, "read", type, id) as access:
        connection = chart.database.read
        with outset.held(connection, chart.turn.of(connection)):
            row = current(connection, caller, type, id)
            access.touched(connection, row)
        return part(row, pairs)


def current(connection: Connection, caller: Caller, type: str, id: str) -> Row:
    """The part of a read below its audit frame: the whole row, for the trail asks it whose it is."""
    return guard.present(guard.visible(connection, caller, "read", type, id))


async def vread(chart: Chart, caller: Caller, type: str, id: str, version: str, pairs: Pairs = ()) -> Row:
    """One version; the caller must be allowed both the resource as it is and as it was."""
    require_type(type)
    async with chart.access(caller, "vread", type, id) as access:
        row = old(chart.database.read, caller, type, id, version)
        access.id = row.id
        access.concerns(whose.of_versions(chart.database.read, (row,)))
        return part(row, pairs)


def old(connection: Connection, caller: Caller, type: str, id: str, version: str) -> Row:
    """The part of a vread below its audit frame."""
    guard.visible(connection, caller, "vread", type, id)
    row = _version(connection, type, id, version)
    if row is None or not guard.allowed(connection, caller, "vread", row):
        raise guard.unknown(type)
    if row.damaged:
        raise sound.refusal(f"{type}/{id}/_history/{version}")
    return guard.present(row)


def _version(connection: Connection, type: str, id: str, version: str) -> Row | None:
    if not (version.isascii() and version.isdigit() and len(version) < 9):
        return None
    return sound.vread(connection, type, id, int(version))


def part(row: Row, pairs: Pairs) -> Row:
    """The row cut to `_summary` or `_elements`, the only parameters a read has."""
    if not pairs:
        return row
    for name, _ in pairs:
        if name not in ("_summary", "_elements"):
            raise InvalidSearch(
                "a read has no such parameter", where=name[:100], mend="It knows _format, _summary and _elements."
            )
    query = search.parse(row.type, pairs)
    return row._replace(body=subset.cutter(query.summary, query.elements)(row.body, row.type))
