"""`suture check`: everything that is wrong with flows, maps, connections, tests and settings, with line, column and mend."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.cli import place
from suture.engine import project as project_of
from suture.engine import tests_read
from suture.errors import Invalid, InvalidFile, Problem
from suture.services import brands

app = place.single()


@app.command(epilog="Example: `suture check` or `suture check flows/lab-results.yaml --json`")
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="project folders or files of one; default: this folder")
    ] = None,
    as_json: place.AsJson = False,
) -> None:
    """Checks files without running anything; exit code 1 when there is an error."""
    given = [path.resolve() for path in paths or [Path()]]
    found: list[Problem] = []
    for folder in dict.fromkeys(folder_of(path) for path in given):
        found += [p for p in everything(folder) if _asked(p, folder, given)]
    errors = sum(p.severity == "error" for p in found)
    if as_json:
        typer.echo(orjson.dumps([asdict(p) for p in found], option=orjson.OPT_INDENT_2))
    else:
        for problem in found:
            typer.echo(str(problem))
        typer.echo(f"{errors} errors, {len(found) - errors} warnings" if found else "Nothing is wrong.")
    if errors:
        raise typer.Exit(1)


def folder_of(path: Path) -> Path:
    """The project a path belongs to; raises Invalid."""
    if not path.exists():
        raise Invalid("no such file or folder", where=str(path), mend="Name a project folder, or a file inside one.")
    for folder in (path, *path.parents):
        if folder.is_dir() and place.is_project(folder):
            return folder
    raise Invalid("this is no project folder", where=str(path), mend="Run: suture init DIR")


def everything(folder: Path) -> list[Problem]:
    """Every finding of a project."""
    project = project_of.read(folder)
    found = list(project.problems)
    try:
        settings_of.read(folder)
    except InvalidFile as error:
        found += error.problems
    try:
        brands.read(folder, "http://127.0.0.1")
    except InvalidFile as error:
        found += error.problems
    found += project_of.map_problems(project)
    tests_read.tests_of(project, [], found)
    told = dict.fromkeys(replace(one, file=project_of.named(Path(one.file), folder)) for one in found)
    return sorted(told, key=lambda one: (one.file, one.line, one.column))


def _asked(problem: Problem, folder: Path, given: list[Path]) -> bool:
    """Whether a finding belongs to what was named: the whole project, a folder, or one file."""
    place_ = (folder / problem.file).resolve()
    return any(path in (place_, folder) or path in place_.parents for path in given)
