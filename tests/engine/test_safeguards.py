"""`suture doctor --hipaa`: each safeguard names a test that there is, and its evidence is this installation's."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from suture.cli import connection as connection_command
from suture.cli import doctor, partner
from suture.engine.safeguards import TABLE
from tests.commands import run
from tests.docs import ROOT
from tests.stores import database

FILES = {
    "suture.toml": 'key_file = "key"\n[http]\nhost = "0.0.0.0"\n',
    "connections/lab.yaml": "{suture: connection/1, id: lab, uses: http, base: https://lab.example, partner: lakeside}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.rule)
def test_the_test_is_there(row: object) -> None:
    assert (ROOT / row.test).is_file()  # type: ignore[attr-defined]


def told(folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    done = run(doctor.app, "--project", str(folder), "--hipaa", "--json")
    return done.exit_code, {row["rule"].removeprefix("45 CFR "): row for row in orjson.loads(done.stdout)}


def test_what_is_bad_is_told_with_its_mend(folder: Path) -> None:
    code, rows = told(folder)
    assert code == 1
    assert rows["164.312(e)(1)"]["evidence"] == "without TLS: http"
    assert rows["164.308(b)(1)"]["evidence"] == "held without one: lab"
    assert rows["164.308(a)(7)(ii)(A)"]["evidence"].endswith("none")
    assert all(row["mend"] for row in rows.values() if row["level"] != "good")


def test_evidence_follows_what_is_done(folder: Path) -> None:
    here = ("--project", str(folder))
    (folder / "suture.toml").write_text('key_file = "key"\n[security]\ncontact = "mailto:it@example.org"\n')
    run(partner.app, "add", "lakeside", *here)
    run(partner.app, "agreement", "lakeside", "--from", "2020-01-01", *here)
    code, rows = told(folder)
    assert code == 0
    assert rows["164.308(b)(1)"]["evidence"] == "1 connections, each covered, local or a sandbox"
    assert rows["164.308(a)(6)"]["level"] == "good"
    assert rows["164.312(b)"]["evidence"] == "copies of the trail go to: nowhere"
    shown = run(doctor.app, *here, "--hipaa").stdout
    assert "45 CFR 164.312(c)(1)  nothing is changed unseen" in shown
    assert "test      tests/store/test_verify.py" in shown


def test_partners_and_connections_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    here = ("--project", str(folder))
    paper = tmp_path / "baa.pdf"
    paper.write_bytes(b"%PDF signed")
    database(folder / "elsewhere").close()
    run(partner.app, "add", "lakeside", "--name", "Lakeside", *here)
    listed = run(connection_command.app, "list", *here).stdout
    assert "no    there is no agreement in force with 'lakeside'" in listed
    run(connection_command.app, "override", "lab", "--reason", "paper is signed", "--for", "2d", *here)
    assert "yes   opened by user:" in run(connection_command.app, "list", *here).stdout
    assert "ended: 1." in run(connection_command.app, "end-override", "lab", *here).stdout
    made = run(
        partner.app, "agreement", "lakeside", "--from", "2020-01-01", "--document", str(paper), "--note", "safe", *here
    ).stdout.split()[-1]
    assert run(partner.app, "document", made, *here).stdout_bytes == b"%PDF signed"
    assert "in force" in run(partner.app, "show", "lakeside", *here).stdout
    run(partner.app, "end", "lakeside", "--agreement", made, *here)
    assert "none" in run(partner.app, "list", *here).stdout
    run(partner.app, "end", "lakeside", *here)
    assert "ended" in run(partner.app, "list", *here).stdout
