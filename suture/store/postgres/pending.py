"""Rows that a transaction will insert: they are gathered, and go to the server in one statement when somebody could miss them.

A look for one row by its key is answered beside them when none of them has that key. So a group of units asks only what it
must know, and writes once. https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from suture.store.postgres.dialect import pieces
from suture.store.postgres.many import Many, Shape
from suture.store.postgres.session import id_bytes
from suture.store.postgres.tables import Table

_LOOKUP = re.compile(
    r"SELECT [^()]+? FROM (\w+) WHERE (\w+ = (?:\?|\d+)(?: AND \w+ = (?:\?|\d+))*)(?: ORDER BY \w+)?(?: LIMIT \d+)?",
    re.S,
)
_INSERT = re.compile(
    r"INSERT (?:OR IGNORE )?INTO (\w+)(?: \(([\w\s,]+)\))? VALUES \(((?:\?|NULL|\d+)(?:, ?(?:\?|NULL|\d+))*)\)", re.S
)
# rows of these are never there already: their numbers are given, or looked for, under the write lock (the index tables'
# come this way from bulk loads of what is new); others may be refused, and then their own unit must hear it
NEW = frozenset(
    {"res", "hist", "dangling", "audit", "message", "message_patient", "run", "delivery", "dead", "name", "tok"}
    | {"posting", "t", "r", "d", "l", "q", "w"}
)
_MARK, _NUMBER = "?", "#"
Row = tuple[Any, ...]


class Lookup(NamedTuple):
    """A question for rows of one table with these values; where the columns stand in a row of it."""

    table: str
    columns: tuple[str, ...]
    values: tuple[Any, ...]  # a mark for what comes with the question


class Pending:
    """What waits, by table; each table in its own order."""

    def __init__(self, tables: Mapping[str, Table], many: Many) -> None:
        self._tables = tables
        self._many = many
        self._shapes: dict[str, tuple[Shape, tuple[Any, ...] | None] | None] = {}
        self._reads: dict[str, tuple[frozenset[str], Lookup | None]] = {}
        self._seen: dict[Lookup, tuple[int, set[Row]]] = {}
        self.rows: dict[str, list[Row]] = {}  # by the table's name in small letters
        self._how: dict[str, Shape] = {}

    # --- taking in

    def add(self, sql: str, rows: Sequence[Any], number: Callable[[str], int]) -> bool:
        """Whether these rows wait now; a statement of another kind is somebody else's. `number` gives the next of a table."""
        if sql not in self._shapes:
            self._shapes[sql] = self._shape(sql)
        found = self._shapes[sql]
        if found is None:
            return False
        shape, fixed = found
        there = self._how.setdefault(shape.table, shape)
        if there != shape:  # the same table in another way: the first must be written before
            return False
        waiting = self.rows.setdefault(shape.table, [])
        if fixed is None:
            waiting.extend(rows)
        elif fixed[0] == _NUMBER:
            waiting.extend((number(shape.table), *_filled(fixed[1:], row)) for row in rows)
        else:
            waiting.extend(_filled(fixed, row) for row in rows)
        return True

    def _shape(self, sql: str) -> tuple[Shape, tuple[Any, ...] | None] | None:
        made = _INSERT.fullmatch(sql)
        table = self._tables.get(made[1].lower()) if made else None
        if made is None or table is None:
            return None
        columns = tuple(c.strip() for c in made[2].split(",")) if made[2] else tuple(table.columns)
        values = [v.strip() for v in made[3].split(",")]
        ignore = sql.startswith("INSERT OR IGNORE")
        if not (ignore or made[1].lower() in NEW) or len(values) != len(columns):
            return None
        if table.counted and table.counted not in columns:
            columns, values = (table.counted, *columns), [_NUMBER, *values]
        shape = Shape(made[1].lower(), columns, ignore)
        fixed = tuple(v if v in (_MARK, _NUMBER) else None if v == "NULL" else int(v) for v in values)
        return shape, None if set(fixed) == {_MARK} else fixed

    # --- who could miss them

    def in_the_way(self, sql: str, parameters: Any) -> bool:
        """Whether a question may be about rows that wait."""
        if not self.rows:
            return False
        known = self._reads.get(sql)
        if known is None:
            known = self._reads[sql] = self._read(sql)
        tables, lookup = known
        if not tables & self.rows.keys():
            return False
        return lookup is None or not isinstance(parameters, list | tuple) or self._waits(lookup, parameters)

    def _read(self, sql: str) -> tuple[frozenset[str], Lookup | None]:
        words = frozenset(p.low for p in pieces(sql) if p.kind == "word") & self._tables.keys()
        found = _LOOKUP.fullmatch(sql.strip())
        if found is None or len(words) != 1:
            return words, None
        asked = [part.strip().split(" = ") for part in found[2].split(" AND ")]
        values = tuple(_MARK if value == "?" else int(value) for _, value in asked)
        return words, Lookup(found[1].lower(), tuple(name for name, _ in asked), values)

    def _waits(self, lookup: Lookup, parameters: Iterable[Any]) -> bool:
        """Is a row with this key among those that wait? They are looked through once."""
        rows, columns = self.rows[lookup.table], self._how[lookup.table].columns
        if not set(lookup.columns) <= set(columns):
            return False  # what is not given is NULL, and equal to nothing
        places = [columns.index(name) for name in lookup.columns]
        done, keys = self._seen.get(lookup, (0, set()))
        keys.update(tuple(_plain(row[p]) for p in places) for row in rows[done:])
        self._seen[lookup] = len(rows), keys
        return tuple(_plain(v) for v in _filled(lookup.values, tuple(parameters))) in keys

    # --- giving out

    def counts(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in self.rows.items()}

    def cut(self, counts: Mapping[str, int]) -> None:
        """Forgets what came after."""
        self._seen.clear()
        for table in list(self.rows):
            del self.rows[table][counts.get(table, 0) :]
            if not self.rows[table]:
                self._drop(table)

    def take(self, counts: Mapping[str, int] | None = None) -> list[tuple[Shape, list[Row]]]:
        """What waits, or as many of each table as `counts` says; it waits no more."""
        self._seen.clear()
        taken = []
        for table in list(self.rows):
            count = len(self.rows[table]) if counts is None else counts.get(table, 0)
            part, self.rows[table] = self.rows[table][:count], self.rows[table][count:]
            if part:
                taken.append((self._how[table], part))
            if not self.rows[table]:
                self._drop(table)
        return taken

    def _drop(self, table: str) -> None:
        del self.rows[table], self._how[table]


def _filled(fixed: tuple[Any, ...], row: Sequence[Any]) -> Row:
    values = iter(row)
    return tuple(next(values) if v == _MARK else v for v in fixed)


def _plain(value: Any) -> Any:
    return id_bytes(value) if isinstance(value, str) else value
