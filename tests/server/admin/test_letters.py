"""What gave up is replayed or closed from its page."""

from __future__ import annotations

from pathlib import Path

from suture.message import DeliveryState, MessageState, RunState
from suture.store import messages
from suture.store.queue import runs
from tests.connectors.site import Got, Say
from tests.server.admin.console import FLOWS, adt, console

SLOW = {"adt": FLOWS["adt"].replace("20ms..50ms", "60s..60s")}


class Registry:
    """A destination that refuses until it is mended."""

    def __init__(self, status: int = 400) -> None:
        self.status = status
        self.mended = False

    def __call__(self, got: Got) -> Say:
        return Say(200, {"ok": True}) if self.mended else Say(self.status)


async def test_a_dead_letter_is_replayed_from_its_page(tmp_path: Path) -> None:
    registry = Registry()
    async with console(tmp_path, registry) as here:
        await here.send(adt())
        page = await here.page("/deadletters")
        assert "answered 400" in page
        (letter,) = here.letters()
        registry.mended = True
        answer = await here.post(f"/deadletters/{letter.id}/replay", **{"from": "failed", "version": "latest"})
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)
        new, old = runs.find(here.read)
        assert answer.headers["location"] == f"/runs/{new.id}"
        assert (old.state, old.replayed_by, here.letters()) == (RunState.FAILED, new.run, [])
        assert messages.find(here.read)[0].state is MessageState.DONE
        assert "a later run" in await here.page(f"/runs/{old.id}")
        assert "an earlier run" in await here.page(f"/runs/{new.id}")
        assert "Replayed" in await here.page("/deadletters?show=all")
        (row,) = here.trail("replay")
        assert (row.type, row.id, row.outcome) == ("DeadLetter", letter.id, 200)
        assert "already" in (await here.post(f"/deadletters/{letter.id}/replay", 409)).text
        assert (await here.post("/deadletters/none/replay", 404)).status_code == 404


async def test_a_replay_may_begin_at_the_start(tmp_path: Path) -> None:
    registry = Registry()
    async with console(tmp_path, registry) as here:
        await here.send(adt())
        registry.mended = True
        (letter,) = here.letters()
        await here.post(f"/deadletters/{letter.id}/replay", **{"from": "start", "version": "same"})
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)
        assert len(runs.steps(here.read, runs.find(here.read)[0].run)) >= 1
        wrong = await here.post(f"/deadletters/{letter.id}/replay", 400, **{"from": "middle"})
        assert "not one of the choices" in wrong.text


async def test_all_of_a_flow_are_replayed_at_once(tmp_path: Path) -> None:
    registry = Registry()
    async with console(tmp_path, registry) as here:
        await here.send(*[adt(f"M{n}", mrn=str(n)) for n in range(5)])
        assert len(here.letters()) == 5
        registry.mended = True
        told = await here.http.post("/api/deadletters/replay", json={"flow": "admissions"})
        assert told.json() == {"said": "all", "run": "", "count": 5, "left": 0}
        await here.until(lambda: sum(r.state is RunState.DONE for r in runs.find(here.read)) == 5)
        assert sorted(got.json["mrn"] for got in here.site.got[-5:]) == ["0", "1", "2", "3", "4"]
        assert here.letters() == []
        assert (await here.http.post("/api/deadletters/replay", json={})).json()["text"] == "say of which flow"


async def test_one_is_closed_for_a_reason(tmp_path: Path) -> None:
    async with console(tmp_path, Registry()) as here:
        await here.send(adt())
        (letter,) = here.letters()
        assert "a reason is needed" in (await here.post(f"/deadletters/{letter.id}/discard", 400, reason="")).text
        await here.post(f"/deadletters/{letter.id}/discard", reason="sent by fax instead")
        assert here.letters() == []
        assert "sent by fax instead" in await here.page("/deadletters?show=all")
        assert here.trail("discard")[-1].detail == "sent by fax instead"


async def test_a_message_that_no_flow_claimed_can_be_routed_once_one_does(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        (message,) = await here.send(adt().replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12"))
        assert "Route it now" in await here.page(f"/messages/{message.id}")
        assert "no flow claims" in (await here.post(f"/messages/{message.id}/route", 409)).text
    claiming = {"adt": FLOWS["adt"].replace("ADT^*", "ADT^*, SIU^*")}
    async with console(tmp_path, flows=claiming) as here:
        await here.post(f"/messages/{message.id}/route")
        await here.settled()
        assert [run.flow for run in runs.find(here.read)] == ["admissions"]


async def test_an_ambiguous_delivery_is_decided_by_a_person(tmp_path: Path) -> None:
    flows = {"adt": FLOWS["adt"].replace("path: people,", "path: people, on_ambiguous: park,")}
    async with console(tmp_path, lambda got: Say(hang_up=True), flows) as here:
        await here.engine.accept("mllp:0", adt("A"), {})
        await here.until(lambda: here.deliveries(DeliveryState.AMBIGUOUS))
        (one,) = here.deliveries(DeliveryState.AMBIGUOUS)
        assert "It did arrive" in await here.page("/waiting")
        await here.post(f"/deliveries/{one.id}/arrived")
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)
        assert here.trail("arrived")[-1].id == one.id
        assert "waits for nobody" in (await here.post(f"/deliveries/{one.id}/again", 409)).text


async def test_a_delivery_that_is_tried_again_can_be_sent_now(tmp_path: Path) -> None:
    registry = Registry(503)
    async with console(tmp_path, registry, SLOW) as here:
        await here.engine.accept("mllp:0", adt("A"), {})
        await here.until(lambda: here.deliveries(DeliveryState.RETRYING))
        (one,) = here.deliveries(DeliveryState.RETRYING)
        registry.mended = True
        assert "Send now" in await here.page("/waiting")
        await here.post(f"/deliveries/{one.id}/again")
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)


async def test_a_run_that_waits_is_cancelled_for_a_reason_and_replayed(tmp_path: Path) -> None:
    registry = Registry(503)
    async with console(tmp_path, registry, SLOW) as here:
        await here.engine.accept("mllp:0", adt("A"), {})
        await here.until(lambda: here.deliveries(DeliveryState.RETRYING))
        (run,) = runs.find(here.read)
        assert "Cancel this run" in await here.page(f"/runs/{run.id}")
        await here.post(f"/runs/{run.id}/cancel", reason="the registry moved")
        assert runs.find(here.read)[0].state is RunState.CANCELLED
        assert "the registry moved" in await here.page(f"/runs/{run.id}")
        registry.mended = True
        await here.post(f"/runs/{run.id}/replay")
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)
