"""Pages that can't be read any more: of a database that is closed, by writing over them."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests import postgres, stores

PAGE, BLOCK = 4096, 8192


def of_file(folder: Path, table: str, kind: str = "leaf", at: int = 0) -> None:
    """Breaks the seal of one page of a table or an index, the `at`th of its kind (leaf, internal, overflow)."""
    opened = stores.database(folder)
    sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path"
    pages = [page for (page,) in opened.read.all(sql, (table, kind))]
    opened.close()
    file = folder / "data" / "suture.db"
    assert not file.with_name("suture.db-wal").exists()
    with file.open("r+b") as content:
        content.seek((pages[at] - 1) * PAGE + 100)
        before = content.read(1)
        content.seek(-1, 1)
        content.write(bytes([before[0] ^ 1]))


def of_server(folder: Path, table: str, at: int = 0) -> None:
    """The same on PostgreSQL: the folder's database becomes a copy whose files are changed before a page of it is read."""
    server = postgres.server(stores.backend)
    made = server.copied((folder / "address").read_text())
    with psycopg.connect(made) as connection:
        row = connection.execute(b"SELECT pg_relation_filepath('%s')" % table.encode()).fetchone()
    assert row
    with (server.folder / "data" / row[0]).open("r+b") as content:
        content.seek(at * BLOCK)
        content.write(b"\x5a" * BLOCK)
    (folder / "address").write_text(made)


def page(folder: Path, table: str, at: int = 0) -> None:
    """One page of a table, on whichever database this test runs."""
    if stores.backend == stores.SQLITE:
        of_file(folder, table, at=at)
    else:
        of_server(folder, table, at)
