"""Audit rows that wait together are one unit: in order, each answered once it is on disk, and one at fault harms no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from suture import settings as settings_of
from suture.services.interactions.ledger import Ledger
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Any:
    made = Database.open(settings_of.read(tmp_path, {}).with_values(key_file=str(tmp_path / "k" / "key")))
    yield made
    made.close()


def trail(database: Database) -> list[str]:
    return [entry.row.who for entry, _ in audit.entries(database.read)]


async def test_each_row_stands_there_when_its_access_goes_on(database: Database) -> None:
    ledger = Ledger(database)

    async def one(n: int) -> None:
        await ledger.append(AuditRow(f"client:{n}", "read"))
        assert f"client:{n}" in trail(database)

    for _ in range(3):
        await asyncio.gather(*(one(n) for n in range(40)))
    assert len(trail(database)) == 120
    assert trail(database)[:40] == [f"client:{n}" for n in range(40)]
    assert audit.verify(database.read) is None


async def test_one_at_fault_harms_no_other(database: Database) -> None:
    ledger = Ledger(database)
    wrong = AuditRow("client:wrong", "read", outcome=object())  # type: ignore[arg-type]
    rows = [AuditRow("client:1", "read"), wrong, AuditRow("client:2", "read")]
    done = await asyncio.gather(*(ledger.append(row) for row in rows), return_exceptions=True)
    assert [type(found).__name__ for found in done] == ["NoneType", "TypeError", "NoneType"]
    assert trail(database) == ["client:1", "client:2"]
    assert audit.verify(database.read) is None


async def test_who_gives_up_leaves_a_row_all_the_same(database: Database) -> None:
    ledger = Ledger(database)
    first = asyncio.create_task(ledger.append(AuditRow("client:gone", "read")))
    second = asyncio.create_task(ledger.append(AuditRow("client:stays", "read")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert trail(database) == ["client:gone", "client:stays"]
