"""A row of the trail as one JSON line, with its number and hash so that a copy elsewhere is a witness (NIST SP 800-92)."""

from __future__ import annotations

from typing import Any

import orjson

from suture.clock import instant
from suture.store.audit import Entry

MOST_PATIENTS = 50  # in one message of syslog, whose receivers need not take more than 8 KiB
LONGEST = 1000  # characters of a detail there


def members(entry: Entry) -> dict[str, Any]:
    """Everything a row says; what is empty is left out."""
    row = entry.row
    patients = row.patients or ((row.patient,) if row.patient else ())
    said = row._asdict() | {"patients": list(patients)}
    del said["patient"]
    return {"n": entry.n, "at": instant(entry.at), **{name: value for name, value in said.items() if value}}


def line(entry: Entry, hash: bytes) -> bytes:
    """The whole row."""
    return orjson.dumps(members(entry) | {"hash": hash.hex()})


def parts(entry: Entry, hash: bytes) -> list[bytes]:
    """The row in pieces that a syslog receiver takes: the first says everything, further ones name further patients."""
    whole = members(entry) | {"hash": hash.hex()}
    patients = whole.get("patients", [])
    if len(whole.get("detail", "")) > LONGEST:
        whole["detail"] = whole["detail"][:LONGEST] + "…"
    cut = [patients[at : at + MOST_PATIENTS] for at in range(0, len(patients), MOST_PATIENTS)] or [[]]
    if cut[0]:
        whole["patients"] = cut[0]
    more = [{"n": entry.n, "part": n, "patients": some} for n, some in enumerate(cut[1:], 2)]
    return [orjson.dumps(one) for one in (whole, *more)]
