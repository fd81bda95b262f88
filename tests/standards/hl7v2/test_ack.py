"""Acknowledgements answer in the sender's own terms, name the place of an error and are sent only when wanted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Forbidden, InvalidMessage, TooLarge, Unavailable
from suture.standards.hl7v2 import ack
from suture.standards.hl7v2.ack import Outcome
from suture.standards.hl7v2.message import Message, parse

NOW = datetime(2026, 3, 1, 10, 15, tzinfo=UTC)


def message(
    version: str = "2.5.1", accept: str = "", application: str = "", type: str = "ADT^A01^ADT_A01", charset: str = ""
) -> Message:
    return parse(
        f"MSH|^~\\&|LAB^1.2^ISO|SITE|SUTURE|HUB|2026||{type}|M-1|T|{version}|||{accept}|{application}||{charset}"
    )


def built(of: Message | None, code: str, **more: object) -> str:
    return ack.build(of, code, now=NOW, control_id="S1", **more).decode()  # type: ignore[arg-type]


def test_an_accept_goes_back_to_the_sender() -> None:
    assert built(message(charset="UNICODE UTF-8"), "AA") == (
        "MSH|^~\\&|SUTURE|HUB|LAB^1.2^ISO|SITE|20260301101500+0000||ACK^A01^ACK|S1|T|2.5.1||||||UNICODE UTF-8\r"
        "MSA|AA|M-1\r"
    )


def test_an_error_names_the_place() -> None:
    error = InvalidMessage("not an HL7 date | or time", where="PID-7", ack="AE", error_code="102")
    assert built(message(), "AE", error=error).split("\r")[1:] == [
        "MSA|AE|M-1|PID-7: not an HL7 date \\F\\ or time",
        "ERR||PID^1^7^1|102^Data type error^HL70357|E||||PID-7: not an HL7 date \\F\\ or time",
        "",
    ]


def test_before_2_5_the_error_stands_in_the_old_place() -> None:
    error = InvalidMessage("wrong", where="OBX[2]-5", ack="AE", error_code="102")
    assert built(message("2.3"), "AE", error=error).split("\r")[0].split("|")[8] == "ACK^A01"
    assert built(message("2.2"), "AE", error=error).split("\r")[0].split("|")[8] == "ACK"
    assert built(message("2.3.1"), "AE", error=error).split("\r")[2] == "ERR|OBX^2^5^102&Data type error&HL70357"


def test_its_own_separators_are_kept() -> None:
    odd = parse("MSH$*@!%$A$B$C$D$2026$$ADT*A08$7$P$2.6")
    error = InvalidMessage("a $ too many", where="PID-3")
    assert built(odd, "AE", error=error) == (
        "MSH$*@!%$C$D$A$B$20260301101500+0000$$ACK*A08*ACK$S1$P$2.6\r"
        "MSA$AE$7$PID-3: a !F! too many\r"
        "ERR$$PID*1*3*1$207*Application internal error*HL70357$E$$$$PID-3: a !F! too many\r"
    )


def test_what_cannot_be_read_is_answered_all_the_same() -> None:
    error = InvalidMessage("the message does not begin with MSH", where="MSH", ack="AR", error_code="100")
    assert ack.header_of(b"garbage") is None
    assert built(None, "AR", error=error) == (
        "MSH|^~\\&|||||20260301101500+0000||ACK|S1|P|2.5.1\r"
        "MSA|AR||MSH: the message does not begin with MSH\r"
        "ERR||MSH^1|100^Segment sequence error^HL70357|E||||MSH: the message does not begin with MSH\r"
    )


def test_the_header_of_a_broken_message_is_found() -> None:
    header = ack.header_of(b"\x0bMSH|^~\\&|A|B|C|D|2026||ADT^A01|9|P|2.5\rPID|1\rMSH|^~\\&|X\r")
    assert header is not None
    assert header.control_id == "9"


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [
        ("", "", "AA AE AR"),
        ("AL", "NE", "CA CE CR"),
        ("AL", "AL", "CA CE CR"),
        ("NE", "AL", "AA AE AR"),
        ("ER", "NE", "- CE CR"),
        ("SU", "NE", "CA - -"),
        ("ER", "AL", "AA CE CR"),
        ("NE", "NE", "- - -"),
        ("", "ER", "- AE AR"),
        ("??", "", "CA CE CR"),
    ],
)
def test_the_mode_decides_what_is_answered(accept: str, application: str, codes: str) -> None:
    found = [ack.code(message(accept=accept, application=application), outcome) or "-" for outcome in Outcome]
    assert " ".join(found) == codes


def test_an_acknowledgement_is_not_acknowledged() -> None:
    assert ack.code(message(type="ACK^A01"), Outcome.ACCEPT) == ""
    assert ack.code(message(type="ACK^A01", accept="AL"), Outcome.ACCEPT) == "CA"
    assert ack.code(None, Outcome.REJECT) == "AR"


def test_the_error_says_how_it_is_answered() -> None:
    assert ack.outcome_of(InvalidMessage("x", ack="AR")) is Outcome.REJECT
    assert ack.outcome_of(InvalidMessage("x")) is Outcome.ERROR
    assert ack.outcome_of(Unavailable("x")) is Outcome.ERROR
    assert ack.outcome_of(TooLarge("x")) is Outcome.REJECT
    assert ack.outcome_of(Forbidden("x")) is Outcome.REJECT


@given(st.text(max_size=80), st.sampled_from(["2.2", "2.3", "2.5.1", "2.8", "x"]))
def test_no_text_breaks_out_of_its_field(text: str, version: str) -> None:
    error = InvalidMessage(text, where="PID-3")
    answer = parse(ack.build(message(version), "AE", now=NOW, control_id="S1", error=error))
    assert answer.names == ["MSH", "MSA", "ERR"]
    assert answer.get("MSA-2") == "M-1"
    assert len(answer.segments[1].fields) <= 4


@given(st.text(alphabet="MSA|^~\\&PID1\r\n \x0b\x1c$", max_size=120))
def test_a_strange_header_gives_an_answer_of_two_segments(tail: str) -> None:
    try:
        strange = parse("MSH|^~\\&|" + tail)
    except InvalidMessage:
        return
    assert parse(ack.build(strange, "AA", now=NOW, control_id="S1")).names == ["MSH", "MSA"]
