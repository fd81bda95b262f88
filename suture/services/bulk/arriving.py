"""A file of NDJSON as it arrives: unpacked when it is gzip, within its bounds, cut into parts of whole lines.

https://www.rfc-editor.org/rfc/rfc1952 · https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

from suture.errors import Invalid, TooLarge

PART = 128 << 10  # bytes of one commit: what others wait for
PIECE = 64 << 10  # bytes that are unpacked at a time, however small they were packed
_GZIP = b"\x1f\x8b"


class Reading:
    """The bytes themselves, at most so many: what begins as gzip does is unpacked, and what is `said` to be packed has to."""

    def __init__(self, parts: AsyncIterator[bytes], most: int, *, said: bool = False) -> None:
        self._parts = parts
        self._most = most
        self._said = said
        self._unpacker: _Plain | None = None

    @property
    def packed(self) -> bool:
        return isinstance(self._unpacker, _Gzip)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises TooLarge, and Invalid for what is packed wrongly or ends too early."""
        head, size = b"", 0
        async for some in self._parts:
            head += some
            if len(head) < len(_GZIP) and self._unpacker is None:
                continue
            for piece in self._begun(head).feed(head):
                size += len(piece)
                if size > self._most:
                    raise TooLarge(
                        f"the file is larger than {self._most} bytes", where="body", mend="Send it in parts."
                    )
                yield piece
            head = b""
        if head:
            yield head
        self._begun(head).end()

    def _begun(self, head: bytes) -> _Plain:
        """How it is unpacked, known by its first bytes."""
        if self._unpacker is None:
            if self._said and not head.startswith(_GZIP):
                raise Invalid("the file is not packed as gzip", where="Content-Encoding", mend="Leave it out.")
            self._unpacker = _Gzip() if head.startswith(_GZIP) else _Plain()
        return self._unpacker


class _Plain:
    """What was not packed."""

    def feed(self, raw: bytes) -> Iterator[bytes]:
        yield raw

    def end(self) -> None:
        return None


class _Gzip(_Plain):
    """Unpacks member after member."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    def feed(self, raw: bytes) -> Iterator[bytes]:
        while raw:
            if self._inner.eof:
                if not raw.strip(b"\0"):
                    return
                self._inner = zlib.decompressobj(31)
            try:
                yield self._inner.decompress(raw, PIECE)
            except zlib.error as error:
                raise Invalid("the file is packed wrongly", where="gzip", mend="Pack it with gzip again.") from error
            raw = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail

    def end(self) -> None:
        if not self._inner.eof:
            raise Invalid("the file ends too early to be unpacked", where="gzip", mend="Send all of it.")


async def cut(arriving: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Parts of whole lines; the last one, perhaps empty, need not end a line. Raises TooLarge for an endless line."""
    rest = b""
    async for some in arriving:
        rest += some
        while end := _end(rest):
            yield rest[:end]
            rest = rest[end:]
        if len(rest) > longest:
            raise TooLarge("a line is too long", where="body", mend="One resource stands on one line.")
    yield rest


async def skipped(arriving: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Without its first bytes, which are kept already."""
    async for some in arriving:
        if len(some) > size:
            yield some[size:]
        size = max(0, size - len(some))


def _end(raw: bytes) -> int:
    """Where a part of whole lines ends; 0 when more has to come."""
    if len(raw) < PART:
        return 0
    return raw.rfind(b"\n", 0, PART) + 1 or raw.find(b"\n") + 1
