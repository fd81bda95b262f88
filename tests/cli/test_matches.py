"""`suture matches`: the queue and the decisions from the command line, beside the same rows of the trail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from suture import settings as settings_of
from suture.app import open_rooms
from suture.cli import matches
from suture.errors import Conflict, Invalid, NotFound
from suture.store import audit
from tests.commands import run
from tests.services.matches.house import PERSONAL, House


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with two records of one person."""
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "keys" / "key"))
    (tmp_path / "suture.toml").write_text("")
    with_house(tmp_path, fill)
    return tmp_path


def with_house(folder: Path, work: Any) -> Any:
    app = open_rooms(settings_of.read(folder))
    try:
        return asyncio.run(work(House(app)))
    finally:
        app.database.close()


async def fill(house: House) -> None:
    await house.put("a")
    await house.put("b")
    await house.look()


def told(project: Path, *arguments: str) -> Any:
    done = run(matches.app, *arguments, "--project", str(project), "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_listed_linked_and_taken_apart(project: Path) -> None:
    (row,) = told(project, "list")
    assert (row["id"], row["one"], row["other"], row["state"], row["grade"]) == (1, "a", "b", "open", "certain")
    assert "birth date: the same" in row["agree"]
    assert told(project, "link", "1", "--survivor", "b")["state"] == "linked"
    assert [row["id"] for row in told(project, "list", "--show", "linked")] == [1]
    assert told(project, "unlink", "1")["state"] == "apart"
    plain = run(matches.app, "list", "--project", str(project))
    assert "No pairs." in plain.stdout
    assert not [text for text in PERSONAL if text in plain.stdout + str(row)]

    async def rows(house: House) -> list[audit.AuditRow]:
        return [row for row in house.trail() if row.what in ("list", "link", "unlink")]

    found = with_house(project, rows)
    assert [(row.what, row.patients) for row in found[:3]] == [
        ("list", ("Patient/a", "Patient/b")), ("link", ("Patient/a", "Patient/b")), ("list", ("Patient/a", "Patient/b"))
    ]  # fmt: skip
    assert all(row.who.endswith("@console") for row in found)


def test_put_off_dismissed_and_refused(project: Path) -> None:
    assert told(project, "later", "1")["state"] == "open"
    assert told(project, "list") == []
    assert [row["id"] for row in told(project, "list", "--show", "later")] == [1]
    assert told(project, "dismiss", "1")["state"] == "apart"
    for arguments, kind, text in (
        (("dismiss", "1"), Conflict, "the pair is apart already"),
        (("later", "7"), NotFound, "no such pair"),
        (("list", "--show", "all"), Invalid, "not one of the choices"),
    ):
        with pytest.raises(kind, match=text):
            run(matches.app, *arguments, "--project", str(project))
