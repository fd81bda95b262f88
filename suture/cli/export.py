"""`suture export`: every resource of the chart as NDJSON, a file a type, as it was at one moment; or one person's whole record.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html · docs/ehi-export.md
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from suture.cli import export_ehi, place
from suture.clock import instant
from suture.errors import Invalid
from suture.services.bulk.files import one_line
from suture.standards.fhir import definitions
from suture.store import audit, scan
from suture.store.database import Database

app = place.single()


@app.command(
    epilog="Examples: `suture export --out chart-2026-11 --type Patient`, `suture export --patient 0193… --ehi --out record.zip`"
)
def export(
    out: Annotated[Path, typer.Option(help="a new or empty folder; with --patient a new file", metavar="DIR")],
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="only this resource type; may be given several times")
    ] = None,
    ehi: Annotated[
        bool, typer.Option("--ehi", help="all that is stored about a person: versions, messages, documents, audit")
    ] = False,
    patient: Annotated[
        str, typer.Option(help="id or record number of the Patient, with --ehi; without it a file for each patient")
    ] = "",
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Writes the current version of every resource, readable by this user only; what is written meanwhile is left out.

    `--patient ID --ehi --out FILE.zip` writes one person's whole record instead (docs/ehi-export.md). The files are not
    encrypted: keep them where such data may be. The export leaves a row in the audit trail.
    """
    if ehi:
        export_ehi.write(out, patient, project, as_json)
        return
    if patient:
        raise Invalid(
            "a patient goes with --ehi", where="--patient", mend="suture export --patient ID --ehi --out FILE"
        )
    types = _known(type_ or [])
    _require_empty(out)
    with place.opened(project) as database:
        row = audit.AuditRow(place.who(), "export", ",".join(types), detail="command line")
        moment = database.write_now(lambda tx: (audit.append(tx, row), tx.now)[1])
        counts = _write(database, moment, types, out)
    rows = [{"type": name, "resources": count, "file": f"{name}.ndjson"} for name, count in sorted(counts.items())]
    place.show(rows, ("type", "resources", "file"), as_json, "There is nothing to export.")
    if not as_json:
        typer.echo(f"As of {instant(moment)}.")


def _known(types: list[str]) -> list[str]:
    for name in types:
        if name not in definitions.RESOURCE_TYPES:
            raise Invalid(f"R4 has no resource type '{name}'", where="--type", mend="Write such as Patient.")
    return types


def _require_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Invalid("this is not an empty folder", where=str(out), mend="Name a new folder.")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write(database: Database, moment: int, types: list[str], out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    files: dict[str, BinaryIO] = {}
    columns = (TextColumn("{task.completed:,.0f} resources"), TimeElapsedColumn())
    with ExitStack() as opened, Progress(*columns, disable=not os.isatty(2)) as progress:
        bar = progress.add_task("export", total=None)
        for chunk in scan.chunks(database.read, moment, types):
            for name, body in chunk:
                if name not in files:
                    files[name] = opened.enter_context(_file(out / f"{name}.ndjson"))
                files[name].write(one_line(body) + b"\n")
                counts[name] = counts.get(name, 0) + 1
            progress.advance(bar, len(chunk))
    return counts


def _file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 20)
