"""The log never holds the server up, and says when lines were lost."""

from __future__ import annotations

import io
import json
import os

from suture.clock import SYSTEM
from suture.server import log
from suture.server.log import Log


def test_a_pipe_nobody_reads_holds_nothing_up() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        found = Log(SYSTEM, stream)
        for n in range(log.MOST_KEPT + 5000):
            found.write("http", n=n)
        found.flush()
        raw = b""
        while found._lines:
            raw += os.read(reader, 1 << 20)
            found.flush()
        stream.close()
        while part := os.read(reader, 1 << 20):
            raw += part
    os.close(reader)
    told = [json.loads(line) for line in raw.splitlines()]
    lost = sum(line["lines"] for line in told if line["event"] == "lost")
    kept = [line["n"] for line in told if line["event"] == "http"]
    assert lost > 0
    assert len(kept) + lost == log.MOST_KEPT + 5000
    assert kept == sorted(kept)


def test_a_reader_that_has_gone_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    found = Log(SYSTEM, stream)
    found.write("http", n=1)
    found.flush()
    assert found._lost == 1
    stream.close()


def test_a_fault_is_told_by_kind_and_place_without_its_text() -> None:
    stream = io.StringIO()
    found = Log(SYSTEM, stream)
    try:
        raise KeyError("Zyxwvut")
    except KeyError as error:
        found.fault("abc", error)
    found.flush()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["id"], line["kind"]) == ("fault", "abc", "KeyError")
    assert line["places"][0].startswith("test_log.py:")
    assert "Zyxwvut" not in stream.getvalue()
