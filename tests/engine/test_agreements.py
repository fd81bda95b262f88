"""Nothing goes to a partner without an agreement, nothing is lost over it, and what waited goes out by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.access import agreements
from suture.message import DeliveryState
from suture.store.queue import deliveries
from tests.connectors.site import Say, Site
from tests.engine.rig import Rig, adt, other

FLOW = """suture: flow/1
id: out
source: {uses: mllp.listen}
order_by: PID-3.1
steps:
  - {id: send, uses: http.send, with: {connection: other, body: {text: hello}}}
on_error: {retry: {attempts: 2, backoff: 20ms..20ms}}
"""


async def test_what_waits_for_an_agreement_goes_out_once_there_is_one(tmp_path: Path) -> None:
    async with Site(lambda got: Say(200)) as site:
        rows = {"partner": "lakeside"}
        async with Rig(tmp_path, {"out": FLOW}, other(site.url, **rows), session__recheck=0.05) as rig:
            assert await rig.send(adt("M1"), adt("M2")) == ["AA", "AA"]

            def tried() -> bool:
                found = deliveries.find(rig.read, state=DeliveryState.RETRYING)
                return bool(found) and found[0].attempts > 4

            await rig.until(tried)
            assert site.got == []
            assert rig.letters() == []
            held = deliveries.find(rig.read, state=DeliveryState.RETRYING)[0]
            assert "no agreement in force with 'lakeside'" in held.error
            database = rig.rooms.database
            await database.write(agreements.add_partner("lakeside", "", "", "user:1"))
            await database.write(agreements.add_agreement("lakeside", "BAA", "2020-01-01", "", "", "user:1"))
            await rig.settled(2)
            assert len(site.got) == 2
            assert deliveries.find(rig.read, state=DeliveryState.RETRYING) == []


async def test_a_poll_asks_nothing_without_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flow = """suture: flow/1
id: in
source: {uses: fhir.poll, with: {connection: other, type: Patient, every: 30ms}}
steps:
  - {id: keep, uses: filter, with: {when: "true"}}
"""
    async with Site(lambda got: Say(200, {"resourceType": "Bundle", "type": "searchset"})) as site:
        connection = {"other": f"{{suture: connection/1, id: other, uses: fhir, base: {site.url}, partner: lakeside}}"}
        async with Rig(tmp_path, {"in": flow}, connection, session__recheck=0.05) as rig:
            database = rig.rooms.database
            await database.write(agreements.add_partner("lakeside", "", "", "user:1"))
            await rig.until(lambda: caplog.text.count("no-agreement") >= 3)  # its turn came, and came again
            assert site.got == []
            until = rig.clock.micros() + 60_000_000
            await database.write(agreements.override("other", "a try before the paper", until, "user:1"))
            await rig.until(lambda: site.got)
