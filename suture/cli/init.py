"""`suture init`: a project folder that works at once: settings, a flow for the own HL7 v2 feed, a sample and its test."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from suture.cli import place
from suture.errors import Invalid

app = place.single()
RENAMED = {"gitignore": ".gitignore"}


@app.command(epilog="Example: `suture init clinic && cd clinic && suture test`")
def init(folder: Annotated[Path, typer.Argument(help="the folder to make", metavar="DIR")]) -> None:
    """Makes a project folder; refuses to write over anything."""
    if folder.exists() and any(folder.iterdir()):
        raise Invalid("the folder is not empty", where=str(folder), mend="Name a new folder.")
    for name, source in _files(files("suture") / "templates" / "init", ""):
        target = folder / RENAMED.get(name, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    for empty in ("maps", "connections"):
        (folder / empty).mkdir(exist_ok=True)
    typer.echo(f"Made {folder}: a flow that listens for HL7 v2 admissions, a sample message and its test.")
    typer.echo(f"Next: cd {folder} && suture test && suture serve")


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        else:
            yield prefix + item.name, item
