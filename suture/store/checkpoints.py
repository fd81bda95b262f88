"""Moves the WAL into the file in the background, so that no commit waits for it (https://sqlite.org/wal.html#ckpt)."""

from __future__ import annotations

from collections.abc import Callable

import apsw

PASSIVE_PAGES = 2_000  # about 8 MiB of new WAL: copy what readers allow
RESTART_PAGES = 16_000  # about 64 MiB: hold the writer for a moment and start the WAL anew
PAUSE_MS = 2_000


class Checkpoints:
    """Watches the WAL's length at every commit of this process."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._raw: apsw.Connection | None = None
        self._moved = 0  # pages of the WAL that stand in the file already
        self.pages = 0  # pages in the WAL after the last commit

    def watch(self, raw: apsw.Connection) -> None:
        raw.set_wal_hook(self._hook)

    def _hook(self, _raw: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self.pages:
            self._moved = 0  # the WAL was started anew
        self.pages = pages
        return 0

    def due(self) -> bool:
        return self.pages - self._moved >= PASSIVE_PAGES

    def run(self) -> None:
        """In the upkeep thread: first what needs no pause, then, when the WAL is long, a restart of it."""
        try:
            raw = self._raw = self._raw or self._connect()
            _, self._moved = raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if self.pages >= RESTART_PAGES:
                raw.set_busy_timeout(PAUSE_MS)
                _, self._moved = raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            return  # a long reader; the next one tries again

    def close(self) -> None:
        if self._raw:
            self._raw.close()
