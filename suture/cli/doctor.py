"""`suture doctor`: looks at key, database, disk, backup and ports, and says how to mend what is not good."""

from __future__ import annotations

import socket
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.settings import Settings
from suture.store import health
from suture.store.health import Finding

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


@app.command(epilog="Example: `suture doctor --json`")
def doctor(
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Looks at what the product stands on. Exit code 1 when something is bad."""
    settings = settings_of.read(project)
    findings = [*health.look(settings), *_ports(settings)]
    if as_json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings]))
    else:
        _print(findings)
    if any(finding.level == "bad" for finding in findings):
        raise SystemExit(1)


def _ports(settings: Settings) -> list[Finding]:
    return [_port(name, settings[f"{name}.host"], settings[f"{name}.port"]) for name in ("http", "mllp")]


def _port(name: str, host: str, port: int) -> Finding:
    what = f"port {port}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            mend = f"If that is not suture serve itself: stop it, or set {name}.port."
            return Finding(what, "warning", f"{host} for {name}: {error.strerror}", mend)
    return Finding(what, "good", f"{host} for {name} is free")


def _print(findings: list[Finding]) -> None:
    wide = max(len(finding.what) for finding in findings)
    for finding in findings:
        level = typer.style(f"{finding.level:<7}", fg=COLOURS[finding.level])
        typer.echo(f"{level}  {finding.what:<{wide}}  {finding.text}")
        if finding.mend and finding.mend not in finding.text:
            typer.echo(f"{'':{wide + 9}}  {finding.mend}")
