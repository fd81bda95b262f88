"""`suture terminology`: code systems from their publishers' files (LOINC, SNOMED CT, RxNorm, ICD-10-CM, CVX), in versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from suture.cli import place
from suture.clock import instant
from suture.errors import Invalid, NotFound
from suture.services.terminology import load as loading
from suture.standards.terminology.files import KINDS
from suture.store import audit, terminology_loaded
from suture.store.connection import Tx

app = place.group("Code systems that operations and searches use, from the files of their publishers.")


@app.command(epilog="Example: `suture terminology load loinc Loinc_2.78.zip --version 2.78`")
def load(
    kind: Annotated[str, typer.Argument(help=f"what it is: {', '.join(KINDS)}")],
    path: Annotated[Path, typer.Argument(help="the file, a folder with it, or the zip as it was downloaded")],
    version: Annotated[str, typer.Option(help="the version, as codes name it")],
    project: place.Project = Path(),
) -> None:
    """Loads a version; it counts when all of it is there, and takes the place of the same version."""
    if kind not in KINDS:
        raise Invalid(f"'{kind}' can't be loaded", where="kind", mend=f"Use one of: {', '.join(KINDS)}.")
    if not version.strip() or len(version) > 100:
        raise Invalid("a version has 1 to 100 characters", where="--version", mend="Write it as the publisher does.")
    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}"))
    with place.opened(project) as database, Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(kind, total=None)

        def audited(tx: Tx) -> None:
            audit.append(tx, audit.AuditRow(place.who(), "terminology-load", "CodeSystem", kind, detail=version))

        count = loading.load(database, kind, version, path, lambda read: progress.advance(bar, read), audited)
    typer.echo(f"{KINDS[kind].title} {version}: {count} codes are loaded.")


@app.command("list", epilog="Example: `suture terminology list`")
def list_loaded(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Lists what is loaded. R4's own and what is stored as resources is not in this list."""
    with place.opened(project) as database:
        found = terminology_loaded.versions(database.read)
    rows = [{"url": f.url, "version": f.version, "codes": f.codes, "loaded": instant(f.loaded)} for f in found]
    place.show(rows, ("url", "version", "codes", "loaded"), as_json, "Nothing is loaded.")


@app.command(epilog="Example: `suture terminology remove loinc --version 2.77`")
def remove(
    kind: Annotated[str, typer.Argument(help=f"what it is: {', '.join(KINDS)}")],
    version: Annotated[str, typer.Option(help="only this version; all of them unless told")] = "",
    project: place.Project = Path(),
) -> None:
    """Takes loaded versions away."""
    if kind not in KINDS:
        raise Invalid(f"'{kind}' can't be loaded", where="kind", mend=f"Use one of: {', '.join(KINDS)}.")

    def unit(tx: Tx) -> int:
        gone = terminology_loaded.remove(tx, KINDS[kind].url, version)
        audit.append(tx, audit.AuditRow(place.who(), "terminology-remove", "CodeSystem", kind, detail=version))
        return gone

    with place.opened(project) as database:
        gone = database.write_now(unit)
    if not gone:
        raise NotFound("nothing of it is loaded", where=kind, mend="See: suture terminology list")
    typer.echo(f"{KINDS[kind].title}: {gone} removed.")
