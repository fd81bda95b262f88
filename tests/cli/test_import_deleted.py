"""`suture import` deletes what the deleted files of an export name, so that a chart and its later changes meet elsewhere.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status (deleted)
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from suture.cli import main
from suture.clock import instant
from suture.standards.fhir.index import extract
from suture.store import audit, resources, scan, subscriptions
from suture.store.database import Database
from suture.store.verify import verify
from tests.server.people import encounter, observation, patient
from tests.stores import settings

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in a project folder; what it prints as JSON."""

    def ran(project: Path, *words: str | Path, code: int = 0) -> dict[str, Any]:
        monkeypatch.setenv("SUTURE_DATABASE", settings(project).database)
        monkeypatch.setenv("SUTURE_KEY_FILE", str(project / "key"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, words), "--project", str(project), "--json"])
        assert (stopped.value.code or 0) == code
        return dict(json.loads(capsys.readouterr().out))

    return ran


def stored(database: Database, *found: dict[str, Any]) -> None:
    for one in found:
        body, rows = json.dumps(one).encode(), extract(one, "")
        database.write_now(lambda tx, one=one, body=body, rows=rows: resources.put(tx, one["resourceType"], one["id"], body, rows))  # type: ignore[misc]  # fmt: skip


def deleted(database: Database, type: str, id: str) -> None:
    database.write_now(lambda tx: resources.delete(tx, type, id))


def current(database: Database) -> dict[str, dict[str, Any]]:
    """Everything that is there now, without what each server gives itself."""
    moment = database.write_now(lambda tx: tx.now)
    found = [json.loads(body) for _, body in chain.from_iterable(scan.chunks(database.read, moment))]
    return {f"{one['resourceType']}/{one['id']}": {k: v for k, v in one.items() if k != "meta"} for one in found}


def gone(*addresses: str, **more: Any) -> dict[str, Any]:
    entries = [{"request": {"method": "DELETE", "url": address}} for address in addresses]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries, **more}


def written(file: Path, *lines: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file.write_bytes(gzip.compress(raw) if file.name.endswith(".gz") else raw)
    return file


def test_a_chart_and_its_later_changes_meet_elsewhere(tmp_path: Path, run: Run) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    database = Database.open(settings(first))
    stored(database, *(patient(f"p{n}") for n in range(4)), observation("o1", "p1"), observation("o2", "p2"))
    stored(database, gone("Patient/p1", id="kept", type="batch"))
    deleted(database, "Patient", "p3")
    database.close()
    run(first, "export", "--out", tmp_path / "whole", "--gzip")
    database = Database.open(settings(first))
    moment = instant(database.write_now(lambda tx: tx.now))
    stored(database, patient("p0", "Later"), patient("p3", "Again"), encounter("e1", "p1"), patient("p9"))
    deleted(database, "Observation", "o1")
    deleted(database, "Patient", "p2")
    stored(database, observation("o2", "p1"))
    deleted(database, "Patient", "p9")
    expected = current(database)
    database.close()
    run(first, "export", "--out", tmp_path / "changes", "--since", moment)
    assert (tmp_path / "changes" / "deleted.ndjson").read_bytes().count(b"\n") == 3

    told = run(second, "import", tmp_path / "whole", tmp_path / "changes")
    again = run(second, "import", tmp_path / "changes")
    database = Database.open(settings(second))
    assert current(database) == expected
    assert "Observation/o1" not in expected
    assert [finding for finding in verify(database) if not finding.good] == []
    entries = [one.row for one in audit.find(database.read, what="import")]
    database.close()
    assert {k: told[k] for k in ("deleted", "absent", "failed")} == {"deleted": 2, "absent": 1, "failed": 0}
    assert {k: again[k] for k in ("created", "updated", "deleted", "absent")} == {
        "created": 0, "updated": 0, "deleted": 0, "absent": 3
    }  # fmt: skip
    assert [audit.persons(row) for row in entries if row.detail == "2 resources deleted"] in (
        [("Patient/p1", "Patient/p2")],
        [("Patient/p2", "Patient/p1")],
    )


def test_what_came_again_in_a_later_export_stays(tmp_path: Path, run: Run) -> None:
    """Of each folder the deletions come last, and all of it comes before the next folder, in one first load, too."""
    folder = tmp_path / "exports"
    written(folder / "1" / "Patient.ndjson", patient("p1"), patient("p2"))
    written(folder / "2" / "7.deleted.ndjson.gz", gone("Patient/p1", "Patient/p2", "Patient/p4"))
    written(folder / "2" / "Patient.ndjson", patient("p2"), patient("p3"))
    written(folder / "3" / "Patient.ndjson", patient("p1", "Again"), patient("p4"))
    done = run(tmp_path, "import", folder)
    database = Database.open(settings(tmp_path))
    assert sorted(current(database)) == ["Patient/p1", "Patient/p3", "Patient/p4"]
    assert resources.history(database.read, "Patient", "p2")[0].deleted
    database.close()
    assert (done["deleted"], done["absent"], done["failed"]) == (2, 1, 0)


def test_deletions_of_a_first_load_wait_until_it_is_indexed(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suture.store.bulk.SIZES", (1,))
    folder = tmp_path / "exports"
    written(folder / "1" / "Patient.ndjson", *(patient(f"p{n}") for n in range(9)))
    written(folder / "2" / "deleted.ndjson", gone("Patient/p1", "Patient/p10"), gone("Patient/p2"))
    written(folder / "3" / "Patient.ndjson", patient("p1", "Again"), patient("p10"))
    done = run(tmp_path, "import", folder)
    database = Database.open(settings(tmp_path))
    there = current(database)
    assert [finding for finding in verify(database) if not finding.good] == []
    database.close()
    assert sorted(there) == sorted(f"Patient/p{n}" for n in (0, 1, 3, 4, 5, 6, 7, 8, 10))
    assert there["Patient/p1"]["name"][0]["family"] == "Again"
    assert (done["deleted"], done["absent"]) == (2, 1)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_is_broken_is_named_and_deletes_nothing(tmp_path: Path, run: Run, workers: str) -> None:
    whole = written(tmp_path / "in" / "Patient.ndjson", patient("p1"), patient("p2"), patient("p3"))
    mixed = gone("Patient/p1", "Patient/p1/_history/1")
    other = gone("Patient/p1")
    other["entry"].append({"request": {"method": "PUT", "url": "Patient/p1"}})
    file = written(
        tmp_path / "in" / "deleted.ndjson", mixed, other, patient("p8"), gone("Nothing/p1"), gone("Patient/p2"),
        gone(*["Patient/p3"] * 1001), gone("Patient?name=Zyxwvut"), gone(), gone("AuditEvent/1"),
    )  # fmt: skip
    done = run(tmp_path, "import", whole.parent, "--workers", workers, code=1)
    assert {(fault["file"], fault["line"]) for fault in done["faults"]} == {
        (str(file), n) for n in (1, 2, 3, 4, 6, 7, 9)
    }
    assert done["faults"][1]["text"] == "Bundle.entry[1].request: an entry of a deleted file deletes"
    assert done["faults"][2]["text"] == "resourceType: a line of a deleted file is a transaction Bundle"
    assert done["faults"][4]["text"] == "Bundle.entry: a line deletes at most 1000"
    assert "Zyxwvut" not in json.dumps(done)
    assert (done["deleted"], done["created"], done["failed"]) == (1, 3, 7)
    database = Database.open(settings(tmp_path))
    assert sorted(current(database)) == ["Patient/p1", "Patient/p3"]
    database.close()


def test_only_a_file_that_says_so_deletes(tmp_path: Path, run: Run) -> None:
    """A Bundle may be a resource, which who wrote it may not use to delete with the rights of this command."""
    run(tmp_path, "import", written(tmp_path / "Patient.ndjson", patient("p1")))
    file = written(tmp_path / "Bundle.ndjson", gone("Patient/p1", id="b1"), gone("Patient/p1", id="b2", type="batch"))
    done = run(tmp_path, "import", file, code=1)
    text = "Bundle.entry: it deletes; name its file deleted.ndjson if that is meant"
    assert done["faults"] == [{"file": str(file), "line": 1, "text": text}]
    assert (done["deleted"], done["stored"]) == (0, 1)
    database = Database.open(settings(tmp_path))
    assert sorted(current(database)) == ["Bundle/b2", "Patient/p1"]
    database.close()


def test_a_subscription_that_is_deleted_tells_no_more(tmp_path: Path, run: Run) -> None:
    wanted = {"endpoint": "https://x.example/", "type": "rest-hook"}
    one = {"resourceType": "Subscription", "id": "s1", "status": "active", "reason": "r", "criteria": "Patient?", "channel": wanted}  # fmt: skip
    database = Database.open(settings(tmp_path))
    stored(database, one)
    row = resources.read(database.read, "Subscription", "s1")
    assert row is not None
    database.write_now(lambda tx: subscriptions.ask(tx, row.rid, "s1", 1, "active", "client:a", {}))
    database.close()
    run(tmp_path, "import", written(tmp_path / "deleted.ndjson", gone("Subscription/s1")))
    database = Database.open(settings(tmp_path))
    assert database.read.one("SELECT count(*) FROM subscription") == (0,)
    database.close()


def test_people_read_what_was_deleted(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "import", written(tmp_path / "Patient.ndjson", patient("p1")))
    file = written(tmp_path / "deleted.ndjson", gone("Patient/p1", "Patient/p2"))
    with pytest.raises(SystemExit):
        main(["import", str(file), "--project", str(tmp_path)])
    assert "0 stored, 1 deleted, 1 absent, 0 failed" in capsys.readouterr().out
