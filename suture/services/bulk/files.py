"""The lines of an export's file, read when they are fetched: each resource as it was at the export's moment, judged once more.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import suture.services.interactions.subset as subset
from suture.access import compartment
from suture.access.caller import Caller
from suture.services.bulk import concerned, faults, jobs, select
from suture.services.bulk.request import Wanted
from suture.standards.fhir import json, outcome
from suture.store import exports, holes, resources, scan, whose
from suture.store.audit_listed import PATIENT
from suture.store.bodies import Damaged, DamagedPage
from suture.store.connection import Connection
from suture.store.exports import File, Job
from suture.store.holes import Unread
from suture.store.resources import Row

CHUNK = 500
_ATTACHED = re.compile(rb'("url"\s*:\s*")(Binary/[A-Za-z0-9.\-]{1,64}")')
Lines = Callable[[list[Row]], bytes]
Texts = Callable[[list[bytes]], bytes]


@dataclass(slots=True)
class Sent:
    """A file on its way to a caller. `url`: the FHIR base as the outside world sees it, or nothing to
    leave the addresses of attachments as they are."""

    connection: Connection
    wanted: Wanted
    moment: int
    file: File
    caller: Caller
    url: str
    unread: Unread = field(default_factory=dict)  # what is damaged and was left out
    headers: int = 0  # lines so far that are no resources of the chart

    def chunks(self, held: bytes) -> Iterator[bytes]:
        """The file in parts of a few hundred lines. What the caller may no longer see, as it was or as
        it is today, is left out."""
        if self.file.kind == exports.ERROR:
            yield held
            return
        wanted, type, moment = self.wanted, self.file.type, self.moment
        plain = self.file.kind == exports.OUTPUT and bool(type)
        lines = _lines(wanted, type, self.url) if self.file.kind == exports.OUTPUT else _deletions
        of_bodies = _texts(wanted, type, self.url)
        waiting = 0
        for rids in exports.numbers(held, CHUNK):
            if plain and select.all_of(self.connection, self.caller, type):
                yield from self._of_everything(rids, moment, of_bodies)
                continue
            judged = select.judge_versions(self.connection, self.caller)
            for head, run in _runs(rids):
                waiting = head or waiting
                for portion in scan.portions(self.connection, run) if run else ():
                    rows = [row for row in self._rows(moment, portion) if self._may(row, judged)]
                    if waiting and rows:
                        yield _header(self.connection, waiting, rows)
                        waiting, self.headers = 0, self.headers + 1
                    yield lines(rows)

    def _may(self, row: Row, judged: Callable[[Row], bool]) -> bool:
        try:
            return select.may(self.caller, row, judged)
        except DamagedPage as error:  # of what it is judged by
            holes.lose(self.connection, self.unread, row.rid, error, (row.type, row.id))
            return False

    def _of_everything(self, rids: list[int], moment: int, lines: Texts) -> Iterator[bytes]:
        """Rows of one type of which nothing is kept from the caller: no more is looked at than the bodies."""
        rest, unpack = rids, self.connection.bodies.unpack
        while rest:
            packed, rest, others = self._packed(moment, rest)
            texts: list[bytes] = []
            for rid, zd, body in packed:
                try:
                    texts.append(unpack(zd, body))
                except Damaged:
                    others.append(rid)
            yield lines(texts)
            for portion in scan.portions(self.connection, others) if others else ():
                yield lines([row.body for row in self._rows(moment, portion) if not row.deleted])

    def _packed(self, moment: int, rids: list[int]) -> tuple[list[tuple[int, int, bytes]], list[int], list[int]]:
        """See scan.bodies; rows with a damaged page among them are read one by one."""
        try:
            return scan.bodies(self.connection, moment, rids)
        except DamagedPage:
            return [], [], list(rids)

    def _rows(self, moment: int, rids: list[int]) -> list[Row]:
        versions = scan.of_rows(self.connection, moment, rids, self.unread)
        return [row for _, row in select.readable(self.connection, versions, self.unread)]

    def faults(self) -> list[bytes]:
        """A line of the error file for each resource that could not be read."""
        holes.name(self.connection, self.unread)
        for rid in [rid for rid, place in self.unread.items() if place == holes.UNKNOWN]:
            self.unread[rid] = self.file.type if self.file.kind == exports.OUTPUT else "", ""
        issues = faults.unreadable(self.connection, self.caller, self.unread)
        return [json.write(outcome.outcome([issue])) for issue in issues]


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


def _header(connection: Connection, patient: int, rows: list[Row]) -> bytes:
    """The line before a block, whose first rows these are; it stands there only when a line of the block does."""
    id = _id(connection, patient, rows)
    reference = {"reference": f"Patient/{id}"} if id else {"display": "a patient whose row in the database is damaged"}
    named = {"name": "header", "valueReference": reference}
    return json.write({"resourceType": "Parameters", "parameter": [named]}) + b"\n"


def _id(connection: Connection, patient: int, rows: list[Row]) -> str:
    """A patient's id by the row number; where that row can't be read, by the index, or by who is named in the block."""
    try:
        row = resources.read_rid(connection, patient)
        return row.id if row else ""
    except DamagedPage:
        unread: Unread = {patient: holes.UNKNOWN}
        holes.name(connection, unread)
        return unread.get(patient, holes.UNKNOWN)[1] or _named_by(connection, patient, rows)


def _named_by(connection: Connection, patient: int, rows: list[Row]) -> str:
    """The one patient whom all of these rows name and who can be this one; nothing where that is not sure."""
    said = [set(whose.named(row.body)) for row in rows if compartment.parameters(row.type)]
    ids = [one.removeprefix(PATIENT) for one in (set.intersection(*said) if said else ())]
    able = [id for id in ids if _may_be(connection, patient, id)]
    return able[0] if len(able) == 1 else ""


def _may_be(connection: Connection, patient: int, id: str) -> bool:
    try:
        return scan.number(connection, "Patient", id) == patient
    except DamagedPage:
        return True


def require(caller: Caller, file: File) -> None:
    """Raises Forbidden when the caller's scopes no longer name the type at all."""
    if file.kind == exports.OUTPUT and file.type and file.type not in select.CARRIED and file.type != select.PROVENANCE:
        select.require_type(caller, file.type)


def patients(connection: Connection, job: Job, file: File, held: bytes) -> list[int]:
    """Whose data a file holds, as row numbers."""
    if file.kind == exports.ERROR:
        return []
    known = exports.whose(connection, job.jid, file.n)
    if known is not None:
        return known
    type = file.type if file.kind == exports.OUTPUT else ""
    rids = [rid for part in exports.numbers(held, CHUNK) for rid in part]
    return concerned.of_rows(connection, jobs.moment_of(job, jobs.asked_of(job)), type, rids, {})


def _texts(wanted: Wanted, type: str, url: str) -> Texts:
    """What becomes of bodies of one type."""
    names = tuple(name for of, name in wanted.elements if of in ("", type))
    cut = subset.cutter("", names) if names else None

    def texts(bodies: list[bytes]) -> bytes:
        shown = [cut(body, type) for body in bodies] if cut else bodies
        if not shown:
            return b""
        text = attached(b"\n".join(shown) + b"\n", url)
        if text.count(b"\n") == len(shown) and b"\r" not in text:
            return text
        return b"".join(one_line(attached(body, url)) + b"\n" for body in shown)

    return texts


def _lines(wanted: Wanted, type: str, url: str) -> Lines:
    if type:
        of_bodies = _texts(wanted, type, url)
        return lambda rows: of_bodies([row.body for row in rows])
    kinds: dict[str, Texts] = {}

    def lines(rows: list[Row]) -> bytes:
        for row in rows:
            if row.type not in kinds:
                kinds[row.type] = _texts(wanted, row.type, url)
        return b"".join(kinds[row.type]([row.body]) for row in rows)

    return lines


def attached(body: bytes, url: str) -> bytes:
    """A body whose attachments name Binaries by their whole address, as whoever reads the file elsewhere needs it."""
    return _ATTACHED.sub(rb"\g<1>%b/\g<2>" % url.encode(), body) if url and b"Binary/" in body else body


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
