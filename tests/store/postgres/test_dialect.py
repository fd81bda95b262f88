"""The store's SQL in PostgreSQL's words."""

from __future__ import annotations

import pytest

from suture.store import migrations
from suture.store.postgres import schema, tables
from suture.store.postgres.dialect import Dialect
from suture.store.postgres.tables import Table

KNOWN = tables.read(m.sql for m in migrations.known())
DIALECT = Dialect(KNOWN)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 FROM res WHERE fid = ? AND rt = ?", "SELECT 1 FROM res WHERE fid = $1 AND rt = $2"),
        ("SELECT '?' FROM x WHERE a = ?1 AND (b = ?1 OR c > ?2)", "SELECT '?' FROM x WHERE a = $1 AND (b = $1 OR c > $2)"),
        ("INSERT OR IGNORE INTO T VALUES (?,?,?,?)", "INSERT INTO T VALUES ($1,$2,$3,$4) ON CONFLICT DO NOTHING"),
        (
            "INSERT OR REPLACE INTO fact VALUES (?, ?)",
            "INSERT INTO fact VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        ),
        (
            "INSERT INTO name (text) VALUES (?)",
            "INSERT INTO name (nid, text) VALUES ((SELECT coalesce(max(nid), 0) + 1 FROM name), $1) RETURNING nid",
        ),
        (
            "SELECT 1 FROM R c INDEXED BY R_rid CROSS JOIN res t ON t.rid = c.tgt WHERE +c.tgt = 1 + ?",
            "SELECT 1 FROM R c  JOIN res t ON t.rid = c.tgt WHERE c.tgt = 1 + $1",
        ),
        ("SELECT 1 FROM (SELECT 2) CROSS JOIN R c WHERE a = 1", "SELECT 1 FROM (SELECT 2) AS sub_1 CROSS JOIN R c WHERE a = 1"),
        ("SELECT 1 FROM (SELECT 2 FROM (SELECT 3)) far", "SELECT 1 FROM (SELECT 2 FROM (SELECT 3) AS sub_1) far"),
        ("SELECT max(a, b), max(c), MAX(min(d, e))", "SELECT scalar_max(a, b), max(c), MAX(scalar_min(d, e))"),
        ("SELECT ifnull(instr(a, ?), 0)", "SELECT coalesce(strpos(a, $1), 0)"),
        ("SELECT 1 FROM user WHERE login = ?", 'SELECT 1 FROM "user" WHERE lower(login) = lower($1)'),
        ("UPDATE user SET login = ? WHERE uid = ?", 'UPDATE "user" SET login = $1 WHERE uid = $2'),
        ("SELECT a IS ? AND b IS NOT ? AND c IS NOT NULL", "SELECT a IS NOT DISTINCT FROM $1 AND b IS DISTINCT FROM $2 AND c IS NOT NULL"),
        ("SELECT 1 WHERE a IN () OR b NOT IN () OR c IN (?)", "SELECT 1 WHERE a = ANY('{}') OR b <> ALL('{}') OR c IN ($1)"),
        ("SELECT 1 ORDER BY suture_key(?, rid, ?)", 'SELECT 1 ORDER BY suture_key($1, rid, $2) COLLATE "C"'),
        ("SELECT CAST(x'00' AS BLOB)", r"SELECT CAST('\x00'::bytea AS bytea)"),
        ("SELECT name FROM user ORDER BY login COLLATE NOCASE", 'SELECT name FROM "user" ORDER BY login'),
    ],
)  # fmt: skip
def test_a_statement_is_said_in_both(sql: str, said: str) -> None:
    assert DIALECT(sql) == said
    assert DIALECT(sql) == said  # from memory


def test_every_table_of_the_files_is_known_with_its_key() -> None:
    assert KNOWN["res"].counted == "rid"
    assert KNOWN["res"].columns["fid"] == "bytea"
    assert KNOWN["t"].key == ("lid", "sd", "rid")
    assert list(KNOWN["audit"].columns)[-3:] == ["client", "grant", "whose"]  # added by a later file
    assert KNOWN["user"].caseless == {"login"}
    assert all(table.key for table in KNOWN.values())


def test_columns_without_a_kind_are_ids_or_named_here() -> None:
    """Another one needs a kind in its file: PostgreSQL must know what it holds."""
    found = {
        (name, tables.column(part)[0])
        for migration in migrations.known()
        for statement in tables.statements(migration.sql)
        if (made := tables.made(statement))
        for name, parts in [made]
        for part in parts
        if not tables.column(part)[1]
    }
    assert found == {("fact", "value"), ("res", "fid"), ("dangling", "fid"), ("audit_whose", "patient")}


@pytest.mark.parametrize("migration", migrations.known(), ids=lambda m: f"{m.number:03d}-{m.name}")
def test_no_word_of_sqlite_is_left(migration: migrations.Migration) -> None:
    said = " ".join(schema.statements(migration, DIALECT)).upper()
    assert [w for w in ("WITHOUT ROWID", "NOCASE", "BLOB", "INTEGER", "OR IGNORE", "OR REPLACE") if w in said] == []


def test_a_table_that_nobody_knows_is_left_as_it_is() -> None:
    assert Dialect({"x": Table()})("INSERT INTO y (a) VALUES (?)") == "INSERT INTO y (a) VALUES ($1)"
