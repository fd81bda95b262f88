"""A listener answers only after acceptance, in order, and stays bounded whatever a sender does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from suture import settings
from suture.connectors import tls
from suture.connectors.mllp import Limits, Listener, limits_of
from suture.errors import InvalidMessage, Unavailable, Unstartable
from suture.ports import Receipt
from suture.standards.hl7v2.message import Message, parse

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the:pytest.PytestDeprecationWarning")


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


class Journal:
    """Takes messages as the runner does: durable after `gate` opens, in the order of the calls."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.attributes: list[Mapping[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing: dict[str, Exception] = {}
        self.receipt: dict[str, Receipt] = {}
        self.late: set[str] = set()

    async def __call__(self, source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
        self.taken.append(original)
        self.attributes.append(attributes)
        text = original.decode("latin-1")
        await self.gate.wait()
        for mark in self.late:
            if mark in text:
                await asyncio.sleep(0.05)
        for mark, error in self.failing.items():
            if mark in text:
                raise error
        for mark, receipt in self.receipt.items():
            if mark in text:
                return receipt
        return Receipt(f"id-{len(self.taken)}")


def adt(control_id: str, more: str = "", modes: str = "") -> bytes:
    return f"MSH|^~\\&|A|B|C|D|20260301||ADT^A01|{control_id}|P|2.5.1|||{modes}\rPID|1||7{more}\r".encode()


def wrap(*messages: bytes) -> bytes:
    return b"".join(b"\x0b" + m + b"\x1c\r" for m in messages)


class Peer:
    """A plain socket that speaks MLLP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def answer(self) -> Message:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), 30)
        assert raw.startswith(b"\x0b")
        return parse(raw[1:-2])

    async def told(self) -> str:
        answer = await self.answer()
        return f"{answer.get('MSA-1')} {answer.get('MSA-2')}"

    async def silent(self, seconds: float = 0.05) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), seconds)

    async def closed(self) -> bytes:
        """What is left until the listener closed."""
        rest = b""
        with contextlib.suppress(ConnectionError):
            rest = await asyncio.wait_for(self.reader.read(), 30)
        return rest

    def close(self) -> None:
        self.writer.close()


@contextlib.asynccontextmanager
async def listening(journal: Journal, **limits: Any) -> AsyncIterator[Listener]:
    listener = Listener(journal, source="mllp:0", port=0, limits=Limits(**limits))
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(grace=1)


async def connect(listener: Listener, tls: ssl.SSLContext | None = None) -> Peer:
    return Peer(*await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls))


async def test_the_answer_leaves_after_acceptance_and_not_before() -> None:
    journal = Journal()
    journal.gate.clear()
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")))
        await peer.silent()
        assert journal.taken == [adt("1")]
        assert str(journal.attributes[0]["remote"]).startswith("127.0.0.1:")
        journal.gate.set()
        answer = await peer.answer()
        assert answer.get("MSH-10") == "id-1"
        assert (answer.get("MSA-1"), answer.get("MSA-2"), answer.get("MSH-5")) == ("AA", "1", "A")
        assert (listener.figures.messages, listener.figures.accepted) == (1, 1)


async def test_pipelined_messages_are_answered_in_their_order() -> None:
    journal = Journal()
    journal.late.add("|0|")
    async with listening(journal, unanswered=8) as listener:
        peer = await connect(listener)
        peer.send(wrap(*(adt(str(n)) for n in range(40))))
        assert [await peer.told() for _ in range(40)] == [f"AA {n}" for n in range(40)]
        assert journal.taken == [adt(str(n)) for n in range(40)]


async def test_frames_cut_byte_by_byte_and_noise_between_them() -> None:
    journal = Journal()
    async with listening(journal) as listener:
        peer = await connect(listener)
        for byte in b"GET / HTTP/1.1\r\n" + wrap(adt("1")) + b"??" + wrap(adt("2")):
            peer.send(bytes([byte]))
            await asyncio.sleep(0)
        assert [await peer.told() for _ in range(2)] == ["AA 1", "AA 2"]
        assert listener.figures.garbage == 16


async def test_a_frame_without_its_last_cr_is_answered_after_a_moment() -> None:
    async with listening(Journal(), end_wait=0.05) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1"))[:-1])
        assert await peer.told() == "AA 1"
        peer.send(wrap(adt("2")))
        assert await peer.told() == "AA 2"


async def test_the_modes_of_enhanced_acknowledgement() -> None:
    journal = Journal()
    journal.failing["|bad|"] = Unavailable("the disk is full")
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(
            wrap(adt("1", modes="AL|NE"), adt("2", modes="NE|NE"), adt("3", modes="ER|NE"), adt("bad", modes="ER|NE"))
        )
        assert [await peer.told() for _ in range(2)] == ["CA 1", "CE bad"]
        assert len(journal.taken) == 4


async def test_what_could_not_be_made_durable_is_to_be_sent_again() -> None:
    journal = Journal()
    journal.failing["|m1|"] = Unavailable("the disk is full")
    journal.failing["|m2|"] = ZeroDivisionError()
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("m1"), adt("m2"), adt("m3")))
        first, second = await peer.answer(), await peer.answer()
        assert (first.get("MSA-1"), first.get("ERR-8")) == ("AE", "the disk is full")
        assert (second.get("MSA-1"), second.get("ERR-8")) == ("AE", "internal error")
        assert await peer.told() == "AA m3"
        assert (listener.figures.errors, listener.figures.accepted) == (2, 1)


@pytest.mark.parametrize(
    ("raw", "told", "place", "text"),
    [
        (b"hello", "AR ", "MSH^1", "MSH: the message does not begin with MSH"),
        (b"", "AR ", "MSH^1", "MSH: the message is empty"),
        (adt("5") + adt("6"), "AR 5", "MSH^2", "MSH[2]: a second MSH inside one message"),
        (adt("5")[:-1] + b"\x0b" + adt("6"), "AR 5", "MSH^2", "MSH[2]: a second message begins inside this one"),
    ],
)
async def test_broken_content_is_kept_and_rejected_with_its_place(raw: bytes, told: str, place: str, text: str) -> None:
    journal = Journal()
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(raw))
        answer = await peer.answer()
        assert f"{answer.get('MSA-1')} {answer.get('MSA-2')}" == told
        assert (answer.get("ERR-2"), answer.get("ERR-8")) == (place, text)
        assert journal.taken == [raw]
        peer.send(wrap(adt("7")))
        assert await peer.told() == "AA 7"
        assert listener.figures.rejects == 1


async def test_content_that_the_journal_rejects_is_answered_so() -> None:
    journal = Journal()
    journal.receipt["|1|"] = Receipt("id", rejected="no control id")
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")))
        assert await peer.told() == "AR 1"


async def test_a_rejection_names_place_and_code() -> None:
    journal = Journal()
    wrong = InvalidMessage("no type", where="MSH-9", mend="Send one.", error_code="101")
    journal.receipt["|1|"] = Receipt("id", rejected=str(wrong), error=wrong)
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")))
        answer = await peer.answer()
        assert [answer.get(place) for place in ("MSA-1", "MSA-3", "ERR-2.1", "ERR-2.3", "ERR-3.1")] == [
            "AR", "MSH-9: no type. Send one.", "MSH", "9", "101",
        ]  # fmt: skip


async def test_a_duplicate_gets_the_stored_answer() -> None:
    journal = Journal()
    journal.receipt["|1|"] = Receipt("id", duplicate=True, answer=b"MSH|^~\\&|stored\rMSA|AA|1\r")
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")))
        assert (await peer.answer()).get("MSH-3") == "stored"


async def test_a_message_too_large_is_rejected_and_the_connection_closed() -> None:
    journal = Journal()
    async with listening(journal, max_frame=1000) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")) + b"\x0b" + adt("2", more="x" * 300_000))
        assert [await peer.told() for _ in range(2)] == ["AA 1", "AR 2"]
        peer.writer.write_eof()
        assert await peer.closed() == b""
        assert journal.taken == [adt("1")]
        assert listener.figures.too_large == 1


async def test_memory_of_all_connections_is_bounded() -> None:
    async with listening(Journal(), memory=100_000) as listener:
        peers = [await connect(listener) for _ in range(4)]
        for n, peer in enumerate(peers):
            peer.send(b"\x0b" + adt(str(n), more="x" * 60_000))
        answers = [asyncio.create_task(peer.answer()) for peer in peers]
        done, waiting = await asyncio.wait(answers, timeout=0.3)
        for task in waiting:
            task.cancel()
        assert done
        assert {task.result().get("ERR-8") for task in done} == {"too many messages at once"}
        assert {task.result().get("MSA-1") for task in done} == {"AE"}


async def test_reading_stops_when_too_many_are_unanswered() -> None:
    journal = Journal()
    journal.gate.clear()
    async with listening(journal, unanswered=3) as listener:
        peer = await connect(listener)
        for n in range(2000):
            peer.send(wrap(adt(str(n), more="x" * 5000)))
        await until(lambda: len(journal.taken) == 3)
        await asyncio.sleep(0.1)
        assert len(journal.taken) == 3
        assert listener.held < 1_000_000
        journal.gate.set()
        assert [await peer.told() for _ in range(2000)] == [f"AA {n}" for n in range(2000)]
        await asyncio.sleep(0)
        assert listener.held == 0


async def test_silent_and_slow_senders_are_closed() -> None:
    async with listening(Journal(), idle_timeout=0.1, frame_timeout=0.1, end_wait=0.02) as listener:
        silent, slow = await connect(listener), await connect(listener)
        slow.send(b"\x0bMSH|")
        assert await silent.closed() == b""
        assert await slow.closed() == b""
        assert listener.figures.timeouts == 2
        assert listener.connections == set()


async def test_a_slow_store_is_not_the_senders_fault() -> None:
    journal = Journal()
    journal.gate.clear()
    async with listening(journal, idle_timeout=0.05, frame_timeout=0.05, end_wait=0.01, unanswered=1) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1")) + b"\x0bMSH|")
        await asyncio.sleep(0.2)
        journal.gate.set()
        assert await peer.told() == "AA 1"


async def test_a_peer_that_never_speaks_mllp_is_closed() -> None:
    async with listening(Journal(), garbage=1000) as listener:
        peer = await connect(listener)
        peer.send(b"GET / HTTP/1.1\r\n" * 100)
        assert await peer.closed() == b""


async def test_no_more_connections_than_allowed() -> None:
    async with listening(Journal(), max_connections=2) as listener:
        first, second, third = [await connect(listener) for _ in range(3)]
        assert await third.closed() == b""
        assert listener.figures.refused == 1
        second.close()
        first.send(wrap(adt("1")))
        assert await first.told() == "AA 1"
        fourth = await connect(listener)
        fourth.send(wrap(adt("2")))
        assert await fourth.told() == "AA 2"


async def test_a_sender_that_closes_its_side_still_gets_its_answers() -> None:
    journal = Journal()
    journal.gate.clear()
    async with listening(journal) as listener:
        peer = await connect(listener)
        peer.send(wrap(adt("1"), adt("2")) + b"\x0bMSH|half")
        peer.writer.write_eof()
        await asyncio.sleep(0.05)
        journal.gate.set()
        assert [await peer.told() for _ in range(2)] == ["AA 1", "AA 2"]
        assert await peer.closed() == b""
        assert len(journal.taken) == 2


async def test_stopping_answers_what_was_accepted() -> None:
    journal = Journal()
    journal.gate.clear()
    listener = Listener(journal, source="mllp:0", port=0, limits=Limits(unanswered=2))
    await listener.start()
    peer = await connect(listener)
    peer.send(wrap(adt("1"), adt("2"), adt("3")))
    await until(lambda: len(journal.taken) == 2)
    stopping = asyncio.create_task(listener.stop(grace=30))
    await asyncio.sleep(0.05)
    with pytest.raises(OSError):
        await connect(listener)
    journal.gate.set()
    assert [await peer.told() for _ in range(2)] == ["AA 1", "AA 2"]
    assert await peer.closed() == b""
    await stopping
    assert len(journal.taken) == 2  # the third has no answer: its sender sends it again


async def test_addresses_that_cannot_be_used() -> None:
    with pytest.raises(Unstartable, match="without TLS would carry patient data in the clear"):
        Listener(Journal(), source="mllp:0", host="0.0.0.0", port=0)
    assert Listener(Journal(), source="mllp:0", host="0.0.0.0", port=0, insecure=True).host == "0.0.0.0"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unstartable, match=r"cannot listen on 127\.0\.0\.1"):
            await Listener(Journal(), source="mllp:0", port=taken.getsockname()[1]).start()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-made certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


async def test_tls_with_a_certificate_of_both_sides(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
    calling = ssl.create_default_context(cafile=str(chain))
    calling.load_cert_chain(chain, private)
    names = {"mllp__tls_certificate": str(chain), "mllp__tls_key": str(private), "mllp__tls_client_ca": str(chain)}
    configured = settings.read(tmp_path, {}).with_values(**names)
    journal = Journal()
    shaken, limits = tls.of(configured, "mllp"), limits_of(configured)
    assert shaken
    listener = Listener(journal, source="mllp:0", host="localhost", port=0, tls=shaken.context, limits=limits)
    await listener.start()
    peer = Peer(*await asyncio.open_connection("localhost", listener.port, ssl=calling))
    peer.send(wrap(adt("1"), adt("2")))
    assert [await peer.told() for _ in range(2)] == ["AA 1", "AA 2"]
    assert journal.attributes[0]["certificate"] == "localhost"
    plain = Peer(*await asyncio.open_connection("localhost", listener.port))
    plain.send(wrap(adt("3")))
    await plain.closed()
    nameless = ssl.create_default_context(cafile=str(chain))
    stranger = Peer(*await asyncio.open_connection("localhost", listener.port, ssl=nameless))
    stranger.send(wrap(adt("4")))
    await stranger.closed()
    assert len(journal.taken) == 2
    await listener.stop()


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    configured = settings.read(tmp_path, {})
    assert tls.of(configured, "mllp") is None
    with pytest.raises(Unstartable, match="certificate of the MLLP listeners can't be used"):
        tls.of(configured.with_values(mllp__tls_certificate=str(tmp_path / "none.pem")), "mllp")
