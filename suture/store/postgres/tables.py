"""What the numbered .sql files say of each table, for the dialect: columns with their kinds, keys, texts without case.

https://sqlite.org/lang_createtable.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# kind of a column in the files -> PostgreSQL; a column without a kind holds an id (bytes of a UUID, or text)
KINDS = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "REAL": "double precision", "": "bytea"}
PLAIN = {("fact", "value"): "text"}  # the other column without a kind
NARROW = {
    "res": {"rid", "rt", "ver", "pat"},
    "hist": {"rt", "op", "zd"},
    "dangling": {"rid", "rt"},
    "posting": {"lid", "pid", "tid"},
    "t": {"lid", "rid"},
    "i": {"pid", "tid", "rid"},
    "r": {"pid", "tgt", "rid"},
    "s": {"pid", "rid"},
    "d": {"pid", "rid"},
    "l": {"pid", "rid"},
    "q": {"lid", "rid"},
    "w": {"lid", "rid"},
}  # numbers that take four bytes, since 111-narrow-numbers
SMALL = {"res": {"op", "zd"}}  # and two, since 131-res-in-order
COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*")
_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\((.*)\)\s*(?:WITHOUT ROWID)?\s*", re.S | re.I)
_ADDED = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (.*)", re.S | re.I)
_KEY = re.compile(r"(PRIMARY KEY|UNIQUE)\s*\(([^)]*)\)", re.I)
_COLUMN = re.compile(r'("?)(\w+)\1\s*(INTEGER|TEXT|BLOB|REAL)?\b(.*)', re.S | re.I)
_INDEX = re.compile(r"CREATE UNIQUE INDEX \w+ ON (\w+) \(([^)]*)\)\s*$", re.I)


@dataclass(slots=True)
class Table:
    """One table as the files make it."""

    columns: dict[str, str] = field(default_factory=dict)  # name -> kind on PostgreSQL, in order
    key: tuple[str, ...] = ()
    counted: str = ""  # the INTEGER PRIMARY KEY, which SQLite counts on by itself
    caseless: set[str] = field(default_factory=set)


def statements(sql: str) -> Iterator[str]:
    """The statements of a file, without comments."""
    bare = COMMENT.sub(lambda found: found[1] or "", sql)
    yield from (part.strip() for part in _split(bare, ";") if part.strip())


def _split(text: str, mark: str) -> Iterator[str]:
    """Parts between marks that stand in no brackets and no string."""
    depth, start, quoted = 0, 0, ""
    for at, sign in enumerate(text):
        if quoted:
            quoted = "" if sign == quoted else quoted
        elif sign in "'\"":
            quoted = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == mark and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def read(files: Iterable[str]) -> dict[str, Table]:
    """The tables after all these files."""
    found: dict[str, Table] = {}
    for sql in files:
        for statement in statements(sql):
            if made := _TABLE.fullmatch(statement):
                found[made[1].lower()] = _table(made[1].lower(), made[2])
            elif added := _ADDED.fullmatch(statement):
                _add(found[added[1].lower()], added[1].lower(), added[2])
    for name in NARROW.keys() & found.keys():
        found[name].columns.update(dict.fromkeys(NARROW[name], "integer"))
    for name in SMALL.keys() & found.keys():
        found[name].columns.update(dict.fromkeys(SMALL[name], "smallint"))
    return found


def _table(name: str, inside: str) -> Table:
    table = Table()
    for part in (one.strip() for one in _split(inside, ",")):
        constraint = _KEY.fullmatch(part)
        if constraint is None:
            _add(table, name, part)
        elif constraint[1].upper() == "PRIMARY KEY":
            table.key = tuple(one.strip().strip('"') for one in constraint[2].split(","))
    return table


def _add(table: Table, of: str, definition: str) -> None:
    name, kind, rest = column(definition)
    table.columns[name] = PLAIN.get((of, name), KINDS[kind])
    if "PRIMARY KEY" in rest.upper():
        table.key = (name,)
        table.counted = name if kind == "INTEGER" else ""
    if "NOCASE" in rest.upper():
        table.caseless.add(name)


def column(definition: str) -> tuple[str, str, str]:
    """(name, kind, the rest) of a column's definition."""
    found = _COLUMN.fullmatch(definition.strip())
    assert found, definition
    return found[2], (found[3] or "").upper(), found[4].strip()


def translated(statement: str) -> list[str]:
    """A statement that makes or widens a table, as PostgreSQL wants it; empty for any other."""
    if made := _TABLE.fullmatch(statement):
        return _made(made[1], made[2])
    if added := _ADDED.fullmatch(statement):
        return [f"ALTER TABLE {quoted(added[1])} ADD COLUMN {_defined(added[1].lower(), added[2])}"]
    return []


def quoted(name: str) -> str:
    """These are words of PostgreSQL's own."""
    return f'"{name}"' if name.lower() in ("user", "grant") else name


def made(statement: str) -> tuple[str, list[str]] | None:
    """The name of a table and its columns as they are written, if the statement makes one."""
    found = _TABLE.fullmatch(statement)
    if found is None:
        return None
    parts = (one.strip() for one in _split(found[2], ","))
    return found[1].lower(), [part for part in parts if not _KEY.fullmatch(part)]


def _made(name: str, inside: str) -> list[str]:
    parts = [one.strip() for one in _split(inside, ",")]
    lines = [part if _KEY.fullmatch(part) else _defined(name.lower(), part) for part in parts]
    caseless = [column(part) for part in parts if "NOCASE" in part.upper()]
    indexes = [
        f"CREATE {'UNIQUE ' if 'UNIQUE' in rest.upper() else ''}INDEX ON {quoted(name)} (lower({text}))"
        for text, _, rest in caseless
    ]
    return [f"CREATE TABLE {quoted(name)} ({', '.join(lines)})", *indexes]


def _defined(of: str, definition: str) -> str:
    name, kind, rest = column(definition)
    plain = PLAIN.get((of, name), KINDS[kind])
    if "NOCASE" in rest.upper():
        rest = re.sub(r"COLLATE NOCASE|UNIQUE", "", rest, flags=re.I)
    order = ' COLLATE "C"' if plain == "text" else ""
    return f"{quoted(name)} {plain}{order} {rest}".strip()
