"""`suture test`: runs the project's flow tests and map examples; nothing is sent, and writes go to a chart that is thrown away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.app import open_rooms
from suture.cli import place
from suture.cli.check import folder_of
from suture.clock import SYSTEM
from suture.engine import flow_tests, tests_read
from suture.engine import project as project_of
from suture.engine.project import Project
from suture.engine.tests_read import FlowTest
from suture.errors import InvalidFile, Problem

app = place.single()


@app.command(epilog="Example: `suture test` or `suture test tests/lab-results.yaml`")
def run_tests(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="a project folder, or test files of one; default: this folder")
    ] = None,
    as_json: place.AsJson = False,
) -> None:
    """Runs tests; exit code 1 when one fails."""
    given = [path.resolve() for path in paths or [Path()]]
    found = project_of.read(folder_of(given[0]))
    found.raise_if_wrong()
    problems: list[Problem] = []
    tests = tests_read.tests_of(found, [path for path in given if path.is_file()], problems)
    if problems:
        raise InvalidFile(problems)
    results = {t.file: _run(t, found) for t in tests}
    _tell(results, as_json)
    if any(results.values()):
        raise typer.Exit(1)


def _run(one: FlowTest, found: Project) -> list[Problem]:
    """One test, in a chart of its own."""
    with TemporaryDirectory(prefix="suture-test-") as folder:
        settings = settings_of.read(Path(folder), {"SUTURE_KEY_FILE": f"{folder}/key"})
        rooms = open_rooms(settings)
        try:
            return asyncio.run(flow_tests.run(one, found, rooms.interactions, rooms.database, SYSTEM))
        finally:
            rooms.database.close()


def _tell(results: dict[str, list[Problem]], as_json: bool) -> None:
    if as_json:
        rows = [
            {"test": name, "passed": not wrong, "problems": [str(p) for p in wrong]} for name, wrong in results.items()
        ]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        return
    for name, wrong in results.items():
        typer.echo(f"{'passed' if not wrong else 'FAILED'}  {name}")
        for problem in wrong:
            typer.echo(f"  {problem}")
    failed = sum(map(bool, results.values()))
    typer.echo(
        f"{len(results) - failed} passed, {failed} failed" if results else "No tests. Write some in tests/*.yaml."
    )
