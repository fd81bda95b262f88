"""Appends lines to a file that is synced, kept to its user, and set aside under its time when it has grown large."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from suture.errors import SendUnavailable


class Lines:
    """One growing file; what was set aside stays."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most

    def append(self, lines: Sequence[bytes]) -> None:
        """Returns when the lines are on disk; raises SendUnavailable."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._set_aside()
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                whole = b"" if _ended(handle) else b"\n"  # a line that was cut off stands alone
                _write(handle, whole + b"".join(line + b"\n" for line in lines))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise SendUnavailable(f"the file can't be written ({error.strerror})", where=str(self._path)) from error

    def _set_aside(self) -> None:
        if not self._path.exists() or self._path.stat().st_size < self._most:
            return
        aside = self._path.with_name(f"{self._path.name}.{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}")
        self._path.rename(aside)


def _ended(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size == 0 or os.pread(handle, 1, size - 1) == b"\n"


def _write(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
