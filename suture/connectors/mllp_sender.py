"""Sends HL7 v2 over MLLP and matches every acknowledgement to its message by MSA-2 (HL7 v2.9 chapter 2, section 2.9; HL7 MLLP release 1)."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from dataclasses import dataclass
from typing import cast

from suture.connectors.mllp_frames import Framer
from suture.connectors.mllp_frames import frame as framed
from suture.errors import InvalidMessage, SendAmbiguous, SendFailed, SendUnavailable, TooLarge
from suture.standards.hl7v2.message import Message, parse

ACCEPTED = {"AA", "CA"}
REJECTED = {"AR", "CR"}
# HL7 table 0357: what is wrong with the message stays wrong; a locked record or an inner error may pass.
CONTENT = {"100", "101", "102", "103", "200", "201", "202", "203", "204", "205"}
PASSING = {"206", "207"}
PLACE = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^[0-9]{1,6}){0,2}")  # nothing else of an answer may reach a log
LARGEST_ANSWER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement that accepted the message."""

    code: str  # AA or CA
    raw: bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a destination may take."""

    connect: float = 10.0
    answer: float = 30.0
    idle: float = 60.0  # a connection not used for so long is opened anew: a firewall may have forgotten it
    first_pause: float = 0.5  # after a failed connect; doubles up to the longest, with jitter
    longest_pause: float = 30.0


class Sender:
    """One destination. Each of its connections carries one message at a time unless `in_flight` says more."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        connections: int = 1,
        in_flight: int = 1,
        blank_matches: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.server_name = server_name or host
        self.blank_matches = blank_matches
        self.patience = patience or Patience()
        self.unmatched = 0  # acknowledgements that belonged to no message
        self._in_flight = in_flight
        self._slots = asyncio.Semaphore(connections * in_flight)
        self._lines: list[Line] = []
        self._opening = asyncio.Lock()
        self._failures = 0
        self._not_before = 0.0

    async def send(self, message: bytes) -> Answer:
        """Delivered when this returns. SendUnavailable: not taken, send again; SendFailed: refused for good;
        SendAmbiguous: it left, and no answer says what became of it."""
        control_id = _control_id(message)
        frame = framed(message)
        async with self._slots:
            line = await self._line(control_id)
            raw = await line.ask(control_id, frame, self.patience.answer)
        return _judge(raw)

    async def close(self) -> None:
        """Closes every connection; what still waits for an answer ends as ambiguous."""
        for line in self._lines:
            line.close()
        self._lines.clear()

    async def _line(self, control_id: str) -> Line:
        """An open connection with room, or a new one; only one is opened at a time."""
        found = self._with_room(control_id)
        if found is None:
            async with self._opening:
                found = self._with_room(control_id) or await self._open()
        return found.reserve(control_id)

    def _with_room(self, control_id: str) -> Line | None:
        now = asyncio.get_running_loop().time()
        for line in list(self._lines):
            if line.closed or (not line.pending and now - line.used > self.patience.idle):
                line.close()
                self._lines.remove(line)
        free = (x for x in self._lines if len(x.pending) < self._in_flight and control_id not in x.pending)
        return next(free, None)

    async def _open(self) -> Line:
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            raise SendUnavailable(
                f"{self._name} was not reachable a moment ago",
                where=self._name,
                after=self._not_before - loop.time(),
            )
        name = self.server_name if self.tls else None
        opening = loop.create_connection(lambda: Line(self), self.host, self.port, ssl=self.tls, server_hostname=name)
        try:
            _, line = await asyncio.wait_for(opening, self.patience.connect)
        except ssl.SSLCertVerificationError as error:
            raise self._unreachable(f"the certificate of {self._name} is not trusted") from error
        except (OSError, TimeoutError, ssl.SSLError) as error:
            raise self._unreachable("it cannot be reached") from error
        self._failures = 0
        self._lines.append(line)
        return line

    def _unreachable(self, text: str) -> SendUnavailable:
        """Remembers the failure, so that a dead destination is not hammered."""
        pause = min(self.patience.longest_pause, self.patience.first_pause * 2**self._failures)
        pause *= random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        self._not_before = asyncio.get_running_loop().time() + pause
        return SendUnavailable(text, where=self._name, after=pause, mend="Is the receiver listening on this port?")

    @property
    def _name(self) -> str:
        return f"{self.host}:{self.port}"


class Line(asyncio.Protocol):
    """One TCP connection; `pending` are the messages on it that wait for their acknowledgement, by control id."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.pending: dict[str, asyncio.Future[bytes]] = {}
        self.closed = False
        self.unmatched = 0
        self._loop = asyncio.get_running_loop()
        self.used = self._loop.time()
        self._framer = Framer(LARGEST_ANSWER)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for raw in self._framer.feed(data):
            self._answered(raw)
        if self._framer.overflow is not None or self._framer.garbage > LARGEST_ANSWER:
            self._end("the receiver answered with something that is no acknowledgement")

    def eof_received(self) -> bool:
        found = self._framer.finish()
        if found is not None:
            self._answered(found)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was lost before the answer came")

    def reserve(self, control_id: str) -> Line:
        """Takes the place of a message on this connection."""
        self.pending[control_id] = self._loop.create_future()
        return self

    async def ask(self, control_id: str, frame: bytes, seconds: float) -> bytes:
        """Sends and waits for the answer of this very message; a connection whose answer is late is given up."""
        future = self.pending[control_id]
        try:
            if self.closed or self._transport is None or self._transport.is_closing():
                raise SendUnavailable("the connection was closed before sending", where=self._where)
            self.used = self._loop.time()
            self._transport.write(frame)
            return await asyncio.wait_for(asyncio.shield(future), seconds)
        except TimeoutError:
            late = self._framer.finish()
            if late is not None:
                self._answered(late)
                if future.done() and not future.exception():
                    return future.result()
            self._end("no acknowledgement came in time")  # a late one must not meet the next message
            others = "; others came that name other messages" if self.unmatched else ""
            raise SendAmbiguous(f"no acknowledgement of this message came in time{others}", where=self._where) from None
        finally:
            self.pending.pop(control_id, None)
            if not future.done():
                future.cancel()
                self.close()  # cancelled while its answer is on the way
            elif not future.cancelled():
                future.exception()

    def close(self) -> None:
        """Closes the connection."""
        self._end("the connection was closed before the answer came")

    def _answered(self, raw: bytes) -> None:
        """Gives an acknowledgement to the message it names; one that names another is counted and left."""
        control_id = _acknowledged(raw)
        if control_id is None:
            self._end("the receiver answered with something that is no acknowledgement")
            return
        if not control_id and self.sender.blank_matches and len(self.pending) == 1:
            control_id = next(iter(self.pending))
        future = self.pending.get(control_id)
        if future is None or future.done():
            self.unmatched += 1
            self.sender.unmatched += 1
            return
        self.used = self._loop.time()
        future.set_result(raw)

    def _end(self, text: str) -> None:
        self.closed = True
        for future in self.pending.values():
            if not future.done():
                future.set_exception(SendAmbiguous(text, where=self._where))
        if self._transport and not self._transport.is_closing():
            self._transport.close()

    @property
    def _where(self) -> str:
        return f"{self.sender.host}:{self.sender.port}"


def _control_id(message: bytes) -> str:
    try:
        found = parse(message).get("MSH-10")
    except (InvalidMessage, TooLarge) as error:
        raise SendFailed(f"what is to be sent is no HL7 v2 message: {error.text}", where=error.where) from error
    if not found.strip():
        raise SendFailed(
            "the message has no control id, so no acknowledgement could be matched to it",
            where="MSH-10",
            mend="Set MSH-10.",
        )
    return found.strip()


def _acknowledged(raw: bytes) -> str | None:
    """MSA-2; None when it is no acknowledgement at all."""
    try:
        message = parse(raw)
    except (InvalidMessage, TooLarge):
        return None
    return message.get("MSA-2").strip() if message.segment("MSA") else None


def _judge(raw: bytes) -> Answer:
    """AA and CA are delivered. AE and CE are tried again unless ERR says that the content is wrong; AR and CR are
    final unless ERR says that the trouble may pass (HL7 table 0357)."""
    message = parse(raw)
    code, error = message.get("MSA-1").strip(), error_code(message)
    if code in ACCEPTED:
        return Answer(code, raw)
    if code not in {"AE", "CE", *REJECTED}:
        raise SendAmbiguous("the acknowledgement has no code of HL7 table 0008", where="MSA-1", answer=code[:2])
    place = PLACE.match(message.get("ERR-2") or message.get("ERR-1"))
    said = " ".join(part for part in (code, error, place[0] if place else "") if part)
    final = error in CONTENT or (code in REJECTED and error not in PASSING)
    kind = SendFailed if final else SendUnavailable
    raise kind(f"the receiver answered {said}", where="MSA-1", answer=said)


def error_code(message: Message) -> str:
    """The code of HL7 table 0357 that an acknowledgement states: ERR-3, before 2.5 ERR-1.4 or MSA-6."""
    for place in ("ERR-3.1", "ERR-1.4.1", "MSA-6.1"):
        found = message.get(place)
        if found:
            return found if found in CONTENT | PASSING else ""
    return ""
