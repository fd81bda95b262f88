"""The log: JSON lines on stderr, one a request and whatever the rooms report; never ids, query values or texts of errors."""

from __future__ import annotations

import logging
import os
import select
import sys
import traceback
from collections import deque
from threading import Lock
from typing import Any, TextIO

import orjson

from suture.clock import Clock, instant

MOST_KEPT = 10_000  # lines that wait for a slow reader


class Lines(logging.Handler):
    """Turns what the HTTP server beneath us reports into lines of the log: its own words, never their values."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.fault("", error)
        else:
            self._log.write("server", text=str(record.msg)[:200])


class Log:
    """Collects lines and writes them once per turn of the web side; a reader that stands still never holds it up."""

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._lines: deque[bytes] = deque()
        self._lost = 0  # lines that nobody took in time
        self._flushing = Lock()

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
        self.write("fault", id=request, kind=type(error).__name__, places=_places(error))

    def flush(self) -> None:
        """Writes what the stream takes without waiting."""
        if not self._flushing.acquire(blocking=False):
            return  # another thread is at it
        try:
            self._write_lines()
        finally:
            self._flushing.release()

    def _write_lines(self) -> None:
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


class Reports(logging.Handler):
    """What rooms and libraries report through `logging`, as lines of the log.

    Our own rooms word their reports without values. Of a library's only the first line is kept: the others, and the
    texts of errors, show the objects it was working on.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        own = record.name.partition(".")[0] == "suture"
        text = record.getMessage() if own else str(record.msg).partition("\n")[0][:200]
        facts: dict[str, Any] = {"level": record.levelname.lower(), "room": record.name, "text": text}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            facts |= {"kind": type(error).__name__, "places": _places(error)}
        self._log.write("report", **facts)


def _places(error: BaseException) -> list[str]:
    """The innermost places an error passed."""
    passed = [f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return passed[-12:]


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
