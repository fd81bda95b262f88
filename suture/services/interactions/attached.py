"""What a Binary belongs to: its security context, and the documents that name it (https://hl7.org/fhir/R4/binary.html#security-context)."""

from __future__ import annotations

from typing import Any

from suture.standards.fhir import json, search
from suture.store import search as store_search
from suture.store import sound
from suture.store.connection import Connection
from suture.store.resources import Row

TYPE = "Binary"
MOST = 20  # documents that are asked whether one of them may be seen
SECONDS = 1.0


def owners(connection: Connection, row: Row) -> list[Row]:
    """The resources by which access to this Binary is judged; none when nothing names it."""
    context = _context(connection, json.reread(row.body)) if row.body else None
    return [context] if context is not None else _documents(connection, row)


def _context(connection: Connection, resource: dict[str, Any]) -> Row | None:
    named = resource.get("securityContext", {}).get("reference", "")
    type, _, rest = named.removeprefix(connection.shared.base).partition("/")
    found = sound.read(connection, type, rest.partition("/")[0]) if rest else None
    return None if found is None or found.deleted else found


def _documents(connection: Connection, row: Row) -> list[Row]:
    place = f"{TYPE}/{row.id}"
    query = search.parse(
        "DocumentReference", [("location", f"{place},{connection.shared.base}{place}"), ("_count", str(MOST))]
    )
    return store_search.find(connection, query, budget=SECONDS, read=sound.read_all).rows
