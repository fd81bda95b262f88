"""What every interaction works on: the database, the clock, the settings, the cursors; and the audit row each one leaves."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, TypeVar

from suture.access import glass, policy, withheld
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.clock import Clock
from suture.errors import NotFound, SutureError, Unavailable
from suture.ports import Expander
from suture.services.canonicals import Canonicals
from suture.services.interactions.cursor import Cursors
from suture.services.interactions.ledger import Ledger
from suture.services.terminology.terminology import Terminology
from suture.settings import Settings
from suture.standards.fhir import json, topics
from suture.store import audit, whose
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.outset import Turn
from suture.store.resources import Row

SLOW_AT_ONCE = 2  # long searches in threads
MOST_WAITING = 32  # more are turned away
T = TypeVar("T")


class Warden(Protocol):
    """Looks at what is written of one type: Subscriptions are more than content."""

    def admit(self, caller: Caller, resource: dict[str, Any]) -> dict[str, Any]:
        """What is to be stored of what was sent; raises what says why it can't be."""
        ...

    def keep(self, tx: Tx, caller: Caller, row: Row) -> None:
        """Runs in the transaction that wrote, or deleted, the row."""
        ...


def _shipped() -> dict[str, topics.Topic]:
    return {topic.url: topic for topic in topics.SHIPPED}


@dataclass(slots=True)
class Chart:
    """Shared by all interactions of a process."""

    database: Database
    clock: Clock
    settings: Settings
    cursors: Cursors
    expander: Expander = field(init=False)  # value sets and hierarchies of codes for searches
    lane: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOW_AT_ONCE))
    waiting: int = 0  # for the lane
    turn: Turn = field(default_factory=Turn)  # of the event loop
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    ledger: Ledger = field(init=False)
    terminology: Terminology = field(init=False)
    canonicals: Canonicals = field(init=False)
    wardens: dict[str, Warden] = field(default_factory=dict)  # resource type -> who looks at what is written of it
    channels: tuple[str, ...] = ()  # of subscriptions
    topics: dict[str, topics.Topic] = field(default_factory=_shipped)  # of subscriptions, by canonical URL

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database)
        self.expander = self.terminology = Terminology(self.database)
        self.canonicals = Canonicals(self.terminology)

    async def slowly(self, work: Callable[[Connection], T]) -> T:
        """Runs what takes long in a thread, on a reading connection of its own; raises Unavailable when many wait."""
        if self.waiting >= MOST_WAITING:
            raise Unavailable("many long searches are running", mend="Try again in a while, or narrow it.", after=5)
        self.waiting += 1
        try:
            async with self.lane:
                return await asyncio.to_thread(self._apart, work)
        finally:
            self.waiting -= 1

    def _apart(self, work: Callable[[Connection], T]) -> T:
        connection = self.database.reader()
        try:
            return work(connection)
        finally:
            connection.close()

    async def aside(self, work: Callable[[], T]) -> T:
        """Reads and checks what is large in a thread, so that others go on; one at a time, for parsers share one lock."""
        async with self.heavy:
            return await asyncio.to_thread(work)

    def read_json(self, body: bytes) -> dict[str, Any]:
        """What was sent, within the limits of the settings."""
        return json.read(body, max_depth=self.settings["fhir.max_depth"], max_values=self.settings["fhir.max_values"])

    @property
    def fhir_url(self) -> str:
        """The FHIR base as the outside world sees it."""
        return str(self.settings["http.base_url"]).rstrip("/") + "/fhir"

    def access(self, caller: Caller, interaction: str, type: str = "", id: str = "", query: str = "") -> Access:
        """The frame an interaction runs in: it leaves exactly one audit row, committed before the answer."""
        return Access(self, caller, interaction, type, id, query)


class Access:
    """One access and its audit row. A write appends the row inside its own unit; all else on leaving the frame."""

    __slots__ = (
        "caller", "chart", "detail", "id", "interaction", "patients", "query", "status", "type", "written"
    )  # fmt: skip

    def __init__(self, chart: Chart, caller: Caller, interaction: str, type: str, id: str, query: str) -> None:
        self.chart = chart
        self.caller = caller
        self.interaction = interaction
        self.type = type
        self.id = id
        self.query = query
        self.patients: dict[str, None] = {}
        self.status = 200
        self.detail = ""
        self.written = False

    def touched(self, connection: Connection, row: Row) -> None:
        """Notes which resource it came to, and whose it is."""
        self.id = row.id
        self.concerns(whose.of_row(connection, row))

    def concerns(self, patients: Iterable[str]) -> None:
        """Notes whose records were touched, as Patient/ID."""
        self.patients.update(dict.fromkeys(patients))

    def append(self, tx: Tx) -> None:
        """Puts the row into a transaction."""
        audit.append(tx, self.row())

    def row(self) -> audit.AuditRow:
        """The row, which is on its way now."""
        self.written = True
        caller, patients = self.caller, tuple(self.patients)
        if not patients and caller.patient:
            patients = (f"Patient/{caller.patient}",)
        return audit.AuditRow(
            who=caller.id,
            what=self.interaction,
            type=self.type,
            id=self.id[:64],
            patient=patients[0] if len(patients) == 1 else "",
            query=self.query,
            outcome=self.status,
            purpose=self._purpose(patients),
            address=caller.address,
            detail=self.detail,
            client=caller.client,
            grant=caller.grant,
            patients=patients if len(patients) > 1 else (),
        )

    def _purpose(self, patients: Sequence[str]) -> str:
        """The caller's, or that of an emergency: for the records it opened, and for what names nobody's."""
        broken = self.caller.glass
        if broken and (not patients or any(p.removeprefix("Patient/") in broken for p in patients)):
            return glass.PURPOSE
        return self.caller.purpose

    async def __aenter__(self) -> Access:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            if not self.written:
                await self.chart.ledger.append(self.row())
            if self.interaction == "delete":
                await self._even()
        elif isinstance(error, Exception) and not isinstance(error, Unavailable):
            self.status = error.status if isinstance(error, SutureError) else 500
            await self.chart.ledger.append(self.row())
            if isinstance(error, SutureError):
                error.audited = True
            if isinstance(error, NotFound):
                await self._even()

    async def _even(self) -> None:
        """Who may not see everything learns nothing from how long a no took: it leaves at a random moment."""
        longest = self.chart.settings["access.even"]
        if longest and not self._unbounded():
            await asyncio.sleep(longest * secrets.randbelow(1_000_000) / 1_000_000)

    def _unbounded(self) -> bool:
        whole = policy.reach(self.caller, self.interaction, self.type) is Reach.EVERYTHING
        return whole and withheld.of(self.chart.database.read, self.caller) is None


def names_of(pairs: Sequence[tuple[str, str]]) -> str:
    """The names of search parameters, without their values."""
    return "&".join(name[:100] for name, _ in pairs)
