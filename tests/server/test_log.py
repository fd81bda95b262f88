"""The log never holds the server up, and says when lines were lost."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from pathlib import Path

import pytest

from suture.clock import SYSTEM
from suture.server import log
from suture.server.log import Log, Reports
from tests.server.running import serving


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


def reported(name: str, text: str, *args: object, error: BaseException | None = None) -> dict[str, object]:
    stream = io.StringIO()
    found = Log(SYSTEM, stream)
    logger = logging.getLogger(name)
    handler = Reports(found)
    logger.addHandler(handler)
    try:
        logger.error(text, *args, exc_info=error)
    finally:
        logger.removeHandler(handler)
    found.flush()
    assert "Zyxwvut" not in stream.getvalue()
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


def raised() -> KeyError:
    try:
        raise KeyError("Zyxwvut")
    except KeyError as error:
        return error


def test_what_a_room_reports_is_a_line_of_json() -> None:
    line = reported("suture.engine", "poll of flow %s: %s", "labs", "send-unavailable")
    assert (line["event"], line["level"], line["room"]) == ("report", "error", "suture.engine")
    assert line["text"] == "poll of flow labs: send-unavailable"


@pytest.mark.parametrize("name", ["suture.mllp", "uvicorn.error", "asyncio"])
def test_the_text_of_an_error_is_never_reported(name: str) -> None:
    line = reported(name, "could not be done", error=raised())
    assert line["kind"] == "KeyError"
    assert str(line["places"]).startswith("['test_log.py:")


def test_of_a_library_only_the_first_line_is_kept() -> None:
    line = reported("asyncio", "Task exception was never retrieved\nfuture: <Task exception=KeyError('Zyxwvut')>")
    assert line["text"] == "Task exception was never retrieved"
    assert reported("httpx", "GET %s", "https://ehr.example/Patient?name=Zyxwvut")["text"] == "GET %s"


async def test_a_server_hears_what_is_reported_while_it_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        logging.getLogger("suture.engine").warning("a word")
        asyncio.get_running_loop().call_exception_handler({"message": "odd\nZyxwvut"})
    told = [json.loads(line) for line in running.log.getvalue().splitlines()]
    assert [line["text"] for line in told if line["event"] == "report"] == ["a word", "odd"]
    logging.getLogger("suture.engine").warning("too late")
    assert "too late" not in running.log.getvalue()
