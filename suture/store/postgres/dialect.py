"""The store's SQL as PostgreSQL wants it: each text is read once, piece by piece, and remembered.

What differs: marks for values, INSERT OR …, hints for SQLite's planner, numbers SQLite counts on by itself, names of a
few functions, texts without case. https://www.postgresql.org/docs/current/sql.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from suture.store.postgres.tables import Table, quoted

_PIECE = re.compile(
    r"""(?P<space>\s+|--[^\n]*)|(?P<text>'(?:[^']|'')*')|(?P<name>"[^"]*")|(?P<mark>\?\d*)"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign><>|<=|>=|<<|>>|\|\||!=|==|.)""",
    re.S,
)
RENAMED = {
    "blob": "bytea", "ifnull": "coalesce", "instr": "strpos", "like": "ILIKE", "user": '"user"', "some": '"some"',
}  # fmt: skip
SCALAR = {"max": "scalar_max", "min": "scalar_min"}  # with two values or more
_BEFORE_UNARY = {"(", ",", "=", "<", ">", "<=", ">=", "<>", "and", "or", "not", "where", "by", "on", "in", "then", "else", "select", "when"}  # fmt: skip
_ENDS_JOIN = {"where", "join", "cross", "left", "inner", "group", "order", "limit", "union", "on"}
_NO_ALIAS = _ENDS_JOIN | {"having", "offset", "except", "intersect", "using", "set", "and", "or", "then", "else", "end"}
_NOTHINGS = {"null", "true", "false", "not", "distinct"}


class Piece(NamedTuple):
    kind: str
    text: str

    @property
    def low(self) -> str:
        return self.text.lower() if self.kind == "word" else self.text


def pieces(sql: str) -> list[Piece]:
    """The SQL in pieces; spaces and comments are one blank each."""
    found = []
    for piece in _PIECE.finditer(sql):
        kind = str(piece.lastgroup)
        found.append(Piece(kind, " " if kind == "space" else piece[0]))
    return found


class Dialect:
    """Translates for one set of tables."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self._known: dict[str, str] = {}

    def __call__(self, sql: str) -> str:
        known = self._known.get(sql)
        if known is None:
            if len(self._known) > MOST:
                self._known.clear()
            known = self._known[sql] = self._translated(sql)
        return known

    def _translated(self, sql: str) -> str:
        words = [p.low for p in pieces(sql) if p.kind in ("word", "sign", "name", "number", "mark")]
        if words[0] == "insert":
            return self._insert(sql)
        return self._expression(sql)

    def _expression(self, sql: str, first: int = 0) -> str:
        return _Reader(pieces(sql), self._caseless(sql), first).whole()

    def _caseless(self, sql: str) -> set[str]:
        """The columns without case of the tables this statement names."""
        named = {p.low for p in pieces(sql) if p.kind == "word"}
        return {c for name, table in self.tables.items() if table.caseless and name in named for c in table.caseless}

    # --- INSERT

    def _insert(self, sql: str) -> str:
        found = _INSERT.fullmatch(sql.strip())
        assert found, sql
        how, name, listed, rest = found["how"], found["table"], found["columns"], found["rest"]
        table = self.tables.get(name.lower(), Table())
        columns = [c.strip() for c in listed.split(",")] if listed else []
        counted, returning = "", ""
        if table.counted and columns and table.counted not in columns and rest.lower().startswith("values"):
            columns = [table.counted, *columns]
            counted = f"(SELECT coalesce(max({table.counted}), 0) + 1 FROM {quoted(name)}), "
            returning = f" RETURNING {table.counted}"
        into = f"INSERT INTO {quoted(name)}" + (f" ({', '.join(columns)})" if columns else "")
        body = self._expression(rest)
        if counted:
            body = re.sub(r"^values\s*\(", f"VALUES ({counted}", body, count=1, flags=re.I)
        return f"{into} {body}{self._conflict(how, table, columns)}{returning}"

    @staticmethod
    def _conflict(how: str | None, table: Table, columns: list[str]) -> str:
        if not how:
            return ""
        if how.upper() == "IGNORE":
            return " ON CONFLICT DO NOTHING"
        others = [c for c in columns or table.columns if c not in table.key]
        sets = ", ".join(f"{c} = excluded.{c}" for c in others)
        return f" ON CONFLICT ({', '.join(table.key)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")


MOST = 5_000  # texts that are remembered
_INSERT = re.compile(
    r"INSERT\s+(?:OR\s+(?P<how>IGNORE|REPLACE)\s+)?INTO\s+(?P<table>\w+)\s*(?:\((?P<columns>[^)]*)\)\s*)?(?P<rest>(?:VALUES|SELECT|WITH)\b.*)",
    re.I | re.S,
)


class _Reader:
    """One walk through the pieces of a statement."""

    def __init__(self, found: list[Piece], caseless: set[str], first: int) -> None:
        self._pieces = found
        self._caseless = caseless
        self._out: list[str] = []
        self._marks = first
        self._aliases = 0
        self._open: list[str] = []  # what stands before each open bracket
        self._before = ""  # the last piece that is no blank
        self._greatest = 0

    def whole(self) -> str:
        at = 0
        while at < len(self._pieces):
            at = self._step(at)
        return "".join(self._out).strip()

    def _next(self, at: int) -> int:
        """The next piece that is no blank."""
        while at < len(self._pieces) and self._pieces[at].kind == "space":
            at += 1
        return at

    def _low(self, at: int) -> str:
        at = self._next(at)
        return self._pieces[at].low if at < len(self._pieces) else ""

    def _step(self, at: int) -> int:
        piece = self._pieces[at]
        if piece.kind == "space":
            self._out.append(" ")
            return at + 1
        step = _STEPS.get(piece.low) or _KIND_STEPS.get(piece.kind)
        after = step(self, at) if step else self._plain(at)
        self._before = piece.low
        return after

    def _plain(self, at: int) -> int:
        self._out.append(self._pieces[at].text)
        return at + 1

    def _mark(self, at: int) -> int:
        text = self._pieces[at].text
        self._marks += text == "?"
        self._greatest = max(self._greatest, self._marks)
        self._out.append(f"${text[1:] or self._marks}")
        return at + 1

    def _word(self, at: int) -> int:
        piece = self._pieces[at]
        if piece.low == "x" and self._pieces[at + 1 : at + 2] and self._pieces[at + 1].kind == "text":
            self._out.append(f"'\\x{self._pieces[at + 1].text[1:-1]}'::bytea")
            return at + 2
        new = RENAMED.get(piece.low) if self._before != "." else None
        if piece.low in SCALAR and self._low(at + 1) == "(" and self._values(self._next(at + 1)) > 1:
            new = SCALAR[piece.low]
        if piece.low in self._caseless and self._low(at + 1) == "=" and self._before not in ("set", ","):
            return self._without_case(at)
        self._out.append(new or piece.text)
        return at + 1

    def _without_case(self, at: int) -> int:
        """`login = ?`"""
        self._out.append(f"lower({self._pieces[at].text}) = lower(")
        after = self._next(self._next(at + 1) + 1)
        after = self._step(after)
        self._out.append(")")
        return after

    def _values(self, at: int) -> int:
        """How many values stand in the brackets that open here."""
        depth, count = 0, 1
        for piece in self._pieces[at:]:
            depth += {"(": 1, ")": -1}.get(piece.text, 0) if piece.kind == "sign" else 0
            if depth == 0:
                break
            count += depth == 1 and piece.text == ","
        return count

    def _opened(self, at: int) -> int:
        self._open.append(self._before)
        return self._plain(at)

    def _closed(self, at: int) -> int:
        before = self._open.pop() if self._open else ""
        table = before in ("from", "join")
        self._plain(at)
        if before == "suture_key":  # a function gives no order of its own
            self._out.append(' COLLATE "C"')
        after = self._next(at + 1)
        follows = self._pieces[after] if after < len(self._pieces) else Piece("", "")
        if table and (follows.kind != "word" or follows.low in _NO_ALIAS):
            self._aliases += 1
            self._out.append(f" AS sub_{self._aliases}")
        return at + 1

    def _indexed(self, at: int) -> int:
        """A hint for SQLite's planner."""
        by = self._next(at + 1)
        return self._next(by + 1) + 1

    def _cross(self, at: int) -> int:
        """CROSS JOIN … ON keeps SQLite from turning two tables round; here it is a join."""
        depth = 0
        for piece in self._pieces[self._next(at + 1) + 1 :]:
            depth += {"(": 1, ")": -1}.get(piece.text, 0) if piece.kind == "sign" else 0
            if depth < 0 or (depth == 0 and piece.low in _ENDS_JOIN):
                return self._next(at + 1) if piece.low == "on" else self._plain(at)
        return self._plain(at)

    def _plus(self, at: int) -> int:
        """A plus without a left side only keeps SQLite from an index."""
        return at + 1 if self._before in _BEFORE_UNARY else self._plain(at)

    def _is(self, at: int) -> int:
        after = self._next(at + 1)
        negated = self._low(after) == "not"
        value = self._next(after + 1) if negated else after
        if self._low(value) in _NOTHINGS:
            return self._plain(at)
        self._out.append("IS DISTINCT FROM" if negated else "IS NOT DISTINCT FROM")
        return after + 1 if negated else at + 1

    def _in(self, at: int) -> int:
        """A list with nothing in it."""
        return self._of_nothing(at, at, "= ANY('{}')")

    def _not(self, at: int) -> int:
        after = self._next(at + 1)
        return self._of_nothing(at, after, "<> ALL('{}')") if self._low(after) == "in" else self._plain(at)

    def _of_nothing(self, at: int, word: int, said: str) -> int:
        opens = self._next(word + 1)
        closes = self._next(opens + 1)
        if (self._low(opens), self._low(closes)) != ("(", ")"):
            return self._plain(at)
        self._out.append(said)
        return closes + 1

    def _collate(self, at: int) -> int:
        named = self._next(at + 1)
        return named + 1 if self._low(named) == "nocase" else self._plain(at)


_Step = Callable[[_Reader, int], int]
_STEPS: dict[str, _Step] = {
    "(": _Reader._opened,
    ")": _Reader._closed,
    "+": _Reader._plus,
    "indexed": _Reader._indexed,
    "cross": _Reader._cross,
    "is": _Reader._is,
    "in": _Reader._in,
    "not": _Reader._not,
    "collate": _Reader._collate,
}
_KIND_STEPS: dict[str, _Step] = {"mark": _Reader._mark, "word": _Reader._word}
