"""What every search has to know of the chart before it begins, asked in one question (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from suture.store.connection import Connection, Outset

_ASKED = """
SELECT (SELECT max(tid) FROM tok), (SELECT max(nid) FROM name), EXISTS (SELECT 1 FROM restriction),
  (SELECT value FROM fact WHERE name = 'parameters')
"""


def of(connection: Connection) -> Outset:
    """How the chart stands: at the beginning of the block that holds it, else now."""
    if connection.outset is not None:
        return connection.outset
    codes, names, restricted, mark = connection.one(_ASKED) or (0, 0, False, "")
    return Outset(codes or 0, names or 0, bool(restricted), mark or "")


@contextmanager
def held(connection: Connection) -> Iterator[None]:
    """The block takes the chart to stand as it does now, and asks no more."""
    before, connection.outset = connection.outset, of(connection)
    try:
        yield
    finally:
        connection.outset = before
