"""A disk that can fail, fill up and lose power: an SQLite VFS below the encryption (https://sqlite.org/vfs.html)."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import apsw

_numbers = count()


class Disk(apsw.VFS):
    """Passes everything on to the real disk; keeps beside it what a power cut would leave (only what was synced)."""

    def __init__(self, after_cut: Path) -> None:
        self.fail_sync = False
        self.full = False
        self.after_cut = after_cut
        self.deleted: set[str] = set()
        self.unsynced: dict[str, list[tuple[Any, ...]]] = {}
        self.name = f"faulty{next(_numbers)}"  # the encryption on top remembers a disk by its name
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return File(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        super().xDelete(name, sync_folder)
        self.unsynced.pop(name, None)
        self.deleted.add(name)
        if sync_folder:
            self.sync_folder()

    def sync_folder(self) -> None:
        """Deletions are on the disk only when their folder is."""
        while self.deleted:
            self.durable(self.deleted.pop()).unlink(missing_ok=True)

    def durable(self, path: str) -> Path:
        return self.after_cut / Path(path).name


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.path = name if isinstance(name, str) else (name.filename() if name else "")
        super().__init__("unix", name, flags)

    def _later(self, *step: Any) -> None:
        if self.path:
            self.disk.unsynced.setdefault(self.path, []).append(step)

    def xWrite(self, chunk: bytes, offset: int) -> None:
        if self.disk.full:
            raise apsw.FullError("disk full")
        super().xWrite(chunk, offset)
        self._later("write", bytes(chunk), offset)

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self._later("truncate", size)

    def xSync(self, flags: int) -> None:
        if self.disk.fail_sync:
            raise apsw.IOError("fsync")
        super().xSync(flags)
        if self.path:
            self._make_durable()

    def _make_durable(self) -> None:
        target = self.disk.durable(self.path)
        self.disk.deleted.discard(self.path)
        target.touch()
        with target.open("r+b") as file:
            for kind, *rest in self.disk.unsynced.pop(self.path, []):
                if kind == "truncate":
                    file.truncate(rest[0])
                else:
                    file.seek(rest[1])
                    file.write(rest[0])
