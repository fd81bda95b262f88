"""`suture ig`: the profiles, value sets, code systems and concept maps of implementation guides, from their packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.app import open_rooms
from suture.cli import guides, place
from suture.services import imports
from suture.standards.fhir import json
from suture.standards.fhir.packages import CONFORMANCE, Package
from suture.store import audit

app = place.group("Implementation guides: what they define, from the packages of their publishers.")
OWN = "hl7.fhir.r4.core"  # what every guide builds on and is in the house


@app.command(epilog="Example: `suture ig install hl7.fhir.us.core-7.0.0.tgz`")
def install(
    file: Annotated[Path, typer.Argument(help="the package as it was downloaded (.tgz)")],
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Stores what $validate and the terminology operations use. Nothing is fetched: packages it builds on are named.

    Resources keep their ids: another version of the guide takes the place of the one before, what it has no more stays.
    """
    found = guides.package(file)
    rooms = open_rooms(settings_of.read(project))
    try:
        told = audit.AuditRow(place.who(), "ig-install", "ImplementationGuide", found.name, detail=found.version)
        rooms.database.write_now(lambda tx: audit.append(tx, told))
        summary = imports.load(rooms.database, rooms.interactions, _tasks(found, file), 1, lambda weight, stored: None)
    finally:
        rooms.database.close()
    _tell(found, summary, as_json)
    sys.exit(1 if summary.failed else 0)


@app.callback()
def _group() -> None:
    """Keeps `install` a word of its own."""


def _tasks(found: Package, file: Path) -> Iterator[imports.Task]:
    """One resource a task, so that a finding names its resource."""
    for one in found.resources:
        raw = json.write(one)
        yield imports.Task(f"{file}:{one['resourceType']}/{one.get('id', '')}", False, 1, raw, len(raw))


def _tell(found: Package, summary: imports.Summary, as_json: bool) -> None:
    needs = {name: version for name, version in found.dependencies.items() if name != OWN}
    faults = [{"resource": where, "text": text} for where, _, text in summary.faults]
    if as_json:
        types = {type: summary.types.get(type, 0) for type in CONFORMANCE}
        typer.echo(orjson.dumps({"package": str(found), "stored": types, "needs": needs, "faults": faults}))
        return
    for fault in faults:
        typer.echo(f"{fault['resource']}: {fault['text']}", err=True)
    counts = (f"{summary.types.get(type, 0)} {type}" for type in CONFORMANCE)
    typer.echo(f"{place.printable(str(found))}: {', '.join(counts)}; {summary.failed} left out")
    if needs:
        typer.echo("It builds on: " + place.printable(", ".join(f"{name}@{needs[name]}" for name in needs)))
