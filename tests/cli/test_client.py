"""`suture client`: a key for one patient's record is given only when that patient is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.cli import client
from suture.errors import NotFound
from suture.store import accounts, resources
from suture.store.database import Database
from tests.commands import run
from tests.stores import settings


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("SUTURE_DATABASE", settings(tmp_path).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(tmp_path).key_file))
    return Database.open(settings(tmp_path))


def test_a_patient_that_is_not_here_gets_no_key(tmp_path: Path, database: Database) -> None:
    asked = ("add", "app", "--scope", "patient/*.rs", "--project", str(tmp_path), "--patient")
    for id in ("nosuch", "Patient/p1"):
        with pytest.raises(NotFound, match="--patient: no such Patient here") as error:
            run(client.app, *asked, id)
        assert id not in str(error.value)
    database.write_now(lambda tx: resources.put(tx, "Patient", "p1", b'{"resourceType":"Patient","id":"p1"}'))
    assert "Its key, shown only now" in run(client.app, *asked, "p1").output
    database.write_now(lambda tx: resources.delete(tx, "Patient", "p1"))
    with pytest.raises(NotFound, match="no such Patient"):
        run(client.app, *asked, "p1")
    assert [one.name for one in accounts.clients(database.read)] == ["app"]
    database.close()
