"""`suture validate`: are these files valid FHIR R4? Each finding with its place and the mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from suture.cli import guides
from suture.errors import Invalid, InvalidSyntax, Issue
from suture.standards import cds_hooks
from suture.standards.fhir import json, xml

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
LARGEST = 4 * 1024**3
COLOURS = {"error": "red", "fatal": "red", "warning": "yellow", "information": "blue"}


@dataclass(frozen=True, slots=True)
class Found:
    """One finding about one file; `line` is the line of an NDJSON file, else 0."""

    file: str
    line: int
    severity: str
    code: str
    expression: str
    text: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.severity}: " + " ".join(
            part for part in (f"{self.expression}:" * bool(self.expression), self.text, self.mend) if part
        )


@app.command(
    epilog="Examples: `suture validate patient.json bundle.xml export.ndjson` · "
    "`suture validate export.ndjson --profile us-core@7.0.0`"
)
def validate(
    files: Annotated[list[Path], typer.Argument(help="JSON, XML or NDJSON files of resources or bundles")],
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="a profile that every resource has to keep: its URL or id, us-core-patient; "
            "us-core or us-core@7.0.0: of US Core the one that fits each resource"
        ),
    ] = None,
    package: Annotated[list[Path] | None, typer.Option(help="a guide's .tgz: profiles, extensions, value sets")] = None,
    strict: Annotated[
        list[str] | None,
        typer.Option(
            help="refuse, too: extensions (that nobody knows), html (in texts), markdown (with HTML), examples (as addresses), "
            "displays (other than R4's, of codes of HL7 Terminology)"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Checks structure, formats, required codes, references, narrative and the rules of R4. Exit code 1: an error was found.

    With --package or --profile the profiles that meta.profile claims are checked, too, as far as they are known.
    """
    counts: Counter[str] = Counter()
    checks = guides.checks(package or [], profile or [], strict or [])
    found = (one for file in files for one in _file(file, counts, checks))
    if as_json:
        typer.echo(orjson.dumps([asdict(one) for one in found]))
    else:
        _print(found, counts)
    if counts["error"] or counts["fatal"]:
        raise SystemExit(1)


def _file(file: Path, counts: Counter[str], checks: guides.Checks) -> Iterator[Found]:
    counts["file"] += 1
    for line, issue in _issues(file, counts, checks):
        counts[issue.severity] += 1
        yield Found(str(file), line, issue.severity, issue.code, issue.expression, issue.text, issue.mend)


def _issues(file: Path, counts: Counter[str], checks: guides.Checks) -> Iterator[tuple[int, Issue]]:
    for line, read in _resources(file):
        counts["resource"] += 1
        if isinstance(read, Invalid):
            yield from ((line, issue) for issue in read.issues)
        else:
            found = cds_hooks.check(read) if cds_hooks.kind(read) else checks(read)
            yield from ((line, issue) for issue in found)


def _resources(file: Path) -> Iterator[tuple[int, dict[str, Any] | Invalid]]:
    """Every resource of a file with its line in NDJSON, or the error of reading it."""
    try:
        with file.open("rb") as opened:
            if file.suffix in {".ndjson", ".jsonl"}:
                yield from _lines(opened)
                return
            raw = opened.read()
    except OSError as error:
        where = error.strerror or "it can't be read"
        yield 0, InvalidSyntax(f"The file can't be read: {where}.", mend="Check its name and your rights.")
        return
    if b"}\n{" in raw or b"}\r\n{" in raw:
        yield from _lines(raw.splitlines())
    else:
        yield 0, _read(raw)


def _lines(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | Invalid]]:
    for line, text in enumerate(lines, 1):
        if text.strip():
            yield line, _read(text.rstrip())


def _read(raw: bytes) -> dict[str, Any] | Invalid:
    try:
        if raw.lstrip()[:1] == b"<" or raw.startswith(b"\xef\xbb\xbf<"):
            return xml.read(raw, max_size=LARGEST)
        return json.read(raw, max_size=LARGEST)
    except Invalid as error:
        return error


def _print(found: Iterable[Found], counts: Counter[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        console.print(str(one), style=COLOURS.get(one.severity, ""), markup=False)
    parts = [_count(counts, name) for name in ("file", "resource", "error", "warning")]
    console.print(", ".join(parts), markup=False)


def _count(counts: Counter[str], name: str) -> str:
    return f"{counts[name]} {name}" + "s" * (counts[name] != 1)
