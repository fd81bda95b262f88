"""`suture user`: everything about people from the command line, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import settings as settings_of
from suture.cli.user import app
from suture.errors import Conflict, Invalid
from suture.store import audit
from suture.store.database import Database
from tests.commands import run

PASSWORD = "correct horse battery\n"


def test_people_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "suture.toml").write_text('key_file = "keys/a.key"\n')

    def user(*arguments: str, typed: str = "") -> str:
        found = run(app, *arguments, "--project", str(tmp_path), input=typed)
        assert found.exit_code == 0, found.output
        return found.stdout

    made = json.loads(user("add", "ada", "--json", typed=PASSWORD))
    assert (made["login"], made["roles"]) == ("ada", ["administrator"])
    user("add", "bob", "--role", "viewer", typed=PASSWORD)
    for refused in (("roles", "ada", "--role", "viewer"), ("deactivate", "ada")):
        with pytest.raises(Conflict, match="this is the last administrator"):
            user(*refused)
    with pytest.raises(Invalid, match="no role named 'king'"):
        user("roles", "bob", "--role", "king")
    with pytest.raises(Invalid, match="no such user"):
        user("activate", "nobody")
    assert "bob" in user("roles", "bob", "--role", "operator", "--role", "builder")
    assert json.loads(user("deactivate", "bob", "--json")) == {"login": "bob", "active": False}
    user("reset-second-factor", "bob")
    link = json.loads(user("invite", "eve", "--role", "compliance", "--json"))["link"]
    assert link.startswith("http://127.0.0.1:8080/invitation/")
    with pytest.raises(Conflict, match="login name is taken"):
        user("invite", "bob", "--role", "viewer")
    listed = {one["login"]: one for one in json.loads(user("list", "--json"))}
    assert (listed["bob"]["roles"], listed["bob"]["active"]) == (["operator", "builder"], False)
    assert "operator, builder" in user("list")
    _require_trail(tmp_path)


def _require_trail(folder: Path) -> None:
    database = Database.open(settings_of.read(folder, {}))
    try:
        told = {entry.row.what: entry.row.who for entry in audit.find(database.read, count=100)}
    finally:
        database.close()
    assert {"create-user", "change-roles", "deactivate-user", "reset-second-factor", "invite"} <= told.keys()
    assert told["change-roles"].endswith("@console")
