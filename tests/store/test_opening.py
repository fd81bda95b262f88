"""Opening: what is created, what is said aloud, and what is refused with a sentence that helps."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from suture.crypto import create_key_file
from suture.errors import Unstartable
from suture.store import envelope, keys, migrations
from suture.store.connection import open_raw
from suture.store.database import Database
from tests.stores import database, settings


def test_the_first_start_makes_a_key_and_says_so_aloud(tmp_path: Path) -> None:
    first = database(tmp_path)
    first.close()
    second = database(tmp_path)
    second.close()
    assert "Created the key file" in first.notices[0]
    assert second.notices == []
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


FIRST_START = """
import sys
from pathlib import Path
from tests.stores import database
store = database(Path(sys.argv[1]))
store.write_now(lambda tx: tx.execute("INSERT INTO fact VALUES (?, 1)", (sys.argv[2],)).fetchall())
store.close()
"""


def test_several_first_starts_at_once_make_one_database(tmp_path: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", FIRST_START, str(tmp_path), f"c{n}"]) for n in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    store = database(tmp_path)
    assert store.read.one("SELECT count(*) FROM fact WHERE name LIKE 'c%'") == (4,)
    store.close()


def test_nothing_of_the_file_can_be_read_without_the_key(tmp_path: Path) -> None:
    database(tmp_path).close()
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite3.connect(tmp_path / "data" / "suture.db").execute("SELECT * FROM sqlite_master")


def other_key(folder: Path) -> None:
    (folder / "key").unlink()
    create_key_file(folder / "key")


def other_page_key(folder: Path) -> None:
    other = folder / "other"
    database(other).close()
    (folder / "key").write_bytes((other / "key").read_bytes())
    (folder / "data" / "suture.db.envelope").write_bytes((other / "data" / "suture.db.envelope").read_bytes())


def plain_sqlite(folder: Path) -> None:
    file = folder / "data" / "suture.db"
    file.unlink()
    file.with_name("suture.db.envelope").unlink()
    sqlite3.connect(file).execute("CREATE TABLE t (a)")


def newer_schema(folder: Path) -> None:
    opened = database(folder)
    opened.write_now(lambda tx: tx.execute("INSERT INTO migration VALUES (999, 'future', 0)").fetchall())
    opened.close()


def data_is_a_file(folder: Path) -> None:
    for file in (folder / "data").iterdir():
        file.unlink()
    (folder / "data").rmdir()
    (folder / "data").write_text("in the way")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_key, "this key does not open"),
        (other_page_key, "the key does not open this file"),
        (lambda folder: (folder / "key").unlink(), "no key file at"),
        (lambda folder: (folder / "key").chmod(0o644), "others may read the key file"),
        (lambda folder: (folder / "key").write_text("nonsense"), "is not a Suture key file"),
        (lambda folder: (folder / "data/suture.db.envelope").write_text("{}"), "not the envelope"),
        (lambda folder: (folder / "data/suture.db.envelope").unlink(), "its envelope suture.db.envelope is missing"),
        (lambda folder: (folder / "data/suture.db").write_bytes(b"x" * 9999), "the key does not open this file"),
        (plain_sqlite, "an SQLite database, but not one of Suture"),
        (newer_schema, "has schema 999, this Suture knows up to"),
        (data_is_a_file, "the folder cannot be written"),
    ],
)
def test_what_is_wrong_is_refused_and_named(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    database(tmp_path).close()
    spoil(tmp_path)
    with pytest.raises(Unstartable, match=said) as caught:
        database(tmp_path)
    assert caught.value.mend


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unstartable, match="SQLite or PostgreSQL"):
        Database.open(settings(tmp_path).with_values(database="mysql://h/d"))


def test_one_process_serves_a_database_and_commands_may_join(tmp_path: Path) -> None:
    serving = Database.open(settings(tmp_path), serving=True)
    with pytest.raises(Unstartable, match=r"another suture serves this database \(process \d+\)"):
        Database.open(settings(tmp_path), serving=True)
    database(tmp_path).close()
    serving.close()
    Database.open(settings(tmp_path), serving=True).close()


@pytest.mark.parametrize("version", [m.number for m in migrations.known()])
def test_every_earlier_schema_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    fresh = database(tmp_path / "fresh")
    wanted = fresh.read.all("SELECT name, sql FROM sqlite_schema ORDER BY name")
    fresh.close()
    old = database(tmp_path)
    file, key = old.path, old.shared.envelope.key
    old.close()
    file.unlink()
    raw = open_raw(file, key, create=True)
    migrations.migrate(raw, 0, "old", upto=version)
    raw.close()
    upgraded = database(tmp_path)
    assert upgraded.read.all("SELECT name, sql FROM sqlite_schema ORDER BY name") == wanted
    upgraded.close()


def test_runs_that_a_filter_ended_before_are_known_as_such(tmp_path: Path) -> None:
    old = database(tmp_path)
    file, key = old.path, old.shared.envelope.key
    old.close()
    file.unlink()
    raw = open_raw(file, key, create=True)
    migrations.migrate(raw, 0, "old", upto=21)
    columns = "id, mid, flow, version, maps, open, state, attempts, started, error"
    for id, open_, state, error in (
        (b"a", None, None, "filtered at ours"),
        (b"b", None, None, None),
        (b"c", None, 4, "filtered at"),
    ):
        raw.execute(f"INSERT INTO run ({columns}) VALUES (?, 1, 1, 1, 1, ?, ?, 0, 0, ?)", (id, open_, state, error))
    raw.close()
    upgraded = database(tmp_path)
    assert upgraded.read.all("SELECT id, filtered FROM run ORDER BY id") == [(b"a", 1), (b"b", None), (b"c", None)]
    upgraded.close()


def test_rows_of_the_index_are_carried_over_into_numbered_lists(tmp_path: Path) -> None:
    old = database(tmp_path)
    file, key = old.path, old.shared.envelope.key
    old.close()
    file.unlink()
    raw = open_raw(file, key, create=True)
    migrations.migrate(raw, 0, "old", upto=121)
    raw.execute("INSERT INTO name VALUES (1, 'Observation.code'), (2, 'Observation.value:Quantity:span')")
    raw.execute("INSERT INTO T VALUES (1, 5, 20, 7), (1, 4, 20, 7), (1, 5, 10, 8)")
    raw.execute("INSERT INTO Q VALUES (1, 6, 2.5, 7, 0), (2, 6, 4, 7, 5)")
    raw.close()
    upgraded = database(tmp_path)
    of = "JOIN posting USING (lid) ORDER BY pid, tid"
    assert upgraded.read.all(f"SELECT pid, tid, sd, rid FROM T {of}, sd") == [
        (1, 4, 20, 7), (1, 5, 10, 8), (1, 5, 20, 7)
    ]  # fmt: skip
    assert upgraded.read.all(f"SELECT pid, tid, lo, rid FROM Q {of}") == [(1, 6, 2.5, 7)]
    assert upgraded.read.all(f"SELECT pid, tid, lo, rid, hi FROM W {of}") == [(2, 6, 4.0, 7, 5.0)]
    upgraded.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database(tmp_path).close()
    broken = migrations.Migration(900, "broken", "CREATE TABLE half (a); CREATE TABLE half (a);")
    whole = migrations.known()
    monkeypatch.setattr(migrations, "known", lambda: (*whole, broken))
    with pytest.raises(Unstartable, match="900-broken failed"):
        database(tmp_path)
    monkeypatch.undo()
    opened = database(tmp_path)
    assert opened.read.one("SELECT 1 FROM sqlite_schema WHERE name = 'half'") is None
    opened.close()


def test_a_first_start_that_fails_leaves_no_half_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = migrations.Migration(900, "broken", "CREATE TABLE half (a); CREATE TABLE half (a);")
    whole = migrations.known()
    monkeypatch.setattr(migrations, "known", lambda: (*whole, broken))
    with pytest.raises(Unstartable, match="900-broken failed"):
        database(tmp_path)
    key = envelope.read(tmp_path / "data" / "suture.db", keys.read(settings(tmp_path))).key
    raw = open_raw(tmp_path / "data" / "suture.db", key)
    assert raw.execute("SELECT name FROM sqlite_schema").fetchall() == []
    raw.close()
    monkeypatch.undo()
    database(tmp_path).close()
