"""Counts, per flow, which source fields came filled and were read by no row: the last runs are walked again from their originals."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from suture.engine import story
from suture.engine.versions import Versions
from suture.store.connection import Connection
from suture.store.queue import runs


@dataclass(slots=True)
class Loss:
    """The losses of one flow; `fields` tells for each place how many runs lost it, `newest` the run that did last."""

    flow: str
    looked: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)


async def of_flow(connection: Connection, flow: str, versions: Versions, count: int) -> Loss:
    """The losses of the last `count` runs; other work goes on between two of them."""
    found = Loss(flow)
    for run in runs.find(connection, flow=flow, count=count):
        told = story.tell(connection, run, versions)
        await asyncio.sleep(0)
        if not any(trace.mapped for trace in told.trace):
            continue
        found.looked += 1
        for place in told.loss:
            found.fields[place] = found.fields.get(place, 0) + 1
            found.newest.setdefault(place, run.id)
    return found
