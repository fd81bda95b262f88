"""SIGKILL at any moment: what was acknowledged is kept and delivered, in order; the next start is quick (threat 46)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import stores
from tests.journeys.killing import EACH, judge, kill_again_and_again

KILLS = 5  # on each database with each seed: twenty in all


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("backend", "seed"),
    [(stores.SQLITE, 1), (stores.SQLITE, 2), *((name, number) for number, name in enumerate(stores.BACKENDS[1:], 3))],
    indirect=["backend"],
    scope="session",
)
async def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, seed: int, backend: str) -> None:
    outcome, victim = await kill_again_and_again(tmp_path / "project", KILLS, seed)
    database = victim.database()
    try:
        assert len(outcome.acknowledged) > EACH * KILLS
        judge(outcome, database.read)
    finally:
        database.close()
    assert len(outcome.restarts) == KILLS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", stores.BACKENDS[1:], indirect=True, scope="session")
async def test_another_process_takes_over_when_one_is_killed(tmp_path: Path, backend: str) -> None:
    outcome, victim = await kill_again_and_again(tmp_path / "project", 2, 3, nodes=2)
    database = victim.database()
    try:
        assert len(outcome.acknowledged) > EACH * 2
        judge(outcome, database.read)
    finally:
        database.close()
    assert len(outcome.restarts) == 2  # the one that was dead takes over, too
