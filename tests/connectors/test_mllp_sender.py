"""A sender believes only the acknowledgement of its own message, and says plainly when it does not know."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from suture.connectors.mllp import Listener
from suture.connectors.mllp_sender import Patience, Sender
from suture.errors import SendAmbiguous, SendFailed, SendUnavailable, Unavailable
from suture.ports import Receipt
from tests.connectors.test_mllp import Journal, adt, certificate, until, wrap

QUICK = Patience(connect=2, answer=0.2, first_pause=0.05)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ack(code: str, control_id: str, more: str = "") -> bytes:
    return wrap(f"MSH|^~\\&|C|D|A|B|20260301||ACK|9|P|2.5.1\rMSA|{code}|{control_id}\r{more}".encode())


@contextlib.asynccontextmanager
async def receiver(talk: Talk, **options: Any) -> AsyncIterator[Sender]:
    """A destination that behaves as `talk` does on each connection, and a sender to it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sender = Sender("127.0.0.1", server.sockets[0].getsockname()[1], patience=options.pop("patience", QUICK), **options)
    try:
        yield sender
    finally:
        await sender.close()
        server.close()


def saying(*answers: bytes) -> Talk:
    """Answers the n-th message with the n-th answer, then keeps silent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\x1c\r")
            writer.write(answer)
        await reader.read()

    return talk


@pytest.mark.parametrize("code", ["AA", "CA"])
async def test_an_accept_is_delivered(code: str) -> None:
    async with receiver(saying(ack(code, "1"))) as sender:
        answer = await sender.send(adt("1"))
        assert answer.code == code
        assert answer.raw.startswith(b"MSH|")


@pytest.mark.parametrize(
    ("code", "more", "kind", "said"),
    [
        ("AE", "", SendUnavailable, "AE"),
        ("CE", "", SendUnavailable, "CE"),
        ("AR", "", SendFailed, "AR"),
        ("CR", "", SendFailed, "CR"),
        ("AE", "ERR||PID^1^3|101^Required^HL70357|E\r", SendFailed, "AE 101 PID^1^3"),
        ("AE", "ERR||PID^1^3|207^Inner^HL70357|E\r", SendUnavailable, "AE 207 PID^1^3"),
        ("AR", "ERR|||206^Locked^HL70357|E\r", SendUnavailable, "AR 206"),
        ("AE", "ERR|PID^1^3^101&Required&HL70357\r", SendFailed, "AE 101 PID^1^3"),
        ("AE", "ERR||Smith John|Smith|E\r", SendUnavailable, "AE"),
    ],
)
async def test_a_no_is_final_or_passing_by_what_it_says(code: str, more: str, kind: type, said: str) -> None:
    async with receiver(saying(ack(code, "1", more), ack("AA", "2"))) as sender:
        with pytest.raises(SendFailed, match="the receiver answered") as caught:
            await sender.send(adt("1"))
        assert type(caught.value) is kind
        assert caught.value.answer == said
        assert (await sender.send(adt("2"))).code == "AA"  # the connection goes on


async def test_an_acknowledgement_of_another_message_is_not_believed() -> None:
    async with receiver(saying(ack("AA", "0") + ack("AA", "1") + ack("AA", "1"), ack("AE", "other"))) as sender:
        assert (await sender.send(adt("1"))).code == "AA"
        with pytest.raises(SendAmbiguous, match="others came that name other messages"):
            await sender.send(adt("2"))
        assert sender.unmatched == 3


async def test_a_late_acknowledgement_does_not_meet_the_next_message() -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\x1c\r"))
        if len(seen) == 1:
            await asyncio.sleep(0.25)
            writer.write(ack("AA", "1"))
            await reader.read()
        await reader.read()

    async with receiver(talk) as sender:
        with pytest.raises(SendAmbiguous, match="no acknowledgement of this message came in time"):
            await sender.send(adt("1"))
        with pytest.raises(SendAmbiguous, match=r"came in time$"):
            await sender.send(adt("2"))
        assert seen == [wrap(adt("1")), wrap(adt("2"))]  # each on a connection of its own, none sent twice


@pytest.mark.parametrize("answer", [wrap(b"thanks"), wrap(adt("1")), b"x" * 2_000_000])
async def test_an_answer_that_is_no_acknowledgement(answer: bytes) -> None:
    async with receiver(saying(answer)) as sender:
        with pytest.raises(SendAmbiguous, match="something that is no acknowledgement"):
            await sender.send(adt("1"))


async def test_a_code_nobody_knows_leaves_it_open() -> None:
    async with receiver(saying(ack("OK", "1"))) as sender:
        with pytest.raises(SendAmbiguous, match="no code of HL7 table 0008"):
            await sender.send(adt("1"))


async def test_a_blank_control_id_is_believed_only_when_said_so() -> None:
    async with receiver(saying(ack("AA", ""))) as sender:
        with pytest.raises(SendAmbiguous, match="others came"):
            await sender.send(adt("1"))
    async with receiver(saying(ack("AA", "")), blank_matches=True) as sender:
        assert (await sender.send(adt("1"))).code == "AA"


async def test_a_connection_lost_before_the_answer_leaves_it_open() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")

    async with receiver(talk) as sender:
        with pytest.raises(SendAmbiguous, match="the connection was lost before the answer came"):
            await sender.send(adt("1"))


async def test_a_receiver_that_closed_in_between_is_connected_anew() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await reader.readuntil(b"\x1c\r")
        writer.write(ack("AA", raw.split(b"|")[9].decode()))

    async with receiver(talk) as sender:
        for n in range(3):
            assert (await sender.send(adt(str(n)))).code == "AA"
            await asyncio.sleep(0.02)


async def test_an_acknowledgement_without_its_last_cr_counts() -> None:
    async with receiver(saying(ack("AA", "1")[:-1])) as sender:
        assert (await sender.send(adt("1"))).code == "AA"


async def test_who_cannot_be_reached_was_sent_nothing() -> None:
    sender = Sender("127.0.0.1", 1, patience=QUICK)
    with pytest.raises(SendUnavailable, match=r"it cannot be reached"):
        await sender.send(adt("1"))
    with pytest.raises(SendUnavailable, match="was not reachable a moment ago") as caught:
        await sender.send(adt("1"))
    assert 0 < caught.value.after <= 0.05


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"MSH|^~\\&|A|B|C|D|2026||ADT^A01||P|2.5", "no control id"),
        (b"PID|1", "no HL7 v2 message"),
        (adt("1", more="\x1c\rPID|2"), "ends or begins an MLLP frame"),
    ],
)
async def test_what_may_not_be_sent_is_refused_before_sending(message: bytes, text: str) -> None:
    async with receiver(saying(ack("AA", "1"))) as sender:
        with pytest.raises(SendFailed, match=text):
            await sender.send(message)


async def test_one_message_at_a_time_unless_told_otherwise() -> None:
    journal = Journal()
    listener = Listener(journal, source="mllp:0", port=0)
    await listener.start()
    for options, expected in (({}, 1), ({"connections": 3}, 3), ({"in_flight": 4}, 4)):
        journal.taken.clear()
        journal.gate.clear()
        sender = Sender("127.0.0.1", listener.port, patience=Patience(answer=5), **options)
        sending = [asyncio.create_task(sender.send(adt(f"m{n}"))) for n in range(12)]
        await until(lambda: len(journal.taken) >= expected)
        await asyncio.sleep(0.02)
        assert len(journal.taken) == expected
        journal.gate.set()
        assert [a.code for a in await asyncio.gather(*sending)] == ["AA"] * 12
        assert sorted(journal.taken) == sorted(adt(f"m{n}") for n in range(12))
        assert len(listener.connections) == options.get("connections", 1)
        await sender.close()
        await until(lambda: not listener.connections)
    await listener.stop()


async def test_messages_of_one_connection_keep_their_order() -> None:
    journal = Journal()
    listener = Listener(journal, source="mllp:0", port=0)
    await listener.start()
    sender = Sender("127.0.0.1", listener.port, in_flight=8)
    await asyncio.gather(*(sender.send(adt(f"m{n}")) for n in range(100)))
    assert listener.figures.connections == 1
    assert journal.taken == [adt(f"m{n}") for n in range(100)]
    await sender.close()
    await listener.stop()


async def test_an_error_of_the_other_side_comes_back_as_such() -> None:
    async def full(source: str, original: bytes, attributes: Mapping[str, Any]) -> Receipt:
        raise Unavailable("the disk is full")

    listener = Listener(full, source="mllp:0", port=0)
    await listener.start()
    sender = Sender("127.0.0.1", listener.port)
    with pytest.raises(SendUnavailable, match="AE 207"):
        await sender.send(adt("1"))
    await sender.close()
    await listener.stop()


async def test_tls_is_verified(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(chain, private)
    listener = Listener(Journal(), source="mllp:0", host="localhost", port=0, tls=serving)
    await listener.start()
    trusting = ssl.create_default_context(cafile=str(chain))
    sender = Sender("localhost", listener.port, tls=trusting)
    assert (await sender.send(adt("1"))).code == "AA"
    await sender.close()
    doubting = Sender("localhost", listener.port, tls=ssl.create_default_context())
    with pytest.raises(SendUnavailable, match=r"the certificate of localhost:[0-9]+ is not trusted"):
        await doubting.send(adt("1"))
    await listener.stop()


@pytest.mark.parametrize("seed", range(4))
async def test_through_a_line_that_breaks_anywhere_what_is_said_is_true(seed: int) -> None:
    """Delivered means taken, unavailable means not taken, and only ambiguous may be either."""
    r = random.Random(seed)
    journal = Journal()
    listener = Listener(journal, source="mllp:0", port=0)
    await listener.start()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
        with contextlib.suppress(ConnectionError):
            while left > 0 and (data := await reader.read(r.randint(1, 200))):
                writer.write(data[:left])
                left -= len(data)
        writer.transport.abort()

    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", listener.port)
        sizes = r.randint(1, 2000), r.randint(1, 2000)
        ends = (pipe(reader, to_writer, sizes[0]), pipe(to_reader, writer, sizes[1]))
        tasks = [asyncio.create_task(end) for end in ends]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        writer.transport.abort()
        to_writer.transport.abort()
        await asyncio.gather(*tasks)

    proxy = await asyncio.start_server(breaking, "127.0.0.1", 0)
    sender = Sender(
        "127.0.0.1", proxy.sockets[0].getsockname()[1], connections=2, in_flight=2, patience=Patience(answer=1)
    )
    said: dict[str, list[str]] = {"delivered": [], "unavailable": [], "ambiguous": []}

    async def send(control_id: str) -> None:
        try:
            await sender.send(adt(control_id, more="x" * r.randint(0, 300)))
            said["delivered"].append(control_id)
        except SendAmbiguous:
            said["ambiguous"].append(control_id)
        except SendUnavailable:
            said["unavailable"].append(control_id)

    for start in range(0, 80, 4):
        await asyncio.gather(*(send(f"m{n}") for n in range(start, start + 4)))
    await sender.close()
    await listener.stop()
    proxy.close()
    taken = [raw.split(b"|")[9].decode() for raw in journal.taken]
    assert len(taken) == len(set(taken))
    assert set(said["delivered"]) <= set(taken)
    assert not set(said["unavailable"]) & set(taken)
    assert said["delivered"]
    assert said["ambiguous"]
