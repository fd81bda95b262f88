"""`suture messages send`: files go out as a sender would send them; each answer is told, a refusal ends with 1."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from suture import cli
from suture.connectors.mllp import Listener
from suture.errors import InvalidMessage
from suture.ports import Receipt

ONE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5.1\rPID|1||7\r"
TWO = ONE.replace(b"|1|P", b"|2|P")


async def _accept(source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
    if b"|2|P" in original:
        raise InvalidMessage("not this one", where="PID-3", ack="AR")
    return Receipt("id")


@pytest.fixture
def port() -> Iterator[int]:
    """A listener in a loop of its own."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    listener = Listener(_accept, source="mllp:0", host="127.0.0.1", port=0)

    def run() -> None:
        loop.run_until_complete(listener.start())
        ready.set()
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    yield listener.port
    asyncio.run_coroutine_threadsafe(listener.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def _sent(file: Path, port: int) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["messages", "send", str(file), "--port", str(port)])
    return int(stopped.value.code or 0)


def test_each_acknowledgement_is_told(port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "one.hl7"
    file.write_bytes(ONE)
    assert _sent(file, port) == 0
    assert f"{file}, message 1: acknowledged with AA" in capsys.readouterr().out


def test_a_refusal_is_told_and_ends_with_1(port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "two.hl7"
    file.write_bytes(ONE + TWO)
    assert _sent(file, port) == 1
    said = capsys.readouterr()
    assert "message 1: acknowledged with AA" in said.out
    assert "message 2: " in said.err
    assert "AR" in said.err


def test_nobody_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "one.hl7"
    file.write_bytes(ONE)
    assert _sent(file, 1) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
