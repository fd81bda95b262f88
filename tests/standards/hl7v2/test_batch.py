"""Files of messages are split without losing or inventing one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidMessage
from suture.sandbox import traffic
from suture.standards.hl7v2.batch import split
from suture.standards.hl7v2.message import parse

MESSAGES = list(traffic.mixed(6, 5))


def test_a_batch_file_gives_its_messages() -> None:
    head = b"FHS|^~\\&|A\rBHS|^~\\&|A\r"
    found = split(head + b"".join(MESSAGES) + b"BTS|5\rFTS|1\r")
    assert found.messages == MESSAGES
    assert found.notes == []


def test_counts_that_do_not_fit_are_noted() -> None:
    body = b"BHS|^~\\&|A\r" + MESSAGES[0] + b"BTS|2\rBHS|^~\\&|A\r" + MESSAGES[1] + b"BTS|1\r"
    found = split(body)
    assert found.messages == MESSAGES[:2]
    assert found.notes == ["BTS-1 states 2 messages; the batch holds 1"]


@pytest.mark.parametrize("between", [b"", b"\r\n", b"\n\n", b"\x1c\r\x0b", b"\r\x1c\r\x0b"])
def test_plain_sequences_and_frames_are_split_too(between: bytes) -> None:
    found = split(b"\xef\xbb\xbf" + between.join(MESSAGES))
    assert [parse(m).control_id for m in found.messages] == [parse(m).control_id for m in MESSAGES]


def test_a_message_with_line_feeds_stays_whole() -> None:
    raw = MESSAGES[0].replace(b"\r", b"\r\n")
    found = split(raw * 2)
    assert [parse(m).names for m in found.messages] == [parse(raw).names] * 2


def test_a_header_name_inside_a_value_does_not_split() -> None:
    raw = b"MSH|^~\\&|A\rNTE|1||see MSH|FHS|x\rNTE|2||MSHX\r"
    assert split(raw).messages == [raw]


@pytest.mark.parametrize("raw", [b"", b"hello", b"PID|1\rMSH|^~\\&|A\r", b"\r\n"])
def test_a_file_without_messages_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidMessage, match="no HL7 v2 message at the start of the file"):
        split(raw)


@given(st.binary(max_size=200))
def test_any_file_is_split_or_refused(raw: bytes) -> None:
    try:
        found = split(b"MSH|^~\\&|A\r" + raw)
    except InvalidMessage:
        return
    assert found.messages
    assert all(message[:3].upper() == b"MSH" for message in found.messages)


@given(
    st.text(alphabet="\r\n\x00\x0b\ufeff \t", max_size=8), st.text(alphabet="\r\n|^MSHFTB\x0b\x1c\x00 1", max_size=60)
)
def test_what_is_a_message_is_also_a_file_of_one(before: str, after: str) -> None:
    raw = (before + "MSH|^~\\&|A" + after).encode()
    try:
        message = parse(raw)
    except InvalidMessage:
        return
    found = split(raw).messages
    assert len(found) >= 1
    if not {"BTS", "FTS", "BHS", "FHS"} & set(message.names):
        assert [parse(one).names for one in found] == [message.names]
