"""What is done beside the writing, in one thread of its own: checkpoints, dictionaries, the audit anchor and list, what has expired."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from suture.clock import Clock
from suture.store import accounts, anchor, audit_listed, dictionaries, grants
from suture.store.checkpoints import Checkpoints
from suture.store.connection import Connection, Tx
from suture.store.shared import Shared

log = logging.getLogger("suture.store")
SWEEP_SECONDS = 3600.0
LIST_PAUSE = 0.01  # seconds


class Upkeep:
    """Looks after every commit whether something is due; at most one task at a time, none in the writer's way."""

    def __init__(
        self,
        shared: Shared,
        checkpoints: Checkpoints | None,
        keeper: anchor.Keeper,
        anchor_seconds: float,
        reader: Callable[[], Connection],
        write_now: Callable[[Callable[[Tx], None]], None],
    ) -> None:
        self._shared = shared
        self._clock: Clock = shared.clock
        self.checkpoints = checkpoints
        self.keeper = keeper
        self._anchor_seconds = anchor_seconds
        self._anchored = self._swept = self._clock.monotonic()
        self._reader = reader
        self._write_now = write_now
        self._thread = ThreadPoolExecutor(1, "suture-upkeep")
        self._busy = threading.Lock()
        self._closed = False
        self._later: threading.Timer | None = None  # the anchor moves on after the last commit, too
        self.trouble = ""  # what the last task that failed said

    def after_commit(self) -> None:
        if self._due():
            self._start()
        elif self._later is None and not self._closed:
            self._later = threading.Timer(self._anchor_seconds, self._start)
            self._later.daemon = True
            self._later.start()

    def _start(self) -> None:
        """Begins a task unless one is under way, which looks at everything itself."""
        later, self._later = self._later, None
        if later:
            later.cancel()
        if not self._closed and self._busy.acquire(blocking=False):
            with suppress(RuntimeError):  # closed in this very moment
                self._thread.submit(self._run)

    def _due(self) -> bool:
        return (
            bool(self.checkpoints and self.checkpoints.due())
            or self._anchor_due()
            or bool(dictionaries.due(self._shared))
            or self._shared.unlisted >= audit_listed.BEHIND
        )

    def _anchor_due(self) -> bool:
        return self._clock.monotonic() - self._anchored >= self._anchor_seconds

    def _run(self) -> None:
        try:
            if self.checkpoints and self.checkpoints.due():
                self.checkpoints.run()
            if self._anchor_due():
                self.anchor()
            for kind in dictionaries.due(self._shared):
                self.train(kind)
            if self._shared.unlisted >= audit_listed.BEHIND:
                self.list_rows()
            if self._clock.monotonic() - self._swept >= SWEEP_SECONDS:
                self.sweep()
            self._told("")
        except Exception as error:
            self._told(f"{type(error).__name__}: {error}")
        finally:
            self._busy.release()

    def _told(self, trouble: str) -> None:
        """Reports what goes wrong once, not after every commit."""
        if trouble and trouble != self.trouble:
            log.error("checkpoint, anchor or sweep failed and is tried again: %s", trouble)
        self.trouble = trouble

    def settle(self) -> None:
        """Waits for the task at hand (a new dictionary, so that the next rows are packed with it)."""
        self._thread.submit(lambda: None).result()

    def anchor(self) -> None:
        """Moves the anchor to where the trail ends now."""
        self._anchored = self._clock.monotonic()
        connection = self._reader()
        try:
            first = self.keeper.move(connection)
        finally:
            connection.close()
        if first:
            self._write_now(anchor.note)

    def list_rows(self) -> None:
        """Lists the rows of the trail that are not yet; whoever writes meanwhile has his turn between two parts."""
        while (left := self._listed()) >= audit_listed.AT_ONCE:
            time.sleep(LIST_PAUSE)
        self._shared.unlisted = left

    def _listed(self) -> int:
        left: list[int] = []
        self._write_now(lambda tx: left.append(audit_listed.go_on(tx)))
        return left[0]

    def train(self, kind: str) -> None:
        """Makes a dictionary of the rows there are and puts it in use."""
        rows = self._shared.packed[kind]
        self._shared.trained[kind] = rows  # also when there was too little to learn: try again later
        connection = self._reader()
        try:
            trained = dictionaries.train(dictionaries.sample(connection, kind))
        finally:
            connection.close()
        if trained:
            self._write_now(lambda tx: dictionaries.keep(tx, kind, trained, rows))

    def sweep(self) -> None:
        """Deletes sessions, links, once-only keys, codes and tokens that have expired."""
        self._swept = self._clock.monotonic()

        def unit(tx: Tx) -> None:
            accounts.sweep(tx)
            grants.sweep(tx)

        self._write_now(unit)

    def close(self) -> None:
        """Waits for the task at hand, then moves the anchor for the last time."""
        self._closed = True
        if self._later:
            self._later.cancel()
        self._thread.shutdown(wait=True)
        self.anchor()
        if self.checkpoints:
            self.checkpoints.close()
