"""Whose data a file of an export holds, as the resources were at the export's moment: for the audit trail (45 CFR 164.528)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import suture.services.interactions.attached as attached
from suture.access import compartment
from suture.services.bulk import select
from suture.services.bulk.select import PROVENANCE
from suture.store import resources, rids, scan, whose
from suture.store.audit_listed import PATIENT
from suture.store.connection import Connection
from suture.store.resources import Row

CHUNK = 500
# the index does not know whose they are
SAY_THEMSELVES = frozenset({PROVENANCE, attached.TYPE, *compartment.ADDED, *compartment.REMOVED})


def of_rows(
    connection: Connection, moment: int, type: str, rids: list[int], told: Callable[[int], None] = lambda _: None
) -> list[int]:
    """The row numbers of all patients these rows are about, in their order; negative ones are headers of blocks.

    `type`: of all of them, or nothing where they are mixed. `told` is called with how many were looked at since it was last.
    """
    found: set[int] = set()
    for start in range(0, len(rids), CHUNK):
        part = rids[start : start + CHUNK]
        found.update(-rid for rid in part if rid < 0)
        found |= _of_some(connection, moment, type, [rid for rid in part if rid > 0])
        told(len(part))
    return sorted(found)


def names(connection: Connection, patients: list[int]) -> list[str]:
    """These patients as the trail names them."""
    return [PATIENT + id for id in whose.ids_of(connection, patients)]


def _of_some(connection: Connection, moment: int, type: str, rids: list[int]) -> set[int]:
    if type in SAY_THEMSELVES:
        return _said(connection, moment, rids)
    found, unsure = whose.numbers_at(connection, rids, moment, SAY_THEMSELVES if not type else ())
    return found | _said(connection, moment, unsure) if unsure else found


def _said(connection: Connection, moment: int, rids: list[int]) -> set[int]:
    """The patients of resources that have to be looked into; deleted ones say it by what they were."""
    found: set[int] = set()
    for portion in scan.portions(connection, rids) if rids else ():
        for _, row in select.readable(connection, scan.of_rows(connection, moment, portion), {}):
            found |= _of_row(connection, moment, row)
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
