"""Backup under load, restore elsewhere, damage that is found before anything is touched."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from suture.crypto import create_key_file
from suture.errors import Conflict, Unstartable
from suture.store import audit, backup, checkpoints, resources
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.verify import verify
from tests.stores import database, settings

MARKER = "Zxqvwnmarker"
PATIENT = b'{"resourceType":"Patient","name":[{"family":"%b"}]}' % MARKER.encode()


def create(number: int):  # type: ignore[no-untyped-def]
    def unit(tx: Tx) -> None:
        resources.put(tx, "Patient", f"p{number}", PATIENT)
        audit.append(tx, AuditRow("user:1", "create", "Patient", f"p{number}", f"Patient/p{number}"))

    return unit


def contents(store: Database) -> list[tuple[object, ...]]:
    return [(r.id, r.version, r.body) for r in resources.history(store.read, "Patient", count=10_000)]


async def test_a_backup_made_under_load_restores_elsewhere_with_a_valid_trail(tmp_path: Path) -> None:
    store = database(tmp_path / "here")
    for number in range(20):
        await store.write(create(number))
    file = tmp_path / "one.backup"
    making = asyncio.ensure_future(asyncio.to_thread(backup.make, store, file))
    number = 20
    while not making.done():
        await store.write(create(number))
        number += 1
    made = making.result()
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(tmp_path / "here" / "key", there / "key")
    backup.restore(settings(there), file)
    restored = database(there)
    copied = contents(restored)
    assert len(copied) >= 20
    assert set(copied) <= set(contents(store))
    assert audit.head(restored.read).n == made.audit_rows + 1  # and a row that tells of the restore
    assert [finding for finding in verify(restored) if not finding.good] == []
    restored.close()
    store.close()


def test_nothing_personal_can_be_read_in_any_file(tmp_path: Path) -> None:
    store = database(tmp_path)
    for number in range(30):
        store.write_now(create(number))
    backup.make(store, tmp_path / "one.backup")
    while_open = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"suture.db", "suture.db-wal", "one.backup"} <= {file.name for file in while_open}
    for file in while_open:
        content = file.read_bytes()
        assert MARKER.encode() not in content, file.name
        assert b"CREATE TABLE" not in content, file.name
    store.close()


def backed_up(folder: Path) -> Path:
    store = database(folder)
    store.write_now(create(1))
    file = folder / "one.backup"
    backup.make(store, file)
    store.write_now(create(2))
    store.close()
    return file


def test_a_database_that_is_there_is_not_replaced_unless_forced_and_then_kept_beside(tmp_path: Path) -> None:
    file = backed_up(tmp_path)
    with pytest.raises(Conflict, match="a database already"):
        backup.restore(settings(tmp_path), file)
    backup.restore(settings(tmp_path), file, force=True)
    store = database(tmp_path)
    assert [row[0] for row in contents(store)] == ["p1"]
    assert store.notices == []  # the anchor knows of the restore
    store.close()
    assert len(list((tmp_path / "data").glob("suture.db.before-*"))) >= 2


def test_a_served_database_is_not_replaced(tmp_path: Path) -> None:
    file = backed_up(tmp_path)
    serving = Database.open(settings(tmp_path), serving=True)
    with pytest.raises(Unstartable, match="another suture serves"):
        backup.restore(settings(tmp_path), file, force=True)
    serving.close()


@pytest.mark.parametrize("place", [40, 3000, -40, -1])
def test_one_changed_byte_is_found_before_anything_is_touched(tmp_path: Path, place: int) -> None:
    file = backed_up(tmp_path)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    before = (tmp_path / "data" / "suture.db").read_bytes()
    with pytest.raises(Unstartable):
        backup.restore(settings(tmp_path), file, force=True)
    assert (tmp_path / "data" / "suture.db").read_bytes() == before


def test_half_a_backup_and_another_key_are_refused(tmp_path: Path) -> None:
    file = backed_up(tmp_path)
    half = tmp_path / "half.backup"
    half.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(Unstartable, match="damaged or not complete"):
        backup.restore(settings(tmp_path), half, force=True)
    (tmp_path / "key").unlink()
    create_key_file(tmp_path / "key")
    with pytest.raises(Unstartable, match="does not open"):
        backup.restore(settings(tmp_path), file, force=True)
    with pytest.raises(Unstartable, match="no Suture backup"):
        backup.restore(settings(tmp_path), tmp_path / "key", force=True)


def test_a_folder_keeps_the_newest_few(tmp_path: Path) -> None:
    store = database(tmp_path)
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in range(3):
        (folder / f"suture-2026010{day}T000000Z.backup").write_bytes(b"old")
    file, _ = backup.make_in(store, folder, keep=2)
    assert sorted(f.name for f in folder.iterdir()) == ["suture-20260102T000000Z.backup", file.name]
    store.close()


@pytest.mark.slow
async def test_backups_stay_whole_while_checkpoints_run_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PASSIVE_PAGES", 3)
    monkeypatch.setattr(checkpoints, "RESTART_PAGES", 30)
    store = database(tmp_path / "here")

    async def client(first: int) -> None:
        number = first
        while not done.is_set():
            await store.write(create(number % 50 if number % 3 else number))
            number += 4

    done = asyncio.Event()
    clients = asyncio.gather(*(client(n) for n in range(4)))
    made = []
    for turn in range(4):
        await asyncio.sleep(0.1)
        made.append(await asyncio.to_thread(backup.make, store, tmp_path / f"{turn}.backup"))
    done.set()
    await clients
    assert [m.audit_rows for m in made] == sorted({m.audit_rows for m in made})
    for turn, one in enumerate(made):
        there = tmp_path / f"there{turn}"
        there.mkdir()
        shutil.copy(tmp_path / "here" / "key", there / "key")
        backup.restore(settings(there), tmp_path / f"{turn}.backup")
        restored = database(there)
        assert audit.head(restored.read).n == one.audit_rows + 1
        assert [finding for finding in verify(restored) if not finding.good] == []
        restored.close()
    store.close()
