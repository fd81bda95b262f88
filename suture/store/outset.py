"""What every search has to know of the chart before it begins, asked in one question (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

import asyncio
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
def held(connection: Connection, known: Outset | None = None) -> Iterator[None]:
    """The block takes the chart to stand as it does now, or as is known, and asks no more."""
    before, connection.outset = connection.outset, known or of(connection)
    try:
        yield
    finally:
        connection.outset = before


class Turn:
    """How the chart stands for all searches of one turn of the event loop, asked once.

    Their requests have all come before the turn began, so none of them sees less than what was on disk when it was sent.
    """

    def __init__(self) -> None:
        self._known: Outset | None = None

    def of(self, connection: Connection) -> Outset:
        if self._known is None:
            self._known = of(connection)
            asyncio.get_running_loop().call_soon(self._over)
        return self._known

    def _over(self) -> None:
        self._known = None
