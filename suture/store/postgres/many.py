"""Many rows in one statement: as arrays, and as a COPY when they are very many.

https://www.postgresql.org/docs/current/functions-array.html · https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.types.numeric import Int8

from suture.store.postgres.session import Numbers, Reals, id_bytes
from suture.store.postgres.tables import Table, quoted

COPIED = 2_000  # rows from which a COPY is worth its three statements
_VALUES = re.compile(r"INSERT (?:OR (IGNORE) )?INTO (\w+) VALUES \(\?(?:,\s*\?)*\)")
_DELETE = re.compile(r"DELETE FROM (\w+) WHERE \(([^)]*)\) = \(\?(?:,\s*\?)*\)")
_OIDS = {"bigint": "int8", "text": "text", "bytea": "bytea", "double precision": "float8"}


class Many:
    """Writes for one set of tables; what has another form than `INSERT INTO table VALUES (?, …)` is left to others."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._known: dict[str, tuple[str, list[str], bool, str] | None] = {}

    def write(self, cursor: Any, sql: str, rows: Sequence[Any]) -> bool:
        """Whether the rows were written."""
        if len(rows) < 2:
            return False
        if sql not in self._known:
            self._known[sql] = self._form(sql)
        form = self._known[sql]
        if form is None:
            return False
        statement, kinds, copied, table = form
        if copied and len(rows) >= COPIED:
            _copy(cursor, table, kinds, rows, " ON CONFLICT DO NOTHING" if "ON CONFLICT" in statement else "")
        else:
            cursor.execute(statement, _columns(kinds, rows))
        return True

    def _form(self, sql: str) -> tuple[str, list[str], bool, str] | None:
        """(statement, kinds of the columns, may be copied, table)."""
        if made := _VALUES.fullmatch(sql):
            table = self._tables[made[2].lower()]
            kinds = list(table.columns.values())
            if sql.count("?") != len(kinds):
                return None
            conflict = " ON CONFLICT DO NOTHING" if made[1] else ""
            return f"INSERT INTO {quoted(made[2])} SELECT * FROM {_arrays(kinds)}{conflict}", kinds, True, made[2]
        if gone := _DELETE.fullmatch(sql):
            table = self._tables[gone[1].lower()]
            kinds = [table.columns[name.strip()] for name in gone[2].split(",")]
            return f"DELETE FROM {gone[1]} WHERE ({gone[2]}) IN (SELECT * FROM {_arrays(kinds)})", kinds, False, gone[1]
        return None


def _arrays(kinds: Sequence[str]) -> str:
    return f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(kinds, 1))})"


def _columns(kinds: Sequence[str], rows: Sequence[Any]) -> list[list[Any]]:
    return [_COLUMN[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]


def _numbers(column: Sequence[Any]) -> list[Any]:
    return [None if v is None else Int8(v) for v in column] if None in column else Numbers(column)


def _reals(column: Sequence[Any]) -> list[Any]:
    return [_real(v) for v in column] if None in column else Reals(column)


def _real(value: Any) -> Any:
    return None if value is None else float(value)


def _bytes(value: Any) -> Any:
    return id_bytes(value) if isinstance(value, str) else value


_COLUMN: dict[str, Callable[[Sequence[Any]], list[Any]]] = {
    "bigint": _numbers,
    "double precision": _reals,
    "text": list,
    "bytea": lambda column: [_bytes(v) for v in column],
}
_MAKE: dict[str, Callable[[Any], Any]] = {"double precision": _real, "bytea": _bytes}


def _copy(cursor: Any, table: str, kinds: Sequence[str], rows: Sequence[Any], conflict: str) -> None:
    """Into a table of this session, and from there in one statement."""
    beside = f"copied_{table.lower()}"
    cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {beside} (LIKE {quoted(table)}) ON COMMIT DELETE ROWS")
    with cursor.copy(f"COPY {beside} FROM STDIN (FORMAT BINARY)") as copying:
        copying.set_types([_OIDS[kind] for kind in kinds])
        made = [_MAKE.get(kind) for kind in kinds]
        for row in rows:
            copying.write_row(
                [v if make is None else make(v) for v, make in zip(row, made, strict=True)] if any(made) else row
            )
    cursor.execute(f"INSERT INTO {quoted(table)} SELECT * FROM {beside}{conflict}")
    cursor.execute(f"TRUNCATE {beside}")
