"""Takes messages in: each is journalled with its runs in one commit, and only then its sender hears of it.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/MessageStore.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from suture.clock import Clock, new_id
from suture.engine.doors import KINDS, Arrival, Doors
from suture.engine.runner import FOR_EVER, Runner
from suture.engine.subject import JSON, Subject
from suture.engine.walk import Version
from suture.errors import Conflict, SutureError
from suture.message import Message, MessageState
from suture.ports import Receipt
from suture.standards.hl7v2 import ack
from suture.standards.hl7v2 import message as hl7v2
from suture.store import accounts, messages
from suture.store.connection import Tx
from suture.store.database import Database
from suture.store.queue import dead, runs
from suture.store.queue.runs import Run

SEAL = "seal"  # the attribute of a source whose messages count once whatever id they carry; it is not journalled


class Seal(NamedTuple):
    """What a message counts once by, for `life` seconds; sealed in the commit that journals it."""

    key: str
    life: float


class Intake:
    """`accept` is the port that every source calls."""

    def __init__(self, database: Database, runner: Runner, doors: Doors, clock: Clock) -> None:
        self.database = database
        self.runner = runner
        self.doors = doors
        self.clock = clock

    async def __call__(self, source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
        """Journals one original; raises Unavailable when it could not be made durable."""
        kind, known = KINDS[source.partition(":")[0]], dict(attributes)
        seal: Seal | None = known.pop(SEAL, None)
        arrival = self.doors.arrival(Message(new_id(self.clock), source, kind, original, 0, attributes=known))
        if arrival.broken is not None:
            return await self._broken(arrival, arrival.broken, seal)
        claims = self.doors.claims(arrival)
        answer = self._answer(arrival)
        accepted, begun = await self.database.write(lambda tx: self._journal(tx, arrival, claims, answer, seal))
        subject = Subject(arrival.message, arrival.charset, arrival.parsed)
        for run in begun:
            self.runner.begin(run, subject)
        return Receipt(accepted.id, accepted.duplicate, accepted.answer)

    def _answer(self, arrival: Arrival) -> bytes:
        if not isinstance(arrival.parsed, hl7v2.Message):
            return b""
        code = ack.code(arrival.parsed, ack.Outcome.ACCEPT)
        return ack.build(arrival.parsed, code, now=self.clock.now(), control_id=arrival.message.id) if code else b""

    # --- the one commit

    def _journal(
        self,
        tx: Tx,
        arrival: Arrival,
        claims: Sequence[tuple[Version, str]],
        answer: bytes,
        seal: Seal | None = None,
    ) -> tuple[messages.Accepted, list[Run]]:
        message = arrival.message
        if seal and (first := sealed(tx, seal)):
            return first, []
        accepted = messages.accept(tx, message, sender=arrival.sender, answer=answer)
        if seal:
            accounts.first_time(tx, seal.key, seal.life, accepted.id.encode())
        if accepted.duplicate:
            return accepted, []
        if accepted.same_as and message.kind == JSON:
            raise Conflict(
                "this event id was used with another body",
                where="Idempotency-Key",
                mend="Give each event an id of its own.",
            )
        message.received = accepted.mid
        message.duplicate_of = accepted.same_as
        if not claims:
            messages.set_state(tx, accepted.mid, MessageState.UNROUTED)
        hold = {} if self.runner.crowded else {"owner": self.runner.owner, "lease": FOR_EVER}
        begun = [runs.insert(tx, accepted.mid, v.flow.id, version=v.name, lane=lane, **hold) for v, lane in claims]  # type: ignore[arg-type]
        return accepted, [run for run in begun if run.owner]

    async def _broken(self, arrival: Arrival, error: SutureError, seal: Seal | None) -> Receipt:
        """What is broken in structure is kept and listed, and its sender is told."""
        arrival.message.control_id = ""

        def unit(tx: Tx) -> messages.Accepted:
            if seal and (first := sealed(tx, seal)):
                return first
            accepted = messages.accept(tx, arrival.message)
            if seal:
                accounts.first_time(tx, seal.key, seal.life, accepted.id.encode())
            messages.set_state(tx, accepted.mid, MessageState.FAILED)
            dead.bury(tx, mid=accepted.mid, run=0, flow="", step="", code=error.code, reason=str(error))
            return accepted

        accepted = await self.database.write(unit)
        return Receipt(accepted.id, False, b"", str(error), error)


def sealed(tx: Tx, seal: Seal) -> messages.Accepted | None:
    """The message that came under this seal before, as a duplicate."""
    id = accounts.value_of(tx, seal.key).decode()
    return messages.Accepted(0, id, True) if id else None
