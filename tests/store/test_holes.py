"""Pages that can't be read: what stands beside them is, what stood on them is named or counted, and there is an end to it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from suture.store import connection, holes, resources, scan, sound
from suture.store.bodies import DamagedPage, UnreadablePage
from suture.store.database import Database
from tests import damage, stores

LATEST, PEOPLE = 1 << 62, 300
_numbers = count()


class Sick(apsw.VFS):
    """A disk that gives some bytes of the database no more."""

    def __init__(self) -> None:
        self.name, self.bad = f"sick{next(_numbers)}", range(0)
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return SickFile(self, name, flags)


class SickFile(apsw.VFSFile):
    def __init__(self, disk: Sick, name: Any, flags: list[int]) -> None:
        path = name if isinstance(name, str) else (name.filename() if name else "")
        self.disk, self.sick = disk, path.endswith(".db")
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        if self.sick and offset in self.disk.bad:
            raise apsw.exception_for(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = stores.database(tmp_path)
    bodies = [
        orjson.dumps({"resourceType": "Patient", "id": f"p{n}", "name": [{"family": "x" * 90}]}) for n in range(PEOPLE)
    ]
    store.write_now(lambda tx: [resources.put(tx, "Patient", f"p{n}", body) for n, body in enumerate(bodies)])
    store.close()
    return tmp_path


def found(store: Database, unread: holes.Unread) -> set[str]:
    """The ids that both ways of looking at everything give."""
    read = store.read
    versions = [v for part in scan.versions(read, LATEST, ("Patient",), unread) for v in part]
    rids = [rid for part in scan.rids(read, LATEST, ["Patient"], unread) for rid in part.get("Patient", ())]
    assert [v.rid for v in versions] == rids
    return {v.id for v in versions}


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sick]:
    disk = Sick()
    monkeypatch.setattr(connection, "VFS", f"multipleciphers-{disk.name}")
    yield disk
    disk.unregister()


def test_what_a_disk_gives_no_more_is_named(folder: Path, sick: Sick) -> None:
    store = stores.database(folder)
    pages = [p for (p,) in store.read.all("SELECT pageno FROM dbstat WHERE name = 'res' AND pagetype = 'leaf'")]
    store.close()
    store = stores.database(folder)
    sick.bad = range((pages[3] - 1) * damage.PAGE, pages[3] * damage.PAGE)
    with pytest.raises(UnreadablePage, match="the disk gave no page") as raised:
        list(scan.versions(store.read, LATEST, ("Patient",)))
    assert raised.value.retry
    unread: holes.Unread = {}
    there = found(store, unread)
    holes.name(store.read, unread)
    assert set(unread.values()) == {("Patient", f"p{n}") for n in range(PEOPLE)} - {("Patient", id) for id in there}
    assert len(unread) > 1
    sick.bad = range(0)
    assert len(found(store, {})) == PEOPLE
    store.close()


def test_without_the_index_rows_are_counted_by_their_numbers(folder: Path) -> None:
    damage.of_file(folder, "res", at=2)
    damage.of_file(folder, "res_fid")
    store = stores.database(folder)
    unread: holes.Unread = {}
    there = found(store, unread)
    holes.name(store.read, unread, ["Patient"])
    assert set(unread.values()) == {holes.UNKNOWN}
    assert len(there) + len(unread) == PEOPLE
    store.close()


def test_numbers_of_no_resource_and_other_types_are_no_loss(folder: Path) -> None:
    store = stores.database(folder)
    unread: holes.Unread = {5: holes.UNKNOWN, 7: ("Patient", "p6"), 9000: holes.UNKNOWN}
    holes.name(store.read, unread)
    assert unread == {5: ("Patient", "p4"), 7: ("Patient", "p6")}
    holes.lose_place(unread, ("Location", "l1"))
    holes.lose_place(unread, ("Location", "l1"))
    assert unread[-3] == ("Location", "l1")
    holes.name(store.read, unread, ["Location"])
    assert unread == {-3: ("Location", "l1")}
    store.close()


def test_there_is_an_end_to_what_may_be_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "MOST", 5)
    damage.of_file(folder, "res", at=2)
    store = stores.database(folder)
    with pytest.raises(DamagedPage):
        found(store, {})
    store.close()


def test_whoever_follows_the_chart_waits_a_few_times_for_a_page_then_passes_it_by(folder: Path, sick: Sick) -> None:
    store = stores.database(folder)
    pages = [p for (p,) in store.read.all("SELECT pageno FROM dbstat WHERE name = 'res' AND pagetype = 'leaf'")]
    store.close()
    store = stores.database(folder)
    sick.bad = range((pages[3] - 1) * damage.PAGE, pages[3] * damage.PAGE)
    patience = sound.Patience()
    for _ in range(sound.WAITS):
        with pytest.raises(UnreadablePage):
            sound.changes(store.read, 0, patience=patience)
    rows = sound.changes(store.read, 0, patience=patience)
    lost = [row for row in rows if row.damaged]
    assert (len(rows), len(lost) > 1) == (PEOPLE, True)
    patience.over()
    with pytest.raises(UnreadablePage):
        sound.changes(store.read, 0, patience=patience)
    id = resources.id_of(store.read.all("SELECT fid FROM res WHERE +rid = ?", (lost[0].rid,))[0][0])
    with pytest.raises(UnreadablePage):  # it may be there the next time: nothing is said to be damaged
        sound.read(store.read, "Patient", id)
    sick.bad = range(0)
    assert not any(row.damaged for row in sound.changes(store.read, 0, patience=patience))
    store.close()
