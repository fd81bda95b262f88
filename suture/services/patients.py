"""Finds the Patient whom a person names by id or by record number.

Nothing here asks a policy: for callers who may see every patient, or are about to be judged by the id that is found.
https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from dataclasses import replace

from suture.errors import Invalid, NotFound
from suture.standards.fhir import search as language
from suture.store import resources
from suture.store import search as store_search
from suture.store.connection import Connection


def find(connection: Connection, given: str, where: str = "patient") -> str:
    """The id of the Patient with this id or identifier; "" for none, raises Invalid for several."""
    given = given.strip()
    text = given.removeprefix("Patient/")
    if not text or resources.read(connection, "Patient", text) is not None:
        return text
    query = language.parse("Patient", [("identifier", given)])
    found = store_search.find(connection, replace(query, count=2)).rows
    if len(found) > 1:
        raise Invalid("several patients have this identifier", where=where, mend="Write system|value, or the id.")
    return found[0].id if found else ""


def named(connection: Connection, given: str, where: str = "patient") -> str:
    """The same, and raises NotFound for none."""
    id = find(connection, given, where)
    if not id:
        raise NotFound("no patient with this id or identifier", where=where, mend="Look at how it is written.")
    return id
