"""Messages go when their flow's keeping is over and they are done with; what is open stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from suture.clock import SetClock
from suture.engine.retention import Retention, longest
from suture.store import messages
from tests.engine.rig import Rig, adt

FLOW = """
suture: flow/1
id: {id}
source: {{uses: mllp.listen, with: {{messages: [ADT^A01]}}}}
steps: [{{id: chart, uses: map, with: {{map: hl7v2/ADT_A01}}}}, {{id: save, uses: fhir.write}}]
retention: {{messages: {keep}}}
"""
DAY = 86_400.0


def _later(days: float) -> SetClock:
    clock = SetClock(datetime.now(UTC))
    clock.advance(days * DAY)
    return clock


async def test_what_is_done_goes_and_a_dead_letter_stays(tmp_path: Path) -> None:
    async with Rig(tmp_path, flows={"a": FLOW.format(id="a", keep="2d")}) as rig:
        await rig.send(adt("OK"))
        await rig.send(adt("NOBODY").replace(b"100234^^^LAKESIDE^MR", b""))
        await rig.settled(2)
        sources = rig.engine.accept.doors.flows
        assert await Retention(rig.rooms.database, sources, 1.0, _later(1)).sweep() == 0
        assert await Retention(rig.rooms.database, sources, 1.0, _later(3)).sweep() == 1
        left = [entry.control_id for entry in messages.find(rig.read)]
    assert left == ["NOBODY"]


async def test_flows_that_share_a_source_keep_as_long_as_the_longest(tmp_path: Path) -> None:
    flows = {"a": FLOW.format(id="a", keep="2d"), "b": FLOW.format(id="b", keep="9d")}
    async with Rig(tmp_path, flows=flows) as rig:
        (versions,) = rig.engine.accept.doors.flows.values()
        assert longest(versions) == 9 * DAY
    async with Rig(tmp_path, flows={"b": FLOW.format(id="b", keep="forever")}) as rig:
        (versions,) = rig.engine.accept.doors.flows.values()
        assert longest(versions) is None
