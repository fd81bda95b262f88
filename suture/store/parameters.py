"""Search parameters of a site's own: known in the transaction that writes their SearchParameter, indexed beside the traffic.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from suture.errors import Conflict, SutureError
from suture.standards.fhir import definitions, search_own
from suture.standards.fhir import json as strict
from suture.standards.fhir.definitions import NO_OWN, Own, SearchParameter
from suture.standards.fhir.search_own import Definition
from suture.store.connection import Connection, Tx
from suture.store.index import names_of

TYPE = "SearchParameter"
FACT = "parameters"  # which set of own parameters there is
MOST = 200
CLEARING, BUILDING, ON, LEAVING = range(4)
WORDS = ("waiting", "building", "on", "leaving")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a parameter is: `done` of `all` row numbers are indexed."""

    url: str
    code: str
    types: tuple[str, ...]
    state: str  # waiting | building | on | leaving
    done: int
    all: int

    @property
    def percent(self) -> int:
        return min(99, 100 * self.done // self.all) if self.all else 0


# --- which parameters there are


def adopt(connection: Connection) -> None:
    """Makes the parameters of this database those that this process extracts, reads and searches with."""
    if definitions.own().mark != _mark(connection):
        definitions.adopt(_own(connection))


def _mark(connection: Connection) -> str:
    if isinstance(connection, Tx) and connection.parameters is not None:
        return connection.parameters
    if connection.outset is not None:
        return connection.outset.parameters
    row = connection.one("SELECT value FROM fact WHERE name = ?", (FACT,))
    found = str(row[0]) if row else ""
    if isinstance(connection, Tx):
        connection.parameters = found
    return found


def _own(connection: Connection) -> Own:
    rows = connection.all("SELECT definition, state FROM parameter WHERE state IN (1, 2) ORDER BY rid")
    found: dict[str, dict[str, SearchParameter]] = {}
    for text, state in rows:
        definition = _read(text)
        for type in definition.expressions:
            found.setdefault(type, {})[definition.code] = definition.parameter(type, built=state == ON)
    return Own(_mark_of(rows), found) if rows else NO_OWN


def built(connection: Connection) -> Own:
    """Only those that are on."""
    found = _own(connection)
    whole = {t: {c: p for c, p in codes.items() if p.built} for t, codes in found.parameters.items()}
    return Own(found.mark + " built", {type: codes for type, codes in whole.items() if codes})


def _mark_of(rows: list[tuple[Any, ...]]) -> str:
    if not rows:
        return ""
    return hashlib.sha256(json.dumps([[text, state == ON] for text, state in rows]).encode()).hexdigest()[:16]


def _read(text: str) -> Definition:
    found = json.loads(text)
    return Definition(**{**found, "targets": tuple(found["targets"])})


def settle(tx: Tx) -> None:
    """Notes that the set has changed; everybody adopts the new one before the next read or write."""
    rows = tx.all("SELECT definition, state FROM parameter WHERE state IN (1, 2) ORDER BY rid")
    tx.execute(
        "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (FACT, _mark_of(rows))
    )
    tx.parameters = None
    tx.on_rollback(lambda: setattr(tx, "parameters", None))


# --- what SearchParameter resources say


def keep(tx: Tx, rid: int, body: bytes) -> None:
    """A SearchParameter was written, in the transaction that writes it. Raises Conflict for a code that is taken."""
    new = None
    with suppress(SutureError):  # what can't be put to work was refused before, or came with a bulk load and only rests
        new = search_own.read(strict.reread(body))
    text = "" if new is None else json.dumps(new.written(), sort_keys=True)
    row = tx.one("SELECT definition, former, state FROM parameter WHERE rid = ?", (rid,))
    if (row is None and new is None) or (row is not None and row[0] == text):
        return
    if new is not None:
        _require_free(tx, rid, new)
    _replace(tx, rid, new, text, row)


def drop(tx: Tx, rid: int) -> None:
    """A SearchParameter was deleted: its index rows go, in the background."""
    row = tx.one("SELECT definition, former, state FROM parameter WHERE rid = ?", (rid,))
    if row is not None:
        _replace(tx, rid, None, "", row)


def _replace(tx: Tx, rid: int, new: Definition | None, text: str, row: tuple[Any, ...] | None) -> None:
    former = set(json.loads(row[1])) if row else set()
    old = _read(row[0]) if row and row[0] else None
    former |= {name for one in (old, new) if one is not None for name in atoms_of(one)}
    state = LEAVING if new is None else CLEARING
    code = new.code if new else old.code if old else ""
    tx.execute("DELETE FROM parameter WHERE rid = ?", (rid,))
    tx.execute(
        "INSERT INTO parameter VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
        (rid, code, text, json.dumps(sorted(former)), state, tx.now),
    )
    settle(tx)


def _require_free(tx: Tx, rid: int, new: Definition) -> None:
    others = tx.all("SELECT definition FROM parameter WHERE rid <> ? AND state <> ?", (rid, LEAVING))
    if len(others) >= MOST:
        raise Conflict(f"there are {MOST} search parameters of your own", where=TYPE, mend="Delete one first.")
    for other in map(_read, (text for (text,) in others)):
        same = set(other.expressions) & set(new.expressions)
        if other.code == new.code and same:
            raise Conflict(
                f"{sorted(same)[0]} has a search parameter '{new.code}' already",
                where=f"{TYPE}.code",
                mend="Choose another code, or delete the other SearchParameter.",
            )


def atoms_of(definition: Definition) -> set[str]:
    """The names of the index atoms that it looks at, besides those that R4's parameters look at."""
    return {name for type in definition.expressions for name in _atoms(definition, type)}


def _atoms(definition: Definition, type: str) -> set[str]:
    alone = Own(
        "alone " + json.dumps(definition.written()), {type: {definition.code: definition.parameter(type, built=True)}}
    )
    return set(names_of(type, alone)) - set(names_of(type, NO_OWN))


def in_use(connection: Connection) -> set[str]:
    """The names of the index atoms that parameters look at which are on or being built."""
    rows = connection.all("SELECT definition FROM parameter WHERE state IN (1, 2)")
    return {name for (text,) in rows for name in atoms_of(_read(text))}


# --- how far they are


def standings(connection: Connection) -> list[Standing]:
    """All of them, in the order in which they came."""
    rows = connection.all("SELECT definition, code, state, place, most FROM parameter ORDER BY rid")
    return [_standing(*row) for row in rows]


def _standing(text: str, code: str, state: int, place: int, most: int) -> Standing:
    definition = _read(text) if text else Definition("", code, "", {})
    return Standing(definition.url, code, tuple(definition.expressions), WORDS[state], place, most)
