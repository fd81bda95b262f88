"""MLLP framing: bytes in, whole frames out, whatever way the network cut them (HL7 MLLP release 1, block format)."""

from __future__ import annotations

from suture.errors import SendFailed

START, END, CR, LF = 0x0B, 0x1C, 0x0D, 0x0A
TRAILER = b"\x1c\x0d"
KEPT = 8192  # bytes of a frame that is too large, so that its header can be answered


def frame(message: bytes) -> bytes:
    """The message in its frame; raises SendFailed when its own bytes would end or begin a frame."""
    if END in message or b"\x0bMSH" in message:
        raise SendFailed(
            "the message holds a byte that ends or begins an MLLP frame",
            where="MSH",
            mend="Escape control characters as \\X1C\\ (hl7v2.escapes.escape does).",
        )
    return b"\x0b" + message + TRAILER


class Framer:
    """Cuts a stream into frames; `garbage` counts the bytes outside of them, `overflow` is set at a frame too large.

    A frame ends with EB CR; EB LF and EB SB are taken too. A frame whose last byte is EB may be whole: see `finish`.
    """

    __slots__ = ("_buffer", "_inside", "_scanned", "garbage", "max_frame", "overflow")

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self.garbage = 0
        self.overflow: bytes | None = None
        self._buffer = bytearray()
        self._inside = False
        self._scanned = 0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    @property
    def held(self) -> int:
        """Bytes kept of the frame that has begun."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that this chunk completes."""
        if not self._inside and self._whole(chunk):
            return [chunk[1:-2]]
        self._buffer += chunk
        frames: list[bytes] = []
        while self.overflow is None and (self._inside or self._begin()):
            found = self._end()
            if found is None:
                break
            frames.append(found)
        return frames

    def finish(self) -> bytes | None:
        """The frame whose sender leaves out the CR behind EB, once nothing more came for a while."""
        if not self._inside or not self._buffer or self._buffer[-1] != END:
            return None
        found = bytes(self._buffer[:-1])
        self._buffer.clear()
        self._inside = False
        return found

    def _whole(self, chunk: bytes) -> bool:
        return (
            len(chunk) > 2
            and chunk[0] == START
            and len(chunk) - 3 <= self.max_frame
            and chunk.find(END) == len(chunk) - 2
            and chunk[-1] == CR
        )

    def _begin(self) -> bool:
        """Drops what is no frame; true when one begins."""
        at = self._buffer.find(START)
        outside = self._buffer if at < 0 else self._buffer[:at]
        self.garbage += len(outside.translate(None, b"\r\n"))
        del self._buffer[: len(self._buffer) if at < 0 else at + 1]
        self._inside = at >= 0
        self._scanned = 0
        return self._inside

    def _end(self) -> bytes | None:
        """The frame's content when its end is there."""
        buffer = self._buffer
        at = buffer.find(END, self._scanned)
        while 0 <= at < len(buffer) - 1:
            if at > self.max_frame:
                break
            if buffer[at + 1] in (CR, LF, START):
                found = bytes(buffer[:at])
                del buffer[: at + (1 if buffer[at + 1] == START else 2)]
                self._inside = False
                return found
            at = buffer.find(END, at + 1)
        self._scanned = at if at >= 0 else len(buffer)
        if (at if at >= 0 else len(buffer)) > self.max_frame:
            self.overflow = bytes(buffer[:KEPT])
            buffer.clear()
        return None
