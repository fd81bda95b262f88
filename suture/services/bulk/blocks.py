"""An export in blocks: a patient's whole record after a header that names the patient, with what the record refers to.

organizeOutputBy: https://build.fhir.org/ig/HL7/bulk-data/export.html#bulk-data-output-file-organization
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from suture.access import compartment
from suture.services.bulk import select
from suture.services.bulk.request import Wanted
from suture.services.bulk.select import PROVENANCE, Found
from suture.standards.fhir import json
from suture.store import holes, scan
from suture.store.bodies import DamagedPage
from suture.store.connection import Connection
from suture.store.holes import Place, Unread
from suture.store.resources import Row

_REFERS = re.compile(
    rb'"reference"\s*:\s*"(?:[^"\s]{0,500}/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/\d+)?"'
)


@dataclass(slots=True)
class Blocks:
    """What was selected, sorted by whose it is. In a block, the negative row number of a Patient stands for its header."""

    connection: Connection
    wanted: Wanted
    moment: int
    owned: dict[int, list[int]] = field(default_factory=dict)  # a Patient's row number -> what is of that patient
    refers: dict[int, set[Place]] = field(default_factory=dict)  # the same -> what that refers to and is nobody's
    shared: dict[Place, int] = field(default_factory=dict)
    further: dict[Place, set[Place]] = field(default_factory=dict)  # what is nobody's -> what it refers to
    patients: dict[str, int] = field(default_factory=dict)
    unread: Unread = field(default_factory=dict)  # what is damaged

    def of(self, found: Found) -> Iterator[list[int]]:
        """A block for each patient; what no record refers to stands in none."""
        only = select.patients(self.connection, self.wanted, self.moment)
        self.unread = found.unread
        for type in sorted(found.rows, key=lambda type: (type == PROVENANCE, type != "Patient", type)):
            for row in self._rows(found.rows[type]):
                try:
                    self._sort(row, only)
                except DamagedPage as error:
                    holes.lose(self.connection, self.unread, row.rid, error, (row.type, row.id))
        holes.name(self.connection, self.unread)
        for patient in sorted(self.owned):
            own = sorted(self.owned[patient], key=lambda rid: (rid != patient, rid))
            yield [-patient, *own, *self._closure(self.refers.get(patient, set()))]

    def _rows(self, rids: list[int]) -> Iterator[Row]:
        for start in range(0, len(rids), scan.CHUNK // 4):
            for portion in scan.portions(self.connection, rids[start : start + scan.CHUNK // 4]):
                versions = scan.of_rows(self.connection, self.moment, portion, self.unread)
                for _, row in select.readable(self.connection, versions, self.unread):
                    yield row

    def _sort(self, row: Row, only: set[str] | None) -> None:
        place, about = (row.type, row.id), _refers(row)
        owners = self._owners(row) if row.type != PROVENANCE else self._owners_of_targets(row)
        there = {self._number(id) for id in owners if only is None or id in only} - {0}
        for patient in there:
            self.owned.setdefault(patient, []).append(row.rid)
            self.refers.setdefault(patient, set()).update(about)
        if not there:
            self.shared[place] = row.rid
            self.further.setdefault(place, set()).update(about)

    def _owners(self, row: Row) -> set[str]:
        if row.type == "Patient":
            self.patients[row.id] = row.rid
            return {row.id}
        return compartment.owners(json.reread(row.body), self.connection.shared.base) if row.body else set()

    def _owners_of_targets(self, row: Row) -> set[str]:
        """A Provenance is of whom its targets are; one of what is nobody's goes where its target goes."""
        found: set[str] = set()
        for target in self._rows(sorted(select.targets(self.connection, row))):
            owners = self._owners(target)
            found |= owners
            if not owners:
                self.further.setdefault((target.type, target.id), set()).add((row.type, row.id))
        return found

    def _number(self, id: str) -> int:
        """The row number of a Patient; 0 when there is none."""
        if id not in self.patients:
            self.patients[id] = scan.number(self.connection, "Patient", id)
        return self.patients[id]

    def _closure(self, places: set[Place]) -> list[int]:
        """What is nobody's and is referred to, and what that refers to again."""
        known: set[Place] = set()
        fresh = set(places)
        while fresh:
            known |= fresh
            fresh = {further for place in fresh for further in self.further.get(place, ())} - known
        return sorted(self.shared[place] for place in known if place in self.shared)


def _refers(row: Row) -> set[Place]:
    """The places a body refers to that can be nobody's; what is a patient's comes by itself."""
    found = {(type.decode(), id.decode()) for type, id in _REFERS.findall(row.body)}
    return {place for place in found if place[0] != "Patient" and not compartment.parameters(place[0])}
