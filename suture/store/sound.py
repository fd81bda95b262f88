"""Reads resources where one damaged body must not stop the look at all others: what can't be read is left out and noted.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.store import resources
from suture.store.bodies import Damaged
from suture.store.connection import Connection
from suture.store.row import Row


def read_rid(connection: Connection, rid: int, damaged: set[int]) -> Row | None:
    """The current version of a row; None where it can't be read."""
    try:
        return resources.read_rid(connection, rid)
    except Damaged:
        damaged.add(rid)
        return None


def read_rids(connection: Connection, rids: Sequence[int], damaged: set[int]) -> list[Row]:
    """The current versions of these rows, in this order; one by one when there is a damaged one among them."""
    try:
        return resources.read_rids(connection, rids)
    except Damaged:
        found = (read_rid(connection, rid, damaged) for rid in rids)
        return [row for row in found if row is not None and not row.deleted]
