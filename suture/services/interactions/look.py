"""What a GET inside a transaction sees: read, vread, history and search on the connection of the transaction."""

from __future__ import annotations

from typing import NamedTuple

import suture.services.interactions.history as history
import suture.services.interactions.read as read
import suture.services.interactions.search as search
from suture.access.caller import Caller
from suture.errors import NotFound
from suture.services.interactions.chart import Chart
from suture.services.interactions.entries import Entry
from suture.services.interactions.rules import version_of
from suture.services.interactions.search import Asked
from suture.store import whose
from suture.store.connection import Connection
from suture.store.resources import Row


class Looked(NamedTuple):
    """Status, row (of a single resource) and body of what an entry asked for, and whose it is."""

    status: int
    row: Row | None
    body: bytes
    patients: tuple[str, ...]


def look(chart: Chart, caller: Caller, entry: Entry, connection: Connection) -> Looked:
    """What the entry asks for."""
    row = _single(caller, entry, connection)
    if row is not None:
        patients = whose.of_versions(connection, (row,))
        row = read.part(row, entry.pairs)
        if entry.if_none_match and version_of(entry.if_none_match) == row.version:
            return Looked(304, row, b"", patients)
        return Looked(200, row, row.body, patients)
    if entry.path[-1:] == ("_history",) and len(entry.path) <= 3:
        page = history.page(chart, connection, caller, entry.type, entry.id, entry.pairs)
    elif len(entry.path) <= 1 and (entry.type or not entry.path):
        page = search.page(chart, connection, caller, Asked(entry.type, entry.pairs))
    elif within := search.within(entry):
        page = search.page(chart, connection, caller, within)
    else:
        raise NotFound("nothing at this address", where="request.url")
    return Looked(200, None, page.body, page.patients)


def _single(caller: Caller, entry: Entry, connection: Connection) -> Row | None:
    path = entry.path
    if len(path) == 2 and entry.id:
        return read.current(connection, caller, entry.type, entry.id)
    if len(path) == 4 and entry.id and path[2] == "_history":
        return read.old(connection, caller, entry.type, entry.id, path[3])
    return None
