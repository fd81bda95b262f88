"""`python -m tests.postgres` ends its server with itself, however it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import postgres, stores

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_server_is_left(number: signal.Signals) -> None:
    name = stores.BACKENDS[-1]
    postgres.programs(name)  # or it is skipped
    command = [sys.executable, "-m", "tests.postgres", name, "54399"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        folder = Path(str(psycopg.conninfo.conninfo_to_dict(address)["host"]))
        server = int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])
        os.kill(server, 0)  # it is there
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    assert not folder.exists()
