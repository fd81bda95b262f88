"""`suture doctor`: its own server's ports are no trouble, a stranger's are; sizes are told so that they say something."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from suture.cli import doctor
from suture.store.database import Database
from suture.store.health import shown
from tests.commands import run
from tests.stores import settings


def told(project: Path) -> dict[str, tuple[str, str]]:
    found = json.loads(run(doctor.app, "--project", str(project), "--json").output)
    return {one["what"]: (one["level"], one["text"]) for one in found}


def test_ports_of_this_projects_own_server_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_DATABASE", settings(tmp_path).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(tmp_path).key_file))
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as mllp:
        for name, one in (("HTTP", web), ("MLLP", mllp)):
            monkeypatch.setenv(f"SUTURE_{name}_PORT", str(one.getsockname()[1]))
        what = f"port {web.getsockname()[1]}"
        Database.open(settings(tmp_path)).close()
        assert told(tmp_path)[what] == ("warning", "127.0.0.1 for http: Address already in use")
        serving = Database.open(settings(tmp_path), serving=True)  # this process now serves, and holds both ports
        found = told(tmp_path)
        assert found[what] == ("good", "127.0.0.1 for http: in use by this project's suture serve")
        assert found[f"port {mllp.getsockname()[1]}"][0] == "good"
        serving.close()
        lock = settings(tmp_path).database.removeprefix("sqlite:") + ".lock"
        Path(lock).write_text("1\n")  # a process that is there, and listens elsewhere
        assert told(tmp_path)[what][0] == "warning"


def test_whether_a_process_listens() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as one:
        port = one.getsockname()[1]
        assert doctor.listens(os.getpid(), port)
    assert not doctor.listens(os.getpid(), port)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 KiB"), (1, "1 KiB"), (229_376, "224 KiB"), (10 << 20, "10 MiB"), (3 << 30, "3072 MiB")],
)
def test_small_sizes_are_told_in_small_units(size: int, text: str) -> None:
    assert shown(size) == text
