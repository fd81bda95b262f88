"""`suture audit`: the audit trail as a file, and what of a patient's record left the house."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer

from suture.cli import place
from suture.errors import Invalid, NotFound
from suture.services import patients
from suture.services.audit import disclosures, export, table
from suture.services.audit.disclosures import Period
from suture.store import audit
from suture.store.audit import AuditRow, Filter

app = place.group("The audit trail as a file, and accountings of disclosures.")
Since = Annotated[str, typer.Option(help="2h, 2026-11-25 or 2026-11-25T08:00 (UTC)")]
Out = Annotated[Path | None, typer.Option(help="a new file, readable by you alone; default: standard output")]


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


@app.command("export", epilog="Example: `suture audit export --since 2026-11-01 --format csv --out november.csv`")
def export_(
    since: Since = "",
    until: Since = "",
    who: Annotated[str, typer.Option(help="a caller, such as user:0193… or flow:lab-results")] = "",
    what: Annotated[str, typer.Option(help="read, search-type, send, login, denied …")] = "",
    refused: Annotated[bool, typer.Option("--refused", help="only what was refused or failed")] = False,
    format: Annotated[Format, typer.Option(help="ndjson holds number and hash of each row")] = Format.NDJSON,
    out: Out = None,
    project: place.Project = Path(),
) -> None:
    """Writes the rows of the audit trail in their order; the export itself is the last row."""
    with place.opened(project) as database:
        wanted = Filter(
            who,
            what=(what,) if what else (),
            refused=refused,
            since=_micros(since) or 0,
            until=_micros(until) or 1 << 62,
        )
        said = place.filters(since=since, until=until, who=who, what=what, refused=refused)
        row = AuditRow(place.who(), "export-audit", "AuditEvent", query=said, detail=f"command line, {format}")
        last = database.write_now(lambda tx: audit.append(tx, row))
        _write(out, export.chunks(database.read, replace(wanted, before=last + 1), format))


@app.command("disclosures", epilog="Example: `suture audit disclosures --patient 0193… --since 2026-01-01`")
def disclosures_(
    patient: Annotated[str, typer.Option(help="id or record number of the Patient")],
    since: Since = "",
    until: Since = "",
    as_json: place.AsJson = False,
    out: Out = None,
    project: place.Project = Path(),
) -> None:
    """Lists what of a patient's record left the house: when, to whom, under which agreement, what and why (CSV)."""
    with place.opened(project) as database:
        patient = patients.find(database.read, patient, "--patient")
        row = AuditRow(
            place.who(), "disclosures", "Patient", patient, f"Patient/{patient}" if patient else "",
            outcome=200 if patient else 404, detail="command line",
        )  # fmt: skip
        database.write_now(lambda tx: audit.append(tx, row))
        if not patient:
            raise NotFound("no such Patient", where="--patient", mend="Give the id of a Patient, or its record number.")
        found = disclosures.report(database.read, patient, Period(_micros(since) or 0, _micros(until) or 1 << 62))
    cells = [disclosures.LEFT_COLUMNS, *map(disclosures.left_cells, found.left)]
    shown = orjson.dumps([one._asdict() for one in found.left], option=orjson.OPT_INDENT_2) + b"\n"
    _write(out, [shown if as_json else table.lines(cells)])


def _micros(text: str) -> int:
    return place.micros(text) if text else 0


def _write(out: Path | None, pieces: Iterable[bytes]) -> None:
    with _opened(out) as file:
        for piece in pieces:
            file.write(piece)
        file.flush()


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Invalid(f"the file can't be made ({error.strerror})", where=str(out), mend="Name a new file.") from error
    with os.fdopen(handle, "wb") as file:
        yield file
