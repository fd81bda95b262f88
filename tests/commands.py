"""Calls a command as the command line does; errors of Suture are raised, so that tests can ask for them."""

from __future__ import annotations

import typer
from click.testing import Result
from typer.testing import CliRunner


def run(app: typer.Typer, *arguments: str, input: str | None = None) -> Result:
    found = CliRunner().invoke(app, list(arguments), input=input)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found
