"""Bodies as they are kept: the exact bytes, zstd-compressed with a dictionary whose number stands in the row (RFC 8878)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import zstandard

from suture import crypto
from suture.errors import Unavailable, Unstartable
from suture.store.shared import Shared

RAW = -1  # kept as it came
PLAIN = 0  # zstd without a dictionary
LEVEL = 5  # a twentieth less than 3, for 3 µs more a resource
SMALLEST = 64  # shorter bodies are kept as they came
LARGEST = 1 << 30
SEALED = b"suture body"

One = Callable[[str, tuple[Any, ...]], tuple[Any, ...] | None]


class Damaged(Unavailable):
    """One body, or a page of the database, can't be read; others can."""

    code, status, issue, retry = "damaged", 500, "exception", False


class DamagedPage(Damaged):
    """A page of the database can't be read; others can."""


class UnreadablePage(DamagedPage):
    """The disk gave no page, which it may do the next time."""

    code, status, issue, retry = "unreadable", 503, "transient", True


class Bodies:
    """Packs and unpacks for one connection (zstd contexts belong to one thread)."""

    def __init__(self, shared: Shared, one: One) -> None:
        self._shared = shared
        self._one = one
        self._key = shared.sealing
        self._opened = crypto.opener(self._key, SEALED) if self._key else None
        self._packers: dict[int, zstandard.ZstdCompressor] = {}
        self._beside: dict[int, zstandard.ZstdCompressor] = {}  # of `packing`
        self._unpackers: dict[int, zstandard.ZstdDecompressor] = {}

    def pack(self, kind: str, body: bytes) -> tuple[int, bytes]:
        """(dictionary number, packed bytes); `kind` is resource, message or content."""
        if len(body) < SMALLEST:
            return RAW, self.sealed(body)
        self._shared.packed[kind] += 1
        number = self._shared.current.get(kind, PLAIN)
        packer = self._packers.get(number) or self._packer(number)
        packed = packer.compress(body)
        self._shared.fits[kind].add(len(body), len(packed))
        return number, self.sealed(packed)

    def packing(self, kind: str, bodies: Sequence[bytes]) -> Callable[[], list[tuple[int, bytes]]]:
        """`pack` of many at once, to be called in another thread, one such call at a time."""
        number = self._shared.current.get(kind, PLAIN)
        packer = self._beside.get(number) or self._beside.setdefault(number, self._made(number))
        large: list[bytes | bytearray | memoryview] = [body for body in bodies if len(body) >= SMALLEST]

        def packed() -> list[tuple[int, bytes]]:
            found = packer.multi_compress_to_buffer(large) if large else ()
            done = [found[at].tobytes() for at in range(len(found))]
            self._shared.packed[kind] += len(done)
            for body, small in zip(large, done, strict=True):
                self._shared.fits[kind].add(len(body), len(small))
            left = iter(done)
            return [
                (number, self.sealed(next(left))) if len(body) >= SMALLEST else (RAW, self.sealed(body))
                for body in bodies
            ]

        return packed

    def sealed(self, packed: bytes) -> bytes:
        """Where pages are not encrypted, each body is."""
        return crypto.seal(self._key, packed, SEALED) if self._key else packed

    def unsealed(self, kept: bytes) -> bytes:
        if self._opened is None:
            return kept
        try:
            return self._opened(kept)
        except Unstartable as error:
            raise Damaged("a stored body is damaged", mend="Run: suture verify") from error

    def unpack(self, number: int, packed: bytes) -> bytes:
        packed = self.unsealed(packed) if self._key else packed
        if number == RAW:
            return packed
        unpacker = self._unpackers.get(number) or self._unpacker(number)
        try:
            return unpacker.decompress(packed, max_output_size=LARGEST)
        except zstandard.ZstdError as error:
            raise Damaged("a stored body is damaged", mend="Run: suture verify") from error

    def whole(self, number: int, packed: bytes) -> bytes | None:
        """`unpack`, for work over all bodies; None for a damaged one."""
        try:
            return self.unpack(number, packed)
        except DamagedPage:  # of a dictionary
            raise
        except Damaged:
            return None

    def _packer(self, number: int) -> zstandard.ZstdCompressor:
        self._packers[number] = self._made(number)
        return self._packers[number]

    def _made(self, number: int) -> zstandard.ZstdCompressor:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_content_size=True
        )
        options: dict[str, Any] = {"dict_data": self._dictionary(number)} if number else {}
        return zstandard.ZstdCompressor(compression_params=parameters, **options)

    def _unpacker(self, number: int) -> zstandard.ZstdDecompressor:
        options: dict[str, Any] = {"dict_data": self._dictionary(number)} if number else {}
        self._unpackers[number] = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS, **options)
        return self._unpackers[number]

    def _dictionary(self, number: int) -> zstandard.ZstdCompressionDict:
        if number not in self._shared.dictionaries:
            row = self._one("SELECT bytes FROM dictionary WHERE zd = ?", (number,))
            if row is None:
                raise Unavailable("the dictionary of a stored body is missing", mend="Run: suture verify")
            self._shared.dictionaries[number] = self.unsealed(row[0])
        return zstandard.ZstdCompressionDict(self._shared.dictionaries[number])
