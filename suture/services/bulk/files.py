"""The lines of an export's file, read when they are fetched: each resource as it was at the export's moment, judged once more.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import suture.services.interactions.guard as guard
import suture.services.interactions.subset as subset
from suture.access import policy
from suture.access.caller import Caller
from suture.services.bulk import concerned, jobs, select
from suture.services.bulk.request import Wanted
from suture.standards.fhir import json
from suture.store import exports, resources, scan
from suture.store.connection import Connection
from suture.store.exports import File, Job
from suture.store.resources import Row

CHUNK = 500
_ATTACHED = re.compile(rb'("url"\s*:\s*")(Binary/[A-Za-z0-9.\-]{1,64}")')
Lines = Callable[[list[Row]], bytes]


def chunks(connection: Connection, job: Job, file: File, held: bytes, caller: Caller, url: str) -> Iterator[bytes]:
    """The file in parts of a few hundred lines. What the caller may no longer see, as it was or as
    it is today, is left out.

    `url`: the FHIR base as the outside world sees it.
    """
    if file.kind == exports.ERROR:
        yield held
        return
    wanted = jobs.asked_of(job)
    lines = _deletions if file.kind == exports.DELETED else _lines(wanted, file.type, url)
    moment, waiting = jobs.moment_of(job, wanted), 0
    for rids in exports.numbers(held, CHUNK):
        judged = guard.judge_versions(connection, caller, "read")
        for head, run in _runs(rids):
            waiting = head or waiting
            for portion in scan.portions(connection, run):
                rows = [select.row_of(connection, version) for version in scan.of_rows(connection, moment, portion)]
                shown = lines([row for row in rows if select.may(caller, row, judged)])
                if waiting and shown:
                    yield _header(connection, waiting)
                    waiting = 0
                yield shown


def _runs(rids: list[int]) -> Iterator[tuple[int, list[int]]]:
    """The rows of each block, with the Patient its header names; 0 where a block goes on, or where there are none."""
    head, run = 0, list[int]()
    for rid in rids:
        if rid > 0:
            run.append(rid)
            continue
        yield head, run
        head, run = -rid, []
    yield head, run


def _header(connection: Connection, patient: int) -> bytes:
    """The line before a block; it stands there only when a line of the block does."""
    row = resources.read_rid(connection, patient)
    named = {"name": "header", "valueReference": {"reference": f"Patient/{row.id if row else ''}"}}
    return json.write({"resourceType": "Parameters", "parameter": [named]}) + b"\n"


def require(caller: Caller, file: File) -> None:
    """Raises Forbidden when the caller's scopes no longer name the type at all."""
    if file.kind == exports.OUTPUT and file.type and file.type not in select.CARRIED and file.type != select.PROVENANCE:
        policy.require(caller, "read", file.type)


def patients(connection: Connection, job: Job, file: File, held: bytes) -> list[int]:
    """Whose data a file holds, as row numbers."""
    if file.kind == exports.ERROR:
        return []
    known = exports.whose(connection, job.jid, file.n)
    if known is not None:
        return known
    type = file.type if file.kind == exports.OUTPUT else ""
    rids = [rid for part in exports.numbers(held, CHUNK) for rid in part]
    return concerned.of_rows(connection, jobs.moment_of(job, jobs.asked_of(job)), type, rids)


def _lines(wanted: Wanted, type: str, url: str) -> Lines:
    names = tuple(name for of, name in wanted.elements if of in ("", type))
    shown = subset.cutter("", names) if names else subset.whole

    def lines(rows: list[Row]) -> bytes:
        return b"".join(one_line(attached(shown(row.body, row.type), url)) + b"\n" for row in rows)

    return lines


def attached(body: bytes, url: str) -> bytes:
    """A body whose attachments name Binaries by their whole address, as whoever reads the file elsewhere needs it."""
    return _ATTACHED.sub(rb"\g<1>%b/\g<2>" % url.encode(), body) if b"Binary/" in body else body


def one_line(body: bytes) -> bytes:
    """A body on one line: what was sent with line breaks between its members is written anew."""
    return json.write(json.reread(body)) if b"\n" in body or b"\r" in body else body


def _deletions(rows: list[Row]) -> bytes:
    """A transaction for each: a receiver runs it and has deleted the resource, too."""
    return b"".join(
        json.write(
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"request": {"method": "DELETE", "url": f"{row.type}/{row.id}"}}],
            }
        )
        + b"\n"
        for row in rows
    )
