"""What only a database on a server has: sessions that end, a lock between processes, texts and bodies as they are kept."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from suture import crypto
from suture.clock import new_id
from suture.errors import Conflict, TooCostly, Unavailable, Unstartable
from suture.settings import read
from suture.standards.fhir import search as language
from suture.store import audit, bulk, dictionaries, migrations, names, resources, search, vault, verify, whose
from suture.store.audit import AuditRow
from suture.store.connection import Busy, Tx
from suture.store.database import Database
from suture.store.postgres import resting, schema, server, session, tables
from suture.store.postgres.dialect import Dialect
from suture.store.postgres.questions import Questions
from tests import postgres, stores
from tests.store.postgres.conftest import Stranger
from tests.store.test_bulk import item

pytestmark = pytest.mark.slow
SERVERS = stores.BACKENDS[1:]
SECRET = b'{"resourceType":"Basic","code":{"text":"a very private note about somebody"}}'


@pytest.mark.parametrize("name", SERVERS)
def test_every_migration_applies_by_itself_and_once(name: str) -> None:
    raw = session.connect(postgres.server(name).empty())
    dialect = Dialect(tables.read(m.sql for m in migrations.known()))
    for migration in migrations.known():
        assert schema.migrate(raw, dialect, 0, "here", migration.number) == [migration]
    assert schema.migrate(raw, dialect, 0, "here") == []
    raw.execute("INSERT INTO migration VALUES (999, 'later', 0)")
    with pytest.raises(Unstartable, match="has schema 999"):
        schema.migrate(raw, dialect, 0, "here")
    raw.close()


def test_a_new_resource_of_a_known_patient_asks_the_server_nothing(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows and whose it is are known: all goes in one statement when the group ends."""

    def unit(tx: Tx, id: str) -> tuple[str, ...]:
        body = b'{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/p"}}'
        row = resources.put(tx, "Observation", id, body, method="POST", only_new=True, fresh=True)
        audit.append(tx, AuditRow("system", "create", "Observation", id))
        return whose.of_row(tx, row)

    store.write_now(lambda tx: unit(tx, new_id()))
    asked: list[str] = []
    rows = Questions.rows
    monkeypatch.setattr(Questions, "rows", lambda self, sql, given: asked.append(sql) or rows(self, sql, given))
    assert store.write_now(lambda tx: [unit(tx, new_id()), unit(tx, new_id())]) == [("Patient/p",), ("Patient/p",)]
    assert len(asked) <= 3
    assert sum("INTO res" in sql for sql in asked) == 1


def test_a_page_of_a_type_brings_its_rows_along(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        store.write_now(lambda tx, id=f"b{number}": resources.put(tx, "Basic", id, SECRET))  # type: ignore[misc]
    query = language.parse("Basic", [("_sort", "-_lastUpdated"), ("_count", "3")])
    whole = search.find(store.read, query)
    asked: list[str] = []
    rows = Questions.rows
    monkeypatch.setattr(Questions, "rows", lambda self, sql, given: asked.append(sql) or rows(self, sql, given))
    again = search.find(store.read, query)
    assert [row.id for row in again.rows] == ["b4", "b3", "b2"]
    assert again == whole
    assert len(asked) == 1
    assert store.read.carried is None


def test_what_is_kept_of_a_body_or_a_secret_says_nothing(store: Database, stranger: Stranger) -> None:
    store.write_now(lambda tx: resources.put(tx, "Basic", "b", SECRET))
    store.write_now(lambda tx: resources.put(tx, "Basic", "b", SECRET.replace(b"note", b"word")))
    store.write_now(lambda tx: vault.put(tx, "password", "open sesame", "https://a.example"))
    raw = stranger()
    kept = [bytes(v) for table in ("res", "hist") for (v,) in raw.execute(f"SELECT body FROM {table}".encode())]
    kept += [bytes(v) for (v,) in raw.execute("SELECT sealed FROM secret")]
    raw.close()
    assert len(kept) == 3
    assert [v for v in kept if b"private" in v or b"somebody" in v or b"sesame" in v or b"Basic" in v] == []
    found = resources.read(store.read, "Basic", "b")
    assert found is not None
    assert b"private word" in found.body


def test_a_body_that_was_changed_on_the_server_is_refused(store: Database) -> None:
    store.write_now(lambda tx: resources.put(tx, "Basic", "b", SECRET))
    store.write_now(lambda tx: tx.execute("UPDATE res SET body = body || x'00'").fetchall())
    with pytest.raises(Unavailable, match="damaged"):
        resources.read(store.read, "Basic", "b")


def test_ids_of_sixteen_letters_are_no_uuids(store: Database) -> None:
    ids = ["a" * 16, "0" * 16, "a" * 15, "x", "0193f0aa-0000-7000-8000-000000000001"]
    for id in ids:
        store.write_now(lambda tx, id=id: resources.put(tx, "Basic", id, b'{"resourceType":"Basic"}'))  # type: ignore[misc]
    assert sorted(row.id for row in resources.history(store.read, "Basic")) == sorted(ids)


def test_a_text_with_nul_and_numbers_past_all_bounds_are_no_fault(store: Database) -> None:
    store.write_now(lambda tx: names.number(tx, "a\0b"))
    assert names.text(store.read, names.find(store.read, "a\0b")) in ("a\0b", "a\ufffdb")
    assert store.read.one("SELECT 1 FROM res WHERE rid = ?", (1 << 62,)) is None


def test_a_lost_session_is_opened_anew(store: Database, stranger: Stranger) -> None:
    store.write_now(lambda tx: resources.put(tx, "Basic", "b", SECRET))
    raw = stranger()
    raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    raw.close()
    assert resources.read(store.read, "Basic", "b") is not None
    assert store.write_now(lambda tx: resources.put(tx, "Basic", "c", SECRET)).change == "created"


async def test_a_lost_session_fences_and_writing_goes_on(store: Database, stranger: Stranger) -> None:
    await store.write(lambda tx: audit.append(tx, AuditRow("user:1", "read")))
    raw = stranger()

    def unit(tx: object) -> None:
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    done = await asyncio.gather(
        store.write(unit),
        *(store.write(lambda tx: audit.append(tx, AuditRow("user:2", "read"))) for _ in range(3)),
        return_exceptions=True,
    )
    assert all(isinstance(one, Unavailable) for one in done[1:]), done
    for _ in range(200):
        if not store.fenced:
            break
        await asyncio.sleep(0.05)
    assert await store.write(lambda tx: audit.append(tx, AuditRow("user:3", "read"))) == 2
    assert audit.verify(store.read) is None
    raw.close()


def test_a_table_that_was_changed_beneath_a_writer_is_heard_once(store: Database, stranger: Stranger) -> None:
    """An older process goes on beside one that has migrated: its statement is prepared anew."""
    sql = "SELECT * FROM fact WHERE name = ?"
    for _ in range(3):
        store.write_now(lambda tx: tx.one(sql, ("x",)))
    raw = stranger()
    raw.execute("ALTER TABLE fact ADD COLUMN later bigint")
    raw.close()
    with pytest.raises(Busy, match="another process has changed the tables"):
        store.write_now(lambda tx: tx.one(sql, ("x",)))
    assert store.write_now(lambda tx: tx.one(sql, ("x",))) is None


def test_a_query_past_its_budget_is_cancelled_and_the_next_one_is_not(store: Database) -> None:
    with pytest.raises(TooCostly, match="longer"), store.read.budget(0.1):
        store.read.one("SELECT count(*) FROM pg_sleep(30)")
    assert store.read.one("SELECT 1") == (1,)
    with store.read.budget(5.0):
        assert store.read.one("SELECT 2") == (2,)


def test_times_and_numbers_go_on_across_processes(store: Database, tmp_path: Path) -> None:
    other = stores.database(tmp_path)
    seen = []
    for turn in range(20):
        one = (store, other)[turn % 2]
        row = one.write_now(lambda tx, turn=turn: resources.put(tx, "Basic", f"b{turn}", SECRET))  # type: ignore[misc]
        seen.append((row.updated, row.rid))
        assert one.write_now(lambda tx: audit.append(tx, AuditRow("user:1", "create"))) == turn + 1
    assert seen == sorted(seen)
    assert [r for _, r in seen] == list(range(1, 21))
    assert audit.verify(other.read) is None
    other.close()


def test_a_clock_that_goes_wrong_in_one_process_turns_no_time_back(store: Database, tmp_path: Path) -> None:
    ahead = store.write_now(lambda tx: tx.now)
    store.write_now(lambda tx: setattr(tx, "now", ahead + 10**9))
    other = stores.database(tmp_path)
    assert other.write_now(lambda tx: tx.now) > ahead + 10**9
    other.close()


def test_who_waits_too_long_for_the_lock_hears_it(store: Database) -> None:
    holder, waiting = store._writer(), store._writer()
    holder.take()
    with pytest.raises(Busy):
        waiting.take()
    with pytest.raises(Busy):
        waiting.take(0.2)
    holder.roll_back()
    waiting.take()
    waiting.roll_back()
    holder.close()
    waiting.close()


def test_a_row_twice_is_a_conflict_and_the_unit_alone_is_undone(store: Database) -> None:
    store.write_now(lambda tx: tx.execute("INSERT INTO once VALUES ('a', 1, NULL)").fetchall())
    with pytest.raises(Conflict):
        store.write_now(lambda tx: tx.execute("INSERT INTO once VALUES ('a', 2, NULL)").fetchall())
    assert store.read.all("SELECT key, expires FROM once") == [("a", 1)]


def test_one_process_runs_the_flows_and_another_takes_over(store: Database, tmp_path: Path, stranger: Stranger) -> None:
    first, second = (Database.open(stores.settings(tmp_path), serving=True) for _ in range(2))
    assert first.place.turn()
    assert first.place.turn()  # it still has it
    assert not second.place.turn()
    first.close()
    until = time.monotonic() + 10  # the server ends a session a moment after its client
    while not second.place.turn():
        assert time.monotonic() < until
        time.sleep(0.02)
    raw = stranger()
    raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    raw.close()
    assert not second.place.turn()  # lost: it is not taken again by itself
    second.close()


def test_another_key_does_not_open_it(store: Database, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    crypto.create_key_file(other / "key")
    with pytest.raises(Unstartable, match="does not open"):
        Database.open(stores.settings(tmp_path).with_values(key_file=str(other / "key")))


@pytest.mark.parametrize("name", SERVERS)
def test_a_place_that_is_none_says_what_to_do_and_no_password(name: str, tmp_path: Path) -> None:
    at = postgres.server(name)
    settings = read(tmp_path, {"SUTURE_KEY_FILE": str(tmp_path / "key")})
    for address in (
        f"postgresql://suture:hush-hush@/nowhere?host={at.folder}&port={at.port}",
        "postgresql://suture:hush-hush@127.0.0.1:1/x",
    ):
        with pytest.raises(Unstartable, match="database server says") as told:
            Database.open(settings.with_values(database=address))
        assert "hush" not in str(told.value)
        assert told.value.mend


def test_a_large_load_leaves_statistics_and_a_sound_index(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MANY", 1_000)
    done = bulk.load(store, [item(number) for number in range(1_500)])
    assert done["created"] == 1_500
    row = store.read.one("SELECT reltuples FROM pg_class WHERE oid = to_regclass('res')")
    assert row is not None
    assert row[0] == 1_500
    assert len(dictionaries.sample(store.read, "resource")) == 1_500  # of all rows, not of those that lie nearest
    assert [(finding.what, finding.good) for finding in verify.verify(store)] == [
        ("pages", True), ("bodies", True), ("index", True), ("audit", True),
    ]  # fmt: skip


def test_the_newest_of_a_type_are_read_from_the_index_alone(store: Database, stranger: Stranger) -> None:
    """Thousands of rows of one date are neither sorted nor fetched for a page of fifty."""
    raw = stranger()
    raw.execute("SET enable_seqscan = off; SET enable_bitmapscan = off", prepare=False)
    page = "SELECT rid, sd FROM res WHERE op <> 3 AND rt = 1 ORDER BY sd DESC, rid DESC LIMIT 51"
    plan = "\n".join(line for (line,) in raw.execute(f"EXPLAIN {page}".encode()))
    raw.close()
    assert "Index Only Scan Backward using res_sd" in plan
    assert "Sort" not in plan


INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname"


def resting_load(store: Database, monkeypatch: pytest.MonkeyPatch, at: int, call: Callable[[], None]) -> Counter[str]:
    """A first load of 1,000 that calls when so many are written."""
    monkeypatch.setattr(bulk, "SIZES", (100, 300))
    monkeypatch.setattr(bulk, "PER_TRANSACTION", 200)
    return bulk.load(store, map(item, range(1_000)), progress=lambda done: call() if done == at else None)


def test_a_first_load_goes_without_its_indexes_and_builds_them_all(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, meanwhile = store.read.all(INDEXES), []
    done = resting_load(store, monkeypatch, 600, lambda: meanwhile.extend(store.read.all(INDEXES)))
    assert done["created"] == 1_000
    assert store.read.all(INDEXES) == whole
    gone = {text.split()[2] if "UNIQUE" not in text else text.split()[3] for (text,) in set(whole) - set(meanwhile)}
    assert gone == {"t_key", "r_key", "r_rid", "d_lo", "d_rid", "q_lo", "q_rid", "res_sd", "res_upd"}
    assert store.read.one("SELECT 1 FROM fact WHERE name = ?", (resting.FACT,)) is None
    assert [finding for finding in verify.verify(store) if not finding.good] == []


def test_a_first_load_that_dies_is_mended_at_the_next_opening(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.read.all(INDEXES)

    def dies() -> None:
        store.place._presence.raw.close()  # type: ignore[attr-defined]
        monkeypatch.setattr(server.Server, "rested", lambda self: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resting_load(store, monkeypatch, 600, dies)
    assert store.read.all(INDEXES) != whole
    again = stores.database(tmp_path)
    assert again.read.all(INDEXES) == whole
    assert again.read.one("SELECT count(*) FROM res") == (600,)
    assert [finding for finding in verify.verify(again) if not finding.good] == []
    again.close()


def test_who_opens_the_database_during_a_first_load_waits_for_its_indexes(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = store.read.all(INDEXES), []

    def opens() -> None:
        other = stores.database(tmp_path)
        seen.extend(other.read.all(INDEXES))
        other.close()

    thread = threading.Thread(target=opens)

    def begins() -> None:
        thread.start()
        while not store.place.disturbed():
            time.sleep(0.01)

    assert resting_load(store, monkeypatch, 600, begins)["created"] == 1_000
    thread.join(30)
    assert seen == whole


def test_a_load_beside_another_process_keeps_its_indexes(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = stores.database(tmp_path)
    whole, meanwhile = store.read.all(INDEXES), []
    resting_load(store, monkeypatch, 600, lambda: meanwhile.extend(store.read.all(INDEXES)))
    beside.close()
    assert meanwhile == whole


def test_rows_of_an_earlier_schema_are_written_anew(store: Database) -> None:
    """Row numbers become four bytes, lists have a number, spans a table; no row is lost, nor what a broken-off load left."""
    raw = session.connect(postgres.server(stores.backend).empty())
    dialect = Dialect(tables.read(m.sql for m in migrations.known()))
    schema.migrate(raw, dialect, 0, "here", 109)
    raw.execute("INSERT INTO name VALUES (1, 'Observation.code'), (2, 'Observation.value:Quantity:span')")
    raw.execute("INSERT INTO res VALUES (7, 1, 'x', 2, 30, 1, 7, 20, 0, 'body')")
    raw.execute("INSERT INTO D VALUES (1, 20, 7, 3)")
    raw.execute("INSERT INTO Q VALUES (1, 2, 2.5, 7, 0), (2, 3, 4, 7, 5)")
    raw.execute("INSERT INTO T VALUES (1, 2, 20, 7), (1, 1, 20, 7)")
    schema.migrate(raw, dialect, 0, "here", 121)
    broken_off = raw.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 't_key'").fetchall()
    raw.execute("INSERT INTO fact VALUES ($1, $2)", (resting.FACT, json.dumps([text for (text,) in broken_off])))
    raw.execute("DROP INDEX t_key")
    schema.migrate(raw, dialect, 0, "here")
    assert raw.execute("SELECT 1 FROM fact WHERE name = $1", (resting.FACT,)).fetchone() is None
    assert raw.execute("SELECT rid, fid, ver, upd, op, pat, sd, zd, body FROM res").fetchall() == [
        (7, b"x", 2, 30, 1, 7, 20, 0, b"body")
    ]
    assert raw.execute("SELECT pid, lo, rid, len FROM D").fetchall() == [(1, 20, 7, 3)]
    of = "JOIN posting USING (lid) ORDER BY pid, tid"
    assert raw.execute(f"SELECT pid, tid, lo, rid FROM Q {of}".encode()).fetchall() == [(1, 2, 2.5, 7)]
    assert raw.execute(f"SELECT pid, tid, lo, rid, hi FROM W {of}".encode()).fetchall() == [(2, 3, 4.0, 7, 5.0)]
    assert raw.execute(f"SELECT pid, tid, sd, rid FROM T {of}".encode()).fetchall() == [(1, 1, 20, 7), (1, 2, 20, 7)]
    types = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'integer'"
    narrow = set(raw.execute(types.encode()).fetchall())
    small = set(raw.execute(types.replace("'integer'", "'smallint'").encode()).fetchall())
    raw.close()
    assert narrow == {(table, column) for table, columns in tables.NARROW.items() for column in columns}
    assert small == {(table, column) for table, columns in tables.SMALL.items() for column in columns}
