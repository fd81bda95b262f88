"""Listens for HL7 v2 over MLLP and acknowledges what is durably accepted, in order (HL7 MLLP release 1, https://www.hl7.org/implement/standards/product_brief.cfm?product_id=55)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from suture.clock import SYSTEM, Clock, new_id
from suture.connectors.connection import loopback
from suture.connectors.mllp_frames import Framer
from suture.connectors.mllp_frames import frame as framed
from suture.errors import InvalidMessage, SutureError, TooLarge, Unavailable, Unstartable
from suture.ports import Accept, Receipt
from suture.settings import Settings
from suture.standards.hl7v2 import ack
from suture.standards.hl7v2.ack import Outcome
from suture.standards.hl7v2.message import Message, parse

log = logging.getLogger("suture.mllp")
LINGER = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener bears; the settings mllp.* give the values."""

    max_frame: int = 16 * 1024 * 1024
    max_connections: int = 512
    idle_timeout: float = 3600.0
    frame_timeout: float = 30.0
    unanswered: int = 64  # messages of one connection between acceptance and answer; more are not read
    memory: int = 256 * 1024 * 1024  # bytes of all connections that are not answered yet; past it senders try later
    garbage: int = 65_536  # bytes outside of frames before a connection is closed
    end_wait: float = 0.5  # silence after EB without CR that ends a frame all the same


@dataclass(slots=True)
class Figures:
    """Counts since the start, for metrics."""

    connections: int = 0
    refused: int = 0
    messages: int = 0
    accepted: int = 0
    errors: int = 0
    rejects: int = 0
    garbage: int = 0
    too_large: int = 0
    timeouts: int = 0


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings mllp.* name."""
    return Limits(
        max_frame=settings["mllp.max_frame"],
        max_connections=settings["mllp.max_connections"],
        idle_timeout=settings["mllp.idle_timeout"],
        frame_timeout=settings["mllp.frame_timeout"],
        unanswered=settings["mllp.unanswered"],
        memory=settings["mllp.memory"],
    )


class Listener:
    """One port. `accept` commits a message durably; only then its acknowledgement leaves."""

    def __init__(
        self,
        accept: Accept,
        *,
        source: str,
        host: str = "127.0.0.1",
        port: int = 2575,
        tls: ssl.SSLContext | None = None,
        insecure: bool = False,
        charset: str | None = None,
        limits: Limits | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        if not tls and not insecure and not loopback(host):
            raise Unstartable(
                f"MLLP on {host}:{port} without TLS would carry patient data in the clear",
                where="mllp.host",
                mend="Name a certificate, listen on 127.0.0.1, or say --insecure.",
            )
        self.accept = accept
        self.source = source
        self.host = host
        self.port = port
        self.tls = tls
        self.charset = charset
        self.limits = limits or Limits()
        self.clock = clock
        self.figures = Figures()
        self.connections: set[Connection] = set()
        self.held = 0  # bytes of all connections not answered yet
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to listen; raises Unstartable when the address is taken or not ours."""
        loop = asyncio.get_running_loop()
        handshake = max(1.0, min(self.limits.frame_timeout, 60.0)) if self.tls else None
        try:
            self._server = await loop.create_server(
                lambda: Connection(self),
                self.host,
                self.port,
                ssl=self.tls,
                backlog=1024,
                ssl_handshake_timeout=handshake,
            )
        except OSError as error:
            raise Unstartable(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}", where="mllp.port", mend="Choose another."
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, grace: float = 10.0) -> None:
        """Takes no more, answers what was accepted (for `grace` seconds), then closes."""
        if self._server:
            self._server.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.drain()
        tasks = [task for connection in self.connections for task in connection.tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for connection in list(self.connections):
            connection.close()
        if self._server:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.0)
        for connection in list(self.connections):
            connection.abort()

    async def _sweep(self) -> None:
        """Closes who is silent too long or sends a frame too slowly."""
        loop = asyncio.get_running_loop()
        pause = max(0.01, min(self.limits.end_wait, self.limits.frame_timeout, self.limits.idle_timeout) / 2)
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            for connection in list(self.connections):
                connection.look(now)


class Connection(asyncio.Protocol):
    """One sender: its frames are accepted in order, its answers leave in the same order."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.limits = listener.limits
        self._framer = Framer(listener.limits.max_frame)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.attributes: dict[str, Any] = {}
        self._waiting: deque[bytes] = deque()  # whole frames not yet handed over
        self._answers: deque[Answer] = deque()  # in the order of their frames
        self._heard = self._begun = self._loop.time()
        self._held = 0
        self._linger = 0.0  # until when what still comes is read and thrown away
        self._paused = self._choked = self._ending = False

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The messages that are being accepted."""
        return [answer.task for answer in self._answers if answer.task]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast(asyncio.Transport, transport)
        if len(self.listener.connections) >= self.limits.max_connections:
            self.listener.figures.refused += 1
            log.warning("connection refused", extra={"source": self.listener.source, "reason": "max_connections"})
            stream.abort()
            return
        self.listener.connections.add(self)
        self.listener.figures.connections += 1
        peer = transport.get_extra_info("peername") or ("", 0)
        self.attributes = {"remote": f"{peer[0]}:{peer[1]}"}
        certificate = transport.get_extra_info("peercert")
        if certificate:
            self.attributes["certificate"] = _common_name(certificate)

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.connections.discard(self)
        self._transport = None
        self._waiting.clear()
        self.listener.held -= self._held
        self._held = 0

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        self._held += len(data)
        self.listener.held += len(data)
        self._heard = self._loop.time()
        was_partial, before = self._framer.partial, self._framer.garbage
        frames = self._framer.feed(data)
        if self._framer.partial and (frames or not was_partial):
            self._begun = self._heard
        self._waiting.extend(frames)
        self._hand_over()
        self.listener.figures.garbage += self._framer.garbage - before
        if self._framer.overflow is not None:
            self._refuse(self._framer.overflow, self._too_large())
        elif self._framer.partial and self.listener.held > self.limits.memory:
            self._refuse(b"", Unavailable("too many messages at once", mend="Send it again later."))
        elif self._framer.garbage > self.limits.garbage:
            log.warning("closed: bytes outside of frames", extra={"source": self.listener.source})
            self._end()

    def eof_received(self) -> bool:
        """A sender that closed its side still gets its answers; half a frame is gone with it."""
        self._finish_frame()
        self._linger = 0.0
        self._end()
        return self.listener.tls is None

    def pause_writing(self) -> None:
        self._choked = True
        self._set_reading()

    def resume_writing(self) -> None:
        self._choked = False
        self._hand_over()

    def drain(self) -> None:
        """Reads no more; frames not yet handed over are left to the sender, who has no answer to them."""
        self._waiting.clear()
        self._end()

    def close(self) -> None:
        """Closes once what was written is out."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport:
            self._transport.abort()

    def look(self, now: float) -> None:
        """Time-outs of this connection."""
        if self._linger:
            if now >= self._linger:
                self.close()
        elif self._framer.partial:
            if now - self._heard >= self.limits.end_wait:
                self._finish_frame()
            if self._framer.partial and now - self._begun >= self.limits.frame_timeout and not self._paused:
                self._time_out("frame_timeout")
        elif not self._answers and now - self._heard >= self.limits.idle_timeout:
            self._time_out("idle_timeout")

    def _time_out(self, reason: str) -> None:
        self.listener.figures.timeouts += 1
        log.info("closed: silent or slow", extra={"source": self.listener.source, "reason": reason})
        self._end()

    def _finish_frame(self) -> None:
        found = self._framer.finish()
        if found is not None:
            self._waiting.append(found)
            self._hand_over()

    def _hand_over(self) -> None:
        """Gives whole frames to `accept`, as many as may be unanswered."""
        while self._waiting and len(self._answers) < self.limits.unanswered and not self._choked:
            answer = Answer(self, self._waiting.popleft())
            self._answers.append(answer)
            answer.task = self._loop.create_task(answer.run())
        self._set_reading()

    def _set_reading(self) -> None:
        pause = (
            (self._ending and not self._linger)
            or self._choked
            or bool(self._waiting)
            or len(self._answers) >= self.limits.unanswered
        )
        if self._transport and pause != self._paused:
            self._paused = pause
            self._begun = self._loop.time()  # time that we did not read is not the sender's
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    def _too_large(self) -> TooLarge:
        self.listener.figures.too_large += 1
        return TooLarge(f"the message is larger than {self.limits.max_frame} bytes", where="MSH")

    def _refuse(self, head: bytes, error: SutureError) -> None:
        """The stream is not followed any further: one refusal, then the end."""
        answer = Answer(self, head)
        answer.bytes = answer.refusal(error)
        self._answers.append(answer)
        self._linger = self._loop.time() + LINGER  # closing on unread bytes would reset the answer away
        self._end()

    def _release(self) -> None:
        """Counts what is still held after answers left: the frame that has begun and those not yet answered."""
        held = self._framer.held + sum(map(len, self._waiting)) + sum(len(answer.frame) for answer in self._answers)
        self.listener.held += held - self._held
        self._held = held

    def _end(self) -> None:
        """No more reading; closes once the last answer is out."""
        self._ending = True
        self._set_reading()
        self.flush()

    def flush(self) -> None:
        """Writes the answers that are ready, none before its turn."""
        ready: list[bytes] = []
        while self._answers and self._answers[0].bytes is not None:
            ready.append(self._answers.popleft().bytes or b"")
        if self._transport is None:
            return
        if any(ready):
            self._transport.write(b"".join(ready))
        if ready:
            self._release()
        if self._ending and not self._answers and not self._waiting:
            self._leave()
        elif ready:
            self._hand_over()

    def _leave(self) -> None:
        if self._transport and self._linger > self._loop.time() and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self.close()


class Answer:
    """The acknowledgement of one frame, from its arrival until it may be written (`bytes` is set)."""

    __slots__ = ("bytes", "connection", "frame", "task")

    def __init__(self, connection: Connection, frame: bytes) -> None:
        self.connection = connection
        self.frame = frame
        self.bytes: bytes | None = None
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Accepts the frame; whatever happens the sender hears of it (when its mode wants to)."""
        listener = self.connection.listener
        listener.figures.messages += 1
        try:
            receipt = await listener.accept(listener.source, self.frame, self.connection.attributes)
            self.bytes = self._accepted(receipt)
        except SutureError as error:
            self.bytes = self.refusal(error)
        except Exception:  # a defect of ours: the sender keeps the message and tries again
            log.exception("a message could not be accepted", extra={"source": listener.source})
            self.bytes = self.refusal(Unavailable("internal error", mend="Send it again later."))
        finally:
            if self.bytes is None:  # cancelled
                self.bytes = b""
            self.connection.flush()

    def _accepted(self, receipt: Receipt) -> bytes:
        if receipt.answer:
            self.connection.listener.figures.accepted += 1
            return framed(receipt.answer)
        try:
            message = parse(self.frame, charset=self.connection.listener.charset)
        except (InvalidMessage, TooLarge) as error:
            return self.refusal(error)
        if receipt.rejected:
            return self.refusal(_rejection(receipt), message)
        self.connection.listener.figures.accepted += 1
        return self._answer(message, Outcome.ACCEPT, control_id=receipt.message_id)

    def refusal(self, error: SutureError, message: Message | None = None) -> bytes:
        """AE (CE) or AR (CR) with the place of the error."""
        outcome = ack.outcome_of(error)
        figures = self.connection.listener.figures
        if outcome is Outcome.ERROR:
            figures.errors += 1
        else:
            figures.rejects += 1
        return self._answer(message or ack.header_of(self.frame), outcome, error)

    def _answer(
        self, message: Message | None, outcome: Outcome, error: SutureError | None = None, control_id: str = ""
    ) -> bytes:
        code = ack.code(message, outcome)
        if not code:
            return b""
        clock = self.connection.listener.clock
        answer = ack.build(message, code, now=clock.now(), control_id=control_id or new_id(clock), error=error)
        return framed(answer)


def _rejection(receipt: Receipt) -> InvalidMessage:
    """A reject with the place and code of what is broken, as far as they are known."""
    error = receipt.error
    if not isinstance(error, InvalidMessage):
        return InvalidMessage(receipt.rejected, where="MSH", ack="AR")
    text = f"{error.text}. {error.mend}" if error.mend else error.text
    return InvalidMessage(text, where=error.where, mend=error.mend, ack="AR", error_code=error.error_code)


def _common_name(certificate: dict[str, Any]) -> str:
    """The subject's common name of a client's certificate."""
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    return next((value for name, value in pairs if name == "commonName"), "")
