"""The engine as a whole: what is sent is tried again, kept in order, given up, and replayed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from suture.engine import replay
from suture.engine.replay import Wish
from suture.errors import Conflict
from suture.message import DeliveryState, MessageState, RunState
from suture.store.queue import deliveries, runs
from tests.connectors.site import Got, Say, Site
from tests.engine.rig import FORWARD, Rig, adt, other


@pytest.mark.slow
async def test_a_destination_that_is_down_for_a_while_gets_everything_in_order(tmp_path: Path) -> None:
    down = 4

    def handler(got: Got) -> Say:
        nonlocal down
        down -= 1
        return Say(503) if down >= 0 else Say()

    flow = FORWARD.replace("attempts: 3", "attempts: 9")
    async with Site(handler) as site, Rig(tmp_path, {"f": flow}, other(site.url)) as rig:
        for n in range(5):
            await rig.accept(adt(f"M{n}"))
        await rig.settled(5)
        taken = [got.json["id"] for got in site.got]
        assert list(dict.fromkeys(taken)) == ["M0", "M1", "M2", "M3", "M4"]
        assert taken == ["M0"] * 5 + ["M1", "M2", "M3", "M4"]
        assert len({got.headers["idempotency-key"] for got in site.got[:5]}) == 1
        tries = deliveries.attempts(rig.read, deliveries.of_run(rig.read, rig.runs()[0].run)[0].did)
        assert [t.outcome for t in tries] == [DeliveryState.RETRYING] * 4 + [DeliveryState.DELIVERED]


async def test_what_gives_up_is_a_dead_letter_and_its_lane_goes_on(tmp_path: Path) -> None:
    async with (
        Site(lambda got: Say(503 if got.json["id"] == "M0" else 200)) as site,
        Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig,
    ):
        for n in range(3):
            await rig.accept(adt(f"M{n}"))
        await rig.settled(3)
        assert [(r.state, r.step) for r in rig.runs()] == [
            (RunState.FAILED, "send"),
            (RunState.DONE, "send"),
            (RunState.DONE, "send"),
        ]
        letter = rig.letters()[0]
        assert (letter.flow, letter.step, letter.code) == ("forward", "send", "send-unavailable")
        assert "answered 503" in letter.reason
        assert [got.json["id"] for got in site.got] == ["M0"] * 3 + ["M1", "M2"]


async def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    async with Site(lambda got: Say(400)) as site, Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig:
        await rig.accept(adt())
        await rig.settled(1)
        assert len(site.got) == 1
        assert rig.letters()[0].code == "send-failed"


async def test_lanes_run_side_by_side_and_a_blocked_one_blocks_only_itself(tmp_path: Path) -> None:
    stuck = asyncio.Event()

    async def handler(got: Got) -> Say:
        if got.json["patient"] == "1":
            await stuck.wait()
        return Say()

    async with Site(handler) as site, Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig:
        for n in range(6):
            await rig.accept(adt(f"M{n}", str(1 + n % 2)))
        await rig.until(
            lambda: [got.json["id"] for got in site.got if got.json["patient"] == "2"] == ["M1", "M3", "M5"]
        )
        assert [got.json["id"] for got in site.got if got.json["patient"] == "1"] == ["M0"]
        stuck.set()
        await rig.settled(6)
        assert [got.json["id"] for got in site.got if got.json["patient"] == "1"] == ["M0", "M2", "M4"]


async def test_a_parked_run_lets_its_lane_go_on(tmp_path: Path) -> None:
    down = True
    flow = FORWARD.replace(
        "on_error: {retry: {attempts: 3, backoff: 20ms..50ms}}",
        "on_error: {retry: {attempts: 90, backoff: 20ms..50ms}}\non_blocked: park",
    )
    async with (
        Site(lambda got: Say(503 if down and got.json["id"] == "M0" else 200)) as site,
        Rig(tmp_path, {"f": flow}, other(site.url)) as rig,
    ):
        await rig.accept(adt("M0"))
        await rig.accept(adt("M1"))
        await rig.until(lambda: rig.runs()[1].state is RunState.DONE)
        assert rig.runs()[0].state is RunState.WAITING
        down = False
        await rig.settled(2)


async def test_dead_letter_at_once_when_others_wait(tmp_path: Path) -> None:
    flow = (
        FORWARD.replace("attempts: 3, backoff: 20ms..50ms", "attempts: 90, backoff: 1h..2h")
        + "on_blocked: dead-letter\n"
    )
    async with (
        Site(lambda got: Say(503 if got.json["id"] == "M0" else 200)) as site,
        Rig(tmp_path, {"f": flow}, other(site.url)) as rig,
    ):
        await asyncio.gather(rig.accept(adt("M0")), rig.accept(adt("M1")))
        await rig.settled(2)
        assert [r.state for r in rig.runs()] == [RunState.FAILED, RunState.DONE]


async def test_a_slow_destination_slows_nobody_else(tmp_path: Path) -> None:
    slow = FORWARD.replace("id: forward", "id: slow").replace("connection: other", "connection: slow")
    held = asyncio.Event()

    async def hold(got: Got) -> Say:
        await held.wait()
        return Say()

    async with Site(hold) as tar, Site(lambda got: Say()) as site:
        connections = other(site.url) | {
            "slow": json.dumps({"suture": "connection/1", "id": "slow", "uses": "http", "base": tar.url})
        }
        async with Rig(tmp_path, {"f": FORWARD, "s": slow}, connections) as rig:
            for n in range(50):
                await rig.accept(adt(f"M{n}", str(n)))
            await rig.until(lambda: len(site.got) == 50)
            assert len(tar.got) == 4
            held.set()
            await rig.settled(100)


async def test_steps_after_a_send_see_its_answer_also_after_a_restart(tmp_path: Path) -> None:
    flow = FORWARD.replace(
        "on_error:",
        '  - {id: note, uses: file.write, with: {connection: archive, name: "{{ message.control_id }}.txt", body: "ticket {{ send.body.ticket }}"}}\non_error:',
    ).replace("attempts: 3", "attempts: 99")
    down = True
    archive = {"archive": "{suture: connection/1, id: archive, uses: file, folder: out}"}
    async with Site(
        lambda got: Say(503) if down else Say(201, {"ticket": 7}, {"content-type": "application/json"})
    ) as site:
        rig = Rig(tmp_path, {"f": flow}, other(site.url) | archive)
        await rig.start()
        await rig.accept(adt())
        await rig.until(lambda: site.got)
        await rig.stop()
        down = False
        await rig.start()
        await rig.settled(1)
        assert (tmp_path / "out" / "MSG1.txt").read_text() == "ticket 7"
        assert rig.runs()[0].state is RunState.DONE
        await rig.stop()


async def test_wait_false_lets_later_steps_go_on(tmp_path: Path) -> None:
    flow = FORWARD.replace("{id: send, uses", "{id: send, wait: false, uses").replace(
        "on_error:", "  - {id: note, uses: file.write, with: {connection: archive}}\non_error:"
    )
    archive = {"archive": "{suture: connection/1, id: archive, uses: file, folder: out}"}
    async with Site(lambda got: Say(400)) as site, Rig(tmp_path, {"f": flow}, other(site.url) | archive) as rig:
        await rig.accept(adt())
        await rig.until(lambda: rig.letters())
        await rig.settled(1)
        assert rig.runs()[0].state is RunState.DONE
        assert rig.messages()[0].state is MessageState.FAILED
        assert len(list((tmp_path / "out").iterdir())) == 1


async def test_a_replay_goes_on_at_the_failed_step_and_repeats_nothing(tmp_path: Path) -> None:
    second = FORWARD.replace(
        "on_error:",
        "  - {id: again, uses: http.send, with: {connection: other, path: /again, body: {n: 1}}}\non_error:",
    )
    broken = True
    async with (
        Site(lambda got: Say(400 if broken and got.target == "/again" else 200)) as site,
        Rig(tmp_path, {"f": second}, other(site.url)) as rig,
    ):
        await rig.accept(adt())
        await rig.settled(1)
        assert rig.letters()[0].step == "again"
        broken = False
        letter = rig.letters()[0]
        await rig.rooms.database.write(lambda tx: replay.letter(tx, letter, rig.engine.versions, Wish(by="me")))
        await rig.settled(2)
        assert [got.target for got in site.got] == ["/", "/again", "/again"]
        assert [r.state for r in rig.runs()] == [RunState.FAILED, RunState.DONE]
        assert rig.messages()[0].state is MessageState.DONE
        assert [(d.open, d.closed_by) for d in rig.letters(open=None)] == [(False, "me")]
        with pytest.raises(Conflict, match="replayed or discarded already"):
            await rig.rooms.database.write(
                lambda tx: replay.letter(tx, rig.letters(open=None)[0], rig.engine.versions, Wish())
            )


async def test_a_replay_from_the_start_takes_the_same_or_the_latest_version(tmp_path: Path) -> None:
    async with Site(lambda got: Say()) as site:
        rig = Rig(
            tmp_path, {"f": FORWARD.replace('id: "{{ message.control_id }}"', 'id: "{{ PID-30.1 }}"')}, other(site.url)
        )
        await rig.start()
        await rig.accept(adt())
        await rig.settled(1)
        assert "gave no value" in rig.letters()[0].reason
        old = rig.runs()[0]
        await rig.stop()
        (tmp_path / "flows" / "f.yaml").write_text(FORWARD)
        await rig.start()
        same = await rig.rooms.database.write(
            lambda tx: replay.run(tx, old, rig.engine.versions, Wish(start=True, latest=False))
        )
        await rig.settled(2)
        again = runs.get(rig.read, same.run)
        assert again is not None
        assert (again.state, again.version) == (RunState.FAILED, old.version)
        await rig.rooms.database.write(lambda tx: replay.run(tx, again, rig.engine.versions, Wish(start=True)))
        await rig.settled(3)
        assert [got.json["id"] for got in site.got] == ["MSG1"]
        assert rig.runs()[2].version != old.version
        await rig.stop()


async def test_a_lost_answer_is_parked_when_the_connection_says_so(tmp_path: Path) -> None:
    lost = True
    async with (
        Site(lambda got: Say(hang_up=lost)) as site,
        Rig(tmp_path, {"f": FORWARD}, other(site.url, on_ambiguous="park")) as rig,
    ):
        await rig.accept(adt())
        await rig.until(lambda: deliveries.find(rig.read, state=DeliveryState.AMBIGUOUS))
        found = deliveries.find(rig.read, state=DeliveryState.AMBIGUOUS)[0]
        assert rig.runs()[0].state is RunState.WAITING
        lost = False
        await rig.rooms.database.write(lambda tx: deliveries.send_again(tx, found.did))
        await rig.settled(1)
        assert len(site.got) == 2


async def test_a_lost_answer_that_did_arrive_needs_no_second_send(tmp_path: Path) -> None:
    async with (
        Site(lambda got: Say(hang_up=True)) as site,
        Rig(tmp_path, {"f": FORWARD}, other(site.url, on_ambiguous="park")) as rig,
    ):
        await rig.accept(adt())
        await rig.until(lambda: deliveries.find(rig.read, state=DeliveryState.AMBIGUOUS))
        found = deliveries.find(rig.read, state=DeliveryState.AMBIGUOUS)[0]
        await rig.rooms.database.write(lambda tx: replay.arrived(tx, found))
        await rig.settled(1)
        assert rig.runs()[0].state is RunState.DONE
        assert len(site.got) == 1


async def test_a_lost_answer_is_sent_again_by_default(tmp_path: Path) -> None:
    answers = iter([True, False])
    async with (
        Site(lambda got: Say(hang_up=next(answers))) as site,
        Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig,
    ):
        await rig.accept(adt())
        await rig.settled(1)
        tries = deliveries.attempts(rig.read, deliveries.of_run(rig.read, rig.runs()[0].run)[0].did)
        assert [t.outcome for t in tries] == [DeliveryState.AMBIGUOUS, DeliveryState.DELIVERED]
        assert site.got[0].headers["idempotency-key"] == site.got[1].headers["idempotency-key"]
