"""Sends what a subscription is owed: the handshake, its events in order, heartbeats; every send judged anew and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from suture.access.agreements import NoAgreement
from suture.access.caller import Caller
from suture.clock import instant, new_id
from suture.connectors.outbound import Outbound
from suture.errors import Forbidden, OutboundRefused, SendFailed, SutureError
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.admission import PURPOSE, Permit
from suture.services.subscriptions.compose import Told, compose
from suture.services.subscriptions.owners import Owners
from suture.services.subscriptions.registry import Entry
from suture.standards.fhir import json, notification
from suture.standards.fhir.notification import State
from suture.standards.fhir.subscription import ACTIVE, ERROR, REQUESTED, TYPE
from suture.store import audit, resources, subscriptions, whose
from suture.store.connection import Tx
from suture.store.subscriptions import Subscription

NOTIFY = "notify"  # in the audit trail
AT_ONCE = 20  # events in one notification, unless the subscription says fewer or more


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification that is ready to go."""

    kind: str
    body: bytes
    told: Told
    upto: int  # the last event it holds
    patients: tuple[str, ...] = ()


class Courier:
    """Tends one subscription at a time; many couriers' sends run beside each other."""

    def __init__(self, chart: Chart, owners: Owners, outbound: Outbound, permit: Permit) -> None:
        self._chart = chart
        self._owners = owners
        self._outbound = outbound
        self._permit = permit

    async def tend(self, entry: Entry, beat: bool = False) -> None:
        """Sends the next thing; what goes wrong is kept for the next try, or turns the subscription to error."""
        kept = subscriptions.get(self._chart.database.read, entry.kept.rid)
        if kept is None or kept.version != entry.kept.version:
            return
        if kept.held:  # whoever holds a websocket is sent to from there
            await self._begin(kept)
            return
        try:
            caller = self._owners.caller(self._chart.database.read, kept.owner)
            letter = self._letter(kept, entry, caller, _kind(kept, beat))
        except Forbidden as error:
            await self.turn(kept, ERROR, error.text)
            return
        try:
            await self._send(kept, entry, caller, letter)
        except (SendFailed, NoAgreement) as error:
            await self._failed(kept, error)
            return
        if kept.status == REQUESTED:
            await self.turn(kept, ACTIVE)
        else:
            await self._chart.database.write(lambda tx: subscriptions.delivered(tx, kept.rid, letter.upto))

    async def _begin(self, kept: Subscription) -> None:
        """A subscription without an endpoint has nobody to shake hands with yet."""
        if kept.status == REQUESTED:
            await self.turn(kept, ACTIVE)

    async def told(self, kept: Subscription, entry: Entry, kind: str, sent: int = 0) -> Letter:
        """What a websocket is about to be sent, written down; raises Forbidden when its owner is let in no longer."""
        caller = self._owners.caller(self._chart.database.read, kept.owner)
        at = replace(kept, sent=sent) if kind == notification.EVENT else kept
        letter = self._letter(at, entry, caller, kind)
        async with self._chart.access(caller, NOTIFY, TYPE, kept.id) as access:
            access.detail = f"{kind} through a websocket"
            access.concerns(letter.patients)
        return letter

    def _letter(self, kept: Subscription, entry: Entry, caller: Caller, kind: str) -> Letter:
        wanted, connection = entry.wanted, self._chart.database.read
        told, upto = Told(), kept.sent
        if kind == notification.EVENT:
            found = subscriptions.events(connection, kept.rid, kept.sent + 1, kept.events, wanted.most or AT_ONCE)
            told = compose(connection, caller, wanted.topic, found, wanted.content)
            upto = told.events[-1].number if told.events else kept.events  # those before were let go
        state = State(kept.id, wanted.topic.url, kept.status, kept.events, wanted.content)
        return Letter(kind, self._bundle(state, kind, told), told, upto, whose.of_rows(connection, told.rows))

    def _bundle(self, state: State, kind: str, told: Told) -> bytes:
        ids, now = (new_id(self._chart.clock) for _ in range(2)), instant(self._chart.clock.micros())
        return json.write(notification.bundle(state, kind, self._chart.fhir_url, ids, now, told.events))

    async def _send(self, kept: Subscription, entry: Entry, caller: Caller, letter: Letter) -> None:
        wanted, settings = entry.wanted, self._chart.settings
        async with self._chart.access(caller, NOTIFY, TYPE, kept.id) as access:
            access.detail = f"{letter.kind} to {urlsplit(wanted.endpoint).hostname}"
            access.concerns(letter.patients)
            self._permit(wanted.endpoint)
            answer = await self._outbound.fetch(
                wanted.endpoint,
                purpose=PURPOSE,
                method="POST",
                headers={**dict(wanted.headers), "Content-Type": wanted.payload},
                content=letter.body,
                timeout=float(wanted.timeout or settings["outbound.timeout"]),
            )
            if not 200 <= answer.status < 300:
                raise SendFailed(f"the endpoint answered {answer.status}", where=TYPE, answer=str(answer.status))

    async def _failed(self, kept: Subscription, error: SutureError) -> None:
        settings = self._chart.settings
        gone = isinstance(error, OutboundRefused) or getattr(error, "answer", "") == "410"
        if kept.status == REQUESTED or gone or kept.tries + 1 >= settings["subscriptions.attempts"]:
            await self.turn(kept, ERROR, error.text)
            return
        wait = min(settings["subscriptions.retry_first"] * 2**kept.tries, settings["subscriptions.retry_longest"])
        again = self._chart.clock.micros() + int(wait * 1_000_000)
        await self._chart.database.write(lambda tx: subscriptions.failed(tx, kept.rid, again))

    async def turn(self, kept: Subscription, status: str, error: str = "") -> None:
        """Changes the status, in the resource too, unless somebody wrote it meanwhile."""
        await self._chart.database.write(turning(kept, status, error))


def _kind(kept: Subscription, beat: bool) -> str:
    if beat:
        return notification.HEARTBEAT
    return notification.EVENT if kept.status == ACTIVE else notification.HANDSHAKE


def turning(kept: Subscription, status: str, error: str = "") -> Callable[[Tx], None]:
    """The unit that changes the status."""

    def unit(tx: Tx) -> None:
        row, now = resources.read_rid(tx, kept.rid), subscriptions.get(tx, kept.rid)
        if row is None or row.deleted or now is None or now.version != kept.version:
            return
        resource = {name: value for name, value in json.reread(row.body).items() if name != "error"}
        resource |= {"status": status, **({"error": error} if error else {})}
        written = resources.put(tx, TYPE, row.id, json.write(resource), method="PUT")
        subscriptions.turned(tx, kept.rid, written.version, status, error)
        audit.append(tx, audit.AuditRow("system", "update", TYPE, row.id, detail=f"status {status}"))

    return unit
