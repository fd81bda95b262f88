"""A file that arrives in any pieces, packed or not, comes out as the same lines, within its bounds."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Invalid, SutureError, TooLarge
from suture.services.bulk import arriving
from suture.services.bulk.arriving import Reading, cut, skipped


async def pieces(raw: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


async def all_of(raw: bytes, size: int, most: int = 1 << 30, *, said: bool = False, skip: int = 0) -> list[bytes]:
    reading = Reading(pieces(raw, size), most, said=said)
    return [part async for part in cut(skipped(reading.pieces(), skip), 1 << 20)]


def read(raw: bytes, size: int = 1000, most: int = 1 << 30, *, said: bool = False, skip: int = 0) -> list[bytes]:
    return asyncio.run(all_of(raw, size, most, said=said, skip=skip))


def fault_of(raw: bytes, size: int) -> str:
    try:
        read(raw, size)
    except SutureError as error:
        return error.where
    return ""


LINES = st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=30), max_size=30)


@given(LINES, st.integers(1, 50), st.sampled_from(["plain", "gzip", "members"]), st.integers(0, 5))
def test_the_same_bytes_come_out_however_they_came_in(texts: list[str], size: int, form: str, skip: int) -> None:
    raw = "\n".join(texts).encode()
    halves = raw[: len(raw) // 2], raw[len(raw) // 2 :]
    sent = {"plain": raw, "gzip": gzip.compress(raw), "members": b"".join(map(gzip.compress, halves))}[form]
    assert b"".join(read(sent, size, skip=skip)) == raw[skip:]


def test_parts_are_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "PART", 10)
    assert read(b"aaaa\nbbbb\ncc\ndddddddddddd\ne", 3) == [b"aaaa\nbbbb\n", b"cc\n", b"dddddddddddd\n", b"e"]


@given(st.binary(max_size=200), st.integers(1, 40))
def test_what_only_begins_like_gzip_is_refused_by_name(tail: bytes, size: int) -> None:
    assert fault_of(b"\x1f\x8b" + tail, size) in ("gzip", "")


def test_bounds_count_what_comes_out() -> None:
    bomb = gzip.compress(b"\n" * 5_000_000)
    with pytest.raises(TooLarge, match="larger than 100000 bytes"):
        read(bomb, most=100_000)
    with pytest.raises(TooLarge, match="a line is too long"):
        read(gzip.compress(b"x" * 5_000_000))


@pytest.mark.parametrize(
    ("raw", "said", "fault"),
    [
        (gzip.compress(b"abc\n")[:-4], False, "ends too early"),
        (gzip.compress(b"abc\n")[:12], False, "ends too early"),
        (b"{}\n", True, "not packed as gzip"),
        (b"", True, "not packed as gzip"),
        (gzip.compress(b"abc\n") + b"tail", False, "packed wrongly"),
        (zlib.compress(b"abc"), True, "not packed as gzip"),
    ],
)
def test_broken_packing_is_told(raw: bytes, said: bool, fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        read(raw, said=said)


def test_padding_behind_the_last_member_is_no_fault() -> None:
    assert read(gzip.compress(b"abc\n") + b"\0" * 20) == [b"abc\n"]
