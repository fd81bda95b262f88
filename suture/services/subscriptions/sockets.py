"""What goes through a websocket: who bound it to which subscriptions, and what each of them is owed.

Each connection looks into the store by itself, so that it does not matter which process numbers events.
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import suture.services.interactions.guard as guard
from suture.access.caller import Caller
from suture.clock import Clock
from suture.errors import Forbidden, SutureError, Unauthenticated
from suture.services.interactions.chart import Chart
from suture.services.subscriptions.binding import PURPOSE
from suture.services.subscriptions.courier import Courier
from suture.services.subscriptions.letters import Letter
from suture.services.subscriptions.registry import Entry
from suture.standards.fhir import json, notification, subscription
from suture.standards.fhir.subscription import ACTIVE, ERROR, WEBSOCKET
from suture.store import accounts, sound, subscriptions
from suture.store.subscriptions import Subscription

MOST_OPEN = 500  # connections of a process
MOST_BOUND = 100  # subscriptions of a connection


@dataclass(slots=True)
class Place:
    """How far one subscription came on one connection."""

    sent: int
    beat: float  # when something last went out, monotonic


@dataclass(slots=True)
class Line:
    """One connection."""

    sockets: Sockets
    caller: Caller | None = None  # who opened it, when that was shown
    places: dict[int, Place] = field(default_factory=dict)

    async def bind(self, token: str) -> list[tuple[Subscription, Letter]]:
        """The handshakes of the subscriptions a token stands for; raises Unauthenticated. A token binds once."""
        sockets = self.sockets
        found = await sockets.chart.database.write(lambda tx: accounts.use_link(tx, token, PURPOSE))
        if found is None:
            raise Unauthenticated("this token is not good", mend="Ask for a new one with $get-ws-binding-token.")
        every = [subscriptions.get(sockets.chart.database.read, rid) for rid in found["subscriptions"]]
        return await self._greeted([kept for kept in every if kept is not None and kept.who == found["who"]])

    async def bind_one(self, id: str) -> list[tuple[Subscription, Letter]]:
        """The greeting of one whose criteria is a search; raises Unauthenticated unless it belongs to whom the connection was opened by."""
        connection = self.sockets.chart.database.read
        mine = subscriptions.of(connection, self.caller.id) if self.caller is not None else []
        judged = guard.judge(connection, self.caller, "read") if self.caller is not None else None
        found = [kept for kept in mine if kept.id == id and kept.held]
        rows = [sound.read_rid(connection, kept.rid, set()) for kept in found]
        if judged is None or not found or not all(row is not None and not row.deleted and judged(row) for row in rows):
            raise Unauthenticated(
                "no subscription of yours", mend="Open the connection with your Authorization header."
            )
        return await self._greeted([kept for kept in found if self.sockets.entry(kept).wanted.criteria])

    async def _greeted(self, found: list[Subscription]) -> list[tuple[Subscription, Letter]]:
        sockets, room = self.sockets, MOST_BOUND - len(self.places)
        return [
            (kept, await sockets.courier.told(kept, sockets.entry(kept), notification.HANDSHAKE))
            for kept in found[:room]
            if kept.status == ACTIVE
        ]

    async def owed(self) -> AsyncIterator[tuple[Subscription, Letter]]:
        """What is to go out now: one notification for each subscription that has something."""
        for rid, place in list(self.places.items()):
            kept = subscriptions.get(self.sockets.chart.database.read, rid)
            if kept is None or kept.status != ACTIVE:
                del self.places[rid]
                continue
            if (letter := await self._letter(kept, place)) is not None:
                yield kept, letter

    async def _letter(self, kept: Subscription, place: Place) -> Letter | None:
        sockets = self.sockets
        try:
            entry = sockets.entry(kept)
            beat = entry.wanted.heartbeat
            if kept.events > place.sent:
                return await sockets.courier.told(kept, entry, notification.EVENT, place.sent)
            if beat and sockets.clock.monotonic() >= place.beat + beat:
                return await sockets.courier.told(kept, entry, notification.HEARTBEAT)
        except Forbidden as error:
            await sockets.courier.turn(kept, ERROR, error.text)
        return None

    async def gone(self, kept: Subscription, letter: Letter) -> None:
        """The connection took it; with the handshake it begins where the last one ended."""
        place = self.places.setdefault(kept.rid, Place(kept.sent, 0.0))
        place.beat = self.sockets.clock.monotonic()
        if letter.kind == notification.EVENT:
            place.sent = letter.upto
            await self.sockets.chart.database.write(lambda tx: subscriptions.delivered(tx, kept.rid, letter.upto))


class Sockets:
    """The connections of a process."""

    def __init__(self, chart: Chart, courier: Courier) -> None:
        self.chart = chart
        self.courier = courier
        self.open = 0

    @property
    def clock(self) -> Clock:
        return self.chart.clock

    def line(self, caller: Caller | None = None) -> Line:
        return Line(self, caller)

    def entry(self, kept: Subscription) -> Entry:
        """What it wants, as it stands now; raises Forbidden when it is no websocket's any more."""
        row = sound.read_rid(self.chart.database.read, kept.rid, set())
        try:
            if row is None or row.deleted:
                raise Forbidden("the subscription is gone")
            wanted = subscription.read(json.reread(row.body), self.chart.topics, self.chart.fhir_url)
        except SutureError as error:
            raise Forbidden("its topic or one of its filters is no longer there") from error
        if wanted.channel != WEBSOCKET:
            raise Forbidden("the subscription has another channel")
        return Entry(kept, wanted)
