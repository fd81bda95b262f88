"""`suture export`: what was current at the moment it began, byte for byte, a file a type, for this user's eyes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from suture import cli
from suture import settings as settings_of
from suture.store import audit, resources, scan
from suture.store.database import Database


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    return tmp_path


def put(database: Database, kind: str, id: str, **more: Any) -> None:
    body = orjson.dumps({"resourceType": kind, "id": id, **more})
    database.write_now(lambda tx: resources.put(tx, kind, id, body))


def export(project: Path, *more: str) -> Path:
    out = project / "out"
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", "--out", str(out), "--project", str(project), *more])
    assert not stopped.value.code
    return out


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def test_every_current_version_is_written_once(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    for number in range(5):
        put(database, "Patient", f"p{number}", active=True)
    put(database, "Patient", "p0", active=False)
    put(database, "Observation", "o1", status="final")
    database.write_now(lambda tx: resources.delete(tx, "Patient", "p4"))
    stored = {row.id: row.body for n in range(4) if (row := resources.read(database.read, "Patient", f"p{n}"))}
    database.close()
    out = export(project)
    assert sorted(f.name for f in out.iterdir()) == ["Observation.ndjson", "Patient.ndjson"]
    assert {f.stat().st_mode & 0o777 for f in out.iterdir()} == {0o600}
    assert sorted((out / "Patient.ndjson").read_bytes().splitlines()) == sorted(stored.values())
    assert [one["active"] for one in lines(out / "Patient.ndjson") if one["id"] == "p0"] == [False]
    database = Database.open(settings_of.read(project))
    assert [entry.row.what for entry in audit.find(database.read)] == ["export"]
    database.close()


def test_only_the_types_that_are_named(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    put(database, "Patient", "p1")
    put(database, "Observation", "o1")
    database.close()
    assert [f.name for f in export(project, "--type", "Observation").iterdir()] == ["Observation.ndjson"]


def test_what_is_written_after_the_moment_is_left_out(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    put(database, "Patient", "old", active=True)
    put(database, "Patient", "gone", active=True)
    moment = database.write_now(lambda tx: tx.now)
    put(database, "Patient", "old", active=False)
    put(database, "Patient", "new", active=True)
    database.write_now(lambda tx: resources.delete(tx, "Patient", "gone"))
    found = [orjson.loads(body) for chunk in scan.chunks(database.read, moment) for _, body in chunk]
    database.close()
    assert {(one["id"], one["active"]) for one in found} == {("old", True), ("gone", True)}


def test_an_unknown_type_and_a_full_folder_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "out").mkdir()
    (project / "out" / "there").write_text("x")
    for more, said in (([], "this is not an empty folder"), (["--type", "Pateint"], "no resource type 'Pateint'")):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["export", "--out", str(project / "out"), "--project", str(project), *more])
        assert stopped.value.code == 1
        assert said in capsys.readouterr().err


def test_what_was_sent_over_several_lines_is_one(project: Path) -> None:
    database = Database.open(settings_of.read(project))
    body = orjson.dumps({"resourceType": "Patient", "id": "p1", "active": True}, option=orjson.OPT_INDENT_2)
    database.write_now(lambda tx: resources.put(tx, "Patient", "p1", body))
    database.close()
    assert [(r["id"], r["active"]) for r in lines(export(project) / "Patient.ndjson")] == [("p1", True)]
