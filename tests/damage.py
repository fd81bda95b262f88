"""Bodies, and pages, that can't be read any more: pages of a database that is closed, by writing over them."""

from __future__ import annotations

from pathlib import Path

import psycopg

from suture.store import resources
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.resources import VERSION_BITS
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


def body(database: Database, type: str, id: str, version: int = 0) -> bytes:
    """Spoils the stored body of a version, the current one unless told; returns what it was, to be put back."""
    return database.write_now(lambda tx: spoil(tx, type, id, version))


def spoil(tx: Tx, type: str, id: str, version: int = 0, body: bytes = b"\x00" * 80) -> bytes:
    """The same inside a transaction."""
    row = resources.read(
        tx, type, id, lambda _, type, id, rid, ver, *rest: resources.Row(rid, type, id, ver, 0, "PUT", b"")
    )
    assert row is not None
    table, key, number = "res", "rid", row.rid
    if version and version != row.version:
        table, key, number = "hist", "hid", row.rid << VERSION_BITS | version
    kept = tx.one(f"SELECT body FROM {table} WHERE {key} = ?", (number,))
    assert kept is not None
    tx.execute(f"UPDATE {table} SET body = ? WHERE {key} = ?", (body, number))
    return bytes(kept[0])
