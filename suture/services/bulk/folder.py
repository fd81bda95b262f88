"""An export into a folder of this machine: a file a type, or files of whole records, each under its name only when it is
whole; cut off, it goes on.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html · docs/bulk-data.md
"""

from __future__ import annotations

import fcntl
import os
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from suture.errors import Invalid
from suture.services.bulk import concerned, faults, jobs, manifest, select
from suture.services.bulk.blocks import Blocks
from suture.services.bulk.files import Sent
from suture.services.bulk.request import Wanted
from suture.services.bulk.select import Selection
from suture.store import audit, crowds, exports
from suture.store.audit import AuditRow
from suture.store.connection import Connection, Tx
from suture.store.database import Database
from suture.store.envelope import sync_folder
from suture.store.exports import File

STATE = ".export.json"  # stands in the folder as long as the export is not done
PART, PACKED = ".part", ".gz"
ERRORS = "errors.txt"  # what could not be read, each line an OperationOutcome; no name that an import looks into
NAMED = 50  # patients that the trail names one by one
EVERYTHING = 1 << 62  # resources of one file


class Begun(msgspec.Struct, frozen=True):
    """What an export that is not done yet is of: the database, what was asked for, the moment it shows."""

    database: str
    asked: tuple[str, ...]
    moment: int


class Written(msgspec.Struct, frozen=True):
    """One file of the folder. `kept`: it was there from the time before the export was cut off."""

    type: str
    resources: int
    file: str
    kept: bool = False


@dataclass(slots=True)
class Folder:
    """Where an export goes. `most`: the lines of a file of blocks. `told` is called with how many resources were looked at,
    or written, since it was last."""

    out: Path
    database: Database
    wanted: Wanted
    packed: bool = False
    most: int = EVERYTHING
    told: Callable[[int], None] = lambda _: None
    planned: Callable[[int], None] = lambda _: None  # called once with how many resources will be written
    continued: bool = False
    files: list[Written] = field(default_factory=list)

    def run(self, asked: tuple[str, ...]) -> int:
        """Writes what is missing; returns the moment the files show, in microseconds."""
        with self._claimed(asked) as moment:
            connection = self.database.reader()
            try:
                shown = min(moment, self.wanted.until) if self.wanted.until else moment
                self._write_all(connection, shown)
            finally:
                connection.close()
        return shown

    @contextmanager
    def _claimed(self, asked: tuple[str, ...]) -> Iterator[int]:
        """The folder, ours alone; its mark is taken away only when everything is there."""
        _require_usable(self.out)
        handle = os.open(self.out / STATE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle, self.out)
            yield self._moment(handle, asked)
            (self.out / STATE).unlink()
            sync_folder(self.out)
        finally:
            os.close(handle)

    def _moment(self, handle: int, asked: tuple[str, ...]) -> int:
        raw, id = os.pread(handle, 1 << 20, 0), self.database.read.shared.envelope.database
        try:
            kept = msgspec.json.decode(raw, type=Begun)
        except msgspec.DecodeError:  # nothing yet, or cut off before anything was written
            kept = Begun(id, asked, self.database.write_now(lambda tx: tx.now))
            os.ftruncate(handle, 0)
            os.pwrite(handle, msgspec.json.encode(kept), 0)
            os.fsync(handle)
            return kept.moment
        if (kept.database, kept.asked) != (id, asked):
            mend = "Give the same options again to go on with it, or name a new folder."
            raise Invalid("another export into this folder is not done", where=str(self.out), mend=mend)
        self.continued = True
        return kept.moment

    def _write_all(self, connection: Connection, moment: int) -> None:
        seen = 0

        def looked(count: int) -> None:
            nonlocal seen
            self.told(count - seen)
            seen = count

        found = Selection(connection, self.wanted, moment, looked).run()
        blocks = Blocks(connection, self.wanted, moment).of(found) if self.wanted.organized else None
        files = jobs.files_of(found, EVERYTHING, jobs.filled(blocks, self.most) if blocks is not None else None)
        made = jobs.told_whose(connection, moment, files, found.unread, lambda _: None)
        self._note(connection, made)
        self.planned(sum(file.lines for file, _, _ in made))
        for file, rows, _ in made:
            self._one(connection, moment, file, rows)
        said = faults.lines(connection, self.wanted, found.unread, select.missing(connection, self.wanted, moment))
        self._write(ERRORS, [line + b"\n" for line in said], False)

    def _note(self, connection: Connection, made: list[tuple[File, list[int], list[int]]]) -> None:
        """The audit row, before the first byte leaves."""
        patients = sorted({rid for _, _, some in made for rid in some})
        count = sum(_resources(rows) for _, rows, _ in made)
        group = f" of group {self.wanted.group}" if self.wanted.group else ""
        detail = f"command line{group}, {count} resources of {len(patients)} patients"
        row = AuditRow(self.wanted.caller.id, "export", ",".join(self.wanted.types)[:200], detail=detail)
        named = concerned.names(connection, patients, NAMED)

        def unit(tx: Tx) -> None:
            whose = named if named is not None else [crowds.put(tx, patients)]
            one, several = (whose[0], ()) if len(whose) == 1 else ("", tuple(whose))
            audit.append(tx, row._replace(patient=one, patients=several))

        self.database.write_now(unit)

    def _one(self, connection: Connection, moment: int, file: File, rows: list[int]) -> None:
        name = named(file) + ".ndjson" + (PACKED if self.packed else "")
        if (self.out / name).exists():
            self.told(file.lines)
            self.files.append(Written(file.type, _resources(rows), name, True))
            return
        sent = Sent(connection, self.wanted, moment, file, self.wanted.caller, "")
        lines = self._write(name, sent.chunks(array("q", rows).tobytes()), self.packed, sent)
        self.files.append(Written(file.type, lines - sent.headers, name))

    def _write(self, name: str, parts: Iterable[bytes], packed: bool, sent: Sent | None = None) -> int:
        """A file beside its place, on the disk, then under its name; how many lines it has. What could not be read
        is written down before that. Nothing is written where there is nothing to be said."""
        path, lines = self.out / (name + PART), 0
        packer = zlib.compressobj(6, zlib.DEFLATED, 31) if packed else None
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=1 << 20) as target:
            for part in parts:
                target.write(packer.compress(part) if packer else part)
                count = part.count(b"\n")
                lines += count
                self.told(count)
            target.write(packer.flush() if packer else b"")
            target.flush()
            os.fsync(target.fileno())
        if sent is not None and (said := sent.faults()):
            self._write(f"{named(sent.file)}.{ERRORS}", [line + b"\n" for line in said], False)
        if lines or sent is not None:
            path.rename(self.out / name)
        else:
            path.unlink()
        sync_folder(self.out)
        return lines


def _resources(rows: Sequence[int]) -> int:
    """How many of these are no headers of blocks."""
    return sum(rid > 0 for rid in rows)


def named(file: File) -> str:
    """A file's name without its ending: its type, or its number where it holds blocks."""
    if file.kind == exports.DELETED:
        return "deleted"
    return file.type or manifest.name_of(file).removesuffix(".ndjson")


def faulty(out: Path) -> list[str]:
    """The files that name what could not be read."""
    return sorted(file.name for file in out.iterdir() if file.name.endswith(ERRORS))


def _require_usable(out: Path) -> None:
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / STATE).exists())):
        raise Invalid("this is not an empty folder", where=str(out), mend="Name a new folder.")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Invalid("another export writes into this folder", where=str(out), mend="Wait for it.") from error
