"""What a GET inside a transaction sees: read, vread, history and search on the connection of the transaction."""

from __future__ import annotations

import suture.services.interactions.history as history
import suture.services.interactions.read as read
import suture.services.interactions.search as search
from suture.access.caller import Caller
from suture.errors import NotFound
from suture.services.interactions.chart import Chart
from suture.services.interactions.entries import Entry
from suture.services.interactions.rules import version_of
from suture.store.connection import Connection
from suture.store.resources import Row


def look(chart: Chart, caller: Caller, entry: Entry, connection: Connection) -> tuple[int, Row | None, bytes]:
    """Status, row (of a single resource) and body of what the entry asks for."""
    row = _single(caller, entry, connection)
    if row is not None:
        if entry.if_none_match and version_of(entry.if_none_match) == row.version:
            return 304, row, b""
        return 200, row, row.body
    if entry.path[-1:] == ("_history",) and len(entry.path) <= 3:
        return 200, None, history.page(chart, connection, caller, entry.type, entry.id, entry.pairs).body
    if len(entry.path) <= 1 and (entry.type or not entry.path):
        return 200, None, search.page(chart, connection, caller, entry.type, entry.pairs).body
    raise NotFound("nothing at this address", where="request.url")


def _single(caller: Caller, entry: Entry, connection: Connection) -> Row | None:
    path = entry.path
    if len(path) == 2 and entry.id:
        return read.current(connection, caller, entry.type, entry.id, entry.pairs)
    if len(path) == 4 and entry.id and path[2] == "_history":
        return read.old(connection, caller, entry.type, entry.id, path[3], entry.pairs)
    return None
