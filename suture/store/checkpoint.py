"""Moves the WAL into the file in the background, so that no commit waits for it (https://sqlite.org/wal.html#ckpt)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw

PASSIVE_PAGES = 2_000  # about 8 MiB of new WAL: copy what readers allow
RESTART_PAGES = 16_000  # about 64 MiB: wait for the writer's pause and start the WAL anew
PAUSE_MS = 2_000


class Checkpoints:
    """Watches the WAL's length at every commit and checkpoints in a thread of its own."""

    def __init__(self, path: Path, connect: Callable[[], apsw.Connection]) -> None:
        self._path = path
        self._connect = connect
        self._raw: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "suture-checkpoint")
        self._running = threading.Lock()
        self.pages = 0  # pages in the WAL after the last commit
        self._moved = 0  # pages of them that stand in the file already

    def watch(self, raw: apsw.Connection) -> None:
        raw.set_wal_hook(self._hook)

    def _hook(self, _raw: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self.pages:
            self._moved = 0  # the WAL was started anew
        self.pages = pages
        return 0

    def after_commit(self) -> None:
        """Starts a checkpoint when enough has gathered and none is under way."""
        if self.pages - self._moved >= PASSIVE_PAGES and self._running.acquire(blocking=False):
            self._thread.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            raw = self._raw = self._raw or self._connect()
            _, self._moved = raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if self.pages >= RESTART_PAGES:
                raw.set_busy_timeout(PAUSE_MS)
                raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.Error:
            self._moved = 0  # busy or failing disk: the next commit says so, the next checkpoint tries again
        finally:
            self._running.release()

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        if self._raw:
            self._raw.close()
