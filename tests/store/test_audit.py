"""The audit trail: found by person and time, and every way of changing it is seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from suture.store import anchor, audit
from suture.store.audit import AuditRow
from suture.store.database import Database
from tests.stores import settings


@pytest.fixture
def trail(store: Database) -> Database:
    for number in range(9):
        row = AuditRow(f"user:{number % 2}", "read", "Patient", str(number), f"Patient/{number % 3}")
        store.write_now(lambda tx, row=row: audit.append(tx, row))
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


def test_an_untouched_trail_has_no_break(trail: Database) -> None:
    assert audit.verify(trail.read, audit.head(trail.read)) is None


@pytest.mark.parametrize(
    ("tampering", "n", "kind"),
    [
        ("UPDATE audit SET outcome = 404 WHERE n = 4", 4, "edited"),
        ("UPDATE audit SET at = at + 1 WHERE n = 4", 4, "edited"),
        ("DELETE FROM audit WHERE n = 4", 4, "missing"),
        ("DELETE FROM audit WHERE n >= 7", 7, "truncated"),
        ("UPDATE audit SET n = -n WHERE n IN (4, 5); UPDATE audit SET n = 9 + n WHERE n < 0", 4, "edited"),
    ],
)
def test_tampering_is_named(trail: Database, tampering: str, n: int, kind: str) -> None:
    anchor = audit.head(trail.read)
    trail.write_now(lambda tx: tx.execute(tampering).fetchall())
    found = audit.verify(trail.read, anchor)
    assert found is not None
    assert (found.n, found.kind) == (n, kind)


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
