"""Whose records rows of the chart are: the patients of their compartments, for the audit trail.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import orjson

from suture.store import names
from suture.store.audit_listed import BY_NUMBER, PATIENT
from suture.store.connection import Connection
from suture.store.ids import id_of, key_of
from suture.store.index import SEVERAL_PATIENTS
from suture.store.messages import patients_of
from suture.store.resources import DELETE, history, read_rid
from suture.store.row import Row

AT_ONCE = 500
MOST_VERSIONS = 1000  # of a Patient that are looked at for identifiers
LONGEST = 200  # characters of an identifier that messages are indexed by
# What a resource in several compartments names; enough for the trail, never used to decide anything.
_NAMED = re.compile(rb'"reference"\s*:\s*"(?:[^"]{0,500}/)?Patient/([A-Za-z0-9.\-]{1,64})(?:/_history/\d+)?"')


def of_rows(connection: Connection, rows: Iterable[Row]) -> tuple[str, ...]:
    """The patients of these rows, each once, as Patient/ID; deleted rows are nobody's (ask before)."""
    found: dict[str, None] = {}
    others: dict[int, Row] = {}
    for row in rows:
        if row.type == "Patient":
            found[PATIENT + row.id] = None
        else:
            others[row.rid] = row
    for rid, key in _patients(connection, list(others)):
        if key is not None:
            found[PATIENT + id_of(key)] = None
        elif rid in others:
            found |= dict.fromkeys(named(others[rid].body))
    return tuple(found)


_ONE = """
SELECT r.pat, coalesce((SELECT fid FROM res WHERE rid = r.pat), (SELECT fid FROM dangling WHERE rid = r.pat))
FROM res r WHERE r.rid = ?
"""


def of_row(connection: Connection, row: Row) -> tuple[str, ...]:
    """`of_rows` for one, in one question."""
    if row.type == "Patient":
        return (PATIENT + row.id,)
    found = connection.one(_ONE, (row.rid,))
    if found is None or not found[0]:
        return ()
    if found[0] == SEVERAL_PATIENTS:
        return tuple(named(row.body))
    return () if found[1] is None else (PATIENT + id_of(found[1]),)


def of_id(connection: Connection, type: str, id: str) -> tuple[str, ...]:
    """Whose a resource is that may be about to change hands; a Patient's own record is known by its id anyway."""
    if type == "Patient":
        return (PATIENT + id,)
    row = connection.one(
        "SELECT rid, pat FROM res WHERE fid = ? AND rt = ?", (key_of(id), names.find(connection, type))
    )
    if row is None or not row[1]:
        return ()
    if row[1] == SEVERAL_PATIENTS:
        found = read_rid(connection, row[0])
        return tuple(named(found.body)) if found else ()
    key = _key(connection, row[1])
    return () if key is None else (PATIENT + id_of(key),)


def numbers_at(
    connection: Connection, rids: Sequence[int], moment: int, unknown: Iterable[str] = ()
) -> tuple[set[int], list[int]]:
    """The row numbers of these rows' patients; and the rows that have to say it themselves: those changed after `moment`,
    those of several patients, deleted ones, and rows of `unknown` types."""
    found: set[int] = set()
    unsure: list[int] = []
    types = {names.find(connection, type) for type in unknown}
    for at in range(0, len(rids), AT_ONCE):
        part = rids[at : at + AT_ONCE]
        sql = f"SELECT rid, rt, upd, op, pat FROM res WHERE rid IN ({','.join('?' * len(part))})"
        for rid, rt, upd, op, pat in connection.all(sql, part):
            if upd > moment or pat == SEVERAL_PATIENTS or op == DELETE or rt in types:
                unsure.append(rid)
            elif pat:
                found.add(pat)
    return found, unsure


def ids_of(connection: Connection, patients: Sequence[int]) -> list[str]:
    """The ids of patients by their row numbers, in the order of the numbers."""
    found: dict[int, bytes | str] = {}
    for at in range(0, len(patients), AT_ONCE):
        found.update(_keys(connection, patients[at : at + AT_ONCE]))
    return [id_of(found[rid]) for rid in sorted(found)]


def of_message(connection: Connection, mid: int) -> tuple[str, ...]:
    """Digests of the patient identifiers a message carries: the trail finds them, and tells nobody a number."""
    return tuple(by_number(connection, text) for text in patients_of(connection, mid))


def numbers_of(connection: Connection, patient: str) -> tuple[str, ...]:
    """A patient's id and every identifier it ever had, as messages are indexed by them."""
    numbers = {patient: None}
    for row in history(connection, "Patient", patient, count=MOST_VERSIONS):
        for one in orjson.loads(row.body).get("identifier") or () if row.body else ():
            if isinstance(one.get("value"), str):
                numbers[one["value"][:LONGEST]] = None
    return tuple(numbers)


def keys_of(connection: Connection, patient: str) -> tuple[str, ...]:
    """Everything the trail may know a patient (an id) by: the id, and digests of it and of every identifier it ever had."""
    return (PATIENT + patient, *(by_number(connection, number) for number in numbers_of(connection, patient)))


def by_number(connection: Connection, identifier: str) -> str:
    """An identifier as the trail holds it."""
    salted = f"{connection.shared.envelope.database}\x1f{identifier}".encode("utf-8", "surrogatepass")
    return BY_NUMBER + hashlib.sha256(salted).hexdigest()[:24]


def named(body: bytes) -> list[str]:
    """Every patient a body refers to."""
    return [PATIENT + id.decode() for id in dict.fromkeys(_NAMED.findall(body))]


def of_versions(connection: Connection, rows: Sequence[Row]) -> tuple[str, ...]:
    """The patients of old versions: of what they said and of what their resources say today."""
    was = (patient for row in rows for patient in named(row.body))
    return tuple(dict.fromkeys((*of_rows(connection, rows), *was)))


def _patients(connection: Connection, rids: Sequence[int]) -> Iterable[tuple[int, bytes | str | None]]:
    """(a row of it, the patient's key) of each patient there is; no key: that row is in several compartments."""
    for at in range(0, len(rids), AT_ONCE):
        part = rids[at : at + AT_ONCE]
        marks = ",".join("?" * len(part))
        found = connection.all(f"SELECT pat, min(rid) FROM res WHERE rid IN ({marks}) GROUP BY pat", part)
        pats = {pat: rid for pat, rid in found if pat and pat != SEVERAL_PATIENTS}
        yield from ((pats[pat], key) for pat, key in _keys(connection, list(pats)))
        if any(pat == SEVERAL_PATIENTS for pat, _ in found):
            sql = f"SELECT rid FROM res WHERE rid IN ({marks}) AND pat = {SEVERAL_PATIENTS}"
            yield from ((rid, None) for (rid,) in connection.all(sql, part))


def _keys(connection: Connection, pats: Sequence[int]) -> Iterable[tuple[int, bytes | str]]:
    """The ids of patients, there or only referred to, as they stand in the store."""
    if len(pats) == 1:
        key = _key(connection, pats[0])
        return [] if key is None else [(pats[0], key)]
    marks = ",".join("?" * len(pats))
    sql = f"SELECT rid, fid FROM res WHERE rid IN ({marks}) UNION ALL SELECT rid, fid FROM dangling WHERE rid IN ({marks})"
    return connection.all(sql, [*pats, *pats]) if pats else []


def _key(connection: Connection, rid: int) -> bytes | str | None:
    """The id of a patient, there or only referred to, as it stands in the store."""
    row = connection.one("SELECT fid FROM res WHERE rid = ?1 UNION ALL SELECT fid FROM dangling WHERE rid = ?1", (rid,))
    return row[0] if row else None
