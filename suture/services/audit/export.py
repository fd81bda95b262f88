"""The audit trail as a file: JSON lines with number and hash, or CSV for a spreadsheet (45 CFR 164.312(b))."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from suture.clock import instant
from suture.errors import Invalid
from suture.services.audit import line, table
from suture.store import audit
from suture.store.audit import Entry, Filter
from suture.store.connection import Connection

CHUNK = 1000
COLUMNS = (
    "n", "at", "who", "client", "grant", "what", "type", "id", "patients", "query", "outcome", "purpose", "address", "detail",
)  # fmt: skip


def chunks(connection: Connection, wanted: Filter, format: str) -> Iterator[bytes]:
    """The rows in the order they were written, in pieces; raises Invalid for a format there is not."""
    if format not in _FORMATS:
        raise Invalid("no such format", where="format", mend=f"One of: {', '.join(_FORMATS)}.")
    if format == "csv":
        yield table.lines([COLUMNS])
    yield from _pieces(connection, replace(wanted, ascending=True, sort="", skip=0, count=CHUNK), _FORMATS[format])


def _pieces(
    connection: Connection, wanted: Filter, written: Callable[[list[Entry], Connection], bytes]
) -> Iterator[bytes]:
    while found := audit.search(connection, wanted):
        yield written(found, connection)
        wanted = replace(wanted, after=found[-1].n)


def _json(found: list[Entry], connection: Connection) -> bytes:
    hashes = audit.hashes(connection, found[0].n, found[-1].n)
    return b"".join(line.line(entry, hashes[entry.n]) + b"\n" for entry in found)


def _csv(found: list[Entry], connection: Connection) -> bytes:
    return table.lines(_cells(entry) for entry in found)


def _cells(entry: Entry) -> tuple[object, ...]:
    row = entry.row
    patients = " ".join(row.patients or filter(None, (row.patient,)))
    return (
        entry.n, instant(entry.at), row.who, row.client, row.grant, row.what, row.type, row.id, patients, row.query,
        row.outcome, row.purpose, row.address, row.detail,
    )  # fmt: skip


_FORMATS: dict[str, Callable[[list[Entry], Connection], bytes]] = {"ndjson": _json, "csv": _csv}
