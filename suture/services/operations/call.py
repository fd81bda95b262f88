"""Calls an operation of the table: finds it, reads its parameters, runs it (https://hl7.org/fhir/R4/operations.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import suture.services.operations.table as table
import suture.services.operations.values as values
from suture.access.caller import Caller
from suture.errors import NotAllowed, NotFound, TooCostly
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import require_id, require_type
from suture.services.operations.operation import Asked, Operation

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """Where an operation is called and with what; `body` is None for a GET."""

    name: str  # without $
    type: str = ""
    id: str = ""
    pairs: Pairs = ()
    body: dict[str, Any] | None = None
    lenient: bool = False


async def run(chart: Chart, caller: Caller, call: Call) -> Answer:
    """The operation's answer; raises NotFound naming those that are there, NotAllowed for a GET that would change."""
    return await run_one(find(call), chart, caller, call)


async def run_one(operation: Operation, chart: Chart, caller: Caller, call: Call) -> Answer:
    """Runs the one that was found."""
    if call.type:
        require_type(call.type)
    if call.id:
        require_id(call.id)
    if operation.run is None or (operation.changes and call.body is None):
        raise NotAllowed(f"${operation.name} is called in another way", mend="POST it.", where=f"${operation.name}")
    found = values.of_url(operation, call.pairs, call.lenient)
    for name, more in values.of_body(operation, call.body, call.lenient).items():
        found.setdefault(name, []).extend(more)
    values.check(operation, found)
    try:
        return await operation.run(Asked(chart, caller, operation, call.type, call.id, found, call.lenient))
    except TooCostly as error:
        error.at(f"${operation.name}")
        raise


def find(call: Call) -> Operation:
    """The operation of a call."""
    found = table.named(call.name, call.type, call.id)
    if found is None:
        raise unknown(call.type, call.id)
    return found


def unknown(type: str = "", id: str = "") -> NotFound:
    """What an address with a $ that nothing stands behind is answered with: those of the base, of a type or of a resource."""
    there = table.on_type(type) if type else table.on_system()
    level = "instance" if id else "type" if type else "system"
    names = ", ".join(sorted({f"${o.name}" for o in there if level in o.on})) or "none"
    return NotFound("no such operation here", where=type or "url", mend=f"Here are: {names}.")
