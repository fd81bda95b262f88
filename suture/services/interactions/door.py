"""The one door to FHIR content: every read, search and write of people, programs and flows passes here.

Policy, validation and the audit row can't be passed by. https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import suture.services.interactions.binary as binary
import suture.services.interactions.capabilities as capabilities
import suture.services.interactions.history as history
import suture.services.interactions.patch as patch
import suture.services.interactions.plan as plan
import suture.services.interactions.read as read
import suture.services.interactions.search as search
import suture.services.interactions.trail as trail
import suture.services.interactions.transaction as transaction
import suture.services.interactions.wire as wire
import suture.services.interactions.write as write
from suture.access.caller import Caller
from suture.clock import Clock
from suture.errors import Invalid
from suture.services.audit.event import TYPE as MADE
from suture.services.interactions.answer import Answer
from suture.services.interactions.batch import batch
from suture.services.interactions.chart import Access, Chart
from suture.services.interactions.cursor import Cursors
from suture.services.interactions.find import Criteria, one
from suture.services.interactions.incoming import Translated
from suture.services.interactions.merging import Merge
from suture.services.interactions.once import Once
from suture.services.interactions.patch import Change
from suture.services.interactions.plan import Plan
from suture.services.interactions.rules import Conditions, Preferences
from suture.services.interactions.write import Body, Outcome, Pairs
from suture.settings import Settings
from suture.standards.fhir import definitions, subscription
from suture.store import fulltext, parameters
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.identities import Identities
from suture.store.resources import Row

T = TypeVar("T")
LARGE = 1 << 20  # bytes


class Interactions:
    """FHIR's interactions for a caller; each leaves one audit row, committed before its answer."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, key: bytes) -> None:
        """`key` seals the cursors of next links."""
        self._chart = Chart(database, clock, settings, Cursors(key, settings["fhir.cursor_life"]))
        self._started = clock.micros()

    async def capabilities(self) -> bytes:
        """The CapabilityStatement; for anyone, so without an audit row. Made in a thread, for the first time takes a while."""
        read = self._chart.database.read
        parameters.adopt(read)
        mark, text = definitions.own().mark, fulltext.codes(read)
        topics = tuple(self._chart.topics) if subscription.TYPE in self._chart.wardens else ()
        return await asyncio.to_thread(
            capabilities.statement, self._chart.fhir_url, self._started, mark, text, topics, self._chart.channels
        )

    @property
    def chart(self) -> Chart:
        """What operations work on, too."""
        return self._chart

    @property
    def base(self) -> str:
        """What absolute references to this server begin with."""
        return self._chart.database.base

    @property
    def cursors(self) -> Cursors:
        """Seals the addresses of next pages."""
        return self._chart.cursors

    def access(self, caller: Caller, interaction: str, type: str = "", id: str = "", query: str = "") -> Access:
        """The frame for a look at what is no resource (messages, runs): one audit row, like every interaction."""
        return self._chart.access(caller, interaction, type, id, query)

    async def slowly(self, work: Callable[[Connection], T]) -> T:
        """Runs a long look in a thread, below a frame of `access`; raises Unavailable when many wait."""
        return await self._chart.slowly(work)

    def resolve(self, connection: Connection, caller: Caller, reference: str) -> str | None:
        """The address a conditional reference (`Practitioner?identifier=…`) finds, or None.

        Raises InvalidSearch when it can't be understood, PreconditionFailed when it finds several.
        """
        type, _, query = reference.partition("?")
        found = one(connection, Criteria.read(self._chart, caller, type, query, connection))
        return f"{found.type}/{found.id}" if found else None

    async def read(self, caller: Caller, type: str, id: str, pairs: Pairs = ()) -> Row:
        if type == MADE:
            return await trail.read(self._chart, caller, id, pairs)
        if type == binary.TYPE:
            return await binary.read(self._chart, caller, id, pairs)
        return await read.read(self._chart, caller, type, id, pairs)

    async def vread(self, caller: Caller, type: str, id: str, version: str, pairs: Pairs = ()) -> Row:
        return await read.vread(self._chart, caller, type, id, version, pairs)

    async def history(self, caller: Caller, type: str = "", id: str = "", pairs: Pairs = ()) -> Answer:
        return await history.history(self._chart, caller, type, id, pairs)

    async def search(self, caller: Caller, type: str, pairs: Pairs, *, lenient: bool = False) -> Answer:
        if type == MADE:
            return await trail.search(self._chart, caller, pairs, lenient=lenient)
        return await search.search(self._chart, caller, search.Asked(type, pairs, lenient))

    async def search_within(
        self, caller: Caller, owner: str, id: str, type: str, pairs: Pairs, *, lenient: bool = False
    ) -> Answer:
        """Inside a compartment: one type of it, or all (`*`)."""
        if type == MADE:
            code = search.code_of(owner)
            return await trail.search(self._chart, caller, [*pairs, (code, f"{owner}/{id}")], lenient=lenient)
        return await search.search(self._chart, caller, search.Asked(type, pairs, lenient, owner, id))

    async def create(
        self, caller: Caller, type: str, body: Body, if_none_exist: str = "", once: Once | None = None
    ) -> Outcome:
        return await write.create(self._chart, caller, type, body, if_none_exist, once)

    async def update(
        self, caller: Caller, type: str, id: str, body: Body, conditions: Conditions = write.NO_CONDITIONS
    ) -> Outcome:
        return await write.update(self._chart, caller, type, id, body, conditions)

    async def update_where(
        self, caller: Caller, type: str, pairs: Pairs, body: Body, conditions: Conditions = write.NO_CONDITIONS
    ) -> Outcome:
        return await write.update_where(self._chart, caller, type, pairs, body, conditions)

    async def patch(
        self,
        caller: Caller,
        type: str,
        id: str,
        change: Change,
        conditions: Conditions = write.NO_CONDITIONS,
        once: Once | None = None,
    ) -> Outcome:
        return await patch.patch(self._chart, caller, type, id, change, conditions, once)

    async def patch_where(
        self,
        caller: Caller,
        type: str,
        pairs: Pairs,
        change: Change,
        conditions: Conditions = write.NO_CONDITIONS,
        once: Once | None = None,
    ) -> Outcome:
        return await patch.patch_where(self._chart, caller, type, pairs, change, conditions, once)

    async def delete(self, caller: Caller, type: str, id: str, conditions: Conditions = write.NO_CONDITIONS) -> Outcome:
        return await write.delete(self._chart, caller, type, id, conditions)

    async def delete_where(
        self, caller: Caller, type: str, pairs: Pairs, conditions: Conditions = write.NO_CONDITIONS
    ) -> Outcome:
        return await write.delete_where(self._chart, caller, type, pairs, conditions)

    async def bundle(self, caller: Caller, body: Body, preferences: Preferences, once: Once | None = None) -> Answer:
        """A batch or a transaction, as Bundle.type says; `once`: a transaction that may come again."""
        chart = self._chart
        async with chart.access(caller, "bundle") as access:
            content = await _read(chart, body) if isinstance(body, bytes) else body
            large = isinstance(body, bytes) and len(body) > LARGE
            translated = isinstance(body, Translated)
            kind = content.get("type") if content.get("resourceType") == "Bundle" else None
            if kind == "transaction":
                access.interaction = "transaction"
                return Answer(
                    await transaction.transaction(
                        chart, caller, content, preferences, access, large=large, once=once, translated=translated
                    )
                )
            if kind != "batch":
                raise Invalid(
                    "not a batch or transaction", where="Bundle.type", mend='Send a Bundle of type "transaction".'
                )
            if once is not None:
                raise Invalid(
                    "a batch has no Idempotency-Key",
                    where="Idempotency-Key",
                    mend="Send a transaction, or single requests.",
                )
            access.interaction = "batch"
            return Answer(await batch(chart, caller, content, preferences, large=large, translated=translated))

    def transaction_unit(
        self, caller: Caller, content: dict[str, Any], merge: Merge | None = None
    ) -> Callable[[Tx], dict[str, Any]]:
        """A transaction planned and checked now, whose unit runs inside any Tx: a flow's write commits with its run.

        Its audit row is part of the unit. Returns the transaction-response. `merge`: how a conditional update meets what
        is stored.
        """
        access = self._chart.access(caller, "transaction")
        run = transaction.unit(self._chart, caller, content, access, merge)
        return lambda tx: transaction.response(run(tx))

    def plan(
        self,
        caller: Caller,
        content: dict[str, Any],
        merge: Merge | None,
        connection: Connection,
        identities: Identities,
    ) -> Plan:
        """The plan of a transaction alone, as this connection sees the chart."""
        read = transaction.read_entries(self._chart, content)
        return plan.make(self._chart, caller, read, connection, identities, merge)

    def planned_unit(
        self, caller: Caller, planned: bytes, again: Callable[[Tx], Plan]
    ) -> Callable[[Tx], dict[str, Any]]:
        """`transaction_unit` for a plan that another process made (wire.py)."""
        chart = self._chart
        whole = wire.read(planned, chart, caller, chart.database.read, chart.database.identities)
        run = transaction.planned_unit(chart, caller, whole, again, chart.access(caller, "transaction"))
        return lambda tx: transaction.response(run(tx))


async def _read(chart: Chart, body: bytes) -> dict[str, Any]:
    """A large body is read in a thread, so that others go on."""
    return await chart.aside(partial(chart.read_json, body)) if len(body) > LARGE else chart.read_json(body)
