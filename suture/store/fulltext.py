"""The full text of resources: which words stand in the narrative, and in everything. Kept when search.text says so.

Two backs fulfil one contract: SQLite's FTS5 (https://sqlite.org/fts5.html) and PostgreSQL's tsvector with GIN
(https://www.postgresql.org/docs/current/textsearch.html). Words are folded and split before they come here, so both find the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from suture.errors import Unstartable
from suture.standards.fhir import json, search_words
from suture.standards.fhir.search_query import Words
from suture.standards.fhir.search_words import CONTENT, NARRATIVE
from suture.store.connection import Connection, Tx
from suture.store.fulltext_postgres import Tsvector
from suture.store.fulltext_sqlite import Fts5
from suture.store.search_sql import Sql

log = logging.getLogger("suture.store")
FACT = "fulltext"  # 'MODE STATE PLACE MOST'
OFF, ONLY_NARRATIVE, ALL = "off", "narrative", "all"
MODES = (OFF, ONLY_NARRATIVE, ALL)
PIECE, WINDOW = 200, 20_000  # resources, and row numbers, of one transaction


class Back(Protocol):
    """What keeps the words; `narrative` and `content` are its two columns."""

    def create(self, tx: Tx) -> None: ...

    def remove(self, tx: Tx) -> None: ...

    def put(self, tx: Tx, rid: int, narrative: Sequence[str], content: Sequence[str]) -> None:
        """In place of what was there."""
        ...

    def forget(self, tx: Tx, rid: int) -> None: ...

    def matching(self, column: str, asked: Words) -> Sql:
        """Selects `rid` of the rows that answer the question, of any type."""
        ...


def back(connection: Connection) -> Back:
    """The one that belongs to this database."""
    return Fts5() if isinstance(connection.raw, apsw.Connection) else Tsvector()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept, and how far it is."""

    mode: str = OFF
    built: bool = False
    done: int = 0
    all: int = 0

    @property
    def percent(self) -> int:
        return min(99, 100 * self.done // self.all) if self.all else 0


def standing(connection: Connection) -> Standing:
    row = connection.one("SELECT value FROM fact WHERE name = ?", (FACT,))
    if row is None:
        return Standing()
    mode, state, done, most = str(row[0]).split(" ")
    return Standing(mode, state == "on", int(done), int(most))


def codes(connection: Connection) -> tuple[str, ...]:
    """The search parameters that can be answered now."""
    now = standing(connection)
    if now.mode == OFF or not now.built:
        return ()
    return (CONTENT, NARRATIVE) if now.mode == ALL else (NARRATIVE,)


def _settle(tx: Tx, mode: str, built: bool, done: int, most: int) -> None:
    value = f"{mode} {'on' if built else 'building'} {done} {most}"
    tx.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (FACT, value))


WriteNow = Callable[[Callable[[Tx], Any]], Any]


def keep(write_now: WriteNow, connection: Connection, mode: str, serving: bool) -> None:
    """Makes what is kept what the setting says; a command that does not serve follows the database."""
    if mode not in MODES:
        raise Unstartable(f"search.text is none of {', '.join(MODES)}", where="search.text", mend="Change the setting.")
    if serving and standing(connection).mode != mode:
        write_now(lambda tx: _changed(tx, mode))
    connection.shared.text = standing(connection).mode


def _changed(tx: Tx, mode: str) -> None:
    """Everything anew; the builder fills it."""
    back(tx).remove(tx)
    if mode == OFF:
        tx.execute("DELETE FROM fact WHERE name = ?", (FACT,))
    else:
        back(tx).create(tx)
        _settle(tx, mode, _last(tx) == 0, 0, _last(tx))


def _last(tx: Tx) -> int:
    ((last,),) = tx.all("SELECT max(rid) FROM res")
    return int(last or 0)


# --- with each write


def written(tx: Tx, rid: int, body: bytes) -> None:
    """A version was written, in the transaction that writes it."""
    if tx.shared.text != OFF:
        _put(tx, rid, json.reread(body), tx.shared.text)


def deleted(tx: Tx, rid: int) -> None:
    if tx.shared.text != OFF:
        back(tx).forget(tx, rid)


def _put(tx: Tx, rid: int, resource: dict[str, Any], mode: str) -> None:
    content = search_words.content(resource) if mode == ALL else []
    narrative = search_words.narrative(resource)
    if narrative or content:
        back(tx).put(tx, rid, narrative, content)
    else:
        back(tx).forget(tx, rid)


# --- over what was there before


def waiting(connection: Connection) -> bool:
    """Is there anything to do?"""
    found = standing(connection)
    return found.mode != OFF and not found.built


def step(tx: Tx) -> bool:
    """The next resources; False when there is nothing to do."""
    now = standing(tx)
    if now.mode == OFF or now.built:
        return False
    sql = "SELECT rid, zd, body FROM res WHERE rid > ? AND rid <= ? AND op <> 3 ORDER BY rid LIMIT ?"
    rows = tx.all(sql, (now.done, now.done + WINDOW, PIECE))
    for rid, zd, packed in rows:
        body = tx.bodies.whole(zd, packed)
        if body is None:
            log.error("a resource has no full text, for its body is damaged: row %d", rid)
        else:
            _put(tx, rid, json.reread(body), now.mode)
    reached, last = rows[-1][0] if len(rows) == PIECE else now.done + WINDOW, _last(tx)
    _settle(tx, now.mode, reached >= last, min(reached, last), last)
    return True
