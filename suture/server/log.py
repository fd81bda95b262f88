"""The access log: one JSON line a request on stderr; route patterns instead of paths, never ids or query values."""

from __future__ import annotations

import sys
import traceback
from typing import Any, TextIO

import orjson

from suture.clock import Clock, instant


class Log:
    """Collects lines and hands them to the stream in one write per turn of the web side."""

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._lines: list[bytes] = []

    def write(self, event: str, **facts: Any) -> None:
        """Adds one line; facts hold nothing personal."""
        self._lines.append(orjson.dumps({"at": instant(self._clock.micros()), "event": event, **facts}))
        if len(self._lines) >= 200:
            self.flush()

    def fault(self, request: str, error: BaseException) -> None:
        """An unexpected fault: its kind and the places it passed; its text is left out, it may hold values."""
        places = [f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        self.write("fault", id=request, kind=type(error).__name__, places=places[-12:])

    def flush(self) -> None:
        """Hands all lines to the stream."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"\n".join(lines).decode() + "\n")
            self._stream.flush()
