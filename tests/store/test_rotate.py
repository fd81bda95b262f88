"""New keys: online re-wrap, copy and swap, and an exchange that is cut off anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture import crypto
from suture.cli import main
from suture.errors import Unstartable
from suture.store import backup, envelope, resources, rotate, vault
from suture.store.database import Database
from suture.store.verify import verify
from tests.stores import database, settings

BODY = b'{"resourceType":"Basic","code":{"text":"note"}}'


def fill(folder: Path) -> Database:
    store = database(folder)
    store.write_now(lambda tx: resources.put(tx, "Basic", "b", BODY))
    store.write_now(lambda tx: vault.put(tx, "ehr", "s3cret", "https://ehr.example"))
    return store


def whole(folder: Path) -> None:
    store = database(folder)
    assert store.notices == []
    assert resources.read(store.read, "Basic", "b") is not None
    assert vault.get(store.read, "ehr", "https://ehr.example") == "s3cret"
    assert [finding for finding in verify(store) if not finding.good] == []
    store.close()


def test_a_new_key_file_opens_the_database_and_the_old_one_only_old_backups(tmp_path: Path) -> None:
    store = fill(tmp_path)
    backup.make(store, tmp_path / "old.backup")
    kept = rotate.rewrap(settings(tmp_path))  # while it is open, as under a server
    store.write_now(lambda tx: resources.put(tx, "Basic", "c", BODY))
    store.close()
    whole(tmp_path)
    with pytest.raises(Unstartable, match="does not open"):
        backup.restore(settings(tmp_path), tmp_path / "old.backup", force=True)
    backup.restore(
        settings(tmp_path, key_file=str(kept), database=f"sqlite:{tmp_path / 'other.db'}"), tmp_path / "old.backup"
    )


@pytest.mark.parametrize("cut", ["before the envelope", "after the envelope"])
def test_an_exchange_that_was_cut_off_is_finished_or_forgotten(tmp_path: Path, cut: str) -> None:
    store = fill(tmp_path)
    opened = store.shared.envelope
    store.close()
    key = crypto.create_key_file(crypto.unfinished(tmp_path / "key"))
    if cut == "after the envelope":
        envelope.write(envelope.path_of(store.path), envelope.sealed(opened, key))
    whole(tmp_path)
    assert (crypto.read_key_file(tmp_path / "key") == key) == (cut == "after the envelope")
    rotate.rewrap(settings(tmp_path))
    whole(tmp_path)


def test_a_new_page_key_moves_everything_and_keeps_the_old_beside(tmp_path: Path) -> None:
    store = fill(tmp_path)
    before = store.shared.envelope.key
    store.close()
    aside = rotate.renew(settings(tmp_path))
    store = database(tmp_path)
    assert store.shared.envelope.key != before
    store.close()
    whole(tmp_path)
    assert aside.exists()
    assert not list((tmp_path / "data").glob("*.renewing*"))


def test_a_served_database_keeps_its_page_key(tmp_path: Path) -> None:
    fill(tmp_path).close()
    serving = Database.open(settings(tmp_path), serving=True)
    with pytest.raises(Unstartable, match="another suture serves"):
        rotate.renew(settings(tmp_path))
    serving.close()


def test_the_command_says_where_the_old_key_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUTURE_DATABASE", f"sqlite:{tmp_path / 'data' / 'suture.db'}")
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SystemExit):
        main(["rotate-key", "--project", str(tmp_path)])
    assert "there is no database" in capsys.readouterr().err
    fill(tmp_path).close()
    with pytest.raises(SystemExit) as ended:
        main(["rotate-key", "--data", "--json", "--project", str(tmp_path)])
    assert not ended.value.code
    said = json.loads(capsys.readouterr().out)
    assert [Path(kept).exists() for kept in said["kept"]] == [True, True]
    whole(tmp_path)
