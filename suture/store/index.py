"""Keeps the index tables (sql/002-index.sql) in step with the resources: old and new rows are compared, only what changed is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from suture.errors import TooCostly
from suture.standards.fhir.definitions import Own, own_of
from suture.standards.fhir.index import Rows
from suture.standards.fhir.index_atoms import plan_of
from suture.standards.fhir.index_compartment import patients
from suture.standards.fhir.index_dates import sorting_date
from suture.standards.fhir.index_time import DAY
from suture.store import codes, names, postings
from suture.store.connection import Tx
from suture.store.rids import target as target

URL_SYSTEM = "urn:ietf:rfc:3986"  # URLs and systems are interned as codes of this system
PAIR = "\x1f"  # stands in interned pairs, and in no code
LONGEST = 200  # characters of an identifier that stand in the index as they are
LONG = 40 * DAY  # a date range beyond that stands in L too
SPAN, TYPED = ":span", ":of-type"  # marks of an atom's second set of rows
NO_PATIENT, SEVERAL_PATIENTS = 0, -1
TYPES = 200  # more than R4 has
FORGETTING = 5.0  # seconds

SQL = {
    "T": ("INSERT OR IGNORE INTO T (lid, sd, rid) VALUES (?,?,?)", "DELETE FROM T WHERE (lid,sd,rid) = (?,?,?)"),
    "I": ("INSERT OR IGNORE INTO I VALUES (?,?,?,?)", "DELETE FROM I WHERE (pid,val,tid,rid) = (?,?,?,?)"),
    "R": ("INSERT OR IGNORE INTO R VALUES (?,?,?,?)", "DELETE FROM R WHERE (pid,tgt,sd,rid) = (?,?,?,?)"),
    "S": ("INSERT OR IGNORE INTO S VALUES (?,?,?)", "DELETE FROM S WHERE (pid,val,rid) = (?,?,?)"),
    "D": (
        "INSERT OR IGNORE INTO D (pid, lo, rid, len) VALUES (?,?,?,?)",
        "DELETE FROM D WHERE (pid,lo,rid,len) = (?,?,?,?)",
    ),
    "L": ("INSERT OR IGNORE INTO L VALUES (?,?,?,?)", "DELETE FROM L WHERE (pid,hi,rid,lo) = (?,?,?,?)"),
    "Q": ("INSERT OR IGNORE INTO Q (lid, lo, rid) VALUES (?,?,?)", "DELETE FROM Q WHERE (lid,lo,rid) = (?,?,?)"),
    "W": (
        "INSERT OR IGNORE INTO W (lid, lo, rid, hi) VALUES (?,?,?,?)",
        "DELETE FROM W WHERE (lid,lo,rid,hi) = (?,?,?,?)",
    ),
}
NUMBERS = frozenset("TRDLQW")  # hold nothing but numbers: two rows that differ here differ for every database
KEYLESS = frozenset("DQ")  # of which PostgreSQL keeps a row that comes again twice
TableRow = tuple[str, tuple[int | float | str, ...]]  # table, its columns


class Place(NamedTuple):
    """What the resource row keeps for search: its patient (NO_PATIENT, SEVERAL_PATIENTS) and its sorting date."""

    pat: int
    sd: int


def write(tx: Tx, rid: int, new: Rows | None, old: Rows | None = None) -> Place:
    """Brings the index rows of one resource up to date; None stands for a deleted (or not yet written) resource."""
    batch = Batch(tx)
    place = batch.add(rid, new, old)
    batch.flush()
    return place


# what of a type's rows is of one resource; the tables of the second list have an index of their own for that
_BY_ATOM = {
    "T": "SELECT T.lid, T.sd, T.rid FROM posting CROSS JOIN T ON T.lid = posting.lid WHERE posting.pid = ? AND T.rid = ? AND T.sd = ?",
    "I": "SELECT pid, val, tid, rid FROM I WHERE pid = ? AND rid = ?",
    "L": "SELECT pid, hi, rid, lo FROM L WHERE pid = ? AND rid = ?",
}
_BY_NUMBER = ("R", "S", "D", "Q", "W")
_RESTORE = "Restore the last good backup."


def forget(tx: Tx, rid: int, type: str, sd: int) -> None:
    """Takes all rows of a resource away without knowing what it said; `sd`: its sorting date.

    Slow: identifiers of the type are looked through, its tokens code by code; past FORGETTING seconds raises TooCostly.
    """
    wanted = [name + mark for name in atom_names(type) for mark in ("", SPAN, TYPED)]
    pids = [pid for name in wanted if (pid := names.find(tx, name))]
    try:
        with tx.budget(FORGETTING):
            found = {table: _listed(tx, table, pids, sd, rid) for table in _BY_ATOM}
    except TooCostly as error:
        raise TooCostly("what the index holds of it can't be found in time", where=type, mend=_RESTORE) from error
    for table, rows in found.items():
        tx.many(SQL[table][1], rows)
    for table in _BY_NUMBER:
        tx.execute(f"DELETE FROM {table} WHERE rid = ?", (rid,))


def _listed(tx: Tx, table: str, pids: Sequence[int], sd: int, rid: int) -> list[tuple[Any, ...]]:
    more = (rid, sd) if table == "T" else (rid,)
    return [row for pid in pids for row in tx.all(_BY_ATOM[table], (pid, *more))]


def lost(tx: Tx, rid: int, rows: Rows) -> tuple[list[str], int]:
    """For a check: the tables that lack a row of this resource, and how many rows it should have."""
    wanted = set(_rows(tx, rid, rows, sorting_date(rows)))
    looks = {table: delete.replace("DELETE", "SELECT 1") for table, (_, delete) in SQL.items()}
    return [table for table, row in wanted if tx.one(looks[table], row) is None], len(wanted)


class Batch:
    """Index rows of many resources, written together in key order: what bulk loads need.

    `large`: where none of the resources was there before, none of their rows is, and they go straight into the tables.
    """

    def __init__(self, tx: Tx, *, large: bool = False) -> None:
        self._tx = tx
        self._large = self._straight = large
        self._written: set[int] = set()
        self._added: dict[str, list[tuple[int | float | str, ...]]] = {name: [] for name in SQL}
        self._removed: dict[str, list[tuple[int | float | str, ...]]] = {name: [] for name in SQL}

    def add(self, rid: int, new: Rows | None, old: Rows | None = None) -> Place:
        """The rows of one resource; where they equal the old ones nothing is written."""
        if rid in self._written:  # its rows must be in the tables before they are changed again
            self.flush()
        self._written.add(rid)
        sd = 0 if new is None else sorting_date(new)
        after: Iterable[TableRow] = () if new is None else _rows(self._tx, rid, new, sd)
        if old is not None:
            self._straight = False
            before, after = set(_rows(self._tx, rid, old, sorting_date(old))), set(after)
            for table, row in before - after:
                self._removed[table].append(row)
            after = after - before
        added = self._added
        for table, row in after:
            added[table].append(row)
        return Place(NO_PATIENT if new is None else _patient(self._tx, rid, new), sd)

    def extend(self, rid: int, part: Rows, sd: int) -> None:
        """Rows that a resource has besides those that are there already; `sd`: its sorting date."""
        self._straight = False
        for table, row in _rows(self._tx, rid, part, sd):
            if table in KEYLESS:  # another parameter that looks there has put it in already
                self._removed[table].append(row)
            self._added[table].append(row)

    def flush(self) -> None:
        straight, self._straight = self._straight, self._large
        self._written.clear()
        for table, (insert, delete) in SQL.items():
            if self._removed[table]:
                self._tx.many(delete, sorted(self._removed[table]))
                self._removed[table] = []
            if self._added[table]:
                self._insert(insert, self._added[table], straight and table in NUMBERS)
                self._added[table] = []

    def _insert(self, sql: str, rows: list[tuple[int | float | str, ...]], straight: bool) -> None:
        if straight:
            self._tx.many(sql.replace("OR IGNORE ", ""), sorted(set(rows)))
        else:
            self._tx.many(sql, sorted(set(rows)))


def _rows(tx: Tx, rid: int, rows: Rows, sd: int) -> Iterator[TableRow]:
    """All table rows of a resource; a row may come twice."""
    pid = _Pids(tx, rows.type)
    number = pid.numbers
    for atom, system, code in rows.tokens:
        yield "T", (postings.of_code(tx, number[atom], system, code), sd, rid)
    for atom, url in rows.urls:
        yield "T", (postings.of_code(tx, number[atom], URL_SYSTEM, url), sd, rid)
    for atom, type, id in rows.references:
        yield "R", (number[atom], target(tx, type, id), sd, rid)
    for atom, low, high in rows.dates:
        yield "D", (number[atom], low, rid, high - low)
        if high - low > LONG:
            yield "L", (number[atom], high, rid, low)
    for atom, text in rows.strings:
        yield "S", (number[atom], text, rid)
    for atom, of, code, unit, least, most in rows.quantities:
        yield _measured(tx, pid, atom, unit_key(of, code, unit), rid, least, most)
    if rows.words or rows.identifiers:
        yield from _names(tx, rid, rows, pid)
    if rows.token_pairs or rows.token_quantities:
        yield from _composites(tx, rid, rows, pid, sd)


def _names(tx: Tx, rid: int, rows: Rows, pid: _Pids) -> Iterator[TableRow]:
    """Identifiers, words, typed identifiers."""
    for atom, word in rows.words:
        yield "I", (pid[atom], bounded(word), 0, rid)
    for atom, system, value in rows.identifiers:
        yield "I", (pid[atom], bounded(value), codes.number(tx, URL_SYSTEM, system), rid)
    for atom, system, code, value in rows.typed:
        yield "I", (pid.marked(atom, TYPED), bounded(value), codes.number(tx, system, code), rid)


def _composites(tx: Tx, rid: int, rows: Rows, pid: _Pids, sd: int) -> Iterator[TableRow]:
    for atom, system, code, *second in rows.token_pairs:
        first, other = codes.number(tx, system, code), codes.number(tx, *second)
        yield "T", (postings.of_code(tx, pid[atom], PAIR, f"{first}{PAIR}{other}"), sd, rid)
    for atom, system, code, of, unit, shown, low, high in rows.token_quantities:
        key = f"{codes.number(tx, system, code)}{unit_key(of, unit, shown)}"
        yield _measured(tx, pid, atom, key, rid, low, high)


def _measured(tx: Tx, pid: _Pids, atom: int, key: str, rid: int, low: float, high: float) -> TableRow:
    if low == high:
        return "Q", (postings.of_code(tx, pid[atom], PAIR, key), low, rid)
    return "W", (postings.of_code(tx, pid.marked(atom, SPAN), PAIR, key), low, rid, high)


def unit_key(system: str, code: str, unit: str) -> str:
    """A unit as it is interned: what stands before can be searched by prefix."""
    return f"{PAIR}{system}{PAIR}{code}{PAIR}{unit}"


def bounded(value: str) -> str:
    """A value, or for a very long one its beginning and its hash."""
    if len(value) <= LONGEST:
        return value
    return value[: LONGEST - 64] + hashlib.sha256(value.encode()).hexdigest()


# --- parameter numbers


def atom_names(resource_type: str) -> tuple[str, ...]:
    """What the atoms of a type are called in the store."""
    return names_of(resource_type, own_of(resource_type))


@lru_cache(maxsize=1024)
def names_of(resource_type: str, site: Own) -> tuple[str, ...]:
    """The same with these own parameters of a site."""
    return tuple(f"{resource_type}.{atom.name}" for atom in plan_of(resource_type, site).atoms)


class _Pids:
    """The numbers of a type's atoms, all interned when the first of the type is written."""

    def __init__(self, tx: Tx, type: str) -> None:
        self._tx = tx
        site = own_of(type)
        self._names = names_of(type, site)
        key = type + site.mark
        known = tx.shared.pids.get(key)
        if known is None:
            known = [names.number(tx, name) for name in self._names]
            tx.remember(tx.shared.pids, key, known, TYPES)
        self.numbers = known

    def __getitem__(self, atom: int) -> int:
        return self.numbers[atom]

    def marked(self, atom: int, mark: str) -> int:
        return names.number(self._tx, self._names[atom] + mark)


# --- the patient compartment


def _patient(tx: Tx, rid: int, rows: Rows) -> int:
    found = patients(rows)
    if rows.type == "Patient":
        return SEVERAL_PATIENTS if any(target(tx, "Patient", id) != rid for id in found) else rid
    if len(found) > 1:
        return SEVERAL_PATIENTS
    return target(tx, "Patient", found.pop()) if found else NO_PATIENT
