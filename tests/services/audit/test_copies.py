"""Copies of the trail elsewhere: every row arrives, in order, whatever the receiver does; a real TLS receiver takes them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suture.clock import SYSTEM
from suture.connectors.outbound import Outbound
from suture.errors import Unstartable
from suture.services.audit import copies
from suture.services.audit.copies import Copies, listed
from suture.store import audit, copying, health, vault
from suture.store.audit import AuditRow
from suture.store.database import Database
from tests.connectors.site import Got, Say, Site
from tests.connectors.test_mllp import certificate
from tests.stores import settings as settings_in


class Receiver:
    """A syslog receiver over TLS; `drop` closes a connection after so many messages without having kept the last."""

    def __init__(self, folder: Path, port: int = 0, drop: int = 0) -> None:
        self.chain, self.key = folder / "cert.pem", folder / "key.pem"
        self.port, self.drop = port, drop
        self.got: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Receiver:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.chain, self.key)
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = 0
        self._writers.append(writer)
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                message = await reader.readexactly(length)
                taken += 1
                if self.drop and taken > self.drop:
                    self.drop = 0
                    break
                self.raw.append(message)
                self.got.append(json.loads(message.partition(b"\xef\xbb\xbf")[2]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def rows(store: Database, count: int, **more: Any) -> None:
    def unit(tx: Any) -> None:
        for n in range(count):
            audit.append(tx, AuditRow("user:1", "read", "Patient", str(n), f"Patient/{n}", **more))

    store.write_now(unit)


async def until(holds: Callable[[], Any]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it never came true")


def opened(folder: Path, **values: Any) -> tuple[Database, Copies]:
    settings = settings_in(folder, audit__copy_every=0.02, **values)
    store = Database.open(settings)
    return store, Copies(store, settings, SYSTEM, Outbound.of(settings, listed(settings)))


def numbers(got: list[dict[str, Any]]) -> list[int]:
    return list(dict.fromkeys(one["n"] for one in got))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(copies, "FIRST_WAIT", 0.05)
    certificate(tmp_path)


async def test_syslog_over_tls_gets_every_row_also_after_it_was_down(tmp_path: Path) -> None:
    async with Receiver(tmp_path) as first:
        port = first.port
        store, copier = opened(tmp_path, audit__syslog=f"tls://localhost:{port}", audit__syslog_ca=str(first.chain))
        await copier.start()
        rows(store, 450)
        await until(lambda: copying.mark(store.read, "syslog") == 450)
        assert numbers(first.got) == list(range(1, 451))
        assert first.raw[0].startswith(b"<109>1 20")
        hashes = [hash.hex() for _, hash in audit.entries(store.read)]
        assert [one["hash"] for one in first.got] == hashes
    rows(store, 300)
    await until(lambda: copying.lag(store.read, "syslog", SYSTEM.micros()).rows == 300)
    async with Receiver(tmp_path, port) as second:
        await until(lambda: copying.mark(store.read, "syslog") == 750)
        assert set(numbers(second.got)) >= set(range(451, 751))
    await copier.stop()
    store.close()


async def test_what_a_broken_connection_took_with_it_is_sent_again(tmp_path: Path) -> None:
    async with Receiver(tmp_path, drop=40) as receiver:
        store, copier = opened(
            tmp_path, audit__syslog=f"tls://localhost:{receiver.port}", audit__syslog_ca=str(receiver.chain)
        )
        rows(store, 100)
        await copier.start()
        await until(lambda: copying.mark(store.read, "syslog") == 100)
        assert numbers(receiver.got) == list(range(1, 101))
        await copier.stop()
        store.close()


async def test_a_receiver_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    async with Receiver(tmp_path) as receiver:
        store, copier = opened(tmp_path, audit__syslog=f"tls://localhost:{receiver.port}")
        rows(store, 3)
        await copier.start()
        await asyncio.sleep(0.3)
        assert receiver.got == []
        assert copying.mark(store.read, "syslog") == 0
        await copier.stop()
        store.close()
    with pytest.raises(Unstartable, match="certificate file"):
        opened(tmp_path / "x", audit__syslog="tls://localhost:1", audit__syslog_ca=str(tmp_path / "none.pem"))


async def test_a_row_of_many_patients_comes_in_pieces(tmp_path: Path) -> None:
    async with Receiver(tmp_path) as receiver:
        store, copier = opened(
            tmp_path, audit__syslog=f"tls://localhost:{receiver.port}", audit__syslog_ca=str(receiver.chain)
        )
        everybody = tuple(f"Patient/{n}" for n in range(120))
        row = AuditRow("user:1\n<1>1 forged", "x\r\ny", outcome=403, detail="z" * 5000, patients=everybody)
        store.write_now(lambda tx: audit.append(tx, row))
        await copier.start()
        await until(lambda: copying.mark(store.read, "syslog") == 1)
        assert [patient for one in receiver.got for patient in one["patients"]] == list(everybody)
        assert max(map(len, receiver.raw)) < 4096
        assert receiver.raw[0].startswith(b"<108>1 ")
        assert all(b"\n" not in message and b"\r" not in message for message in receiver.raw)
        await copier.stop()
        store.close()


async def test_the_file_grows_by_whole_lines_and_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "share" / "audit.jsonl"
    store, copier = opened(tmp_path, audit__file=str(file), audit__file_size=40_000)
    file.parent.mkdir()
    file.write_bytes(b'{"n":0,"cut of')
    for _ in range(4):
        rows(store, 200)
    await copier.start()
    await until(lambda: copying.mark(store.read, "file") == 800)
    await copier.stop()
    pieces = sorted(file.parent.iterdir(), key=lambda path: (path == file, path.name))
    assert len(pieces) > 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in pieces if b"cut of" not in path.read_bytes())
    lines = [line for path in pieces for line in path.read_bytes().splitlines()]
    assert [json.loads(line)["n"] for line in lines[1:]] == list(range(1, 801))
    store.close()


async def test_the_webhook_is_asked_again_until_it_says_yes(tmp_path: Path) -> None:
    answers = [500, 503, 302]

    def answer(got: Got) -> Say:
        return Say(answers.pop(0) if answers else 204)

    async with Site(answer) as site:
        store, copier = opened(tmp_path, audit__webhook=f"{site.url}/audit")
        store.write_now(lambda tx: vault.put(tx, copies.KEPT, "the-token", site.url))
        rows(store, 5)
        await copier.start()
        await until(lambda: copying.mark(store.read, "webhook") == 5)
        await copier.stop()
        assert len(site.got) == 4
        lines = [json.loads(line) for line in site.got[-1].body.splitlines()]
        assert [line["n"] for line in lines] == [1, 2, 3, 4, 5]
        assert lines[0]["patients"] == ["Patient/0"]
        assert site.got[-1].headers["authorization"] == "Bearer the-token"
        store.close()


async def test_doctor_says_when_a_copy_is_late(tmp_path: Path) -> None:
    store, _ = opened(tmp_path, audit__webhook="http://127.0.0.1:9/x")
    settings = settings_in(tmp_path, audit__webhook="http://127.0.0.1:9/x")
    found = {one.what: one for one in health.look(settings)}
    assert found["audit copy: webhook"].level == "good"
    rows(store, 2)
    store.write_now(lambda tx: tx.execute("UPDATE audit SET at = at - 600000000").fetchall())
    store.close()
    late = {one.what: one for one in health.look(settings)}["audit copy: webhook"]
    assert (late.level, late.text) == ("warning", "2 rows behind, the oldest for 10 minutes")
