"""The terminology of one process: for operations a shelf for each caller, for searches and checks an Expander (ports.py).

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Thread
from typing import TypeVar

from suture.errors import Inapplicable, TooCostly, Unavailable
from suture.services.terminology.kept import Cold, Kept
from suture.services.terminology.shelf import Judge, Shelf, anyone
from suture.standards.terminology.compose import canonical, members
from suture.standards.terminology.membership import Known, member_anywhere, member_of
from suture.store.connection import Connection
from suture.store.database import Database

T = TypeVar("T")


class Terminology:
    """R4's own terminology and what is stored, which counts as soon as it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = Kept()
        self._reading: Thread | None = None

    def shelf(self, connection: Connection, judged: Judge = anyone, *, quick: bool = False) -> Shelf:
        """What may be used on this connection, as of now; `quick`: raises Cold for what takes long to read."""
        return Shelf(connection, self._kept.fresh(connection), judged, quick)

    def expand(self, url: str) -> Collection[tuple[str, str]] | None:
        """Every (system, code) of a value set, outdated ones too; None when it is not known, or can't be listed.

        Raises Unavailable while a large code system is read for the first time.
        """
        return self._soon(lambda shelf: _expanded(shelf, url))

    def related(self, system: str, code: str, *, above: bool) -> Collection[str] | None:
        """The code with all above (else below) it; None when the hierarchy or the code is not known."""
        return self._soon(lambda shelf: _related(shelf, system, code, above))

    def _soon(self, work: Callable[[Shelf], T]) -> T:
        """At once; what takes long is read in a thread, and asked for again then."""
        try:
            return self._apart(work, quick=True)
        except Cold:
            if self._reading is None or not self._reading.is_alive():
                self._reading = Thread(target=self._apart, args=(work,), name="terminology", daemon=True)
                self._reading.start()
            text = "a large code system is being read for the first time"
            raise Unavailable(text, mend="Try again in a few seconds.", after=5) from None

    def _apart(self, work: Callable[[Shelf], T], *, quick: bool = False) -> T:
        connection = self._database.reader()
        try:
            return work(self.shelf(connection, quick=quick))
        finally:
            connection.close()

    def member_of(self, connection: Connection, system: str | None, code: str, url: str) -> Known:
        """Whether a value set holds a code (None: of whatever system); None when that can't be said."""
        try:
            shelf = self.shelf(connection)
            value_set = shelf.value_set(*canonical(url))
            if value_set is None:
                return None
            if system is None:
                return member_anywhere(shelf, value_set, code)
            return member_of(shelf, value_set, system, code)
        except (Inapplicable, TooCostly):
            return None


def _expanded(shelf: Shelf, url: str) -> Collection[tuple[str, str]] | None:
    value_set = shelf.value_set(*canonical(url))
    try:
        return None if value_set is None else members(shelf, value_set).codes.keys()
    except (Inapplicable, TooCostly):
        return None


def _related(shelf: Shelf, system: str, code: str, above: bool) -> Collection[str] | None:
    found = shelf.system(system)
    there = found.find(code) if found is not None else None
    if found is None or there is None:
        return None
    return found.above(there) if above else found.below(there)
