"""Moves the WAL into the file in the background, so that no commit waits for it (https://sqlite.org/wal.html#ckpt)."""

from __future__ import annotations

from collections.abc import Callable

import apsw

from suture.store.connection import wait_for_locks

PASSIVE_PAGES = 2_000  # about 8 MiB of new WAL: copy what readers allow
RESTART_PAGES = 16_000  # about 64 MiB: hold the writer for a moment and start the WAL anew
PAUSE = 0.05  # seconds: how long that moment may be when a reader is in the way; then the WAL may grow by as much again


class Checkpoints:
    """Watches the WAL's length at every commit of this process."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._raw: apsw.Connection | None = None
        self._restart_at = 0
        self._moved = 0  # pages of the WAL that stand in the file already
        self.pages = 0  # pages in the WAL after the last commit

    def watch(self, raw: apsw.Connection) -> None:
        raw.set_wal_hook(self._hook)

    def _hook(self, _raw: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self.pages:
            self._moved = self._restart_at = 0  # the WAL was started anew
        self.pages = pages
        return 0

    def due(self) -> bool:
        return self.pages - self._moved >= PASSIVE_PAGES

    def run(self) -> None:
        """In the upkeep thread: first what needs no pause, then, when the WAL is long, a restart of it."""
        try:
            raw = self._raw = self._raw or self._connect()
            _, self._moved = raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if self.pages >= max(RESTART_PAGES, self._restart_at):
                self._restart_at = self.pages + RESTART_PAGES
                wait_for_locks(raw, PAUSE)
                _, self._moved = raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            return  # a long reader, or somebody else is at it; the next one tries again

    def close(self) -> None:
        if self._raw:
            self._raw.close()
