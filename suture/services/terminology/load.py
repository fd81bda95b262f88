"""Loads a code system from its publisher's files, part by part; it counts when it is whole.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

import orjson

from suture.errors import Invalid
from suture.standards.terminology.files import KINDS, Kind
from suture.standards.terminology.lines import Concept, Files, Lines
from suture.store import terminology_loaded as store
from suture.store.connection import Tx
from suture.store.database import Database

PER_PART = 500  # concepts that are kept together
PER_COMMIT = 10 * PER_PART
LONGEST = 100_000  # bytes of a line
MOST_MEMBERS = 100_000  # files in a zip

Told = Callable[[int], None]  # how many bytes were read since


def load(database: Database, kind: str, version: str, path: Path, told: Told, audited: Callable[[Tx], None]) -> int:
    """How many concepts were loaded; `audited` leaves the row of the audit trail in the commit that switches them on."""
    made = KINDS[kind]
    with ExitStack() as opened:
        concepts = made.read(_opened(made, path, opened, told))
        number = database.write_now(lambda tx: store.begin(tx, made.url, version, head(made, version)))
        try:
            count = _kept(database, number, concepts)
            if not count:
                raise Invalid("there is no concept in it", where=path.name, mend="Is this the right file?")
            database.write_now(partial(_finished, number, count, audited))
        except BaseException:
            database.write_now(partial(_dropped, number))
            raise
    return count


def _kept(database: Database, number: int, concepts: Iterator[Concept]) -> int:
    """Keeps them, some thousand in each commit, so that a server beside it goes on."""
    count = 0
    while batch := list(islice(concepts, PER_COMMIT)):
        database.write_now(partial(_keep, number, count // PER_PART, batch))
        count += len(batch)
    return count


def _finished(number: int, count: int, audited: Callable[[Tx], None], tx: Tx) -> None:
    store.finish(tx, number, count)
    audited(tx)


def _dropped(number: int, tx: Tx) -> None:
    store.drop(tx, number)


def head(kind: Kind, version: str) -> dict[str, object]:
    """What is said of the system."""
    said = {"url": kind.url, "version": version, "name": kind.title, "status": "active", "content": "complete"}
    return {"resourceType": "CodeSystem", **said, "caseSensitive": True}


def _keep(number: int, part: int, batch: list[Concept], tx: Tx) -> None:
    for at in range(0, len(batch), PER_PART):
        rows = [list(row) for row in batch[at : at + PER_PART]]
        store.add(tx, number, part + at // PER_PART, orjson.dumps(rows))


def _opened(kind: Kind, path: Path, opened: ExitStack, told: Told) -> Files:
    """The files that the kind knows by name: the one that is given, those of a folder, or those of a zip."""
    if not path.exists():
        raise Invalid("there is no such file", where=str(path), mend="Name the file, its folder, or the zip.")
    found: dict[str, Lines] = {}
    names = _zipped(path, opened) if zipfile.is_zipfile(path) else _plain(path)
    needed = next(iter(kind.files))
    for name, pattern in kind.files.items():
        fits = [one for one in names if re.fullmatch(pattern, PurePosixPath(one).name, re.IGNORECASE)]
        if not fits and name == needed and path.is_file() and len(names) == 1:
            fits = list(names)
        if fits:
            shortest = min(fits, key=len)
            file = opened.enter_context(names[shortest]())
            found[name] = Lines(PurePosixPath(shortest).name, _lines(file, PurePosixPath(shortest).name, told))
    lost = next((name for name in (needed, *kind.needed) if name not in found), "")
    if lost:
        mend = f"Give a file, a folder or a zip with {kind.files[lost]}."
        raise Invalid(f"{kind.title} is not in it", where=str(path), mend=mend)
    return found


def _plain(path: Path) -> dict[str, Callable[[], IO[bytes]]]:
    files = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else [path]
    return {one.as_posix(): partial(_binary, one) for one in files}


def _binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def _zipped(path: Path, opened: ExitStack) -> dict[str, Callable[[], IO[bytes]]]:
    archive = opened.enter_context(zipfile.ZipFile(path))
    names = archive.namelist()
    if len(names) > MOST_MEMBERS:
        raise Invalid(f"more than {MOST_MEMBERS} files in the zip", where=str(path))
    return {name: partial(archive.open, name) for name in names}


def _lines(file: IO[bytes], name: str, told: Told) -> Iterator[str]:
    """Lines as text, read as they are asked for; UTF-8, or a byte that is not is named with its line."""
    number = 0
    while raw := file.readline(LONGEST):
        number += 1
        told(len(raw))
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid("this is not UTF-8", where=f"{name}:{number}", mend="Save the file as UTF-8.") from None
