"""$meta of a type or of the whole server: the profiles, tags and security labels in use there, as far as the caller sees.

A value is told only when the caller may see a resource that carries it: for each value the index knows, one such resource
is looked for as a search would, and all that its meta says is told. What labels, Consents, scopes and bounds keep back has
no resource to show, so its labels are not told either. https://hl7.org/fhir/R4/resource-operations.html#meta
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.access.policy import Reach
from suture.errors import TooCostly
from suture.services.operations.operation import Asked
from suture.standards.fhir import json
from suture.standards.fhir.search_query import Match, SearchQuery, Token, Uri
from suture.store import in_use, parameters, scan, whose
from suture.store import search as store_search
from suture.store.connection import Connection
from suture.store.resources import Row

MOST = 1000  # values that are told
LOOKED_AT = 20  # resources with one value, the newest first; the caller sees the first of them nearly always
KINDS = {"profile": ("_profile", "urls"), "tag": ("_tag", "tokens"), "security": ("_security", "tokens")}
_NONE = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "not-applicable"}]
}  # an empty object is no FHIR
Key = tuple[str, str]


@dataclass(slots=True)
class Found:
    """What was found: for each kind the values by what makes them one; `patients`: of whom, where it may be of few."""

    values: dict[str, dict[Key, Any]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    patients: dict[str, None] = field(default_factory=dict)

    def knows(self, kind: str, system: str, code: str) -> bool:
        found = self.values[kind]
        return (("", code) if kind == "profile" else (system, code)) in found

    def add(self, row: Row) -> None:
        """All that a resource's meta says. A profile is its URL, a label its system and code whatever its case."""
        meta = json.reread(row.body)["meta"]
        for kind in KINDS:
            for value in meta.get(kind, []):
                self.values[kind].setdefault(_key(value), value)

    @property
    def count(self) -> int:
        return sum(len(found) for found in self.values.values())

    def meta(self) -> dict[str, Any]:
        found = {kind: [value for _, value in sorted(some.items())] for kind, some in self.values.items() if some}
        return found or _NONE


def _key(value: Any) -> Key:
    if not isinstance(value, dict):
        return "", str(value)
    return str(value.get("system", "")), str(value.get("code", "")).lower()


async def gathered(asked: Asked) -> dict[str, Any]:
    """The meta of all that the caller may search there; raises TooCostly, which says how to ask for less."""
    async with asked.frame() as access:
        found = await asked.chart.slowly(partial(_found, asked))
        access.concerns(found.patients)
        return found.meta()


def _found(asked: Asked, connection: Connection) -> Found:
    parameters.adopt(connection)
    found, look = Found(), _Look(asked, connection)
    for type in _types(asked, connection):
        part = policy.reach(asked.caller, "search-type", type) is Reach.PART
        for row in look.witnesses(type, found):
            found.add(row)
            if part:  # it may be about one person alone
                found.patients.update(dict.fromkeys(whose.of_rows(connection, [row])))
            if found.count > MOST:
                raise _refused(asked, f"more than {MOST} profiles, tags and labels are in use")
    return found


def _refused(asked: Asked, text: str) -> TooCostly:
    mend = "Ask for one type or one resource, or search by _profile, _tag or _security."
    return TooCostly(text, where=asked.type or "$meta", mend=mend)


def _types(asked: Asked, connection: Connection) -> list[str]:
    """The type, or every type in use that the caller may search."""
    caller = asked.caller
    if asked.type:
        policy.require(caller, "search-type", asked.type)
        return [asked.type]
    if not any("s" in scope.letters for scope in caller.scopes):
        raise policy.refusal(caller, "search-system", "*")
    return [t for t in scan.types(connection) if policy.reach(caller, "search-type", t) is not Reach.NOTHING]


class _Look:
    """Looks for resources with each value, all within one budget."""

    def __init__(self, asked: Asked, connection: Connection) -> None:
        self._asked = asked
        self._connection = connection
        self._away = withheld.of(connection, asked.caller)
        self._judged = guard.judge(connection, asked.caller, "search-type", self._away)
        self._end = asked.chart.clock.monotonic() + asked.chart.settings["search.budget"]

    def witnesses(self, type: str, found: Found) -> Iterator[Row]:
        """Resources of the type whose values are not yet known."""
        for kind, (parameter, rows) in KINDS.items():
            for system, code in self._values(type, parameter, rows):
                if not found.knows(kind, system, code):
                    yield from self._carrying(type, parameter, system, code)

    def _values(self, type: str, parameter: str, rows: str) -> Iterator[Key]:
        self._left()
        for value in in_use.values(self._connection, type, parameter, rows):
            self._left()
            yield value

    def _carrying(self, type: str, parameter: str, system: str, code: str) -> Iterator[Row]:
        """The newest one the caller may see; of a profile all of them, for its versions are found under its URL, too."""
        value = Uri(code) if parameter == "_profile" else Token(system, code or None)
        kind = "uri" if parameter == "_profile" else "token"
        query = SearchQuery(type, (Match(parameter, kind, (value,)),), count=LOOKED_AT)
        query = policy.narrow(self._asked.caller, query, self._away)
        seen = (row for row in self._page(query) if self._judged(row))
        yield from seen if kind == "uri" else [row for row in [next(seen, None)] if row is not None]

    def _page(self, query: SearchQuery) -> list[Row]:
        try:
            return store_search.find(self._connection, query, budget=self._left()).rows
        except TooCostly as error:
            raise _refused(self._asked, error.text) from error

    def _left(self) -> float:
        """Seconds that are left; raises TooCostly."""
        left = self._end - self._asked.chart.clock.monotonic()
        if left <= 0:
            raise _refused(self._asked, "there are too many profiles, tags and labels to look through")
        return float(left)
