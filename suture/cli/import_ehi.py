"""`suture import FILE.zip`: puts a person's whole record back as another installation had it (docs/ehi-export.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
import typer

from suture.cli import place
from suture.services.ehi.load import load


def load_all(paths: Sequence[Path], project: Path, as_json: bool) -> bool:
    """Loads the archives one after the other; returns whether something that is here already differs."""
    differs = False
    with place.opened(project) as database:
        for path in paths:
            done = load(database, path, place.who())
            differs = differs or bool(done.others)
            if as_json:
                typer.echo(orjson.dumps(asdict(done)))
                continue
            for name in done.others:
                typer.echo(f"{path}: {name} is here with other versions and stays as it is", err=True)
            typer.echo(
                f"{path}: {done.resources} resources in {done.versions} versions, {done.messages} messages, "
                f"{done.same} there already, {len(done.others)} differ"
            )
    return differs
