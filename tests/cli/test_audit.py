"""`suture audit`: the trail as a file, with its own last row, and a patient's accounting of disclosures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import orjson
import pytest

from suture.cli import audit as command
from suture.errors import Invalid, NotFound
from suture.store import audit, resources
from suture.store.audit import AuditRow
from tests.commands import run
from tests.server.people import patient
from tests.stores import database


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_DATABASE", f"sqlite:{tmp_path / 'data' / 'suture.db'}")
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "suture.toml").write_text("")
    store = database(tmp_path)
    store.write_now(lambda tx: resources.put(tx, "Patient", "p1", orjson.dumps(patient("p1"))))
    for row in (
        AuditRow("user:1", "read", "Patient", "p1", "Patient/p1"),
        AuditRow(
            "flow:f", "send", "Delivery", "d1", detail="delivered mllp.send lab lab-inc", patients=("Patient/p1",)
        ),
        AuditRow("flow:f", "send", "Delivery", "d2", detail="not sent mllp.send lab", patients=("Patient/p1",)),
        AuditRow("anonymous", "denied", outcome=401),
    ):
        store.write_now(lambda tx, row=row: audit.append(tx, row))
    store.close()
    return tmp_path


def test_every_row_is_written_the_export_itself_last(place: Path) -> None:
    told = run(command.app, "export", "--project", str(place))
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["what"] for line in lines] == ["read", "send", "send", "denied", "export-audit"]
    out = place / "trail.csv"
    assert (
        run(command.app, "export", "--format", "csv", "--refused", "--out", str(out), "--project", str(place)).exit_code
        == 0
    )
    assert [row["what"] for row in csv.DictReader(io.StringIO(out.read_text()))] == ["denied"]
    assert out.stat().st_mode & 0o077 == 0
    with pytest.raises(Invalid, match="can't be made"):
        run(command.app, "export", "--out", str(out), "--project", str(place))


def test_disclosures_tell_what_left(place: Path) -> None:
    told = run(command.app, "disclosures", "--patient", "p1", "--json", "--project", str(place))
    (one,) = json.loads(told.stdout)
    assert (one["to"], one["what"], one["how"]) == ("lab-inc", "an HL7 v2 message", "arrived")
    table = list(
        csv.reader(io.StringIO(run(command.app, "disclosures", "--patient", "p1", "--project", str(place)).stdout))
    )
    assert table[1][1:6] == ["lab-inc", "lab-inc", "", "lab", "an HL7 v2 message"]
    with pytest.raises(NotFound, match="no such Patient"):
        run(command.app, "disclosures", "--patient", "p9", "--project", str(place))
    store = database(place)
    assert [e.row.outcome for e in audit.find(store.read, what="disclosures")] == [404, 200, 200]
    store.close()
