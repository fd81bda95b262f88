"""A damaged page of the database: all else is exported, what is not is named, and each file leaves its row in the trail."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.access.policy import SYSTEM
from suture.services.bulk import faults
from suture.standards.fhir.index import extract
from suture.store import exports, resources
from suture.store.connection import Tx
from tests import damage, stores
from tests.server.people import observation, patient
from tests.server.running import Running, serving
from tests.server.test_bulk import kicked, manifest

PEOPLE, EACH = 40, 4


def chart() -> Iterator[dict[str, Any]]:
    for n in range(PEOPLE):
        yield patient(f"p{n}")
        for m in range(EACH):
            yield observation(f"o{n}-{m}", f"p{n}", note=[{"text": "some words that fill a page " * 3}])


def filled(folder: Path) -> set[str]:
    """A chart of forty people; what is in it."""
    store = stores.database(folder)

    def unit(tx: Tx) -> None:
        for resource in chart():
            type, id = resource["resourceType"], resource["id"]
            resources.put(tx, type, id, json.dumps(resource).encode(), extract(resource, ""))

    store.write_now(unit)
    store.close()
    (folder / "keys").mkdir(mode=0o700)
    shutil.copy2(folder / "key", folder / "keys" / "test.key")  # where a server of tests has it
    return {f"{r['resourceType']}/{r['id']}" for r in chart()}


async def fetched(server: Running, path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of all files, and the outcomes that tell what is missing, those told last included."""
    place = await kicked(server, path)
    made = await manifest(server, place)
    rows = [json.loads(line) for f in made["output"] for line in (await server.http.get(f["url"])).text.splitlines()]
    told = (await manifest(server, place))["error"]
    said = [json.loads(line) for f in told for line in (await server.http.get(f["url"])).text.splitlines()]
    assert [f["count"] for f in told] == ([len(said)] if said else [])
    return rows, said


def named(said: list[dict[str, Any]]) -> set[str]:
    return {one["issue"][0]["expression"][0] for one in said}


def counted(said: list[dict[str, Any]]) -> int:
    """How many resources the outcomes tell of, one by one or by their number."""
    texts = [one["issue"][0]["details"]["text"] for one in said]
    numbers = [re.match(r"(?:up to )?(\d+) ", text) for text in texts]
    return sum(int(found[1]) if found else 1 for found in numbers)


@pytest.mark.parametrize("path", ["$export?_type=Patient,Observation", "Patient/$export"])
async def test_all_else_is_exported_and_what_is_lost_is_told(tmp_path: Path, path: str) -> None:
    everything = filled(tmp_path)
    damage.page(tmp_path, "res", 2)
    async with serving(tmp_path) as server:
        rows, said = await fetched(server, f"/fhir/{path}")
        there = {f"{row['resourceType']}/{row['id']}" for row in rows}
        lost = everything - there
        assert len(rows) == len(there)
        assert 1 < len(lost) < 40
        assert counted(said) == len(lost)
        if stores.backend == stores.SQLITE:  # whose index of ids has row numbers
            assert named(said) == lost
        files = [row for row in server.trail() if row.what == "export"]
        assert len(files) == 3  # the error file too
        assert all(row.patient[:1] == "=" or row.patients for row in files if row.type != "OperationOutcome")


async def test_whole_records_go_on_below_a_header_of_whose_they_are(tmp_path: Path) -> None:
    everything = filled(tmp_path)
    damage.page(tmp_path, "res", 2)
    async with serving(tmp_path) as server:
        rows, said = await fetched(server, "/fhir/$export?organizeOutputBy=Patient")
        whose = ""
        there = set()
        for row in rows:
            if row["resourceType"] == "Parameters":
                whose = row["parameter"][0]["valueReference"]["reference"]
                continue
            there.add(f"{row['resourceType']}/{row['id']}")
            assert row.get("subject", {}).get("reference", f"Patient/{row['id']}") == whose
        assert counted(said) == len(everything - there) > 1


def test_there_is_an_end_to_what_is_named(tmp_path: Path) -> None:
    store = stores.database(tmp_path)
    told = faults.unreadable(store.read, SYSTEM, {n: ("Patient", f"p{n:04}") for n in range(faults.NAMED + 5)})
    assert len(told) == faults.NAMED + 1
    assert (told[-1].text[:16], told[-1].expression) == ("5 more resources", "Patient")
    (told_of,) = faults.unreadable(store.read, SYSTEM, dict.fromkeys((3, 5, 6, 7, 12), ("", "")))
    assert told_of.text.startswith("up to 5 resources could not be exported")
    assert "the row numbers 3, 5-7, 12." in told_of.mend

    def unit(tx: Tx) -> list[bytes]:
        exports.add(tx, "x", "me", b"{}", 60)
        for part in ([b"a", b"b"], [b"b", b"c"], [b"d"]):
            exports.add_faults(tx, 1, part, b"more", most=3)
        found = exports.content(tx, 1, exports.FAULTS)
        return found[1].splitlines() if found else []

    assert store.write_now(unit) == [b"a", b"b", b"more"]
    store.close()
