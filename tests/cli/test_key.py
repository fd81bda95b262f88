"""`suture key`: made, listed, rotated and ended; the value is shown once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from suture.cli import check, key
from suture.errors import Conflict, Invalid, NotFound
from suture.store import audit, gateway_keys
from suture.store.database import Database
from tests.commands import run
from tests.stores import settings

FILES = {
    "connections/lab-api.yaml": "{suture: connection/1, id: lab-api, uses: http, base: https://lab.example}",
    "routes/orders.yaml": "{suture: route/1, id: orders, to: lab-api, plan: bronze}",
    "routes/bronze.yaml": "{suture: plan/1, id: bronze, limits: {day: 10}}",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_DATABASE", settings(tmp_path).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(tmp_path).key_file))
    Database.open(settings(tmp_path)).close()
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def value(output: str) -> str:
    found = re.search(r"gk_[\w-]{43}", output)
    assert found is not None
    return found[0]


def test_a_key_from_its_making_to_its_end(project: Path) -> None:
    here = ("--project", str(project))
    made = value(
        run(
            key.app,
            "add",
            "lab",
            "--route",
            "orders",
            "--limit",
            "minute=5",
            "--limit",
            "day=9",
            "--expires",
            "90d",
            *here,
        ).stdout
    )
    row = json.loads(run(key.app, "list", "--json", *here).stdout)[0]
    assert (row["name"], row["routes"], row["limits"], row["state"]) == ("lab", "orders", "minute=5 day=9", "active")
    rotated = json.loads(run(key.app, "rotate", "lab", "--overlap", "1h", "--json", *here).stdout)["key"]
    database = Database.open(settings(project))
    now = database.clock.micros()
    assert gateway_keys.by_value(database.read, made, now) == gateway_keys.by_value(database.read, rotated, now)
    assert gateway_keys.by_value(database.read, made, now + 3_700_000_000) is None
    assert run(key.app, "revoke", "lab", *here).stdout == "Key 'lab' is revoked.\n"
    assert gateway_keys.by_value(database.read, rotated, now) is None
    listed = run(key.app, "list", *here).stdout
    assert "revoked" in listed
    assert made not in listed
    said = [entry.row.what for entry in reversed(audit.find(database.read))]
    assert said == ["key-add", "key-rotate", "key-revoke"]
    database.close()


def test_what_no_key_can_be_is_refused(project: Path) -> None:
    here = ("--project", str(project))
    with pytest.raises(Invalid, match=r"no route of this name. There are: orders"):
        run(key.app, "add", "lab", "--route", "order", *here)
    with pytest.raises(Invalid, match="no limit named 'minutes'"):
        run(key.app, "add", "lab", "--route", "orders", "--limit", "minutes=1", *here)
    with pytest.raises(Invalid, match="not a duration"):
        run(key.app, "add", "lab", "--route", "orders", "--expires", "soon", *here)
    with pytest.raises(NotFound, match="no such key"):
        run(key.app, "revoke", "lab", *here)
    run(key.app, "add", "lab", "--route", "orders", *here)
    with pytest.raises(Conflict, match="this name is taken"):
        run(key.app, "add", "LAB", "--route", "orders", *here)


def test_a_key_for_one_patient_needs_that_patient(project: Path) -> None:
    asked = ("add", "app", "--route", "orders", "--scope", "patient/*.rs", "--project", str(project))
    with pytest.raises(Invalid, match="needs a patient"):
        run(key.app, *asked)
    with pytest.raises(NotFound, match="no such Patient"):
        run(key.app, *asked, "--patient", "nosuch")


def test_check_finds_what_is_wrong_with_routes(project: Path) -> None:
    assert run(check.app, str(project)).stdout == "Nothing is wrong.\n"
    (project / "routes" / "orders.yaml").write_text("suture: route/1\nid: orders\nto: lab-ap\nplan: gold\n")
    said = run(check.app, str(project / "routes"))
    assert said.exit_code == 1
    assert "routes/orders.yaml:3:5: error: no connection named 'lab-ap'" in said.stdout
    assert "Did you mean 'lab-api'?" in said.stdout
