"""Sends what a subscription is owed: the handshake, its events in order, heartbeats; every send judged anew and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from suture.access.agreements import NoAgreement
from suture.access.caller import Caller
from suture.errors import Forbidden, OutboundRefused, SendFailed, SutureError
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.channels import Channel, Channels
from suture.services.subscriptions.letters import Letter, Letters, bound
from suture.services.subscriptions.owners import Owners
from suture.services.subscriptions.registry import Entry
from suture.standards.fhir import json, notification
from suture.standards.fhir.subscription import ACTIVE, EMAIL, ERROR, REQUESTED, TYPE, Wanted
from suture.store import audit, resources, sound, subscriptions
from suture.store.connection import Tx
from suture.store.subscriptions import Subscription

NOTIFY = "notify"  # in the audit trail
GONE = ("410", "550", "551", "553", "556")  # answers of HTTP and SMTP that will not change


class Courier:
    """Tends one subscription at a time; many couriers' sends run beside each other."""

    def __init__(self, chart: Chart, owners: Owners, channels: Channels) -> None:
        self._chart = chart
        self._owners = owners
        self._channels = channels
        self._letters = Letters(chart)

    async def tend(self, entry: Entry, beat: bool = False) -> None:
        """Sends what comes next; what goes wrong is kept for the next try, or turns the subscription to error."""
        kept = self._now(entry.kept)
        if kept is None:
            return
        if kept.held or (entry.wanted.criteria and kept.status == REQUESTED):
            await self._begin(kept)
            return
        span = self._again(kept, beat)
        try:
            caller = self._owners.caller(self._chart.database.read, kept.owner)
            letters = self._letters.next(kept, entry, caller, _kind(kept, beat), span)
        except Forbidden as error:
            await self.turn(kept, ERROR, error.text)
            return
        at = span[0] if span else 0
        for letter in letters:
            if (kept := self._now(entry.kept)) is None or not await self._put(kept, entry, caller, letter, at):
                return
            at = letter.upto + 1 if span else 0

    def _again(self, kept: Subscription, beat: bool) -> tuple[int, int] | None:
        """Events to be sent once more, when nothing newer waits."""
        if beat or kept.status != ACTIVE or kept.sent < kept.events:
            return None
        return subscriptions.next_span(self._chart.database.read, kept.rid)

    def _now(self, known: Subscription) -> Subscription | None:
        """The subscription as it stands, unless somebody wrote it meanwhile."""
        kept = subscriptions.get(self._chart.database.read, known.rid)
        return kept if kept is not None and kept.version == known.version else None

    async def _begin(self, kept: Subscription) -> None:
        """There is nobody to shake hands with: whoever holds a websocket is sent to from there, a search knows no handshake."""
        if kept.status == REQUESTED:
            await self.turn(kept, ACTIVE)

    async def _put(self, kept: Subscription, entry: Entry, caller: Caller, letter: Letter, again: int) -> bool:
        """Whether it went out and is behind us; `again`: the number at which a run that is sent once more begins."""
        try:
            if letter.times:
                await self._send(kept, entry, caller, letter)
        except (SendFailed, NoAgreement) as error:
            await self._failed(kept, error, patient=entry.wanted.channel == EMAIL)
            return False
        if kept.status == REQUESTED:
            await self.turn(kept, ACTIVE)
        else:
            rest = int(self._channel(entry.wanted).rest * 1_000_000) if letter.times else 0

            def unit(tx: Tx) -> None:
                subscriptions.delivered(tx, kept.rid, letter.upto, rest)
                if letter.missed:
                    subscriptions.told(tx, kept.rid, letter.missed)
                if again:
                    subscriptions.resent(tx, kept.rid, again, letter.upto)

            await self._chart.database.write(unit)
        return True

    async def told(self, kept: Subscription, entry: Entry, kind: str, sent: int = 0) -> Letter:
        """What a websocket is about to be sent, written down; raises Forbidden when its owner is let in no longer."""
        caller = self._owners.caller(self._chart.database.read, kept.owner)
        if entry.wanted.criteria and kind == notification.HANDSHAKE:
            letter = bound(kept)
        else:
            at = replace(kept, sent=sent) if kind == notification.EVENT else kept
            (letter,) = self._letters.next(at, entry, caller, kind)
        if letter.times:
            async with self._chart.access(caller, NOTIFY, TYPE, kept.id) as access:
                access.detail = f"{kind} through a websocket"
                access.concerns(letter.patients)
        return letter

    async def _send(self, kept: Subscription, entry: Entry, caller: Caller, letter: Letter) -> None:
        channel = self._channel(entry.wanted)
        async with self._chart.access(caller, NOTIFY, TYPE, kept.id) as access:
            access.detail = f"{letter.kind} to {channel.place(entry.wanted)}"
            access.concerns(letter.patients)
            await channel.send(entry.wanted, letter)

    def _channel(self, wanted: Wanted) -> Channel:
        """Raises OutboundRefused when this installation has it no longer."""
        if wanted.channel not in self._channels:
            raise OutboundRefused("this channel is not open here any more", where=f"{TYPE}.channel.type")
        return self._channels[wanted.channel]

    async def _failed(self, kept: Subscription, error: SutureError, patient: bool) -> None:
        """Tried again later, or an error now; a first mail may wait until the mail server has time, a handshake not."""
        settings = self._chart.settings
        gone = isinstance(error, OutboundRefused) or getattr(error, "answer", "") in GONE
        beginning = kept.status == REQUESTED and not (patient and error.retry)
        if beginning or gone or kept.tries + 1 >= settings["subscriptions.attempts"]:
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
    """The unit with which the server itself changes the status."""

    def unit(tx: Tx) -> None:
        if turned(tx, kept, status, error):
            audit.append(tx, audit.AuditRow("system", "update", TYPE, kept.id, detail=f"status {status}"))

    return unit


def turned(tx: Tx, kept: Subscription, status: str, error: str = "") -> bool:
    """Changes the status, in the resource too; False when somebody wrote it meanwhile."""
    damaged: set[int] = set()
    row, now = sound.read_rid(tx, kept.rid, damaged), subscriptions.get(tx, kept.rid)
    if damaged and now is not None and now.version == kept.version:  # nothing can be written into it
        subscriptions.turned(tx, kept.rid, kept.version, status, "what is stored of the Subscription itself is damaged")
        return True
    if row is None or row.deleted or now is None or now.version != kept.version:
        return False
    resource = {name: value for name, value in json.reread(row.body).items() if name != "error"}
    resource |= {"status": status, **({"error": error} if error else {})}
    written = resources.put(tx, TYPE, row.id, json.write(resource), method="PUT")
    subscriptions.turned(tx, kept.rid, written.version, status, error)
    return True
