"""The deliveries of one message, over all its runs."""

from __future__ import annotations

from collections.abc import Iterator

from suture.store.connection import Connection
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Delivery


def message(connection: Connection, mid: int) -> Iterator[tuple[str, Delivery]]:
    """(flow, delivery) of each, in the order they were made."""
    for run in sorted(runs.find(connection, mid=mid, count=1000), key=lambda run: run.run):
        for one in deliveries.of_run(connection, run.run):
            yield run.flow, one
