"""The access log: one JSON line a request on stderr; route patterns instead of paths, never ids or query values."""

from __future__ import annotations

import os
import select
import sys
import traceback
from collections import deque
from typing import Any, TextIO

import orjson

from suture.clock import Clock, instant

MOST_KEPT = 10_000  # lines that wait for a slow reader


class Log:
    """Collects lines and writes them once per turn of the web side; a reader that stands still never holds it up."""

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._lines: deque[bytes] = deque()
        self._lost = 0  # lines that nobody took in time

    def write(self, event: str, **facts: Any) -> None:
        """Adds one line; facts hold nothing personal."""
        self._lines.append(orjson.dumps({"at": instant(self._clock.micros()), "event": event, **facts}) + b"\n")
        if len(self._lines) > MOST_KEPT:
            self._lines.popleft()
            self._lost += 1
        if len(self._lines) % 200 == 0:
            self.flush()

    def fault(self, request: str, error: BaseException) -> None:
        """An unexpected fault: its kind and the places it passed; its text is left out, it may hold values."""
        places = [f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        self.write("fault", id=request, kind=type(error).__name__, places=places[-12:])

    def flush(self) -> None:
        """Writes what the stream takes without waiting."""
        target = _descriptor(self._stream)
        while self._lines and _takes(target):
            part = self._part()
            if target < 0:
                self._stream.write(part.decode())
            else:
                self._lost += _write(target, part)

    def _part(self) -> bytes:
        """Whole lines of at most a pipe's atomic size, after a word about lines that were lost."""
        lines: list[bytes] = []
        if self._lost:
            lines.append(
                orjson.dumps({"at": instant(self._clock.micros()), "event": "lost", "lines": self._lost}) + b"\n"
            )
            self._lost = 0
        size = sum(map(len, lines))
        while self._lines and (not lines or size + len(self._lines[0]) <= select.PIPE_BUF):
            size += len(self._lines[0])
            lines.append(self._lines.popleft())
        return b"".join(lines)


def _descriptor(stream: TextIO) -> int:
    """The file behind a stream, or -1 when there is none."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return -1


def _takes(target: int) -> bool:
    """Whether a write of PIPE_BUF bytes would not wait."""
    if target < 0:
        return True
    poll = select.poll()
    poll.register(target, select.POLLOUT)
    return bool(poll.poll(0))


def _write(target: int, part: bytes) -> int:
    """Writes; returns how many lines were lost because nobody reads any more."""
    try:
        os.write(target, part)
    except OSError:
        return part.count(b"\n")
    return 0
