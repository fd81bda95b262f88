"""Messages parse lazily, come back byte for byte, and are refused with the place when they are broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidMessage, InvalidSyntax, TooLarge
from suture.standards.hl7v2.message import LIMITS, Message, Separators, parse

ADT = (
    "MSH|^~\\&|EPIC|LAKESIDE|SUTURE|HUB|20260301101500||ADT^A01^ADT_A01|MSG00001|P|2.5.1\r"
    "EVN|A01|20260301101500\r"
    "PID|1||1001^^^LAKE&1.2.3&ISO^MR~123456789^^^SSA^SS||O\\T\\Hara^Ann^M||19610615|F\r"
    "NK1|1|Hara^Bob|SPO\r"
    "NK1|2|Hara^Cy|CHD\r"
    "PV1|1|I|2000^2012^01\r"
)


def test_the_header_and_places_are_read() -> None:
    message = parse(ADT.encode())
    assert (message.type, message.structure, message.control_id, message.version) == (
        "ADT^A01",
        "ADT_A01",
        "MSG00001",
        "2.5.1",
    )
    assert message.get("PID-3.1") == "1001"
    assert message.get("PID-3[2].1") == "123456789"
    assert message.get("PID-3.4") == "LAKE&1.2.3&ISO"
    assert message.get("PID-3.4.2") == "1.2.3"
    assert message.get("PID-5.1") == "O&Hara"
    assert message.get("NK1[2]-2.2") == "Cy"
    assert message.get("PID-7.1.1") == "19610615"
    assert message.get("PID-99.3") == message.get("ZZZ-1") == message.get("PID-3[9].1") == ""
    assert message.get("MSH-1") == "|"
    assert message.get("MSH-2") == "^~\\&"
    assert message.get("MSH-3") == "EPIC"
    assert message.values("PID-3.1") == ["1001", "123456789"]
    assert message.values("NK1-2.2") == ["Bob", "Cy"]
    assert message.names == ["MSH", "EVN", "PID", "NK1", "NK1", "PV1"]
    assert [s.where() for s in message.segments] == ["MSH", "EVN", "PID", "NK1", "NK1[2]", "PV1"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\r\r", "\n\n"])
def test_any_line_ending_is_read(ending: str) -> None:
    raw = ADT.replace("\r", ending).encode()
    message = parse(raw)
    assert message.names == ["MSH", "EVN", "PID", "NK1", "NK1", "PV1"]
    assert message.encode() == raw


@pytest.mark.parametrize(
    ("raw", "where", "text"),
    [
        (b"", "MSH", "the message is empty"),
        (b"\r\n\x1c", "MSH", "the message is empty"),
        (b"PID|1", "MSH", "the message does not begin with MSH"),
        (b"MSH", "MSH-1", "the field separator is missing"),
        (b"MSHA^~\\&A", "MSH-1", "the field separator is missing or not a punctuation mark"),
        (b"MSH||A", "MSH-2", "the encoding characters must be one to five"),
        (b"MSH|^~\\&#!?|A", "MSH-2", "the encoding characters must be one to five"),
        (b"MSH|^^\\&|A", "MSH-2", "the encoding characters must be different"),
        (b"FHS|^~\\&|A\rMSH|^~\\&|B", "FHS", "a batch, not a message"),
        (b"MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B", "MSH[2]", "a second MSH inside one message"),
        (b"MSH|^~\\&|A\rPID|1|cut\x0bMSH|^~\\&|B", "MSH[2]", "a second message begins inside this one"),
        (b"MSH|^~\\&|A\rPID|1\nmsh|^~\\&|B", "MSH[2]", "a second MSH inside one message"),
    ],
)
def test_broken_structure_is_refused_with_its_place(raw: bytes, where: str, text: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse(raw)
    assert caught.value.where == where
    assert caught.value.text.startswith(text)
    assert caught.value.ack == "AR"


def test_limits_hold_before_anything_is_split() -> None:
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        parse(ADT.encode(), limits=LIMITS._replace(size=10))
    with pytest.raises(TooLarge, match="more than 3 segments"):
        parse(ADT.encode(), limits=LIMITS._replace(segments=3))
    with pytest.raises(TooLarge, match="more than 1000 fields and parts"):
        parse(b"MSH|^~\\&|A\rPID|" + b"~" * 70_000, limits=LIMITS._replace(fields=1000))


def test_lines_that_are_no_segment_stay_with_the_one_before() -> None:
    message = parse(b"MSH|^~\\&|A\rOBX|1|FT|||first line\r\nsecond line\r\n\r\nTHE end\r\nNTE|1||x\r\n")
    assert message.names == ["MSH", "OBX", "NTE"]
    assert message.get("OBX-5") == "first line\nsecond line\n\nTHE end"
    assert message.notes == ("2 lines are no segment; kept as line breaks of the segment before them",)


def test_what_senders_do_is_tolerated() -> None:
    message = parse(b"\xef\xbb\xbf\r\n\x0bmsh$*@!%$LAB\rpid$1$$7@8*Z\rZPD$own\r\x1c\r")
    assert message.separators == Separators("$", "*", "@", "!", "%", "")
    assert message.names == ["MSH", "PID", "ZPD"]
    assert message.values("PID-3.1") == ["7", "8"]
    assert message.get("ZPD-1") == "own"


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSyntax, match="PID-x: not a place"):
        parse(ADT).get("PID-x")


def assert_place(error: InvalidMessage) -> None:
    assert error.where.startswith("MSH") or error.where in {"FHS", "BHS"}
    assert error.ack == "AR"


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_any_bytes_come_back_or_are_refused_with_a_place(raw: bytes) -> None:
    try:
        message = parse(raw)
    except InvalidMessage as error:
        assert_place(error)
        return
    assert isinstance(message, Message)
    assert message.encode() == raw
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for repetition in segment.repetitions(number):
                assert repetition in segment.text or number <= 2
