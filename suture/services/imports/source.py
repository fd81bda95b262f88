"""The files of an import, cut into tasks of a few megabytes: NDJSON by lines, anything else by file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from suture.errors import Invalid
from suture.services.bulk.folder import STATE

NDJSON = (".ndjson", ".ndjson.gz")
DOCUMENTS = (".json", ".json.gz")
BLOCK = 2 << 20
PACKED = 10  # times larger is what a .gz holds, about
LARGEST = 1 << 30  # of a document, unpacked
UNFINISHED = "the export into this folder is not done, more belongs into it: give suture export the same options again"
DELETED = "deleted"  # how the name of a file begins that says what was deleted; a number may stand before


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work: whole lines of an NDJSON file that begin at `line`, or one document."""

    file: str
    lines: bool
    line: int
    raw: bytes
    weight: int  # bytes on disk it stands for, for the progress bar
    fault: str = ""  # why the file can't be read
    deletes: bool = False  # its lines are transactions that delete


def files(paths: Sequence[Path]) -> list[Path]:
    """Every file that is meant, folders walked in order of name; raises Invalid for what is not there.

    What a folder deletes comes behind its other files and before the next folder: an export shows one moment, at which what
    it deletes was not there; what came again after that stands in a later export.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.name.endswith(NDJSON + DOCUMENTS) and p.is_file())
            found += sorted(inside, key=_turn)
        elif path.is_file():
            found.append(path)
        else:
            raise Invalid("no such file or folder", where=str(path))
    if not found:
        raise Invalid(
            "nothing to import", where=", ".join(map(str, paths)), mend="It reads .ndjson, .json and both with .gz."
        )
    return found


def _turn(path: Path) -> tuple[bool, Path, bool, str]:
    """Where a file of a folder has its turn: whom others name first, what is deleted last in its own folder."""
    return not path.name.startswith(("hospitalInformation", "practitioner")), path.parent, deletes(path), path.name


def deletes(path: Path) -> bool:
    """Whether a file's lines delete: its name says so, for a Bundle may be a resource like others."""
    parts = path.name.split(".")
    return path.name.endswith(NDJSON) and parts[parts[0].isdigit()].startswith(DELETED)


def size(paths: Sequence[Path]) -> int:
    """About how many bytes these files hold, unpacked."""
    return sum(path.stat().st_size * (PACKED if path.name.endswith(".gz") else 1) for path in paths)


def tasks(paths: Sequence[Path]) -> Iterator[Task]:
    """The tasks of all files; one that can't be read becomes a task that says so."""
    for path in paths:
        size = path.stat().st_size
        if path.name == STATE:
            yield Task(str(path), False, 1, b"", size, UNFINISHED)
            continue
        try:
            with _open(path) as stream:
                if path.name.endswith(NDJSON):
                    yield from _blocks(path, stream, size)
                else:
                    yield Task(str(path), False, 1, _whole(stream), size)
        except (OSError, EOFError, zlib.error) as error:
            yield Task(str(path), False, 1, b"", size, f"the file can't be read ({type(error).__name__})")


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


def _whole(stream: IO[bytes]) -> bytes:
    raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise OSError("too large")
    return raw


def _blocks(path: Path, stream: IO[bytes], size: int) -> Iterator[Task]:
    line, rest, told, gone = 1, b"", 0, deletes(path)
    while block := stream.read(BLOCK):
        cut = block.rfind(b"\n") + 1
        if cut == 0:
            rest += block
            if len(rest) > LARGEST:
                raise OSError("a line is too long")
            continue
        raw, rest = rest + block[:cut], block[cut:]
        weight = min(len(raw), size - told)
        told += weight
        yield Task(str(path), True, line, raw, weight, deletes=gone)
        line += raw.count(b"\n")
    yield Task(str(path), True, line, rest, size - told, deletes=gone)
