"""Replays what failed: from the failed step or from the start, with the flow as it was or as it is now; finished effects are not repeated.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/DeadLetterChannel.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suture.engine.doors import Doors
from suture.engine.versions import Versions
from suture.errors import Conflict, Invalid, NotFound
from suture.message import DeliveryState, MessageState, RunState
from suture.standards.fhir import json
from suture.store import messages
from suture.store.commit import run_unit
from suture.store.connection import Connection, Tx
from suture.store.queue import dead, deliveries, runs
from suture.store.queue.dead import DeadLetter
from suture.store.queue.deliveries import Attempt, Delivery
from suture.store.queue.runs import Run


@dataclass(frozen=True, slots=True)
class Wish:
    """How to replay: `start` repeats everything, else kept outputs stay; `latest` takes the flow as it is now."""

    start: bool = False
    latest: bool = True
    by: str = "system"


def run(tx: Tx, old: Run, versions: Versions, wish: Wish) -> Run:
    """A new run of an ended one; its dead letters are closed by it."""
    if old.state in (RunState.RUNNING, RunState.WAITING):
        raise Conflict("this run has not ended", where=f"run {old.id}", mend="Wait for it, or cancel it first.")
    if old.replayed_by:
        raise Conflict("this run was replayed already", where=f"run {old.id}", mend="Replay its latest run.")
    new = runs.insert(tx, old.mid, old.flow, version=_version(old, versions, wish), lane=old.lane, replay_of=old.run)
    if not wish.start:
        runs.keep_steps(tx, new.run, runs.steps(tx, old.run), 1)
    for letter in dead.of_run(tx, old.run):
        if letter.open:
            dead.close(tx, letter.id, wish.by, replay=new.run)
    messages.set_state(tx, old.mid, MessageState.RECEIVED)
    return new


def _version(old: Run, versions: Versions, wish: Wish) -> str:
    if not wish.latest:
        return old.version
    active = versions.active.get(old.flow)
    if active is None:
        raise NotFound(f"the project has no flow '{old.flow}' any more", where="flows", mend="Use --version same.")
    return active.name


def letter(tx: Tx, one: DeadLetter, versions: Versions, wish: Wish) -> Run:
    """Replays the run of a dead letter, or only its delivery's run when nobody waited for it."""
    if not one.open:
        raise Conflict("this dead letter was replayed or discarded already", where=f"dead letter {one.id}")
    old = runs.get(tx, one.run) if one.run else None
    if old is None:
        raise Invalid(
            "this message is broken in structure; no flow can take it",
            where=f"dead letter {one.id}",
            mend="Have it sent again in order, then: suture deadletters discard ID",
        )
    if old.state in (RunState.DONE, RunState.RUNNING, RunState.WAITING) and one.did:
        _resend(tx, one, wish)
        return old
    return run(tx, old, versions, wish)


def letters(tx: Tx, found: Sequence[DeadLetter], versions: Versions, wish: Wish) -> int:
    """Replays several; one that can't be is left as it is. Returns how many were."""
    done = 0
    for one in found:
        try:
            run_unit(tx, lambda inner, one=one: letter(inner, one, versions, wish))  # type: ignore[misc]
            done += 1
        except (Conflict, Invalid, NotFound):
            continue  # it stays in the list with its reason
    return done


def _resend(tx: Tx, one: DeadLetter, wish: Wish) -> None:
    """Sends a delivery that no run waited for once more: the same bytes to the same connection."""
    old = deliveries.get(tx, one.did)
    if old is None:
        raise NotFound("its delivery is no longer kept", where=f"dead letter {one.id}")
    deliveries.enqueue(
        tx, run=old.run, mid=old.mid, step=old.step, connection=old.connection, content=deliveries.content(tx, old.did),
        content_type=old.content_type, lane=old.lane, attributes=old.attributes,
    )  # fmt: skip
    dead.close(tx, one.id, wish.by, replay=old.run)
    messages.set_state(tx, old.mid, MessageState.RECEIVED)


def message(tx: Tx, mid: int, doors: Doors) -> list[Run]:
    """Routes a message that no flow claimed, once there is one that does."""
    found = doors.route(tx, messages.message(tx, mid))
    if not found:
        raise Conflict(
            "no flow claims this message", where="messages", mend="Add its type to a flow's source, then replay it."
        )
    messages.set_state(tx, mid, MessageState.RECEIVED)
    return found


def cancel(tx: Tx, one: Run, reason: str) -> None:
    """Ends a run that waits, and its sends that wait; the next one of its lane goes on."""
    waiting = [d for d in deliveries.of_run(tx, one.run) if not d.ended]
    if any(d.state is DeliveryState.SENDING for d in waiting):
        raise Conflict("it is being sent right now", where=f"run {one.id}", mend="Try again in a moment.")
    for delivery in waiting:
        deliveries.dead(tx, delivery.did, None, f"cancelled: {reason}")
    runs.cancel(tx, one.run, reason)


def arrived(tx: Tx, one: Delivery) -> None:
    """Somebody has looked: an ambiguous delivery did arrive; its run goes on."""
    if one.state is not DeliveryState.AMBIGUOUS:
        raise Conflict("this delivery is not ambiguous", where=f"delivery {one.id}")
    waiting = deliveries.delivered(tx, one.did, Attempt(tx.now, 0, DeliveryState.DELIVERED, b"", "confirmed by hand"))
    turn = len(runs.steps(tx, waiting, outputs=False)) + 1
    output = json.write({"output": {"confirmed": True}})
    runs.keep_steps(tx, waiting, [runs.Step(one.step, output, tx.now, 0)], turn)
    runs.wake(tx, waiting)


def open_letters(connection: Connection, flow: str) -> Sequence[DeadLetter]:
    """All open dead letters of a flow that have a run, the oldest first."""
    found, before = [], 1 << 62
    while page := dead.find(connection, flow=flow, before=before, count=500):
        found += [one for one in page if one.run]
        before = page[-1].dlid
    return found[::-1]
