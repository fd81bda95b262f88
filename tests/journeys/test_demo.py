"""The demo as a newcomer runs it: three flows walked, one dead letter with its reason, figures, exit code 0, nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_demo_walks_three_flows_and_ends_with_0(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "160"}
    done = subprocess.run(
        [sys.executable, "-m", "suture", "demo", "--exit", "--messages", "60", "--people", "10"],
        capture_output=True, text=True, timeout=240, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = done.stdout
    assert "60, " in figures.split("HL7 v2 messages acknowledged")[1].splitlines()[0]
    assert re.search(r"intake forms taken, written back\s+5, 5", figures)
    assert re.search(r"a family's US Core records\s+[4-9]\d\d resources", figures)
    assert re.search(r"dead letters\s+1\b", figures)
    assert "Dead letter of flow hospital" in figures
    assert "PID-3" in figures.split("Dead letter of flow hospital")[1]
    delivered = re.search(r"(\d+) billing: delivered", figures)
    taken = re.search(r"charges the billing system took\s+(\d+)", figures)
    assert delivered
    assert taken
    assert delivered[1] == taken[1] != "0"
    assert int(taken[1]) < 60, "what was loaded before the flows is not charged"
    assert "Traceback" not in done.stderr
    assert re.search(r"Synthetic patients .*\nHL7 v2 feed .*\nIntake forms .*\nBilling ", figures)
    assert list(tmp_path.iterdir()) == []
