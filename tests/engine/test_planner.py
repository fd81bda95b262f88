"""A second process plans what the first commits: the chart is the same, whatever comes in between, whoever dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from suture.access import policy
from suture.engine.beside import Beside
from suture.engine.planner import Planner, first, frame, frames, job, last_write
from suture.engine.subject import Subject
from suture.message import Message, MessageState
from suture.sandbox import traffic
from suture.services.interactions import wire
from suture.store import audit
from tests.engine.rig import Rig, adt
from tests.engine.test_chart import FEED, patients

LANES = FEED.replace("steps:", "order_by: PID-3.1\nsteps:", 1)
SENDS = FEED + '  - {id: out, uses: mllp.send, with: {connection: sink, set: {MSH-5: "X"}}}\n'
ANY_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
WHEN = re.compile(rb'"(?:lastUpdated|recorded)":"[^"]*"')


def chart(rig: Rig) -> Counter[bytes]:
    """Every version of every resource, without the ids and times that are new each time."""
    read = rig.read
    sql = "SELECT zd, body FROM res UNION ALL SELECT zd, body FROM hist"
    return Counter(WHEN.sub(b"", ANY_ID.sub(b"ID", read.bodies.unpack(*row))) for row in read.all(sql))


async def feed(rig: Rig, originals: list[bytes], at_once: int = 12) -> None:
    left = iter(originals)

    async def some() -> None:
        for original in left:
            await rig.accept(original)

    await asyncio.gather(*(some() for _ in range(at_once)))
    await rig.settled(len(originals), 60)


def message(original: bytes, id: str = "M") -> Message:
    return Message(id, "mllp:0", "hl7v2", original, 1_764_057_600_000_000, "C", "ADT^A01", ("7",))


@pytest.mark.slow
async def test_the_chart_is_the_same_with_and_without_it(tmp_path: Path) -> None:
    originals = list(traffic.adt(11, 150))
    async with Rig(tmp_path / "one", {"f": LANES}, engine__planner=False) as alone:
        await feed(alone, originals)
        wanted = chart(alone)
    async with Rig(tmp_path / "two", {"f": LANES}) as rig:
        beside = rig.engine.runner.beside
        await beside.begin().wait()
        assert beside.process
        await feed(rig, originals)
        assert beside.planned > 20
        assert chart(rig) == wanted
        assert {m.state for m in rig.messages(count=1000)} == {MessageState.DONE}
        assert audit.verify(rig.read) is None
    assert not beside.process


@pytest.mark.slow
async def test_when_it_is_killed_all_goes_on(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": LANES}) as rig:
        beside = rig.engine.runner.beside
        await beside.begin().wait()
        pid = beside.process
        fed = asyncio.create_task(feed(rig, list(traffic.adt(12, 150))))
        await rig.until(lambda: beside.planned > 5)
        os.kill(pid, signal.SIGKILL)
        await fed
        assert {m.state for m in rig.messages(count=1000)} == {MessageState.DONE}
        assert not beside.process


@pytest.mark.slow
async def test_it_ends_when_nothing_comes_and_with_the_serving_process(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": LANES}, engine__planner_idle=0.2) as rig:
        beside = rig.engine.runner.beside
        await beside.begin().wait()
        pid = beside.process
        await rig.until(lambda: not beside.process)
        await rig.until(lambda: not Path(f"/proc/{pid}").exists())


def planned(rig: Rig, original: bytes) -> tuple[bytes, Any]:
    """What the planner's rooms make of a message now, and the walk that would make it here."""
    planner = Planner(rig.rooms.settings)
    version = next(iter(rig.engine.versions.active.values()))
    answer = planner.answer(job(version.name, message(original), None)[4:])
    planner.database.close()
    return answer, version


async def test_a_plan_that_was_overtaken_is_made_anew(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED.replace("  - {id: check, uses: validate}\n", "")}) as rig:
        await rig.send(adt("M1", "7", "Alma"))
        await rig.settled(1)
        plan, version = planned(rig, adt("M2", "7", "Berta").replace(b"|19791104|", b"||"))
        await rig.send(adt("M3", "7", "Carla").replace(b"|19791104|", b"|19810203|"))
        await rig.settled(2)
        interactions, caller, asked = rig.rooms.interactions, policy.flow_caller("feed"), []

        def again(tx: Any) -> Any:
            asked.append(tx)
            ask = first(version, Subject(message(adt("M2", "7", "Berta").replace(b"|19791104|", b"||"))), 10_000)
            return interactions.plan(caller, ask.bundle, ask.merge, tx, tx.identities)

        await rig.rooms.database.write(interactions.planned_unit(caller, plan, again))
        found = (await patients(rig))[0]
        assert len(asked) == 1
        assert (found["name"][0]["given"], found["birthDate"], found["meta"]["versionId"]) == (
            ["Berta"],
            "1981-02-03",
            "3",
        )


async def test_what_does_not_come_to_its_write_has_no_plan(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED}) as rig:
        assert planned(rig, adt().replace(b"\rPID", b"\rZZZ"))[0] == b""
        assert planned(rig, b"nothing")[0] == b""
        assert planned(rig, adt())[0] != b""


async def test_only_flows_that_end_with_their_write_are_planned_beside(tmp_path: Path) -> None:
    sink = {"sink": "{suture: connection/1, id: sink, uses: mllp, host: 127.0.0.1, port: 9, environment: sandbox}"}
    async with Rig(tmp_path, {"f": SENDS}, sink) as rig:
        version = next(iter(rig.engine.versions.active.values()))
        assert last_write(version) is None
        assert await Beside(rig.rooms.settings).plan(None, version, Subject(message(adt())), 99) is None  # type: ignore[arg-type]


async def test_a_plan_that_asks_for_more_than_identifiers_stays_here(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FEED}) as rig:
        resource = {"resourceType": "Patient", "name": [{"family": "Testperson"}]}
        for request in ({"method": "PUT", "url": "Patient?family=Testperson"}, {"method": "GET", "url": "Patient/1"}):
            bundle = {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"resource": resource, "request": request}],
            }
            made = rig.rooms.interactions.plan(
                policy.flow_caller("feed"), bundle, None, rig.read, rig.rooms.database.identities
            )
            assert wire.write(made) is None


def test_frames_come_in_any_pieces() -> None:
    sent = [b"", b"a", b"x" * 70_000]
    raw, buffer, found = b"".join(frame(one) for one in sent), bytearray(), []
    for at in range(0, len(raw), 3):
        buffer += raw[at : at + 3]
        found += frames(buffer)
    assert found == sent
    assert not buffer
