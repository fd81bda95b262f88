"""The terminology of one process: for operations a shelf for each caller, for searches and checks an Expander (ports.py).

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Collection

from suture.errors import Inapplicable, TooCostly
from suture.services.terminology.kept import Kept
from suture.services.terminology.shelf import Judge, Shelf, anyone
from suture.standards.fhir.search_parse import R4_CODES
from suture.standards.terminology.compose import canonical, members
from suture.standards.terminology.membership import Known, member_anywhere, member_of
from suture.store.connection import Connection
from suture.store.database import Database


class Terminology:
    """R4's own terminology and what is stored, which counts as soon as it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = Kept()

    def shelf(self, connection: Connection, judged: Judge = anyone, *, quick: bool = False) -> Shelf:
        """What may be used on this connection, as of now; `quick`: raises Cold for what takes long to read."""
        return Shelf(connection, self._kept.fresh(connection), judged, quick)

    def expand(self, url: str) -> Collection[tuple[str, str]] | None:
        """Every (system, code) of a value set, outdated ones too; None when it is not known, or can't be listed."""
        connection = self._database.reader()
        try:
            shelf = self.shelf(connection)
            value_set = shelf.value_set(*canonical(url))
            return None if value_set is None else members(shelf, value_set).codes.keys()
        except (Inapplicable, TooCostly):
            return None
        finally:
            connection.close()

    def related(self, system: str, code: str, *, above: bool) -> Collection[str] | None:
        """The code with all above (else below) it; None when the hierarchy or the code is not known."""
        connection = self._database.reader()
        try:
            found = self.shelf(connection).system(system)
        finally:
            connection.close()
        if found is None:
            return R4_CODES.related(system, code, above=above)
        there = found.find(code)
        return None if there is None else found.above(there) if above else found.below(there)

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
