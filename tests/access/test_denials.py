"""What strangers are refused is in the trail, first at once and then by number; no flood of theirs makes it grow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from suture.access import denials
from suture.access.denials import Denials
from suture.clock import SetClock
from suture.errors import Unavailable
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from tests.stores import settings


class House:
    def __init__(self, folder: Path) -> None:
        self.clock = SetClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.database = Database.open(settings(folder), self.clock)
        self.denials = Denials(self.database, self.clock)

    def rows(self) -> list[tuple[str, str, int, str]]:
        found = [one.row for one in audit.find(self.database.read, count=1000)][::-1]
        return [(row.who, row.address, row.outcome, row.detail) for row in found]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


def denied(address: str = "192.0.2.1", who: str = "anonymous", outcome: int = 401) -> AuditRow:
    return AuditRow(who, "denied", outcome=outcome, address=address)


async def test_a_flood_is_two_rows_a_minute(house: House) -> None:
    for minute in range(2):
        await asyncio.gather(*(house.denials.note(denied()) for _ in range(500)))
        assert len(house.rows()) == 1 + 2 * minute
        house.clock.advance(60)
    await house.denials.note(denied("192.0.2.2"))
    one, more = ("anonymous", "192.0.2.1", 401, ""), ("anonymous", "192.0.2.1", 401, "499 more in the same minute")
    assert house.rows() == [one, more, one, more, ("anonymous", "192.0.2.2", 401, "")]
    assert audit.verify(house.database.read) is None


async def test_many_addresses_share_a_row_beyond_a_number(house: House) -> None:
    for n in range(500):
        await house.denials.note(denied(f"198.51.100.{n}"))
    assert len(house.rows()) == denials.MOST
    await house.denials.close()
    assert house.rows()[denials.MOST :] == [
        ("anonymous", "", 401, f"{500 - denials.MOST} more in the same minute, of other addresses or kinds")
    ]


async def test_known_callers_have_a_row_each_and_kinds_are_told_apart(house: House) -> None:
    for _ in range(3):
        await house.denials.note(denied(who="client:1", outcome=403))
        await house.denials.note(denied(outcome=403))
        await house.denials.note(denied())
    assert [(who, outcome) for who, _, outcome, _ in house.rows()] == [
        ("client:1", 403), ("anonymous", 403), ("anonymous", 401), ("client:1", 403), ("client:1", 403)
    ]  # fmt: skip
    await house.denials.close()
    assert [detail for *_, detail in house.rows()[5:]] == ["2 more in the same minute"] * 2


async def test_what_nobody_comes_after_is_written_when_the_minute_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials, "MINUTE", 50_000)
    for _ in range(3):
        await house.denials.note(denied())
    house.clock.advance(0.06)
    for _ in range(2000):
        await asyncio.sleep(0.01)
        if len(house.rows()) == 2:
            break
    assert house.rows()[1:] == [("anonymous", "192.0.2.1", 401, "2 more in the same minute")]


async def test_rows_that_could_not_be_written_come_with_the_next(house: House) -> None:
    def fails(tx: Tx) -> Any:
        house.denials.append(tx, denied())
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        await house.database.write(fails)
    assert house.rows() == []
    await house.denials.note(denied())
    await house.denials.close()
    assert [detail for *_, detail in house.rows()] == ["", "1 more in the same minute"]
