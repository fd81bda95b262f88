"""`suture import`: stores NDJSON files, bundles and folders of them, fast and checked."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from suture import settings as settings_of
from suture.app import open_rooms
from suture.cli import import_ehi, import_synthetic
from suture.errors import Invalid
from suture.services import imports
from suture.services.imports.source import files

SMALL = 1 << 20  # bytes that are read sooner than another process begins
app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(epilog="Example: `suture import export/ patients.ndjson.gz`, `suture import --synthetic 100`")
def import_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="files (.ndjson, .json, with .gz too), folders of them, or whole records (.zip)"),
    ] = None,
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    workers: Annotated[
        int, typer.Option(help="processes that read and check; default: one for each core, none for what is small")
    ] = 0,
    synthetic: Annotated[int, typer.Option(help="people to invent, with whole US Core records")] = 0,
    seed: Annotated[int, typer.Option(help="of the invented people: the same seed, the same people")] = 1,
    us_core: Annotated[str, typer.Option(help="the US Core version of their records")] = "8.0.0",
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
) -> None:
    """Stores resources by their id; what is there already gets a new version, or none when nothing changed.

    Everything is validated. Bundles are taken entry by entry, references between their entries are resolved. What the
    deleted*.ndjson of an export names is deleted, after the other files of its folder. A line that is broken is named and
    left out; the exit code is 0 only when everything was stored.
    """
    if not paths and not synthetic:
        raise Invalid("nothing to import", where="PATHS", mend="Name files or folders, or --synthetic 100.")
    whole = [path for path in paths or [] if path.suffix == ".zip"]
    plain = [path for path in paths or [] if path.suffix != ".zip"]
    differs = import_ehi.load_all(whole, project, as_json) if whole else False
    with import_synthetic.written(synthetic, seed, us_core) as invented:
        failed = (
            _load([*(files(plain) if plain else ()), *invented], project, workers, as_json) if plain or invented else 0
        )
    if failed or differs:
        sys.exit(1)


def _load(found: list[Path], project: Path, workers: int, as_json: bool) -> int:
    """Stores what the files hold and tells of it; how many resources are left out."""
    app_ = open_rooms(settings_of.read(project))
    began = time.monotonic()
    gc.disable()  # resources hold no circles
    try:
        with _progress(found, not as_json) as (progress, bar):
            summary = imports.load(
                app_.database,
                app_.interactions,
                imports.tasks(found),
                workers or (0 if imports.size(found) < SMALL else os.cpu_count() or 1),
                lambda weight, stored: progress.update(bar, advance=weight, stored=stored),
            )
    finally:
        gc.enable()
        app_.database.close()
    _tell(summary, time.monotonic() - began, as_json)
    return summary.failed


class _progress:
    """A bar over the bytes of all files, on standard error."""

    def __init__(self, found: list[Path], shown: bool) -> None:
        self._total = sum(path.stat().st_size for path in found)
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.fields[stored]} stored"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )

    def __enter__(self) -> tuple[Progress, Any]:
        self._progress.start()
        return self._progress, self._progress.add_task("import", total=self._total, stored=0)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _tell(summary: imports.Summary, took: float, as_json: bool) -> None:
    counts = {
        name: getattr(summary, name)
        for name in (
            "stored",
            "created",
            "updated",
            "unchanged",
            "repeated",
            "deleted",
            "absent",
            "failed",
            "unresolved",
        )
    }
    rate = round((summary.stored + summary.deleted) / max(took, 1e-6))
    if as_json:
        faults = [{"file": file, "line": line, "text": text} for file, line, text in summary.faults]
        passed = [{"file": file, "lines": count, "text": why} for (file, why), count in summary.passed.items()]
        told = {**counts, "seconds": round(took, 2), "per_second": rate, "types": summary.types, "faults": faults}
        told["passed"] = passed
        typer.echo(orjson.dumps(told))
        return
    for file, line, text in summary.faults[:20]:
        typer.echo(f"{file}:{line}: {text}", err=True)
    if len(summary.faults) > 20:
        typer.echo(f"… and {summary.failed - 20} more; --json names the first 1000", err=True)
    for (file, why), count in list(summary.passed.items())[:20]:
        typer.echo(f"{file}: {count} passed over: {why}", err=True)
    typer.echo(", ".join(f"{value} {name}" for name, value in counts.items() if value or name in ("stored", "failed")))
    typer.echo(f"{took:.1f} s, {rate} resources a second")
