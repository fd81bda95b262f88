"""Ends what runs longer than it may: one thread watches all queries of the process and cancels those past their time.

https://www.postgresql.org/docs/current/libpq-cancel.html
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

_numbers = itertools.count()


class Guard:
    """One block of statements with an end; `done` waits for a cancel that is on its way."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._lock = threading.Lock()
        self.over = False
        self.fired = False

    def fire(self) -> None:
        with self._lock:
            if not self.over:
                self.fired = True
                self._cancel()

    def done(self) -> bool:
        """The block has ended; returns whether it was cancelled."""
        with self._lock:
            self.over = True
        return self.fired


class Watch:
    """The thread, begun with the first block."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, int, Guard]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def guard(self, seconds: float, cancel: Callable[[], None]) -> Guard:
        made = Guard(cancel)
        with self._changed:
            first = not self._ends or time.monotonic() + seconds < self._ends[0][0]
            heapq.heappush(self._ends, (time.monotonic() + seconds, next(_numbers), made))
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="suture-budget", daemon=True)
                self._thread.start()
            elif first:
                self._changed.notify()
        return made

    @property
    def waiting(self) -> int:
        """Blocks it has not forgotten."""
        return len(self._ends)

    def _look(self) -> None:
        while True:
            with self._changed:
                while not self._ends or (left := self._ends[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left if self._ends else None)
                    self._forget()
                _, _, guard = heapq.heappop(self._ends)
            guard.fire()

    def _forget(self) -> None:
        """Nearly all blocks have ended long before their time: nobody is woken for each."""
        while self._ends and self._ends[0][2].over:
            heapq.heappop(self._ends)


WATCH = Watch()
