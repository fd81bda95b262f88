"""The audit trail: found by person and time, and every way of changing it is seen."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

import orjson
import pytest

from suture.store import anchor, audit, audit_listed, names
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from tests.stores import database, settings


@pytest.fixture
def trail(store: Database) -> Database:
    for number in range(9):
        row = AuditRow(f"user:{number % 2}", "read", "Patient", str(number), f"Patient/{number % 3}")
        store.write_now(lambda tx, row=row: audit.append(tx, row))
    store.write_now(lambda tx: audit_listed.go_on(tx, 5))  # the others are found in the trail itself
    return store


def test_rows_are_found_by_patient_caller_and_time(trail: Database) -> None:
    def numbers(**filters: object) -> list[int]:
        return [entry.n for entry in audit.find(trail.read, **filters)]  # type: ignore[arg-type]

    assert numbers(patient="Patient/1") == [8, 5, 2]
    assert numbers(who="user:1", count=2) == [8, 6]
    assert numbers(who="user:1", patient="Patient/1") == [8, 2]
    fourth = audit.find(trail.read, before=5, count=1)[0]
    assert numbers(since=fourth.at, until=fourth.at + 1) == [4]
    assert numbers(until=fourth.at) == [3, 2, 1]


def test_however_many_rows_are_listed_the_same_are_found(trail: Database) -> None:
    many = AuditRow("user:1", "search-type", patient="#7", patients=("Patient/1", "Patient/2"))
    trail.write_now(lambda tx: audit.append(tx, many))
    asked = [
        audit.Filter(patients=patients, ascending=ascending, count=count, skip=skip, sort=sort, who=who)
        for patients in (("Patient/1",), ("Patient/2", "#7"), ("Patient/9",))
        for ascending in (True, False)
        for count, skip in ((50, 0), (2, 0), (2, 1))
        for sort, who in (("", ""), ("who", ""), ("", "user:1"))
    ]

    def numbers() -> list[list[int]]:
        return [[entry.n for entry in audit.search(trail.read, one)] for one in asked]

    first = numbers()
    assert first[9] == [10, 8, 5, 2]
    for left in (4, 3, 2, 1, 0, 0):
        assert trail.write_now(lambda tx: audit_listed.go_on(tx, 1)) == left
        assert audit_listed.behind(trail.read) == left
        assert numbers() == first
        assert audit.verify(trail.read, audit.head(trail.read)) is None


def test_what_was_left_behind_is_listed_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_listed, "BEHIND", 20)
    store = database(tmp_path)
    store.write_now(lambda tx: audit.append_all(tx, [AuditRow("user:1", "read", patient="Patient/1")] * 99))
    store.close()
    again = database(tmp_path)
    assert audit_listed.behind(again.read) == again.shared.unlisted <= 40
    assert len(audit.find(again.read, patient="Patient/1", count=200)) == 99
    again.close()


def test_a_long_tail_is_listed_beside_the_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_listed, "BEHIND", 20)
    monkeypatch.setattr(audit_listed, "AT_ONCE", 10)
    store = database(tmp_path)
    for _ in range(3):
        store.write_now(lambda tx: audit.append_all(tx, [AuditRow("user:1", "read", patient="Patient/1")] * 15))
        store.upkeep.settle()
    assert audit_listed.behind(store.read) < 20
    assert len(audit.find(store.read, patient="Patient/1")) == 45
    store.close()


def test_a_row_of_many_records_is_found_by_each_of_them(trail: Database) -> None:
    other = "0193f0aa-0000-7000-8000-000000000001"
    row = AuditRow(
        "client:9", "search-type", "Patient", patients=("Patient/1", f"Patient/{other}", "#MRN 7"), client="app"
    )
    trail.write_now(lambda tx: audit.append(tx, row))
    for patient, numbers in (
        ("Patient/1", [10, 8, 5, 2]),
        (f"Patient/{other}", [10]),
        ("#MRN 7", [10]),
        ("Patient/7", []),
    ):
        assert [entry.n for entry in audit.find(trail.read, patient=patient)] == numbers
    both = audit.Filter(patients=("Patient/1", "#MRN 7"), count=3)
    assert [entry.n for entry in audit.search(trail.read, both)] == [10, 8, 5]
    assert audit.find(trail.read, count=1)[0].row == row
    assert audit.verify(trail.read) is None


def test_rows_are_sorted_and_filtered(trail: Database) -> None:
    trail.write_now(lambda tx: audit.append(tx, AuditRow("anonymous", "denied", outcome=403)))

    def numbers(**wanted: object) -> list[int]:
        return [entry.n for entry in audit.search(trail.read, audit.Filter(**wanted))]  # type: ignore[arg-type]

    assert numbers(refused=True) == numbers(outcome=403) == numbers(what=("denied", "login")) == [10]
    assert numbers(ascending=True, count=2) == [1, 2]
    assert numbers(sort="who", ascending=True, count=3) == [10, 1, 3]
    assert numbers(sort="patient", count=4, skip=1) == [6, 3, 8, 5]
    assert numbers(after=8) == [10, 9]
    assert numbers(who="nobody") == []


def test_an_untouched_trail_has_no_break(trail: Database) -> None:
    assert audit.verify(trail.read, audit.head(trail.read)) is None


@pytest.mark.parametrize(
    ("tampering", "n", "kind"),
    [
        ("UPDATE audit SET outcome = 404 WHERE n = 4", 4, "edited"),
        ("UPDATE audit SET at = at + 1 WHERE n = 4", 4, "edited"),
        ("DELETE FROM audit WHERE n = 4", 4, "missing"),
        ("DELETE FROM audit WHERE n >= 7", 7, "truncated"),
        (
            'INSERT INTO audit SELECT -1, at, who, what, type, id, patient, query, outcome, purpose, address, detail, hash, client, "grant", whose FROM audit WHERE n = 1',
            -1,
            "inserted",
        ),
        ("INSERT INTO audit_whose VALUES ('x', 4)", 4, "unlisted"),
        ("DELETE FROM audit_whose WHERE n = 4", 4, "unlisted"),
        ("UPDATE watermark SET value = '9' WHERE name = 'audit-listed'", 6, "unlisted"),
        ("UPDATE audit SET n = -n WHERE n IN (4, 5); UPDATE audit SET n = 9 + n WHERE n < 0", 4, "reordered"),
    ],
)
def test_tampering_is_named(trail: Database, tampering: str, n: int, kind: str) -> None:
    anchor = audit.head(trail.read)
    for statement in tampering.split(";"):
        trail.write_now(lambda tx, sql=statement.strip(): tx.execute(sql).fetchall())  # type: ignore[misc]
    found = audit.verify(trail.read, anchor)
    assert found is not None
    assert (found.n, found.kind) == (n, kind)


COLUMNS = (
    "at",
    "who",
    "what",
    "type",
    "id",
    "patient",
    "query",
    "outcome",
    "purpose",
    "address",
    "detail",
    "hash",
    "client",
    '"grant"',
    "whose",
)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("n", [1, 5, 10])
def test_one_changed_byte_of_any_column_is_named(trail: Database, column: str, n: int) -> None:
    full = AuditRow(
        "user:1", "read", "A", "b", "Patient/c", "d", 200, "e", "f", "g", "h", "i", ("Patient/c", "Patient/j")
    )
    trail.write_now(lambda tx: audit.append(tx, full))
    change = {
        "at": "at + 1", "outcome": "outcome + 1", "hash": "CAST(x'00' || substr(hash, 2) AS BLOB)",
        **dict.fromkeys(("who", "what", "type", "purpose", "address", "client"), "(SELECT max(nid) FROM name WHERE nid <> {0})"),
    }.get(column, "ifnull({0}, '') || 'x'")  # fmt: skip
    sql = f"UPDATE audit SET {column} = {change.format(f'ifnull({column}, 0)' if 'nid' in change else column)} WHERE n = {n}"
    trail.write_now(lambda tx: tx.execute(sql).fetchall())
    found = audit.verify(trail.read, audit.head(trail.read))
    assert found is not None
    assert found.n == n


def test_what_cannot_even_be_read_is_named(trail: Database, backend: str) -> None:
    if backend != "sqlite":  # a server keeps no text that is none
        return
    anchor = audit.head(trail.read)
    trail.write_now(lambda tx: tx.execute("UPDATE audit SET detail = CAST(x'ff' AS TEXT) WHERE n = 5").fetchall())
    found = audit.verify(trail.read, anchor)
    assert found is not None
    assert (found.n, found.kind) == (5, "edited")


def test_a_name_that_is_rewritten_is_an_edit(trail: Database) -> None:
    trail.write_now(lambda tx: tx.execute("UPDATE name SET text = 'user:9' WHERE text = 'user:0'").fetchall())
    trail.shared.texts.clear()
    found = audit.verify(trail.read)
    assert found is not None
    assert (found.n, found.kind) == (1, "edited")


def test_a_unit_that_is_undone_leaves_no_gap(trail: Database) -> None:
    def failing(tx: object) -> None:
        audit.append(tx, AuditRow("system", "create"))  # type: ignore[arg-type]
        raise ValueError("undo")

    with pytest.raises(ValueError, match="undo"):
        trail.write_now(failing)
    assert trail.write_now(lambda tx: audit.append(tx, AuditRow("system", "create"))) == 10
    assert audit.verify(trail.read) is None


async def test_the_anchor_moves_on_after_the_last_commit(tmp_path: Path) -> None:
    store = Database.open(settings(tmp_path, audit__anchor_every=0.05))
    await store.write(lambda tx: audit.append(tx, AuditRow("user:1", "read")))
    file, envelope = store.upkeep.keeper.file, store.shared.envelope
    for _ in range(500):
        if file.exists():
            break
        await asyncio.sleep(0.01)
    assert anchor.read(file, envelope) == audit.head(store.read)
    store.close()


def test_rows_of_the_earlier_schema_stay_sound(tmp_path: Path) -> None:
    store = Database.open(settings(tmp_path))
    at = 1_700_000_000_000_000
    said = (1, at, "user:1", "read", "Patient", "p1", "Patient/p1", "", 200, "", "10.0.0.1", "")
    hash = hashlib.sha256(audit.GENESIS + orjson.dumps(said)).digest()

    def as_before(tx: Tx) -> None:
        number = [names.number(tx, text) for text in ("user:1", "read", "Patient", "", "10.0.0.1")]
        row = (1, at, *number[:3], "p1", "Patient/p1", None, 200, *number[3:], None, hash)
        columns = "n, at, who, what, type, id, patient, query, outcome, purpose, address, detail, hash"
        tx.execute(f"INSERT INTO audit ({columns}) VALUES ({','.join('?' * 13)})", row)

    store.write_now(as_before)
    store.write_now(lambda tx: audit.append(tx, AuditRow("user:2", "read", patients=("Patient/p1", "Patient/p2"))))
    assert audit.verify(store.read) is None
    assert [entry.n for entry in audit.find(store.read, patient="Patient/p1")] == [2, 1]
    store.close()


def test_several_writers_make_one_chain(tmp_path: Path) -> None:
    stores = [Database.open(settings(tmp_path)) for _ in range(3)]

    def write(store: Database, who: int) -> None:
        for n in range(40):
            store.write_now(lambda tx: audit.append(tx, AuditRow(f"user:{who}", "read", id=str(n))))

    threads = [threading.Thread(target=write, args=(store, who)) for who, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.head(stores[0].read).n == 120
    assert audit.verify(stores[0].read) is None
    assert {len(audit.find(stores[0].read, who=f"user:{who}", count=100)) for who in range(3)} == {40}
    for store in stores:
        store.close()


def test_a_text_with_nul_is_hashed_as_it_is_kept(store: Database) -> None:
    """One database keeps NUL, the other can't: a caller who sends one must not break the chain."""
    row = AuditRow("system", "search", "Patient", id="a\0b", query="na\0me", patients=("Patient/1\0", "Patient/2"))
    store.write_now(lambda tx: audit.append(tx, row))
    assert audit.verify(store.read) is None
    ((entry, _),) = audit.entries(store.read)
    assert (entry.row.id, entry.row.query, entry.row.patients) == (
        "a\ufffdb",
        "na\ufffdme",
        ("Patient/1\ufffd", "Patient/2"),
    )
