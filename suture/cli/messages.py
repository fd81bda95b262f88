"""`suture messages`: what came in, found by control id, type, patient, state and time; and what became of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from suture import settings as settings_of
from suture.cli import place
from suture.clock import instant
from suture.connectors.mllp_sender import Sender
from suture.engine import project as project_of
from suture.engine import redact, story
from suture.engine.versions import Versions
from suture.errors import Invalid, NotFound, SendFailed
from suture.message import MessageState
from suture.standards.hl7v2 import batch
from suture.store import messages
from suture.store.database import Database
from suture.store.messages import Entry
from suture.store.queue import runs
from suture.store.queue.runs import Run

app = place.group("Messages that came in.")
COLUMNS = ("received", "id", "source", "type", "control_id", "state")


@app.command("list", epilog="Example: `suture messages list --type ADT^A01 --state failed --since 2h`")
def list_messages(
    control_id: Annotated[str, typer.Option(help="MSH-10, or the sender's event id")] = "",
    type: Annotated[str, typer.Option(help="such as ADT^A01 or Patient")] = "",
    patient: Annotated[str, typer.Option(help="-: asks for an identifier the message names, or reads a pipe")] = "",
    source: Annotated[str, typer.Option(help="such as mllp:2575 or hooks:intake")] = "",
    state: Annotated[MessageState | None, typer.Option(help="received, filtered, unrouted, done, failed")] = None,
    since: Annotated[str, typer.Option(help="2h, 2026-11-25 or 2026-11-25T08:00")] = "",
    until: Annotated[str, typer.Option(help="the same")] = "",
    count: Annotated[int, typer.Option(help="most rows")] = 50,
    project: place.Project = Path(),
    as_json: place.AsJson = False,
) -> None:
    """Lists messages, the newest first."""
    named = _patient(patient)
    query = place.filters(
        control_id=control_id, type=type, patient=named, source=source, state=state, since=since, until=until
    )
    with place.opened(project) as database:
        found = messages.find(
            database.read, source=source, control_id=control_id, type=type, patient=named, state=state,
            since=place.micros(since), until=place.micros(until) or 1 << 62, count=count,
        )  # fmt: skip
        place.seen(database, "list", "Message", query=query)
    place.show([row(one) for one in found], COLUMNS, as_json, "No message fits.")


def _patient(option: str) -> str:
    """The identifier behind `--patient -`; raises Invalid when it stands on the command line itself."""
    if not option:
        return ""
    if option != "-":
        raise Invalid(
            "an identifier may not stand on the command line, where other programs and the shell's history see it",
            where="--patient",
            mend="Write --patient - and type it when asked, or pipe it in.",
        )
    named = place.typed("Identifier").strip()
    if not named:
        raise Invalid("no identifier was given", where="--patient", mend="Type or pipe the identifier.")
    return named


def row(one: Entry) -> dict[str, Any]:
    shown = {"received": instant(one.received), "id": one.id, "source": one.source, "type": one.type}
    return {**shown, "control_id": one.control_id, "state": str(one.state), "same_as": bool(one.same_as)}


@app.command(epilog="Example: `suture messages show 0193… --reveal`")
def show(id: str, reveal: place.Reveal = False, project: place.Project = Path(), as_json: place.AsJson = False) -> None:
    """Shows one message: its original, the answer it got, and its runs with what each step made of it; masked unless --reveal."""
    with place.opened(project) as database:
        entry = messages.entry(database.read, id)
        if entry is None:
            place.seen(database, "read", "Message", id, found=False)
            raise NotFound("no message with this id", where=f"message {id}", mend="See: suture messages list")
        versions, walked = Versions(project_of.read(project)), runs.find(database.read, mid=entry.mid)
        reveal = reveal or (bool(walked) and all(shown_full(run.flow, versions) for run in walked))
        place.seen(database, "reveal" if reveal else "read", "Message", id, mid=entry.mid)
        told = _told(database, entry, reveal, versions)
    if as_json:
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str))
        return
    _print(told)


def shown_full(flow: str, versions: Versions) -> bool:
    """Whether a flow says that its messages may be shown unmasked (`retention: {show: full}`)."""
    version = versions.active.get(flow)
    return version is not None and version.flow.show == "full"


def _told(database: Database, entry: Entry, reveal: bool, versions: Versions) -> dict[str, Any]:
    read = database.read
    raw, answer = messages.original(read, entry.mid), messages.answer(read, entry.mid)
    shown = redact.plain if reveal else redact.original
    told = row(entry) | {"original": shown(raw, entry.kind), "answer": shown(answer, entry.kind)}
    if reveal:
        told["patients"] = messages.patients_of(read, entry.mid)
    told["runs"] = [run_row(one) | steps(database, one, reveal, versions) for one in runs.find(read, mid=entry.mid)]
    return told


def run_row(one: Run) -> dict[str, Any]:
    return {
        "started": instant(one.started),
        "id": one.id,
        "flow": one.flow,
        "version": one.version,
        "state": str(one.state),
        "step": one.step,
        "error": one.error,
    }


def steps(database: Database, one: Run, reveal: bool, versions: Versions) -> dict[str, Any]:
    """A run's steps with their outputs."""
    told = story.tell(database.read, one, versions)
    if told.unreadable:
        return {"steps": [], "unreadable": told.unreadable}
    return {
        "loss": told.loss,
        "steps": [
            {
                "step": t.step,
                "uses": t.uses,
                "output": redact.content(t.output, reveal),
                "warnings": list(t.warnings),
                "lineage": [f"{one.target} <- {one.source} ({one.row})" for one in t.mapped.lineage]
                if t.mapped
                else [],
            }
            for t in told.trace
        ],
    }


def _print(told: dict[str, Any]) -> None:
    for name in (*COLUMNS, "patients"):
        if name in told:
            typer.echo(f"{name:<12}{told[name]}")
    typer.echo(f"\noriginal\n{told['original']}\n\nanswer\n{told['answer']}")
    for one in told["runs"]:
        print_run(one)


def print_run(one: dict[str, Any]) -> None:
    typer.echo(f"\nrun {one['id']}  flow {one['flow']} ({one['version']})  {one['state']}  {one['error']}")
    if one.get("unreadable"):
        typer.echo(f"  its steps cannot be shown: {one['unreadable']}")
    for step in one["steps"]:
        typer.echo(f"  {step['step']} ({step['uses']})")
        typer.echo(
            "    "
            + orjson.dumps(step["output"], option=orjson.OPT_INDENT_2, default=str).decode().replace("\n", "\n    ")
        )
        for warning in step["warnings"]:
            typer.echo(f"    warning: {warning}")
    if one.get("loss"):
        typer.echo(f"  read by no row: {', '.join(one['loss'])}")


@app.command(epilog="Example: `suture messages send tests/samples/adt_a01.hl7 --port 2575`")
def send(
    files: Annotated[
        list[Path], typer.Argument(help="files with one HL7 v2 message or many", exists=True, dir_okay=False)
    ],
    host: Annotated[str, typer.Option(help="where the listener is")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="its MLLP port; default: this project's own")] = 0,
    project: place.Project = Path(),
) -> None:
    """Sends HL7 v2 files over MLLP as a sender would and tells each acknowledgement; exit code 0 only if all were accepted."""
    port = port or int(settings_of.read(project)["mllp.port"])
    refused = asyncio.run(
        _send([(file, one) for file in files for one in batch.split(file.read_bytes()).messages], host, port)
    )
    sys.exit(1 if refused else 0)


async def _send(found: list[tuple[Path, bytes]], host: str, port: int) -> int:
    sender, refused = Sender(host, port), 0
    try:
        for number, (file, message) in enumerate(found, 1):
            try:
                answer = await sender.send(message)
                typer.echo(f"{file}, message {number}: acknowledged with {answer.code}")
            except SendFailed as error:
                refused += 1
                typer.echo(f"{file}, message {number}: {error}", err=True)
    finally:
        await sender.close()
    return refused
