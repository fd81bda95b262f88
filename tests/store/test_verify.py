"""Verification and doctor: what is damaged is found and named; what is not, is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import main
from suture.errors import Unavailable
from suture.services.audit.line import line
from suture.standards.fhir.index import extract
from suture.store import anchor, audit, resources
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.verify import verify
from tests.stores import database, settings

PATIENT = {"resourceType": "Patient", "name": [{"family": "Stone"}], "birthDate": "1970-01-01", "gender": "male"}


def fill(store: Database, count: int = 40) -> None:
    def unit(tx: Tx) -> None:
        for number in range(count):
            body = json.dumps(PATIENT).encode()
            resources.put(tx, "Patient", f"p{number}", body, extract(PATIENT, ""))
            audit.append(tx, AuditRow("user:1", "create", "Patient", f"p{number}"))

    store.write_now(unit)


def bad(store: Database) -> dict[str, str]:
    return {finding.what: finding.text for finding in verify(store) if not finding.good}


def test_a_sound_database_has_no_bad_finding(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store)
    store.upkeep.anchor()
    assert bad(store) == {}
    store.close()


@pytest.mark.parametrize(
    ("damage", "what", "said"),
    [
        ("DELETE FROM S WHERE rid = 3", "index", "1 of 40 resources lack index rows: Patient/p2 (S)"),
        ("INSERT INTO S VALUES (1, 'ghost', 999)", "index", "1 index rows belong to no resource"),
        ("UPDATE res SET body = x'00' WHERE rid = 3", "bodies", "1 of 40 cannot be read: Patient/p2"),
        ("UPDATE res SET body = x'00' WHERE rid = 3", "index", "of 1 of 40 resources nobody knows, for their bodies"),
        (
            "DELETE FROM S WHERE rid = 3; UPDATE res SET body = x'00' WHERE rid = 4",
            "index",
            "lack index rows: Patient/p2",
        ),
        ("DELETE FROM audit WHERE n > 30", "audit", "truncated at row 31: the anchor has seen 40 rows, 30 are there"),
        ("UPDATE audit SET id = 'p99' WHERE n = 7", "audit", "edited at row 7"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: str, what: str, said: str) -> None:
    store = database(tmp_path)
    fill(store)
    store.upkeep.anchor()
    store.write_now(lambda tx: tx.execute(damage).fetchall())
    assert said in bad(store)[what]
    store.close()


def test_a_rotten_page_is_found_reported_and_not_served_and_the_rest_is(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 400)
    store.close()
    file = tmp_path / "data" / "suture.db"
    found = database(tmp_path)
    page = found.read.one("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_who'")
    found.close()
    assert page is not None
    content = bytearray(file.read_bytes())
    content[(page[0] - 1) * 4096 + 100] ^= 1
    file.write_bytes(content)
    store = database(tmp_path)
    with pytest.raises(Unavailable, match="damaged"):
        audit.find(store.read, who="user:1")
    assert resources.read(store.read, "Patient", "p3") is not None
    assert "a page is damaged" in bad(store)["pages"]
    store.close()


def test_an_older_copy_of_the_database_speaks_against_the_anchor(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 5)
    store.close()
    older = (tmp_path / "data" / "suture.db").read_bytes()
    store = database(tmp_path)
    store.write_now(lambda tx: audit.append(tx, AuditRow("user:1", "delete", "Patient", "p1")))
    store.close()
    (tmp_path / "data" / "suture.db").write_bytes(older)
    store = database(tmp_path)
    assert "not the one its anchor has seen" in store.notices[0]
    assert "truncated at row 6" in bad(store)["audit"]
    store.close()
    store = database(tmp_path)  # closing did not move the anchor over the evidence
    assert "truncated at row 6" in bad(store)["audit"]
    store.close()


def test_a_forged_anchor_is_refused(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 5)
    store.close()
    file = anchor.path_of(settings(tmp_path), store.shared.envelope)
    file.write_text(file.read_text().replace('"count": 5', '"count": 4'))
    store = database(tmp_path)
    assert "not written by this database" in bad(store)["audit"]
    store.close()


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("SUTURE_DATABASE", f"sqlite:{tmp_path / 'data' / 'suture.db'}")
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--project", str(tmp_path)])
    return int(ended.value.code or 0)


def test_the_commands_tell_what_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = database(tmp_path)
    fill(store)
    store.close()
    assert run(tmp_path, monkeypatch, "backup", str(tmp_path / "b"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["audit_rows"] == 40
    assert run(tmp_path, monkeypatch, "restore", str(tmp_path / "b")) == 1
    assert "there is a database already" in capsys.readouterr().err
    assert run(tmp_path, monkeypatch, "restore", str(tmp_path / "b"), "--force") == 0
    capsys.readouterr()
    assert run(tmp_path, monkeypatch, "verify", "--json") == 0
    assert [f["what"] for f in json.loads(capsys.readouterr().out)] == ["pages", "bodies", "index", "audit"]


def test_verify_says_bad_until_somebody_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = database(tmp_path)
    fill(store)
    store.upkeep.anchor()
    store.write_now(lambda tx: tx.execute("DELETE FROM audit WHERE n > 30").fetchall())
    store.close()
    assert run(tmp_path, monkeypatch, "verify") == 1
    assert "BAD   audit" in capsys.readouterr().out
    assert run(tmp_path, monkeypatch, "verify", "--accept") == 1
    assert run(tmp_path, monkeypatch, "verify") == 0


def test_doctor_names_what_is_wrong_and_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database(tmp_path).close()

    def levels() -> dict[str, tuple[str, str]]:
        run(tmp_path, monkeypatch, "doctor", "--json")
        return {f["what"]: (f["level"], f["mend"]) for f in json.loads(capsys.readouterr().out)}

    assert levels()["backup"] == ("warning", "Run: suture backup FOLDER, once a day")
    assert levels()["key file"][0] == levels()["file modes"][0] == levels()["database"][0] == "good"
    (tmp_path / "key").chmod(0o644)
    assert levels()["key file"] == ("bad", f"Run: chmod 600 {tmp_path / 'key'}")
    assert run(tmp_path, monkeypatch, "doctor") == 1


def rolled_back(tmp_path: Path) -> Database:
    """A database that was exchanged for an older copy of itself."""
    store = database(tmp_path)
    fill(store, 5)
    store.close()
    older = (tmp_path / "data" / "suture.db").read_bytes()
    store = database(tmp_path)
    store.write_now(lambda tx: audit.append(tx, AuditRow("user:1", "delete", "Patient", "p1")))
    store.close()
    (tmp_path / "data" / "suture.db").write_bytes(older)
    return database(tmp_path)


def test_an_older_copy_that_went_on_is_told_at_the_row_the_anchor_has_seen(tmp_path: Path) -> None:
    store = rolled_back(tmp_path)
    for _ in range(9):
        store.write_now(lambda tx: audit.append(tx, AuditRow("user:2", "read", "Patient", "p2")))
    assert "rewritten at row 6" in bad(store)["audit"]
    store.close()
    store = database(tmp_path)
    assert "rewritten at row 6" in bad(store)["audit"]
    store.close()


def test_an_anchor_that_is_gone_or_anothers_is_a_sign(tmp_path: Path) -> None:
    store = rolled_back(tmp_path)
    file = store.upkeep.keeper.file
    store.close()
    file.unlink()
    store = database(tmp_path)
    assert "not the one its anchor has seen" in store.notices[0]
    assert "the anchor is gone" in bad(store)["audit"]
    store.close()
    assert not file.exists()  # closing made no new one over the evidence
    other = database(tmp_path / "other")
    fill(other, 3)
    other.close()
    file.write_bytes(other.upkeep.keeper.file.read_bytes())
    store = database(tmp_path)
    assert "not written by this database" in bad(store)["audit"]
    store.upkeep.keeper.accept(store.read)
    assert bad(store) == {}
    store.close()


def test_a_trail_that_is_exchanged_while_the_server_runs_stops_the_anchor(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 5)
    store.upkeep.anchor()
    store.write_now(lambda tx: tx.execute("DELETE FROM audit WHERE n > 3").fetchall())
    for _ in range(4):
        store.write_now(lambda tx: audit.append(tx, AuditRow("user:2", "read", "Patient", "p2")))
    store.upkeep.anchor()
    assert not store.upkeep.keeper.sound
    assert "rewritten at row 5" in bad(store)["audit"]
    store.close()


def test_a_copy_elsewhere_names_the_first_row_that_was_made_anew(tmp_path: Path) -> None:
    store = database(tmp_path)
    fill(store, 6)
    file = tmp_path / "copy.jsonl"
    file.write_bytes(b'{"n":1,"cut\n' + b"".join(line(*row) + b"\n" for row in audit.entries(store.read)))
    said = list(verify(store, copy=file))[-1]
    assert (said.what, said.good, said.text) == ("copy", True, "6 lines say what the trail says")
    store.close()
    store = database(tmp_path / "again")
    fill(store, 3)
    store.upkeep.anchor()
    said = list(verify(store, copy=file))[-1]
    assert said.text == "row 1 of the trail is not the one that was copied"
    file.write_bytes(file.read_bytes().splitlines()[-1])
    assert "row 6 is in the copy and not in the trail, which ends at 3" in list(verify(store, copy=file))[-1].text
    store.close()
