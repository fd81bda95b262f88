"""HL7 v2 into the own chart: written with the run, merged with what is stored, searched, followed by fhir.changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from suture.access import policy
from suture.message import MessageState, RunState
from suture.standards.fhir import json
from suture.store import audit, resources, skipped
from suture.store.connection import Tx
from suture.store.queue import runs
from tests import damage
from tests.engine.rig import Rig

FEED = """suture: flow/1
id: feed
source: {uses: mllp.listen, with: {messages: [ADT^*], system: "urn:test:lakeside"}}
steps:
  - {id: chart, uses: map, with: {map: hl7v2/ADT_A01}}
  - {id: check, uses: validate}
  - {id: save, uses: fhir.write}
"""


def adt(id: str, pid: str, event: str = "A01") -> bytes:
    return (
        f"MSH|^~\\&|ADT|LAKESIDE|SUTURE|CLINIC|20261125080000||ADT^{event}^ADT_A01|{id}|P|2.5.1\r"
        f"EVN|{event}|20261125080000\rPID|1||{pid}\rPV1|1|I|WEST^204^A|||||||||||||||V1\r"
    ).encode()


async def patients(rig: Rig, **search: str) -> list[dict[str, Any]]:
    answer = await rig.rooms.interactions.search(policy.SYSTEM, "Patient", tuple(search.items()))
    return [entry["resource"] for entry in json.read(answer.body).get("entry", [])]


async def test_a_message_becomes_a_chart_and_a_second_one_adds_to_it(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED}) as rig:
        assert await rig.send(
            adt("M1", "7^^^^MR||Testperson^Alma||19791104|F|||1 Sample St^^Springfield^IL^62701")
        ) == ["AA"]
        await rig.settled(1)
        first = (await patients(rig))[0]
        assert (first["birthDate"], first["gender"], first["address"][0]["city"]) == (
            "1979-11-04",
            "female",
            "Springfield",
        )
        assert await rig.send(adt("M2", "7^^^^MR||Testperson^Alba", "A08")) == ["AA"]
        await rig.settled(2)
        found = await patients(rig)
        assert len(found) == 1
        assert found[0]["id"] == first["id"]
        assert found[0]["birthDate"] == "1979-11-04"
        assert [name["given"] for name in found[0]["name"]] == [["Alba"]]
        assert {m.state for m in rig.messages()} == {MessageState.DONE}


async def test_the_write_leaves_an_audit_row_of_the_flow_and_the_runs_output(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED}) as rig:
        await rig.send(adt("M1", "7^^^^MR||Testperson^Alma"))
        await rig.settled(1)
        rows = [entry.row for entry in audit.find(rig.read, what="transaction")]
        assert [row.who for row in rows] == ["flow:feed"]
        kept = runs.steps(rig.read, rig.runs()[0].run)
        assert [step.step for step in kept] == ["save"]
        assert any("Patient/" in place for place in json.read(kept[0].output)["output"]["written"])


async def test_what_changes_nothing_writes_nothing_until_somebody_else_changes_it(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED}) as rig:
        for n in range(3):
            await rig.send(adt(f"M{n}", "7^^^^MR||Testperson^Alma||19791104"))
        await rig.settled(3)
        found = (await patients(rig))[0]
        assert found["meta"]["versionId"] == "1"
        await rig.rooms.interactions.update(policy.SYSTEM, "Patient", found["id"], {**found, "birthDate": "1980-01-01"})
        await rig.send(adt("M9", "7^^^^MR||Testperson^Alma||19791104"))
        await rig.settled(4)
        found = (await patients(rig))[0]
        assert (found["birthDate"], found["meta"]["versionId"]) == ("1979-11-04", "3")


async def test_many_messages_about_one_patient_at_once_lose_nothing(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED.replace("steps:", "order_by: MSH-10\nsteps:")}) as rig:
        fields = ["19791104", "|F", "||", "||||1 Sample St^^Springfield^IL^62701", "||||||^PRN^PH^^1^217^5550100"]
        await asyncio.gather(
            *(rig.accept(adt(f"M{n}", f"7^^^^MR||Testperson^Alma||{field}")) for n, field in enumerate(fields))
        )
        await rig.settled(5)
        assert [r.state for r in rig.runs()] == [RunState.DONE] * 5
        found = await patients(rig)
        assert len(found) == 1
        assert (found[0]["birthDate"], found[0]["gender"]) == ("1979-11-04", "female")
        assert {"address", "telecom"} <= set(found[0])


async def test_a_resource_that_breaks_a_rule_is_a_dead_letter_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    bad = """suture: map/1
map: own/bad
source: hl7v2.PID
target: Patient
rows:
  - {id: link, from: PID-3.1, to: "link[].other.reference"}
  - {id: name, from: PID-5.1.1, to: "name[].family"}
"""
    async with Rig(
        tmp_path,
        {"f": FEED.replace("hl7v2/ADT_A01", "own/bad").replace("  - {id: check, uses: validate}\n", "")},
        maps={"bad": bad},
    ) as rig:
        await rig.send(adt("M1", "7^^^^MR||Testperson^Alma"))
        await rig.settled(1)
        assert [(d.step, d.code) for d in rig.letters()] == [("save", "invalid-resource")]
        assert await patients(rig) == []


async def test_the_own_chart_is_searched_and_its_changes_are_followed(tmp_path: Path) -> None:
    follow = """suture: flow/1
id: follow
source: {uses: fhir.changed, with: {types: [Patient], when: gender = 'female'}}
steps:
  - {id: visits, uses: fhir.search, with: {type: Encounter, search: {subject: "Patient/{{ id }}"}}}
  - {id: keep, uses: file.write, with: {connection: out, name: "{{ id }}.json", body: "{{ visits.entry.count() }} visits"}}
"""
    out = {"out": "{suture: connection/1, id: out, uses: file, folder: out}"}
    async with Rig(tmp_path, {"f": FEED, "g": follow}, out) as rig:
        await rig.send(adt("M1", "7^^^^MR||Testperson^Alma|||F"), adt("M2", "8^^^^MR||Testperson^Otto|||M"))
        await rig.settled(3)
        alma = (await patients(rig, gender="female"))[0]["id"]
        files = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
        assert files == {f"{alma}.json": "1 visits"}
        await rig.stop()
        await rig.start()
        await rig.send(adt("M3", "7^^^^MR||Testperson^Berta|||F", "A08"))
        await rig.settled(5)
        assert [m.source for m in rig.messages(type="Patient")] == ["changed:follow"] * 2


async def test_a_version_that_can_not_be_read_is_passed_by_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follow = """suture: flow/1
id: follow
source: {uses: fhir.changed, with: {types: [Patient], when: gender = 'female', since: beginning}}
steps:
  - {id: keep, uses: file.write, with: {connection: out, name: "{{ id }}.json", body: "{{ id }}"}}
"""
    out = {"out": "{suture: connection/1, id: out, uses: file, folder: out}"}

    def unit(tx: Tx) -> None:
        for id in ("a", "lost", "b"):
            body = {"resourceType": "Patient", "id": id, "gender": "female", "name": [{"family": "Secretname" * 9}]}
            resources.put(tx, "Patient", id, json.write(body))
        damage.spoil(tx, "Patient", "lost")

    async with Rig(tmp_path, {"g": follow}, out) as rig:
        rig.rooms.database.write_now(unit)
        await rig.settled(2)
        await rig.until(lambda: skipped.noted(rig.read))
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "b.json"]
        told = [record.getMessage() for record in caplog.records if record.name == "suture.engine"]
        assert told == ["flow follow went past what can't be read in the chart: 1 versions"]
        await rig.stop()
        await rig.start()
        rig.rooms.database.write_now(
            lambda tx: resources.put(tx, "Patient", "c", b'{"resourceType":"Patient","gender":"female"}')
        )
        await rig.settled(3)
        assert len(rig.messages(type="Patient")) == 3
    assert "Secretname" not in caplog.text


async def test_a_search_of_the_own_chart_follows_as_many_pages_as_it_is_told(tmp_path: Path) -> None:
    count = """suture: flow/1
id: count
source: {uses: mllp.listen, with: {messages: [ADT^*]}}
steps:
  - {id: known, uses: fhir.search, with: {type: Patient, search: {_count: 2}, pages: PAGES}}
  - {id: note, uses: file.write, with: {connection: out, name: n.txt, body: "{{ known.entry.count() }}"}}
"""
    out = {"out": "{suture: connection/1, id: out, uses: file, folder: out}"}
    for pages, entries in ((1, 2), (2, 4), (9, 5)):
        folder = tmp_path / str(pages)
        async with Rig(folder, {"c": count.replace("PAGES", str(pages))}, out) as rig:
            for n in range(5):
                await rig.rooms.interactions.create(policy.SYSTEM, "Patient", {"resourceType": "Patient", "id": str(n)})
            await rig.accept(adt("M1", "1^^^^MR"))
            await rig.settled(1)
            assert (folder / "out" / "n.txt").read_text() == str(entries)
