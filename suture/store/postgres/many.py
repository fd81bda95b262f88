"""Many rows in one statement: as arrays, of several tables at once, and as a COPY when they are very many.

https://www.postgresql.org/docs/current/functions-array.html · https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

from psycopg.types.numeric import Int8

from suture.errors import Unavailable
from suture.store.postgres import session
from suture.store.postgres.questions import Questions
from suture.store.postgres.session import Numbers, Raw, Reals, id_bytes
from suture.store.postgres.tables import Table, quoted

COPIED = 1_000  # rows from which a COPY is worth its statements
_DELETE = re.compile(r"DELETE FROM (\w+) WHERE \(([^)]*)\) = \(\?(?:,\s*\?)*\)")
_ARRAYS = {"integer": "bigint", "smallint": "bigint"}  # the server narrows them as it stores them
_SIZES = {"bigint": (8, "q"), "integer": (4, "i"), "smallint": (2, "h"), "double precision": (8, "d")}
_BEGIN, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"  # of a binary COPY
_TYPES = {
    "bigint": "int8",
    "integer": "int4",
    "smallint": "int2",
    "text": "text",
    "bytea": "bytea",
    "double precision": "float8",
}


FITS = " WHERE EXISTS (SELECT 1 FROM fits)"
IF_LATEST = """
WITH held AS MATERIALIZED (SELECT pg_try_advisory_xact_lock({lock}) AS mine),
seen AS MATERIALIZED (SELECT CASE WHEN mine THEN (SELECT last_value FROM suture_time WHERE mine) END AS latest FROM held),
fits AS MATERIALIZED (SELECT 1 FROM seen WHERE latest = $1)"""


class Shape(NamedTuple):
    """How rows of a table are inserted."""

    table: str
    columns: tuple[str, ...]
    ignore: bool


class Many:
    """Writes for one set of tables."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables

    def insert(self, raw: Raw, questions: Questions, parts: Sequence[tuple[Shape, list[Any]]]) -> None:
        """All rows of all tables: each large part by a COPY, the others together in one statement."""
        small = [part for part in parts if len(part[1]) < COPIED]
        for shape, rows in parts:
            if len(rows) >= COPIED:
                self._copy(raw, shape, rows)
        if small:
            self._together(questions, small)

    def _together(self, questions: Questions, parts: Sequence[tuple[Shape, list[Any]]]) -> None:
        values: list[Any] = []
        texts = []
        for shape, rows in sorted(parts):
            kinds = self._kinds(shape)
            texts.append(self._insert(shape, kinds, len(values)))
            values += [_COLUMN[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
        *first, last = texts
        with_ = ", ".join(f"part_{n} AS ({text})" for n, text in enumerate(first))
        questions.rows(f"WITH {with_} {last}" if first else last, values)

    def insert_if(
        self, questions: Questions, parts: Sequence[tuple[Shape, list[Any]]], lock: str, latest: int, now: int
    ) -> bool:
        """A whole transaction in one message: takes the lock, and inserts if the last one was that of `latest`.

        The time is read only when the lock is ours, so nobody can have come in between.
        """
        values: list[Any] = [latest, now]
        texts = []
        alone = len(parts) == 1 and len(parts[0][1]) == 1  # nearly always: one access, which needs no arrays
        for number, (shape, rows) in enumerate(sorted(parts)):
            kinds = self._kinds(shape)
            insert = self._insert_one if alone else self._insert
            texts.append(f"part_{number} AS ({insert(shape, kinds, len(values), FITS)})")
            if alone:
                values += [
                    _MAKE[kind](value) if kind in _MAKE else value for kind, value in zip(kinds, rows[0], strict=True)
                ]
            else:
                values += [_COLUMN[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
        sql = f"{IF_LATEST.format(lock=lock)}, {', '.join(texts)} SELECT setval('suture_time', $2) FROM fits"
        return bool(questions.rows(sql, values))

    def _kinds(self, shape: Shape) -> list[str]:
        columns = self._tables[shape.table].columns
        return [columns[name] for name in shape.columns]

    @staticmethod
    def _insert(shape: Shape, kinds: Sequence[str], before: int, where: str = "") -> str:
        conflict = " ON CONFLICT DO NOTHING" if shape.ignore else ""
        return f"INSERT INTO {_into(shape)} SELECT * FROM {_arrays(kinds, before)}{where}{conflict}"

    @staticmethod
    def _insert_one(shape: Shape, kinds: Sequence[str], before: int, where: str) -> str:
        conflict = " ON CONFLICT DO NOTHING" if shape.ignore else ""
        marks = ", ".join(f"${n}::{kind}" for n, kind in enumerate(kinds, before + 1))
        return f"INSERT INTO {_into(shape)} SELECT {marks}{where}{conflict}"

    def _copy(self, raw: Raw, shape: Shape, rows: Sequence[Any]) -> None:
        """Straight into the table; where rows may be there already, by a table of this session."""
        kinds = self._kinds(shape)
        whole = set(shape.columns) == set(self._tables[shape.table].key)  # none of them is NULL
        copied = _counted if whole and _only_numbers(kinds) else _copied
        if not shape.ignore:
            copied(raw, _into(shape), kinds, rows)
            return
        beside = f"copied_{shape.table}"
        raw.execute(f"CREATE TEMP TABLE IF NOT EXISTS {beside} (LIKE {quoted(shape.table)}) ON COMMIT DELETE ROWS")
        copied(raw, _into(shape._replace(table=beside)), kinds, rows)
        raw.execute(f"INSERT INTO {quoted(shape.table)} SELECT * FROM {beside} ON CONFLICT DO NOTHING")
        raw.execute(f"TRUNCATE {beside}")

    def delete(self, questions: Questions, sql: str, rows: Sequence[Any]) -> bool:
        """Whether this was `DELETE FROM table WHERE (columns) = (?, …)`."""
        gone = _DELETE.fullmatch(sql)
        if gone is None:
            return False
        columns = self._tables[gone[1].lower()].columns
        kinds = [columns[name.strip()] for name in gone[2].split(",")]
        values = [_COLUMN[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
        questions.rows(f"DELETE FROM {gone[1]} WHERE ({gone[2]}) IN (SELECT * FROM {_arrays(kinds, 0)})", values)
        return True


def _into(shape: Shape) -> str:
    return f"{quoted(shape.table)} ({', '.join(quoted(name) for name in shape.columns)})"


def _arrays(kinds: Sequence[str], before: int) -> str:
    return f"unnest({', '.join(f'${n}::{_ARRAYS.get(kind, kind)}[]' for n, kind in enumerate(kinds, before + 1))})"


def _copied(raw: Raw, into: str, kinds: Sequence[str], rows: Sequence[Any]) -> None:
    made = [_MAKE.get(kind) for kind in kinds]
    with raw.cursor().copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copying:
        copying.set_types([_TYPES[kind] for kind in kinds])
        for row in rows:
            copying.write_row([make(v) if make else v for v, make in zip(row, made, strict=True)] if any(made) else row)


def _only_numbers(kinds: Sequence[str]) -> bool:
    return _SIZES.keys() >= set(kinds)


def _counted(raw: Raw, into: str, kinds: Sequence[str], rows: Sequence[Any]) -> None:
    """Rows of nothing but numbers, none of them missing, packed all at once: a third of the time."""
    form = ">h" + "".join(f"i{_SIZES[kind][1]}" for kind in kinds)
    fields = zip(*rows, strict=True)
    sizes = (repeat(_SIZES[kind][0]) for kind in kinds)
    packed = map(struct.Struct(form).pack, repeat(len(kinds)), *chain.from_iterable(zip(sizes, fields, strict=True)))
    try:
        whole = b"".join((_BEGIN, *packed, _END))
    except struct.error as error:
        raise Unavailable(session.FULL, where=session.where_of(raw.info.dsn)) from error
    with raw.cursor().copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copying:
        copying.write(whole)


def _numbers(column: Sequence[Any]) -> list[Any]:
    return [None if v is None else Int8(v) for v in column] if None in column else Numbers(column)


def _reals(column: Sequence[Any]) -> list[Any]:
    return [_real(v) for v in column] if None in column else Reals(column)


def _real(value: Any) -> Any:
    return None if value is None else float(value)


def _bytes(value: Any) -> Any:
    return id_bytes(value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


_COLUMN: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    "bigint": _numbers,
    "integer": _numbers,
    "smallint": _numbers,
    "double precision": _reals,
    "text": list,
    "bytea": lambda column: [_bytes(v) for v in column],
}
_MAKE: dict[str, Callable[[Any], Any]] = {"double precision": _real, "bytea": _bytes, "text": _text}
