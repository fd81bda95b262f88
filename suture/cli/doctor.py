"""`suture doctor`: looks at key, database, disk, backup and ports, and says how to mend what is not good."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from suture import settings as settings_of
from suture.cli import doctor_hipaa, place
from suture.errors import SutureError
from suture.settings import Settings
from suture.store import health
from suture.store.file import path_of, serving_process
from suture.store.health import Finding

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
LISTENING = "0A"  # state of a socket in /proc/net/tcp
COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


@app.command(epilog="Example: `suture doctor --json`, `suture doctor --hipaa`")
def doctor(
    project: Annotated[Path, typer.Option(help="the project folder")] = Path(),
    hipaa: Annotated[bool, typer.Option("--hipaa", help="each safeguard of the Security Rule, with evidence")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Looks at what the product stands on. Exit code 1 when something is bad."""
    if hipaa:
        raise SystemExit(0 if doctor_hipaa.show(place.kept(project), as_json) else 1)
    settings = settings_of.read(project)
    findings = [*health.look(settings), *_ports(settings)]
    if as_json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings]))
    else:
        _print(findings)
    if any(finding.level == "bad" for finding in findings):
        raise SystemExit(1)


def _ports(settings: Settings) -> list[Finding]:
    server = _server(settings)
    return [_port(name, settings[f"{name}.host"], settings[f"{name}.port"], server) for name in ("http", "mllp")]


def _port(name: str, host: str, port: int, server: int) -> Finding:
    what = f"port {port}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if server and listens(server, port):
                return Finding(what, "good", f"{host} for {name}: in use by this project's suture serve")
            mend = f"Another program holds it, or the address is not this machine's: set {name}.port or {name}.host."
            return Finding(what, "warning", f"{host} for {name}: {error.strerror}", mend)
    return Finding(what, "good", f"{host} for {name} is free")


def _server(settings: Settings) -> int:
    """The process that serves this project's database; 0 when none does."""
    try:
        process = serving_process(path_of(settings.database))
        if process:
            os.kill(process, 0)
    except (SutureError, ProcessLookupError):
        return 0
    except PermissionError:  # another user's, and alive
        return process
    return process


def listens(process: int, port: int) -> bool:
    """Whether a process listens on a port, where the system tells (Linux); elsewhere the process is believed."""
    folder = Path(f"/proc/{process}")
    if not folder.exists():
        return not Path("/proc/self").exists()
    rows = [line.split() for name in ("tcp", "tcp6") for line in _lines(folder / "net" / name)[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING and row[1].endswith(f":{port:04X}")}
    return any(_target(file) in sockets for file in _files(folder / "fd"))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # another user's process
        return []


def _target(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:  # closed meanwhile
        return ""


def _print(findings: list[Finding]) -> None:
    wide = max(len(finding.what) for finding in findings)
    for finding in findings:
        level = typer.style(f"{finding.level:<7}", fg=COLOURS[finding.level])
        typer.echo(f"{level}  {finding.what:<{wide}}  {finding.text}")
        if finding.mend and finding.mend not in finding.text:
            typer.echo(f"{'':{wide + 9}}  {finding.mend}")
