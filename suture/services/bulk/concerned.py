"""Whose data a file of an export holds, as the resources were at the export's moment: for the audit trail (45 CFR 164.528)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import suture.services.interactions.attached as attached
from suture.access import compartment
from suture.services.bulk import select
from suture.services.bulk.select import PROVENANCE
from suture.store import holes, resources, rids, scan, whose
from suture.store.audit_listed import PATIENT
from suture.store.bodies import DamagedPage
from suture.store.connection import Connection
from suture.store.holes import Unread
from suture.store.resources import Row

CHUNK = 500
# the index does not know whose they are
SAY_THEMSELVES = frozenset({PROVENANCE, attached.TYPE, *compartment.ADDED, *compartment.REMOVED})


def of_rows(
    connection: Connection, moment: int, type: str, rids: list[int], unread: Unread,
    told: Callable[[int], None] = lambda _: None,
) -> list[int]:  # fmt: skip
    """The row numbers of all patients these rows are about, in their order; negative ones are headers of blocks.

    `type`: of all of them, or nothing where they are mixed. `told` is called with how many were looked at since it was last.
    What can't be read is written down in `unread`: it must not be sent.
    """
    found: set[int] = set()
    for start in range(0, len(rids), CHUNK):
        part = rids[start : start + CHUNK]
        found.update(-rid for rid in part if rid < 0)
        found |= _of_some(connection, moment, type, [rid for rid in part if rid > 0], unread)
        told(len(part))
    return sorted(found)


def names(connection: Connection, patients: list[int], most: int) -> list[str] | None:
    """These patients as the trail names them; None where they are to be named as a set: there are more than so many, or
    the row of one is damaged, and a set needs their numbers only."""
    if len(patients) > most:
        return None
    try:
        return [PATIENT + id for id in whose.ids_of(connection, patients)]
    except DamagedPage:
        return None


def _of_some(connection: Connection, moment: int, type: str, rids: list[int], unread: Unread) -> set[int]:
    if type in SAY_THEMSELVES:
        return _said(connection, moment, rids, unread)

    def read(part: Sequence[int]) -> list[tuple[set[int], list[int]]]:
        return [whose.numbers_at(connection, part, moment, SAY_THEMSELVES if not type else ())]

    parts = holes.among(connection, unread, rids, read) if rids else []
    found = set[int]().union(*(some for some, _ in parts))
    unsure = [rid for _, some in parts for rid in some]
    return found | _said(connection, moment, unsure, unread) if unsure else found


def _said(connection: Connection, moment: int, rids: list[int], unread: Unread) -> set[int]:
    """The patients of resources that have to be looked into; deleted ones say it by what they were."""
    found: set[int] = set()
    for portion in scan.portions(connection, rids) if rids else ():
        for _, row in select.readable(connection, scan.of_rows(connection, moment, portion, unread), unread):
            try:
                found |= _of_row(connection, moment, row)
            except DamagedPage as error:
                holes.lose(connection, unread, row.rid, error, (row.type, row.id))
    return found


def _of_row(connection: Connection, moment: int, row: Row) -> set[int]:
    if row.type == "Patient":
        return {row.rid}
    body = row.body or resources.last_body(connection, row)
    found = _numbers(connection, whose.named(body))
    if row.type == PROVENANCE and body:
        about = select.targets(connection, row._replace(body=body)) - {row.rid}
        found |= whose.numbers_at(connection, sorted(about), 1 << 62)[0]
    if row.type == attached.TYPE and body:
        for owner in attached.owners(connection, row._replace(body=body)):
            found |= _of_row(connection, moment, owner)
    return found


def _numbers(connection: Connection, patients: Iterable[str]) -> set[int]:
    return {rids.find(connection, "Patient", patient.removeprefix(PATIENT)) for patient in patients} - {0}
