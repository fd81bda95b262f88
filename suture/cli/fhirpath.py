"""`suture fhirpath EXPR FILE`: evaluates a FHIRPath on a FHIR resource (JSON, XML, NDJSON) or an HL7 v2 message."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from suture.clock import SYSTEM
from suture.errors import NotFound
from suture.standards.fhir import json, xml
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.fhirpath import Environment, compile
from suture.standards.hl7v2 import message
from suture.standards.hl7v2.absent import absent

app = typer.Typer(add_completion=False)


@app.command()
def fhirpath(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="The expression, in quotes.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="FHIR as JSON, XML or NDJSON, or HL7 v2; - reads standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the items with their types as JSON.")] = False,
) -> None:
    """Evaluates EXPR on FILE and prints one item a line.

    Example: suture fhirpath "name.where(use = 'official').given" patient.json

    Example: suture fhirpath "PID-5.1" message.hl7
    """
    found = [item for focus, environment in _contents(file) for item in _evaluated(expression, focus, environment)]
    if as_json:
        rows = [{"type": kind, "value": _plain(value)} for kind, value in found]
        sys.stdout.write("[" + ",".join(json.write(row).decode() for row in rows) + "]\n")
        return
    for _, value in found:
        sys.stdout.write(_line(value) + "\n")


def _evaluated(expression: str, focus: Any, environment: Environment) -> list[tuple[str, Any]]:
    kind = focus.get("resourceType", "") if isinstance(focus, dict) else ""
    compiled = compile(expression, type=kind if kind in RESOURCE_TYPES else "", locations=focus is None)
    return compiled.typed(focus, environment)


def _contents(file: str) -> Iterator[tuple[Any, Environment]]:
    raw = _bytes(file)
    start = raw.lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    now = SYSTEM.now()
    if start.startswith(b"MSH"):
        yield None, Environment(now=now, locate=_located(message.parse(start)))
    elif start.startswith(b"<"):
        yield xml.read(raw), Environment(now=now)
    elif file.endswith(".ndjson"):
        yield from ((json.read(line), Environment(now=now)) for line in raw.splitlines() if line.strip())
    else:
        yield json.read(raw), Environment(now=now)


def _located(read: message.Message) -> Callable[[str], list[str]]:
    """The texts at a place; a place that is empty here and in the standard not there is told of, once."""

    @cache
    def locate(text: str) -> list[str]:
        found = read.values(text)
        if not any(found) and (why := absent(text)):
            sys.stderr.write(f"note: {text}: {why}\n")
        return found

    return locate


def _bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise NotFound(f"can't read {file}: {error.strerror}", mend="Name a file, or - for standard input.") from error


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | Decimal | dict) else str(value)


def _line(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.write(value).decode() if isinstance(value, dict) else "" if value is None else str(value)
