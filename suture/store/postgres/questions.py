"""Asks one session and waits for the rows, by libpq itself: what a cursor does beside that is half of a short question's cost.

A statement that comes again is prepared. https://www.postgresql.org/docs/current/libpq-exec.html
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

from suture.store.postgres.session import GIVES, STATEMENTS, Raw

MOST_SEEN = 5_000  # statements that came once
BINARY = pq.Format.BINARY
DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)
# the session no longer has the statement, or a table it reads was changed by another process: it is prepared anew
LOST = (b"26000", b"0A000")
Rows = list[tuple[Any, ...]]
_numbers = count()  # of prepared statements
_Statement = tuple[str, tuple[int, ...]]  # its text and the types of its values


class Questions:
    """Of one session, one at a time; raises psycopg's errors."""

    def __init__(self, raw: Raw) -> None:
        self._pg = raw.pgconn
        self._values = Transformer(raw)
        self._seen: set[_Statement] = set()
        self._prepared: dict[_Statement, bytes] = {}  # the last used at the end
        self.changed = 0  # rows that the last statement wrote

    def rows(self, sql: str, parameters: Sequence[Any]) -> Rows:
        """All rows; none where a statement gives none."""
        values = self._values
        given = values.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters)) if parameters else []
        statement = (sql, (values.types or ()) if parameters else ())
        result = self._sent(statement, given, values.formats if parameters else [])
        self.changed = result.command_tuples or 0
        if result.status == GIVES:
            values.set_pgresult(result)
            return values.load_rows(0, result.ntuples, tuple)
        if result.status in DONE:
            return []
        raise error_from_result(result, encoding="utf-8")

    def _sent(self, statement: _Statement, given: Sequence[Any], formats: Any) -> Any:
        name = self._prepared.pop(statement, None)
        if name is None:
            if statement not in self._seen:
                self._see(statement)
                return self._pg.exec_params(statement[0].encode(), given, statement[1], formats, BINARY)
            name = self._prepare(statement)
        result = self._pg.exec_prepared(name, given, formats, BINARY)
        if result.status != GIVES and result.error_field(pq.DiagnosticField.SQLSTATE) in LOST:
            if self._pg.transaction_status == pq.TransactionStatus.IDLE:
                return self._pg.exec_params(statement[0].encode(), given, statement[1], formats, BINARY)
            return result
        self._prepared[statement] = name
        return result

    def _see(self, statement: _Statement) -> None:
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(statement)

    def _prepare(self, statement: _Statement) -> bytes:
        if len(self._prepared) >= STATEMENTS:
            oldest = next(iter(self._prepared))
            self._pg.exec_(b"DEALLOCATE " + self._prepared.pop(oldest))
        name = b"suture_%d" % next(_numbers)
        result = self._pg.prepare(name, statement[0].encode(), statement[1])
        if result.status not in DONE:
            raise error_from_result(result, encoding="utf-8")
        return name
