"""Kills the server 200 times under load and prints what was lost (nothing may be): python -m bench.kill [KILLS]."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.journeys.killing import judge, kill_again_and_again


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with TemporaryDirectory(prefix="suture-kill-") as folder:
        outcome, victim = asyncio.run(kill_again_and_again(Path(folder) / "project", kills, seed=kills))
        database = victim.database()
        judge(outcome, database.read)
        database.close()
    twice = sum(times > 1 for times in outcome.arrivals.values())
    print(
        f"{outcome.kills} kills, {len(outcome.acknowledged)} messages acknowledged: 0 lost, 0 out of order, {twice} delivered twice (answer lost)"
    )
    print(
        f"kill to first acknowledgement: median {median(outcome.restarts):.2f} s, longest {max(outcome.restarts):.2f} s"
    )


if __name__ == "__main__":
    main()
