"""One version of one resource, as it stands in the store (https://hl7.org/fhir/R4/http.html#versionsupdate)."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One version of one resource; `body` is empty when this version is a deletion."""

    rid: int
    type: str
    id: str
    version: int
    updated: int  # microseconds
    method: str  # POST | PUT | PATCH | DELETE: what made this version
    body: bytes
    change: str = ""  # of a write: created | updated | unchanged | deleted
    patient: int | None = None  # row number of the patient it is of now, as the index tells; None: not asked

    @property
    def deleted(self) -> bool:
        return self.method == "DELETE"

    @property
    def damaged(self) -> bool:
        """Whether it stands for a version whose body can't be read (store/sound.py); no stored body is empty."""
        return not self.body and self.method != "DELETE"
