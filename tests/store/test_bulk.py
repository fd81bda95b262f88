"""Bulk loads write the same as single writes, once each, and let a server beside take its turn."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from suture.standards.fhir.index import extract
from suture.store import audit, bulk, resources
from suture.store.audit import AuditRow
from suture.store.database import Database
from suture.store.verify import verify
from tests import stores
from tests.stores import database, settings


def item(number: int, family: str = "Stone") -> bulk.Item:
    body = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:mrn", "value": str(number)}],
        "name": [{"family": family}],
        "link": [{"other": {"reference": f"Patient/p{number + 1}"}, "type": "seealso"}],
    }
    return bulk.Item("Patient", f"p{number}", json.dumps(body).encode(), extract(body, ""))


def test_a_load_creates_updates_leaves_alone_and_counts(store: Database) -> None:
    told: list[int] = []
    first = bulk.load(store, map(item, range(1500)), progress=told.append)
    again = bulk.load(store, [item(n, "River" if n < 10 else "Stone") for n in range(100)])
    assert first == {"created": 1500}
    assert told == [1000, 1500]
    assert again == {"updated": 10, "unchanged": 90}
    assert [finding for finding in verify(store) if not finding.good] == []


def test_one_id_twice_in_a_load_makes_two_versions(store: Database) -> None:
    assert bulk.load(store, [item(1), item(2), item(1, "River")]) == {"created": 2, "updated": 1}
    assert [row.version for row in resources.history(store.read, "Patient", "p1")] == [2, 1]
    assert [finding for finding in verify(store) if not finding.good] == []


def test_what_is_to_happen_with_the_rows_commits_with_them(store: Database) -> None:
    def also(tx: object, rows: list[resources.Row], patients: object) -> None:
        for row in rows:
            audit.append(tx, AuditRow("system", "import", row.type, row.id))  # type: ignore[arg-type]

    bulk.load(store, [item(1), item(2)], also=also)
    bulk.load(store, [item(1), item(3)], also=also)
    assert [entry.row.id for entry in audit.find(store.read)] == ["p3", "p2", "p1"]


LOADER = """
import sys
from pathlib import Path
from suture.store import bulk
from tests.store.test_bulk import item
from tests import stores
from tests.stores import database, settings
bulk.PER_TRANSACTION = bulk.ALONE = 300
store = database(Path(sys.argv[1]))
bulk.load(store, [item(number) for number in range(4000)])
store.close()
"""


async def test_a_server_beside_a_load_goes_on_writing(tmp_path: Path) -> None:
    store = database(tmp_path)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", LOADER, str(tmp_path), stderr=subprocess.PIPE)
    written = 0
    while child.returncode is None:
        await store.write(lambda tx: audit.append(tx, AuditRow("user:1", "read")))
        written += 1
        await asyncio.sleep(0.001)
    assert child.returncode == 0, await child.stderr.read() if child.stderr else ""
    assert written > 10
    assert audit.head(store.read).n == written
    assert store.read.one("SELECT count(*) FROM res") == (4000,)
    store.close()


def test_transactions_are_long_only_while_nobody_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIZES", ()), ("PER_TRANSACTION", 10), ("ALONE", 30)):
        monkeypatch.setattr(bulk, name, value)
    store, told = database(tmp_path), list[int]()
    bulk.load(store, map(item, range(40)), progress=told.append)
    server = Database.open(settings(tmp_path), serving=True)
    bulk.load(store, map(item, range(20, 60)), progress=told.append)
    server.close()
    bulk.load(store, map(item, range(40, 80)), progress=told.append)
    long, short = [30, 40], [10, 20, 30, 40]
    if stores.backend == stores.SQLITE:
        assert told == long + short + long
    else:
        assert all(after - before <= 10 for before, after in pairwise(told))
    store.close()


def test_new_known_and_promised_resources_in_one_part(store: Database) -> None:
    """What goes straight into the tables and what must look for itself stand side by side, in every order."""
    bulk.load(store, [item(n) for n in range(0, 40, 4)])  # promises the numbers of 1, 5, 9 …
    mixed = [item(n, "River" if n % 8 == 0 else "Stone") for n in range(40)]
    assert bulk.load(store, [*mixed, item(3, "Lake"), item(41)]) == {"created": 31, "updated": 6, "unchanged": 5}
    assert [finding for finding in verify(store) if not finding.good] == []


def test_the_same_id_under_two_types_is_two_resources(store: Database) -> None:
    patient = item(1)
    body = b'{"resourceType": "Basic", "id": "p1", "code": {"text": "note"}}'
    other = bulk.Item("Basic", "p1", body, extract(json.loads(body), ""))
    assert bulk.load(store, [patient, other]) == {"created": 2}
    assert bulk.load(store, [other, patient]) == {"unchanged": 2}
    assert [finding for finding in verify(store) if not finding.good] == []


def test_a_first_load_is_as_sound_as_any_other_and_what_comes_again_comes_last(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its larger part is written before there are indexes, where the database can do without them."""
    monkeypatch.setattr(bulk, "SIZES", (100, 300))
    monkeypatch.setattr(bulk, "PER_TRANSACTION", 250)
    first = [item(number) for number in range(900)]
    done = bulk.load(
        store,
        [*first, item(700, "River"), item(3), item(800, "Brook"), item(800, "Lake"), *map(item, range(900, 1200))],
    )
    assert done == {"created": 1200, "updated": 3, "unchanged": 1}
    assert [row.version for row in resources.history(store.read, "Patient", "p800")] == [3, 2, 1]
    newest = resources.read(store.read, "Patient", "p800")
    assert newest is not None
    assert b"Lake" in newest.body
    assert [finding for finding in verify(store) if not finding.good] == []
