"""`suture ig`: the profiles, value sets, code systems and concept maps of implementation guides, from their packages."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.app import App, open_rooms
from suture.cli import guides, place
from suture.connectors.outbound import Outbound
from suture.connectors.target import target
from suture.errors import Invalid, NotFound
from suture.services import guides as stored_guides
from suture.services import imports
from suture.services.guide_registry import PURPOSE, Wanted, fetched, wanted
from suture.services.guides import Stored
from suture.settings import Settings
from suture.standards.fhir import json
from suture.standards.fhir.packages import CONFORMANCE, Package
from suture.store import audit

app = place.group("Implementation guides: what they define, from the packages of their publishers.")
FEW = 50  # resources that are checked sooner than another process begins
OWN = "hl7.fhir.r4.core"  # what every guide builds on and is in the house


@app.command(epilog="Examples: `suture ig install guide.tgz` · `suture ig install hl7.fhir.us.davinci-pdex@2.0.0`")
def install(
    package: Annotated[str, typer.Argument(help="the package as it was downloaded (.tgz), or NAME@VERSION")],
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Stores what $validate, flows and the terminology operations use; packages it builds on are named.

    A file is read as it is; a name is asked for at the registry that the setting ig.registry names. Versions of a guide
    stand beside each other.
    """
    settings = settings_of.read(project)
    found = _package(package, settings)
    rooms = open_rooms(settings)
    try:
        _told(rooms, "ig-install", found.name, found.version)
        tasks = _tasks(rooms, found, package)
        workers = int(len(found.resources) > FEW)
        summary = imports.load(rooms.database, rooms.interactions, tasks, workers, lambda weight, stored: None)
    finally:
        rooms.database.close()
    _tell(found, summary, as_json)
    sys.exit(1 if summary.failed else 0)


@app.command("list", epilog="Example: `suture ig list --json`")
def list_(project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """The guides that are stored, with how much of each; US Core 6.1.0, 7.0.0 and 8.0.0 are inside without that."""
    with place.opened(project) as database:
        found = stored_guides.stored(database.read)
        place.seen(database, "ig-list", "ImplementationGuide")
    if as_json:
        rows = [{"name": one.name, "version": one.version, "stored": _counts(one)} for one in found]
        typer.echo(orjson.dumps(rows))
        return
    for one in found:
        counts = ", ".join(f"{number} {type}" for type, number in _counts(one).items())
        typer.echo(f"{place.printable(str(one))}: {counts}")
    if not found:
        typer.echo("No guide is stored.")


@app.command(epilog="Examples: `suture ig remove hl7.fhir.us.davinci-pdex` · `suture ig remove hl7.fhir.us.core@7.0.0`")
def remove(
    guide: Annotated[str, typer.Argument(help="NAME: all its versions, or NAME@VERSION")],
    project: place.Project = Path(),
) -> None:
    """Deletes what a guide stored; the versions of its resources stay in their history."""
    rooms = open_rooms(settings_of.read(project))
    try:
        name, _, version = guide.partition("@")
        found = [one for one in stored_guides.stored(rooms.database.read) if one.name == name]
        found = [one for one in found if version in ("", one.version)]
        if not found:
            mend = "suture ig list tells what is here; what an older Suture stored is not told, install it again first."
            raise NotFound(f"no guide {guide[:200]} is stored", where="guide", mend=mend)
        for one in found:
            _removed(rooms, one)
    finally:
        rooms.database.close()


def _removed(rooms: App, guide: Stored) -> None:
    _told(rooms, "ig-remove", guide.name, guide.version)
    for unit in stored_guides.removal(rooms.interactions, guide):
        rooms.database.write_now(unit)
    typer.echo(f"{place.printable(str(guide))}: {len(guide.rows)} resources deleted")


def _package(text: str, settings: Settings) -> Package:
    """From a file when there is one, else by name."""
    named = None if Path(text).is_file() else wanted(text)
    if named is None and not Path(text).exists():
        mend = "Name the .tgz, or NAME@VERSION, such as hl7.fhir.us.core@7.0.0."
        raise Invalid("there is no such file, and it is no name of a package", where=text[:200], mend=mend)
    return guides.package(Path(text)) if named is None else asyncio.run(_by_name(named, settings))


async def _by_name(named: Wanted, settings: Settings) -> Package:
    """What the operator's own setting names may be contacted."""
    registry = str(settings["ig.registry"])
    door = Outbound.of(settings, [target(registry, PURPOSE).origin])
    try:
        return await fetched(door, registry, named)
    finally:
        await door.close()


def _told(rooms: App, what: str, name: str, version: str) -> None:
    told = audit.AuditRow(place.who(), what, "ImplementationGuide", name, detail=version)
    rooms.database.write_now(lambda tx: audit.append(tx, told))


def _tasks(rooms: App, found: Package, where: str) -> Iterator[imports.Task]:
    """One resource a task, so that a finding names its resource."""
    for one in stored_guides.prepared(rooms.database.read, found):
        raw = json.write(one)
        yield imports.Task(f"{where}:{one['resourceType']}/{one['id']}", False, 1, raw, len(raw))


def _counts(guide: Stored) -> dict[str, int]:
    return {type: guide.types[type] for type in CONFORMANCE}


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
