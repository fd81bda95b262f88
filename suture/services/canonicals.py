"""What canonicals lead to here: what is stored, then what is inside; kept until something of their types is written.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from suture.errors import InvalidResource
from suture.services.terminology.shelf import rank
from suture.services.terminology.terminology import Terminology
from suture.standards.fhir import json, profiles, search, us_core, vital_signs
from suture.standards.fhir.profiles import Profile
from suture.standards.fhir.profiles.quick import Quick
from suture.standards.fhir.profiles.quick_binding import remembered
from suture.standards.fhir.search_values import escaped
from suture.store import search as store_search
from suture.store import terminology as stored
from suture.store import terminology_loaded
from suture.store.connection import Connection
from suture.store.resources import Row

KEPT = 500  # canonicals that are remembered, of each kind
LONGEST = 1_000  # characters of a canonical that leads anywhere
TYPES = (*stored.TYPES, "StructureDefinition", "Questionnaire", "SearchParameter")  # what is remembered
_CONNECTION: ContextVar[Connection] = ContextVar("connection")


def profile(connection: Connection, url: str) -> Profile | None:
    """The profile as it is stored now, or as it is inside (US Core, vital signs); the newest, or the version named."""
    row = _newest(connection, "StructureDefinition", url)
    if row is None:
        return us_core.profile(url) or vital_signs.profile(url)
    return _read(row.rid, row.version, row.body)


def definition(connection: Connection, type: str, url: str) -> dict[str, Any] | None:
    """What stands here under a canonical, the same way."""
    row = _newest(connection, type, url)
    return None if row is None else _body(row.rid, row.version, row.body)


def _newest(connection: Connection, type: str, url: str) -> Row | None:
    plain, _, version = url.partition("|")
    if not plain or len(url) > LONGEST:
        return None
    pairs = [("url", escaped(plain))] + ([("version", escaped(version))] if version else [])
    found = store_search.find(connection, search.parse(type, pairs), budget=1.0).rows
    return max(found, key=lambda row: rank(_body(row.rid, row.version, row.body)), default=None)


@lru_cache(KEPT)
def _body(rid: int, version: int, body: bytes) -> dict[str, Any]:
    return json.reread(body)


@lru_cache(KEPT)
def _read(rid: int, version: int, body: bytes) -> Profile:
    return profiles.read(json.reread(body))


class Known:
    """What was found since the last change. It is asked inside `at` alone, which says over what connection."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology
        self._profiles = lru_cache(KEPT)(lambda url: profile(_CONNECTION.get(), url))
        self._definitions = lru_cache(KEPT)(lambda type, url: definition(_CONNECTION.get(), type, url))
        self.member_of = remembered(self._member_of)
        self.quick = Quick(self.sound, self.member_of)

    def profile(self, url: str) -> Profile | None:
        """The profile of a canonical; raises InvalidResource for one that can't be read."""
        found: Profile | None = self._profiles(url) if len(url) <= LONGEST else None
        return found

    def sound(self, url: str) -> Profile | None:
        """The same; None for one that can't be read."""
        try:
            return self.profile(url)
        except InvalidResource:
            return None

    def definition(self, type: str, url: str) -> dict[str, Any] | None:
        """What stands here under a canonical; it is never changed."""
        if type not in TYPES or len(url) > LONGEST:
            return definition(_CONNECTION.get(), type, url)
        found: dict[str, Any] | None = self._definitions(type, url)
        return found

    def _member_of(self, system: str | None, code: str, url: str) -> bool | None:
        """Whether a value set of R4 or of the store, else of US Core, holds a code; None when nobody can tell."""
        told = self._terminology.member_of(_CONNECTION.get(), system, code, url)
        return told if told is not None else us_core.member_of(system, code, url)


class Canonicals:
    """Of one process; it may be asked in several threads."""

    def __init__(self, terminology: Terminology) -> None:
        self._terminology = terminology
        self._kept: tuple[tuple[int, ...], Known] = ((), Known(terminology))

    def at(self, connection: Connection) -> AbstractContextManager[Known]:
        """What is known as of now, to be asked over this connection, which sees only what is committed."""
        mark = (*stored.mark(connection, TYPES), *terminology_loaded.mark(connection))
        kept, known = self._kept
        if mark != kept:
            known = Known(self._terminology)
            self._kept = (mark, known)
        return _over(connection, known)

    def within(self, connection: Connection) -> AbstractContextManager[Known]:
        """The same over a connection that may see what is taken back later: nothing is remembered."""
        return _over(connection, Known(self._terminology))


@contextmanager
def _over(connection: Connection, known: Known) -> Iterator[Known]:
    token = _CONNECTION.set(connection)
    try:
        yield known
    finally:
        _CONNECTION.reset(token)
