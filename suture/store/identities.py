"""Which resource an identifier named of late: feeds name the same patients, visits and organizations again and again.

https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from suture.standards.fhir import json
from suture.standards.fhir.index import Rows
from suture.store.row import Row

MOST = 3_000
Key = tuple[str, str, str]  # resource type, system, value


class Named:
    """A row that an identifier named, its resource read once, and its index rows when they are at hand. Change none of it."""

    def __init__(self, row: Row, rows: Rows | None = None, *, ours: bool = False) -> None:
        """`ours`: the body is as this server writes it."""
        self.row = row
        self.rows = rows
        self._ours = ours
        self.settled: object = None  # what was merged with it last and changed nothing

    @cached_property
    def resource(self) -> dict[str, Any]:
        return json.reread(self.row.body)

    @cached_property
    def written(self) -> bytes:
        """The resource as this server writes it: what is equal to it to the byte is the same."""
        return self.row.body if self._ours else json.write(self.resource)


class Identities:
    """Holds as long as only its own connection writes: each write there keeps it in step, a commit of another empties it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._named: dict[Key, Named] = {}  # the one used last stands last
        self._keys: dict[int, list[Key]] = {}  # row number -> under which keys it stands
        self._foreign = 0  # SQLite's count of commits by other connections
        self._writers: dict[Key, int] = {}  # the first row that was written with an identifier in this transaction
        self._contested: set[Key] = set()  # identifiers that several rows were written with

    def begin(self, foreign: int) -> None:
        """A transaction begins."""
        self._writers.clear()
        self._contested.clear()
        if foreign != self._foreign:
            self._foreign = foreign
            self._named.clear()
            self._keys.clear()

    def get(self, key: Key) -> Named | None:
        """The only row with this identifier, as the writing connection has it now; None when that must be looked up."""
        found = self._named.pop(key, None)
        if found is not None:
            self._named[key] = found
        return found

    def keep(self, key: Key, named: Named) -> None:
        """What a look-up, or a write, inside the present transaction has found."""
        if self._most and key not in self._contested:
            if len(self._named) >= self._most:
                self.forget(next(iter(self._named.values())).row.rid)
            self._named[key] = named
            self._keys.setdefault(named.row.rid, []).append(key)

    def forget(self, rid: int) -> None:
        """This row has changed, or what was kept of it is undone."""
        for key in self._keys.pop(rid, ()):
            self._named.pop(key, None)

    def written(self, rid: int, rows: Rows | None) -> None:
        """This row was written: what others with the same identifiers answered is no longer the only answer."""
        self.forget(rid)
        if self._most and rows is not None:
            for _, system, value in rows.identifiers:
                self._contend((rows.type, system, value), rid)

    def _contend(self, key: Key, rid: int) -> None:
        if self._writers.setdefault(key, rid) != rid:
            self._contested.add(key)
        found = self._named.get(key)
        if found is not None:
            self.forget(found.row.rid)
