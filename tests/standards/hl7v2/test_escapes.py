"""Escapes resolve, unknown ones stay, and no text that is written can become two fields or two segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.hl7v2.escapes import STANDARD, Separators, escape, unescape
from suture.standards.hl7v2.message import parse

ODD = Separators("$", "*", "@", "!", "%", "#")
BARE = Separators("|", "^", "~", "", "", "")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("plain", "plain"),
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("\\P\\", "#"),
        ("\\E\\F\\E\\", "\\F\\"),
        ("line\\.br\\line", "line\nline"),
        ("a\\.sp+3\\b\\.br2\\c", "a\n\n\nb\n\nc"),
        ("\\H\\loud\\N\\ quiet", "loud quiet"),
        ("\\X41C39C\\", "AÜ"),
        ("\\XDC\\", "Ü"),
        ("\\X0D\\", "\r"),
        ("\\X4\\", "\\X4\\"),
        ("\\XZZ\\", "\\XZZ\\"),
        ("\\.in+4\\\\.ti2\\", "\\.in+4\\\\.ti2\\"),
        ("\\.br999\\", "\n" * 100),
        ("\\.br9999\\", "\\.br9999\\"),
        ("\\C2842\\ \\M2842\\ \\Zown\\", "\\C2842\\ \\M2842\\ \\Zown\\"),
        ("C:\\temp", "C:\\temp"),
        ("one \\ only", "one \\ only"),
        ("\\\\", "\\\\"),
        ("", ""),
    ],
)
def test_unescape(written: str, text: str) -> None:
    assert unescape(written) == text


def test_escape_knows_the_message_own_delimiters() -> None:
    assert escape("a|b^c&d~e\\f#") == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f#"
    assert escape("a|b $*@!%#", ODD) == "a|b !F!!S!!R!!E!!T!!P!"
    assert escape("two\r\nlines\rand\nmore\x0b\x1c", STANDARD) == "two\\.br\\lines\\.br\\and\\.br\\more\\X0B\\\\X1C\\"
    assert escape("a|b^c\r\n", BARE) == "a b c  "


@given(st.text(), st.sampled_from([STANDARD, ODD]))
def test_what_is_escaped_comes_back(text: str, separators: Separators) -> None:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    assert unescape(escape(text, separators), separators) == text


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6), st.sampled_from([STANDARD, ODD, BARE]))
def test_no_value_becomes_two_fields_segments_or_messages(values: list[str], separators: Separators) -> None:
    mark = separators.field
    head = f"MSH{mark}{separators.encoding}{mark}A\r"
    written = mark.join(escape(value, separators) for value in values)
    message = parse(
        (head + f"ZZZ{mark}{written}{mark}end\r").encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )
    segment = message.segment("ZZZ")
    assert segment is not None
    assert message.names == ["MSH", "ZZZ"]
    assert len(segment.fields) == len(values) + 2
    for number in range(1, len(values) + 1):
        assert len(segment.repetitions(number)) <= 1
        assert separators.component not in segment.field(number)


@given(st.text(alphabet="\\FSTREXHN.br0129AZ ", max_size=40))
def test_unescaping_anything_ends(text: str) -> None:
    assert isinstance(unescape(text), str)
