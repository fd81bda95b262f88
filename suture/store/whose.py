"""Whose records rows of the chart are: the patients of their compartments, for the audit trail.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import orjson

from suture.store import names, sound
from suture.store.audit_listed import BY_NUMBER, PATIENT
from suture.store.bodies import Damaged
from suture.store.connection import Connection
from suture.store.ids import id_of, key_of
from suture.store.index import NO_PATIENT, SEVERAL_PATIENTS
from suture.store.messages import patients_of
from suture.store.resources import DELETE, read_rid
from suture.store.row import Row

AT_ONCE = 500
REMEMBERED = 20_000  # patients
MOST_VERSIONS = 1000  # of a Patient that are looked at for identifiers
LONGEST = 200  # characters of an identifier that messages are indexed by
# What a resource in several compartments names; enough for the trail, never used to decide anything.
_NAMED = re.compile(rb'"reference"\s*:\s*"(?:[^"]{0,500}/)?Patient/([A-Za-z0-9.\-]{1,64})(?:/_history/\d+)?"')


def of_rows(connection: Connection, rows: Iterable[Row]) -> tuple[str, ...]:
    """The patients of these rows, each once, as Patient/ID; deleted rows are nobody's (ask before)."""
    found: dict[str, None] = {}
    others: dict[int, Row] = {}
    pats: dict[int, None] = {}
    for row in rows:
        if row.type == "Patient":
            found[PATIENT + row.id] = None
        elif row.patient is None:
            others[row.rid] = row
        elif row.patient == SEVERAL_PATIENTS:
            found |= dict.fromkeys(named(row.body))
        elif row.patient:
            pats[row.patient] = None
    found |= dict.fromkeys(PATIENT + id_of(key) for _, key in _keys(connection, list(pats)))
    for rid, key in _patients(connection, list(others)):
        if key is not None:
            found[PATIENT + id_of(key)] = None
        elif rid in others:
            found |= dict.fromkeys(named(others[rid].body))
    return tuple(found)


def of_row(connection: Connection, row: Row) -> tuple[str, ...]:
    """`of_rows` for one."""
    if row.type == "Patient":
        return (PATIENT + row.id,)
    pat = row.patient
    if pat is None:
        found = connection.one("SELECT pat FROM res WHERE rid = ?", (row.rid,))
        pat = found[0] if found else NO_PATIENT
    if not pat:
        return ()
    if pat == SEVERAL_PATIENTS:
        return tuple(named(row.body))
    key = _key(connection, pat)
    return () if key is None else (PATIENT + id_of(key),)


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
        try:
            found = read_rid(connection, row[0])
        except Damaged:  # nobody can tell any more
            return ()
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
    """A patient's id and every identifier it ever had, as messages are indexed by them; those of damaged versions nobody knows."""
    numbers = {patient: None}
    for row in sound.history(connection, "Patient", patient, count=MOST_VERSIONS):
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
    today = of_rows(connection, [row._replace(patient=None) for row in rows])
    return tuple(dict.fromkeys((*today, *was)))


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
    known = connection.shared.keys
    found = [(pat, known[pat]) for pat in pats if pat in known]
    asked = [pat for pat in pats if pat not in known]
    if not asked:
        return found
    marks = ",".join("?" * len(asked))
    sql = f"SELECT rid, fid FROM res WHERE rid IN ({marks}) UNION ALL SELECT rid, fid FROM dangling WHERE rid IN ({marks})"
    for pat, key in connection.all(sql, [*asked, *asked]):
        connection.remember(known, pat, key, REMEMBERED)
        found.append((pat, key))
    return found


def _key(connection: Connection, rid: int) -> bytes | str | None:
    """The id of a patient, there or only referred to, as it stands in the store."""
    key = connection.shared.keys.get(rid)
    if key is None:  # two plain looks: rows that wait to be written do not stand in their way
        row = connection.one("SELECT fid FROM res WHERE rid = ?", (rid,))
        row = row or connection.one("SELECT fid FROM dangling WHERE rid = ?", (rid,))
        if row is None:
            return None
        key = row[0]
        connection.remember(connection.shared.keys, rid, key, REMEMBERED)
    return key
