"""The commands; each stands in a file of its own that is read only when the command is called."""

from __future__ import annotations

import gc
import sys
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from rich.console import Console
from rich.table import Table

from suture import __version__
from suture.errors import SutureError

# command -> (module, one line of help). The module offers `app`, a typer.Typer with one command or a group.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("suture.cli.demo", "three flows live on this machine: HL7 v2 in, an EHR, results out"),
    "init": ("suture.cli.init", "make a project folder that works at once"),
    "check": ("suture.cli.check", "find what is wrong in flows, maps, connections, tests and settings"),
    "test": ("suture.cli.test", "run the project's flow tests; nothing is sent"),
    "validate": ("suture.cli.validate", "are these files valid FHIR R4? every finding with its place and the mend"),
    "backup": ("suture.cli.backup", "one encrypted file with everything, while the server goes on"),
    "restore": ("suture.cli.restore", "put the database of a backup in place"),
    "audit": ("suture.cli.audit", "the audit trail as a file; what of a patient's record left the house"),
    "verify": ("suture.cli.verify", "is the database whole, and is the audit trail what was written?"),
    "rotate-key": ("suture.cli.rotate_key", "a new key file, or a new key of the pages themselves"),
    "doctor": ("suture.cli.doctor", "look at key, database, disk, backup and ports; say how to mend"),
    "fhirpath": ("suture.cli.fhirpath", "evaluate a FHIRPath on a resource or a message"),
    "convert": ("suture.cli.convert", "turn a message into FHIR and see from where everything came, and what was lost"),
    "serve": ("suture.cli.serve", "run the flows and their listeners, the FHIR R4 API and the console"),
    "import": ("suture.cli.import_", "store NDJSON files and bundles, fast"),
    "export": ("suture.cli.export", "every resource as NDJSON, as of one moment"),
    "messages": ("suture.cli.messages", "what came in, and what became of it"),
    "runs": ("suture.cli.runs", "each message's way through a flow; what waits, what failed"),
    "deadletters": ("suture.cli.deadletters", "what gave up, and why"),
    "matches": ("suture.cli.matches", "records that may be of one person: link them, or say they are two"),
    "replay": ("suture.cli.replay", "walk again what failed"),
    "secret": ("suture.cli.secret", "the encrypted vault of what connections need"),
    "partner": ("suture.cli.partner", "to whom records go, and the agreements that allow it"),
    "connection": ("suture.cli.connection", "which connections may send, and why not"),
    "key": ("suture.cli.key", "add, list, rotate, revoke API keys of the gateway"),
    "client": ("suture.cli.client", "programs with a bearer key; apps that come by OAuth: register, approve, revoke"),
    "access": ("suture.cli.access", "clearance, bounds and organization of people and programs"),
    "ig": ("suture.cli.ig", "store an implementation guide's profiles and value sets from its package"),
    "terminology": ("suture.cli.terminology", "code systems from their publishers: load, list, remove"),
    "user": ("suture.cli.user", "people who sign in: add, invite, give roles, reset what was lost"),
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; an error is told with its place and mend. Exits 0 only on success, 2 on wrong usage."""
    args = sys.argv[1:] if arguments is None else arguments
    if not args or args[0] in {"-h", "--help", "help"}:
        _help()
    elif args[0] in {"-V", "--version"}:
        sys.stdout.write(f"suture {__version__}\n")
    elif args[0] not in COMMANDS:
        close = get_close_matches(args[0], COMMANDS, 1)
        _fail(f"no command named '{args[0]}'. " + (f"Did you mean '{close[0]}'?" if close else "See: suture --help"), 2)
    else:
        _run(args[0], args[1:])


def _run(name: str, args: list[str]) -> None:
    try:
        _read(COMMANDS[name][0]).app(args=args, prog_name=f"suture {name}")
    except SutureError as error:
        _fail(str(error), 1)


def _read(module: str) -> ModuleType:
    """Nothing of what a command's rooms make on being read is garbage: looking for some takes a third of the start."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.enable()


def _fail(text: str, code: int) -> None:
    sys.stderr.write(f"error: {text}\n")
    sys.exit(code)


def _help() -> None:
    console = Console(highlight=False)
    console.print(
        "[bold]suture[/] joins health systems: HL7 v2 feeds and EHR APIs into one FHIR R4 chart and out again.\n"
    )
    console.print("Usage: suture COMMAND …    (suture COMMAND --help tells more, with an example)")
    console.print("First:  suture demo        then: suture init DIR\n")
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, (_, summary) in COMMANDS.items():
        table.add_row(f"[bold]{name}[/]", summary)
    console.print(table)
