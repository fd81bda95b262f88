"""Frames come out whole, however the network cuts the stream, and memory stays bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.connectors.mllp_frames import Framer, frame
from suture.errors import SendFailed

CONTENT = st.binary(max_size=40).map(lambda b: b.replace(b"\x1c", b"").replace(b"\x0bMSH", b""))


def fed(stream: bytes, cuts: list[int], max_frame: int = 1000) -> tuple[list[bytes], Framer]:
    framer, frames, start = Framer(max_frame), [], 0
    for cut in sorted({c % (len(stream) + 1) for c in cuts}):
        frames += framer.feed(stream[start:cut])
        start = cut
    frames += framer.feed(stream[start:])
    return frames, framer


@given(st.lists(CONTENT, max_size=6), st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([b"\r", b"\n"]))
def test_cuts_at_random_places_change_nothing(contents: list[bytes], cuts: list[int], last: bytes) -> None:
    stream = b"".join(b"\x0b" + content + b"\x1c" + last for content in contents)
    frames, framer = fed(stream, cuts)
    assert frames == contents
    assert framer.garbage == 0
    assert not framer.partial


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_stream_is_read_the_same_in_one_piece_and_in_many(stream: bytes, cuts: list[int]) -> None:
    whole, one = fed(stream, [])
    pieces, many = fed(stream, cuts)
    assert whole == pieces
    assert (one.garbage, one.partial, one.held) == (many.garbage, many.partial, many.held)


def test_what_stands_between_frames_is_counted() -> None:
    frames, framer = fed(b"noise\x0bA\x1c\r\r\nxx\x0bB\x1c\r", [])
    assert frames == [b"A", b"B"]
    assert framer.garbage == 7  # line ends are no noise


def test_a_frame_without_its_last_cr_is_whole_when_nothing_follows() -> None:
    frames, framer = fed(b"\x0bA\x1c", [])
    assert frames == []
    assert framer.partial
    assert framer.finish() == b"A"
    assert framer.finish() is None
    assert fed(b"\x0bA\x1c\x0bB\x1c\r", [3])[0] == [b"A", b"B"]


def test_an_end_byte_inside_the_content_does_not_end_it() -> None:
    assert fed(b"\x0bA\x1cB\x1c\r", [3])[0] == [b"A\x1cB"]


@pytest.mark.parametrize("stream", [b"\x0b" + b"x" * 200, b"\x0b" + b"x" * 200 + b"\x1c\r", b"\x0b" + b"\x1c" * 200])
@pytest.mark.parametrize("cut", [[], [3], list(range(0, 200, 7))])
def test_a_frame_too_large_is_not_kept(stream: bytes, cut: list[int]) -> None:
    frames, framer = fed(b"\x0bok\x1c\r" + stream, cut, max_frame=100)
    assert frames == [b"ok"]
    assert framer.overflow is not None
    assert framer.held == 0 or framer.held <= 200


def test_a_message_that_would_break_its_frame_is_not_sent() -> None:
    assert frame(b"MSH|") == b"\x0bMSH|\x1c\r"
    for message in (b"MSH|\x1c\rPID", b"MSH|\x1c", b"MSH|a\x0bMSH|b"):
        with pytest.raises(SendFailed, match="ends or begins an MLLP frame"):
            frame(message)
