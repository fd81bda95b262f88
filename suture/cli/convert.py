"""`suture convert FILE --to fhir`: runs a map on messages or JSON and shows what comes out, from where, and what is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from suture.cli import place
from suture.clock import SYSTEM
from suture.engine import project
from suture.errors import InvalidMessage, NotAllowed, NotFound, Unmapped
from suture.mapping.compile import Result
from suture.mapping.context import Context, Source
from suture.mapping.library import Library
from suture.mapping.moments import known_zone
from suture.standards.fhir import json
from suture.standards.hl7v2 import batch, message, structure

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
TARGETS = ("fhir", "json")


@app.command()
def convert(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="HL7 v2 (one message or many) or JSON; - reads standard input")
    ],
    to: Annotated[str, typer.Option("--to", help="what comes out: fhir or json")] = "fhir",
    map_name: Annotated[str, typer.Option("--map", help="the map; default: the one of the message's structure")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="one line of JSON a message: value, merges, warnings, lineage, loss")
    ] = False,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="show which target came from which source by which row")
    ] = False,
    loss: Annotated[bool, typer.Option("--loss", help="show the places that no row read")] = False,
    source: Annotated[str, typer.Option("--source", help="the sender's id, as in a flow")] = "convert",
    time_zone: Annotated[str, typer.Option("--time-zone", help="of times without an offset")] = "UTC",
    folder: Annotated[Path, typer.Option("--project", help="the project folder, for maps of its own")] = Path("."),
) -> None:
    """Turns FILE into FHIR and prints it; warnings go to standard error.

    Example: suture convert adt.hl7 --to fhir

    Example: suture convert adt.hl7 --to fhir --loss

    Example: suture convert intake.json --to fhir --map intake/Patient --lineage
    """
    if to not in TARGETS:
        raise NotAllowed(f"--to {to} is not offered", mend=f"One of: {', '.join(TARGETS)}.")
    if not known_zone(time_zone):
        raise NotFound(f"no time zone '{time_zone}'", where="--time-zone", mend="Write it like America/Chicago.")
    library = project.read(folder).library if (folder / "maps").is_dir() else Library()
    context = Context(Source(id=source, time_zone=time_zone), now=SYSTEM.now().isoformat(timespec="seconds"))
    for content in _contents(file):
        found = _converted(library, content, map_name, to, context)
        _show(found, as_json=as_json, lineage=lineage, loss=loss)


def _converted(library: Library, content: Any, name: str, to: str, context: Context) -> Result:
    compiled = library.compiled(name or _name(library, content))
    made = "json" if compiled.map.target == "json" else "fhir"
    if made != to:
        raise NotAllowed(f"map '{compiled.map.name}' makes {made}, not {to}", mend=f"Write --to {made}.")
    if compiled.map.kind in ("json", "fhir") and isinstance(content, message.Message):
        raise Unmapped(f"map '{compiled.map.name}' reads {compiled.map.source}, the file is HL7 v2", where="--map")
    return compiled.run(content, context)


def _name(library: Library, content: Any) -> str:
    """The map of a message's structure."""
    if not isinstance(content, message.Message):
        raise NotFound("which map shall read the JSON?", mend=f"Write --map with one of: {', '.join(library.names())}")
    name = library.of_structure(structure.name(content))
    if not name:
        where = content.type or "MSH-9"
        raise Unmapped(f"no map for {where}", where="MSH-9", mend="Write --map NAME, or a map of your own in maps/.")
    return name


def _contents(file: str) -> Iterator[Any]:
    raw = _bytes(file)
    start = raw.lstrip(b"\xef\xbb\xbf \t\r\n\x0b")[:1]
    if start in b"{[":
        yield json.read(raw)
        return
    try:
        messages = batch.split(raw).messages
    except InvalidMessage as error:
        error.mend = error.mend or "FILE must be HL7 v2 or JSON."
        raise
    yield from map(message.parse, messages)


def _bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise NotFound(f"can't read {file}: {error.strerror}", mend="Name a file, or - for standard input.") from error


# --- showing


def _show(found: Result, *, as_json: bool, lineage: bool, loss: bool) -> None:
    if as_json:
        sys.stdout.write(json.write(_line(found)).decode() + "\n")
        return
    for warning in found.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if lineage:
        _lineage(found)
    if loss:
        sys.stdout.write("".join(f"{place}\n" for place in found.loss))
    if not lineage and not loss:
        sys.stdout.write(indented(found.value) + "\n")


def indented(value: Any) -> str:
    """JSON as people read it; numbers keep their form."""
    return msgspec.json.format(json.write(value), indent=2).decode()


def _line(found: Result) -> dict[str, Any]:
    return {
        "value": found.value,
        "merges": found.merges,
        "warnings": [{"where": w.where, "text": w.text, "row": w.row} for w in found.warnings],
        "lineage": [{"target": item.target, "source": item.source, "row": item.row} for item in found.lineage],
        "loss": found.loss,
    }


def _lineage(found: Result) -> None:
    place.table([("target", "source", "row"), *((item.target, item.source, item.row) for item in found.lineage)])
