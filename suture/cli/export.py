"""`suture export`: the chart, a group's or some patients' records as NDJSON, a file a type, as they were at one moment.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html · docs/bulk-data.md · docs/ehi-export.md
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from suture.access.caller import Caller
from suture.access.policy import SYSTEM
from suture.cli import export_ehi, place
from suture.clock import instant
from suture.errors import Invalid, NotFound
from suture.services import patients
from suture.services.bulk import request
from suture.services.bulk.folder import Folder, faulty
from suture.services.bulk.request import Wanted
from suture.store import resources
from suture.store.database import Database

app = place.single()
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# parameters of $export by the options that give them, for errors
OPTIONS = {
    "_type": "--type", "_typeFilter": "--type-filter", "_since": "--since", "_until": "--until", "_elements": "--elements",
    "patient": "--patient", "includeAssociatedData": "--include-associated", "organizeOutputBy": "--organize-by",
}  # fmt: skip
Several = list[str] | None


@app.command(
    epilog="Examples: `suture export --out chart-2026-11 --type Patient`, `suture export --out changes --since 2026-11-01 --gzip`, "
    "`suture export --patient 0193… --ehi --out record.zip`"
)
def export(
    out: Annotated[
        Path, typer.Option(help="a new or empty folder; with --ehi and --patient a new file", metavar="DIR")
    ],
    type_: Annotated[
        Several, typer.Option("--type", help="only this resource type; may be given several times")
    ] = None,
    type_filter: Annotated[
        Several,
        typer.Option(
            help="only what a search finds, such as 'Observation?category=laboratory'; several are alternatives"
        ),
    ] = None,
    since: Annotated[str, typer.Option(help="only what changed since this day or instant, and what was deleted")] = "",
    until: Annotated[str, typer.Option(help="the chart as it was at this instant, or when this day began (UTC)")] = "",
    elements: Annotated[Several, typer.Option(help="only these elements, such as Patient.name or birthDate")] = None,
    group: Annotated[str, typer.Option(help="only the records of this Group's members (its id)")] = "",
    patient: Annotated[
        Several, typer.Option(help="only this patient's record (id or record number); several without --ehi")
    ] = None,
    include_associated: Annotated[
        str, typer.Option(help="LatestProvenanceResources or RelevantProvenanceResources, when --type leaves them out")
    ] = "",
    organize_by: Annotated[
        str, typer.Option(help="Patient: files of whole records, each after a header that names whose it is")
    ] = "",
    gzip: Annotated[bool, typer.Option("--gzip", help="pack the files")] = False,
    ehi: Annotated[
        bool, typer.Option("--ehi", help="all that is stored about a person: versions, messages, documents, audit")
    ] = False,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Writes the current version of every resource, readable by this user only; what is written meanwhile is left out.

    A file has its name only when it is whole. The same command after a break goes on with the files that are missing, as of the
    same moment. `--patient ID --ehi --out FILE.zip` writes one person's whole record instead (docs/ehi-export.md). The files are
    not encrypted: keep them where such data may be. The export leaves a row in the audit trail that names whose data it held.
    """
    pairs = [
        *(("_type", text) for text in type_ or ()), *(("_typeFilter", text) for text in type_filter or ()),
        *(("_elements", text) for text in elements or ()), *([("_since", _instant(since))] if since else ()),
        *([("_until", _instant(until))] if until else ()),
        *([("includeAssociatedData", include_associated)] if include_associated else ()),
        *([("organizeOutputBy", organize_by)] if organize_by else ()),
    ]  # fmt: skip
    if ehi:
        _require_alone(bool(pairs or group or gzip or len(patient or ()) > 1))
        export_ehi.write(out, (patient or [""])[0], project, as_json)
        return
    with place.opened(project) as database:
        wanted = _wanted(database, pairs, group, patient or [])
        folder = Folder(out, database, wanted, gzip, place.kept(project)["bulk.file_resources"])
        moment = _shown(folder, (*(f"{name}={value}" for name, value in pairs), group, *wanted.patients, str(gzip)))
    _tell(folder, moment, as_json)
    if faulty(out):
        typer.echo(f"Not everything could be exported: {', '.join(faulty(out))} says what.", err=True)
        raise typer.Exit(1)


def _require_alone(more: bool) -> None:
    if more:
        mend = "Give --out and one --patient with --ehi, or leave --ehi out."
        raise Invalid("a whole record can't be narrowed", where="--ehi", mend=mend)


def _instant(text: str) -> str:
    return f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text


def _wanted(database: Database, pairs: list[tuple[str, str]], group: str, named: list[str]) -> Wanted:
    """What is asked for, checked; patients by their ids."""
    read = database.read
    ids = [("patient", patients.named(read, one, "--patient")) for one in named]
    row = resources.read(read, "Group", group) if group else None
    if group and (row is None or row.deleted):
        raise NotFound("no such Group", where="--group", mend="Give the id of a Group.")
    level = "group" if group else "patient" if ids else "system"
    caller = Caller(place.who(), SYSTEM.kind, SYSTEM.name, SYSTEM.scopes)
    try:
        return request.read("", caller, level, group, [*pairs, *ids], lenient=False)
    except Invalid as error:
        raise type(error)(error.text, where=OPTIONS.get(error.where, error.where), mend=error.mend) from error


def _shown(folder: Folder, asked: tuple[str, ...]) -> int:
    """Runs it below a bar, where somebody looks on."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} resources"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, disable=not os.isatty(2)) as progress:
        bar = progress.add_task("looking", total=None)
        folder.told = lambda count: progress.advance(bar, count)
        folder.planned = lambda total: progress.reset(bar, description="writing", total=total)
        return folder.run(asked)


def _tell(folder: Folder, moment: int, as_json: bool) -> None:
    files = [{"type": one.type, "resources": one.resources, "file": one.file} for one in folder.files]
    if as_json:
        count = sum(one.resources for one in folder.files)
        made = {"transactionTime": instant(moment), "continued": folder.continued, "resources": count, "files": files}
        typer.echo(orjson.dumps({**made, "errors": faulty(folder.out)}, option=orjson.OPT_INDENT_2))
        return
    place.show(files, ("type", "resources", "file"), False, "There is nothing to export.")
    if folder.continued:
        kept = sum(one.kept for one in folder.files)
        typer.echo(f"Went on with the export that was cut off: {kept} of {len(folder.files)} files were whole.")
    typer.echo(f"As of {instant(moment)}.")
