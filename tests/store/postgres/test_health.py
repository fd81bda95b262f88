"""`suture doctor` and the commands for files, with a database on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suture.cli import backup as backup_command
from suture.cli import rotate_key
from suture.cli.store import existing
from suture.errors import Unstartable
from suture.settings import Settings
from suture.store import backup, health, resources, rotate, verify
from suture.store.database import Database
from tests import postgres, stores
from tests.commands import run

pytestmark = pytest.mark.slow


@pytest.fixture(params=stores.BACKENDS[1:])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    stores.use(request.param)
    made = stores.settings(tmp_path)
    monkeypatch.setenv("SUTURE_DATABASE", made.database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(made.key_file))
    yield made
    stores.use(stores.SQLITE)


def test_doctor_says_what_the_server_does_with_commits_and_what_must_be_encrypted(settings: Settings) -> None:
    (none,) = health.look(settings)
    assert (none.level, "none yet" in none.text) == ("warning", True)
    Database.open(settings).close()
    found = {finding.what: finding for finding in health.look(settings)}
    assert found["database"].level == "good"
    assert found["database"].text.startswith("opens, schema")
    assert (found["commits"].level, "fsync is off" in found["commits"].text) == ("bad", True)  # the tests' own server
    assert (found["volume"].level, "sealed" in found["volume"].text) == ("warning", True)
    assert "pg_basebackup" in found["backup"].mend
    assert found["way to the server"].text == "on this machine"
    assert found["PostgreSQL"].text.startswith(("15", "18"))
    assert found["key file"].level == "good"
    assert all(finding.mend for finding in found.values() if finding.level != "good")


def test_a_server_that_keeps_commits_is_said_to(tmp_path: Path) -> None:
    binaries = next(iter(postgres.folders().values()), None)
    if binaries is None:
        return
    server = postgres.Server(binaries, fsync=True, port=54399)
    try:
        made = stores.settings(tmp_path).with_values(database=server.fresh())
        Database.open(made).close()
        found = {finding.what: finding for finding in health.look(made)}
        assert found["commits"].level == "good"
    finally:
        server.stop()


def test_a_server_that_is_not_there_is_bad_and_says_what_to_do(tmp_path: Path) -> None:
    made = stores.settings(tmp_path).with_values(database="postgresql://suture@127.0.0.1:1/x?connect_timeout=2")
    (finding,) = health.look(made)
    assert (finding.level, "SUTURE_DATABASE" in finding.mend) == ("bad", True)


def test_what_is_for_files_says_so_before_it_does_anything(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Unstartable, match="there is no database"):
        existing(settings)
    Database.open(settings).close()
    key = settings.key_file.read_bytes()
    for call in (
        lambda: run(backup_command.app, str(tmp_path / "x.backup"), "--project", str(tmp_path)),
        lambda: run(rotate_key.app, "--data", "--project", str(tmp_path)),
        lambda: backup.restore(settings, tmp_path / "x.backup"),
    ):
        with pytest.raises(Unstartable, match="server's own") as told:
            call()
        assert "pg_dump" in told.value.mend
    assert settings.key_file.read_bytes() == key
    assert not (tmp_path / "x.backup").exists()


def test_a_new_key_file_opens_the_same_database(settings: Settings) -> None:
    store = Database.open(settings)
    store.write_now(
        lambda tx: resources.put(tx, "Basic", "b", b'{"resourceType":"Basic","code":{"text":"something long enough"}}')
    )
    store.close()
    old = rotate.rewrap(settings)
    store = Database.open(settings)
    row = resources.read(store.read, "Basic", "b")
    assert row is not None
    assert b"something" in row.body
    assert [finding.good for finding in verify.verify(store)] == [True] * 4
    store.close()
    with pytest.raises(Unstartable, match="does not open"):
        Database.open(settings.with_values(key_file=str(old)))
