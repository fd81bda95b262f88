"""Exports organized by patients: a header, the whole record, what it refers to; and nothing of anybody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.people import observation, practitioner
from tests.server.running import Running, outcome_of, serving
from tests.server.test_bulk import ASK, fill, kicked, manifest
from tests.server.test_import import ASK as SEND
from tests.server.test_import import done

Block = tuple[str, list[str]]


async def blocks(server: Running, path: str, headers: dict[str, str] | None = None) -> list[list[Block]]:
    """The blocks of each file: whose, and the rows in their order."""
    made = await manifest(server, await kicked(server, path, headers=headers or {}), headers)
    assert made["outputOrganizedBy"] == "Patient"
    found = []
    for file in made["output"]:
        assert "type" not in file
        answer = await server.http.get(file["url"], headers=headers or {})
        found.append(read(answer.text))
        assert len(answer.text.splitlines()) <= file["count"]
    return found


def read(text: str) -> list[Block]:
    found: list[Block] = []
    for line in text.splitlines():
        row = json.loads(line)
        if row["resourceType"] == "Parameters":
            assert [p["name"] for p in row["parameter"]] == ["header"]
            found.append((row["parameter"][0]["valueReference"]["reference"], []))
        else:
            found[-1][1].append(f"{row['resourceType']}/{row['id']}")
    return found


OF_ALL = [
    ("Patient/p1", {"Encounter/e1", "Observation/o1", "Provenance/pr1", "Provenance/pr2"}),
    ("Patient/p2", {"Encounter/e2", "Observation/o2"}),
    ("Patient/p3", {"Encounter/e3", "Observation/o3"}),
]
SHARED = {"Organization/org", "Practitioner/d1"}


@pytest.mark.parametrize("level", ["", "Patient/"])
async def test_each_block_is_a_whole_record(server: Running, level: str) -> None:
    await fill(server)
    (found,) = await blocks(server, f"/fhir/{level}$export?organizeOutputBy=Patient")
    assert [(whose, rows[0]) for whose, rows in found] == [(whose, whose) for whose, _ in OF_ALL]
    assert [set(rows) for _, rows in found] == [{whose, *own, *SHARED} for whose, own in OF_ALL]
    assert all(len(rows) == len(set(rows)) for _, rows in found)


async def test_a_group_holds_blocks_of_its_members_alone(server: Running) -> None:
    await fill(server)
    await server.put(observation("both", "p1", performer=[{"reference": "Patient/p3"}]))
    (found,) = await blocks(server, "/fhir/Group/g1/$export?organizeOutputBy=Patient&_type=Patient,Observation")
    assert found == [
        ("Patient/p1", ["Patient/p1", "Observation/o1", "Observation/both"]),
        ("Patient/p2", ["Patient/p2", "Observation/o2"]),
    ]


async def test_what_is_about_two_patients_stands_in_both_blocks(server: Running) -> None:
    await fill(server)
    await server.put(observation("both", "p1", performer=[{"reference": "Patient/p3"}]))
    (found,) = await blocks(server, "/fhir/$export?organizeOutputBy=Patient&_type=Observation")
    assert [(whose, "Observation/both" in rows) for whose, rows in found] == [
        ("Patient/p1", True), ("Patient/p2", False), ("Patient/p3", True),
    ]  # fmt: skip


async def test_no_header_for_who_may_not_be_seen(server: Running) -> None:
    await fill(server)
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    held = server.key("user/*.rs")
    place = await kicked(server, "/fhir/Patient/$export?organizeOutputBy=Patient&_type=Observation", headers=held)
    made = await manifest(server, place, held)
    await server.put(observation("o2", "p2", code="2-0") | {"meta": {"security": [label]}})
    text = (await server.http.get(made["output"][0]["url"], headers=held)).text
    assert [whose for whose, _ in read(text)] == ["Patient/p1", "Patient/p3"]
    assert "p2" not in text


async def test_files_hold_whole_blocks(tmp_path: Path) -> None:
    async with serving(tmp_path, bulk__file_resources=8) as server:
        await fill(server)
        await server.put(practitioner("nobodys"))
        found = await blocks(server, "/fhir/Patient/$export?organizeOutputBy=Patient")
        assert [[whose for whose, _ in file] for file in found] == [["Patient/p1"], ["Patient/p2"], ["Patient/p3"]]
        assert "nobodys" not in json.dumps(found)


async def test_only_patients_organize(server: Running) -> None:
    answer = await server.http.get("/fhir/$export?organizeOutputBy=Practitioner", headers=ASK)
    assert outcome_of(answer)[0] == 400
    assert answer.json()["issue"][0]["expression"] == ["organizeOutputBy"]
    lenient = {"Prefer": "respond-async, handling=lenient"}
    made = await manifest(server, await kicked(server, "/fhir/$export?organizeOutputBy=Group", headers=lenient))
    assert "outputOrganizedBy" not in made
    told: dict[str, Any] = json.loads((await server.http.get(made["error"][0]["url"])).text)
    assert told["issue"][0]["expression"] == ["organizeOutputBy"]


async def test_what_was_exported_in_blocks_can_be_sent_again(server: Running) -> None:
    await fill(server)
    made = await manifest(server, await kicked(server, "/fhir/$export?organizeOutputBy=Patient"))
    raw = (await server.http.get(made["output"][0]["url"])).content
    answer = await server.http.post("/fhir/$import", content=raw, headers=SEND)
    told = await done(server, answer.headers["content-location"])
    assert (told["extension"]["imported"]["failed"], told["extension"]["imported"]["created"]) == (0, 0)
