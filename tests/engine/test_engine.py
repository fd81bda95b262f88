"""The engine as a whole: accepted durably, walked in order, listed when nobody claims it; nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from suture.engine import engine, replay
from suture.engine.intake import SEAL
from suture.errors import Conflict, NotFound, TooLarge, Unauthenticated
from suture.message import DeliveryState, MessageState, RunState
from suture.store import messages, vault
from suture.store.queue import deliveries
from tests.connectors.site import Got, Say, Site
from tests.engine.rig import FORWARD, Rig, adt, other


async def test_a_message_is_acknowledged_walked_and_delivered(tmp_path: Path) -> None:
    async with Site(lambda got: Say(200, {"ok": True})) as site, Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig:
        assert await rig.send(adt("A"), adt("B", "2")) == ["AA", "AA"]
        await rig.settled(2)
        assert [got.json for got in site.got] == [{"id": "A", "patient": "100234"}, {"id": "B", "patient": "2"}]
        assert [m.state for m in rig.messages()] == [MessageState.DONE] * 2
        assert [m.control_id for m in rig.messages(patient="2")] == ["B"]


async def test_the_same_message_is_taken_once_and_gets_the_same_answer(tmp_path: Path) -> None:
    async with Site(lambda got: Say()) as site, Rig(tmp_path, {"f": FORWARD}, other(site.url)) as rig:
        first, again = await rig.accept(adt()), await rig.accept(adt())
        changed = await rig.accept(adt(given="Berta"))
        await rig.settled(2)
        assert (again.message_id, again.duplicate, again.answer) == (first.message_id, True, first.answer)
        assert b"MSA|AA|MSG1" in first.answer
        assert not changed.duplicate
        assert [bool(m.same_as) for m in rig.messages()] == [False, True]
        assert len(site.got) == 2


async def test_what_nobody_claims_is_acknowledged_and_listed(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FORWARD}, other("http://127.0.0.1:1")) as rig:
        assert await rig.send(adt().replace(b"ADT^A01^ADT_A01", b"SIU^S12^SIU_S12")) == ["AA"]
        assert [m.state for m in rig.messages()] == [MessageState.UNROUTED]
        assert rig.runs() == []


async def test_what_is_broken_is_refused_and_kept(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FORWARD}, other("http://127.0.0.1:1")) as rig:
        receipt = await rig.accept(b"MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B")
        assert "second MSH" in receipt.rejected
        assert [m.state for m in rig.messages()] == [MessageState.FAILED]
        assert [(d.code, d.step) for d in rig.letters()] == [("invalid-message", "")]


async def test_flows_share_a_port_and_each_takes_what_it_claims(tmp_path: Path) -> None:
    filtered = FORWARD.replace("id: forward", "id: second").replace(
        "steps:", "steps:\n  - {id: ours, uses: filter, with: {when: \"PV1-2 = 'O'\"}}"
    )
    async with Site(lambda got: Say()) as site, Rig(tmp_path, {"f": FORWARD, "g": filtered}, other(site.url)) as rig:
        await rig.send(adt())
        await rig.settled(2)
        assert [(r.flow, r.state, r.error) for r in rig.runs()] == [
            ("forward", RunState.DONE, ""),
            ("second", RunState.DONE, "filtered at ours"),
        ]
        assert [m.state for m in rig.messages()] == [MessageState.DONE]
        assert len(site.got) == 1


async def test_a_message_every_flow_filters_is_filtered(tmp_path: Path) -> None:
    flow = FORWARD.replace("steps:", "steps:\n  - {id: ours, uses: filter, with: {when: \"PV1-2 = 'O'\"}}")
    async with Rig(tmp_path, {"f": flow}, other("http://127.0.0.1:1")) as rig:
        await rig.send(adt())
        await rig.settled(1)
        assert [m.state for m in rig.messages()] == [MessageState.FILTERED]


async def test_a_reason_that_reads_like_a_filter_is_only_a_reason(tmp_path: Path) -> None:
    released: list[bool] = []
    waits = FORWARD.replace("20ms..50ms", "1h..1h")
    second = FORWARD.replace("id: forward", "id: second").replace("attempts: 3", "attempts: 900")
    second = second.replace("on_error:", '  - {id: none, uses: filter, with: {when: "false"}}\non_error:')
    site = Site(lambda got: Say(200 if released and "second" in got.target else 503))
    async with (
        site,
        Rig(tmp_path, {"f": waits, "g": second.replace("body:", "path: second, body:")}, other(site.url)) as rig,
    ):
        await rig.accept(adt())
        await rig.until(
            lambda: any(d.state is DeliveryState.RETRYING for d in deliveries.of_run(rig.read, rig.runs()[0].run))
        )
        rig.rooms.database.write_now(lambda tx: replay.cancel(tx, rig.runs()[0], "filtered by hand"))
        released.append(True)
        await rig.until(lambda: rig.runs()[1].ended)
        assert [(r.state, r.filtered) for r in rig.runs()] == [(RunState.CANCELLED, False), (RunState.DONE, True)]
        assert [m.state for m in rig.messages()] == [MessageState.DONE]


HOOK = """suture: flow/1
id: intake
source: {uses: http.listen, with: {secret: secret:intake, proof: bearer, max_body: 1kB, patient: patient.mrn, type: kind}}
steps:
  - {id: send, uses: http.send, with: {connection: other, body: {name: "{{ patient.name }}", age: "{{ patient.age }}"}}}
"""


async def test_a_webhook_is_proved_kept_and_walked(tmp_path: Path) -> None:
    async with Site(lambda got: Say()) as site, Rig(tmp_path, {"h": HOOK}, other(site.url)) as rig:
        await rig.rooms.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
        good = {"authorization": "Bearer s3cret", "idempotency-key": "e1"}
        body = b'{"kind": "intake", "patient": {"mrn": "77", "name": "Alma", "age": 41}}'
        first = await rig.engine.hook("intake", good, body)
        again = await rig.engine.hook("intake", good, body)
        await rig.settled(1)
        assert (again.message_id, again.duplicate) == (first.message_id, True)
        assert [got.json for got in site.got] == [{"name": "Alma", "age": 41}]
        assert [(m.type, m.control_id) for m in rig.messages(patient="77")] == [("intake", "e1")]
        with pytest.raises(Conflict, match="another body"):
            await rig.engine.hook("intake", good, body.replace(b"41", b"42"))
        with pytest.raises(Unauthenticated):
            await rig.engine.hook("intake", {"authorization": "Bearer no"}, body)
        with pytest.raises(TooLarge):
            await rig.engine.hook("intake", good, b" " * 1001)
        with pytest.raises(NotFound):
            await rig.engine.hook("other", good, body)
        broken = await rig.engine.hook("intake", {"authorization": "Bearer s3cret"}, b"{")
        assert broken.rejected


async def test_a_backlog_larger_than_memory_is_walked_from_the_database(tmp_path: Path) -> None:
    async with (
        Site(lambda got: Say()) as site,
        Rig(tmp_path, {"f": FORWARD}, other(site.url), engine__workers=2) as rig,
    ):
        await asyncio.gather(*(rig.accept(adt(f"M{n}", str(n % 7))) for n in range(300)))
        await rig.settled(300, 30)
        assert len(site.got) == 300
        for patient in range(7):
            mine = [int(got.json["id"][1:]) for got in site.got if got.json["patient"] == str(patient)]
            assert mine == sorted(mine)


async def test_a_fault_of_ours_loses_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Rig(tmp_path, {"f": FORWARD}, other("http://127.0.0.1:1")) as rig:

        def fault(*_: Any) -> Any:
            raise KeyError("x")

        monkeypatch.setattr("suture.engine.steps.sends._body", fault)
        await rig.accept(adt())
        await rig.settled(1)
        assert [(d.code, d.reason) for d in rig.letters()] == [("internal", "an error of Suture itself: KeyError")]


async def test_a_signed_webhook_that_is_sent_again_is_the_same_event(tmp_path: Path) -> None:
    flow = HOOK.replace(", proof: bearer", "")
    async with Site(lambda got: Say()) as site, Rig(tmp_path, {"h": flow}, other(site.url)) as rig:
        await rig.rooms.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
        body, now = b'{"patient": {"name": "Alma", "age": 41}}', str(rig.rooms.clock.micros() // 1_000_000)
        proof = hmac.new(b"s3cret", now.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"x-timestamp": now, "x-signature": proof}
        assert not (await rig.engine.hook("intake", headers, body)).duplicate
        assert (await rig.engine.hook("intake", headers, body)).duplicate


async def test_a_signature_with_a_time_counts_once_whatever_id_comes_with_it(tmp_path: Path) -> None:
    flow = HOOK.replace(", proof: bearer", "")
    async with Site(lambda got: Say()) as site, Rig(tmp_path, {"h": flow}, other(site.url)) as rig:
        await rig.rooms.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
        body, start = b'{"patient": {"name": "Alma", "age": 41}}', rig.rooms.clock.micros() // 1_000_000

        def signed(second: int, body: bytes = body) -> dict[str, str]:
            time = str(start + second)
            proof = hmac.new(b"s3cret", time.encode() + b"." + body, hashlib.sha256)
            return {"x-timestamp": time, "x-signature": proof.hexdigest()}

        first = await rig.engine.hook("intake", {**signed(0), "idempotency-key": "e1"}, body)
        upper = {"x-timestamp": str(start), "x-signature": "sha256=" + signed(0)["x-signature"].upper()}
        for again in (
            {**signed(0), "idempotency-key": "e2"},
            signed(0),
            {**upper, "idempotency-key": "e3"},
            {**signed(1), "idempotency-key": "e1"},  # an honest retry, signed anew
            {**signed(1), "idempotency-key": "e4"},  # and its signature, replayed
        ):
            receipt = await rig.engine.hook("intake", again, body)
            assert (receipt.duplicate, receipt.message_id) == (True, first.message_id)
        assert not (await rig.engine.hook("intake", {**signed(2), "idempotency-key": "e2"}, body)).duplicate
        broken = [await rig.engine.hook("intake", signed(3, b"[") | {"idempotency-key": k}, b"[") for k in "ab"]
        assert all(receipt.rejected for receipt in broken)
        assert len(rig.messages()) == 3
        assert all(SEAL not in one.attributes for one in rig.messages())


async def test_deliveries_of_a_connection_that_is_gone_become_dead_letters(tmp_path: Path) -> None:
    flow = FORWARD.replace("attempts: 3, backoff: 20ms..50ms", "attempts: 9, backoff: 1ms..2ms")
    async with Site(lambda got: Say(503)) as site:
        rig = Rig(tmp_path, {"f": flow.replace("1ms..2ms", "1s..1s")}, other(site.url))
        await rig.start()
        await rig.accept(adt())
        await rig.until(lambda: site.got)
        await rig.stop()
        (tmp_path / "connections" / "other.yaml").unlink()
        (tmp_path / "flows" / "f.yaml").unlink()
        await rig.start()
        await rig.settled(1)
        assert "no connection named 'other'" in rig.letters()[0].reason
        await rig.stop()


async def test_a_fault_of_ours_in_a_write_ends_the_run_and_its_lane_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = """suture: flow/1
id: keep
source: {uses: mllp.listen, with: {messages: [ADT^*], system: "urn:test:lakeside"}}
steps:
  - {id: chart, uses: map, with: {map: hl7v2/ADT_A01}}
  - {id: save, uses: fhir.write}
"""
    async with Rig(tmp_path, {"f": flow}) as rig:
        chart = rig.rooms.interactions
        sound = chart.transaction_unit
        for ended, fault in enumerate((lambda *_: {}["x"], lambda *_: lambda tx: {}["x"]), 1):
            monkeypatch.setattr(chart, "transaction_unit", fault)
            await rig.accept(adt(f"BAD{ended}"))
            await rig.settled(ended)
        monkeypatch.setattr(chart, "transaction_unit", sound)
        await rig.accept(adt("GOOD"))
        await rig.settled(3)
        assert [(d.step, d.code) for d in rig.letters()] == [("save", "internal")] * 2
        assert rig.messages()[-1].state is MessageState.DONE


async def test_what_never_went_out_is_not_ambiguous_after_a_stop(tmp_path: Path) -> None:
    held, begun = asyncio.Event(), asyncio.Event()

    async def hold(got: Got) -> Say:
        begun.set()
        await held.wait()
        return Say()

    async with Site(hold) as site:
        connection = other(site.url, on_ambiguous="park", concurrency=1)
        rig = Rig(tmp_path, {"f": FORWARD}, connection, engine__send_timeout=0.2)
        await rig.start()
        for n in range(5):
            await rig.accept(adt(f"M{n}", str(n)))
        await begun.wait()
        await rig.stop()
        held.set()
        await rig.start()
        await rig.settled(4)
        assert len(deliveries.find(rig.read, state=DeliveryState.AMBIGUOUS)) == 1
        assert sorted(got.json["id"] for got in site.got) == [f"M{n}" for n in range(5)]
        await rig.stop()


async def test_a_queue_that_fails_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "AGAIN", 0.0)
    turns: list[int] = []

    async def work() -> None:
        turns.append(len(turns))
        if len(turns) < 3:
            raise KeyError("x")

    await engine.kept(work)
    assert turns == [0, 1, 2]


async def test_what_the_journal_is_searched_by_stays_small_whatever_comes(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FORWARD.replace("ADT^*", "SIU^*")}, other("http://127.0.0.1:1")) as rig:
        many = "~".join(f"{n}^^^X" for n in range(500))
        await rig.accept(adt("C" * 5000, many).replace(b"ADT^A01^ADT_A01", b"Q" * 5000))
        found = rig.messages()[0]
        assert (found.type, len(found.control_id)) == ("other", 64)
        assert len(rig.messages(patient="7")) == 1
        assert len(messages.patients_of(rig.read, found.mid)) == 50
