"""The bytes of a message become the right characters, whatever MSH-18 says, and what was tolerated is noted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.hl7v2.message import parse


def raw(declared: str, name: bytes) -> bytes:
    head = "MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||" + declared
    return head.encode() + b"\rPID|1||||" + name + b"\r"


@pytest.mark.parametrize(
    ("declared", "name", "text", "codec", "note"),
    [
        ("", b"Muller", "Muller", "ascii", ""),
        ("", "Müller".encode(), "Müller", "utf-8", ""),
        ("UNICODE UTF-8", "Müller".encode(), "Müller", "utf-8", ""),
        ("8859/1", "Müller".encode("latin-1"), "Müller", "latin-1", ""),
        ("8859/2", "Dvořák".encode("iso8859-2"), "Dvořák", "iso8859-2", ""),
        ("8859/15~8859/1", "100 €".encode("iso8859-15"), "100 €", "iso8859-15", ""),
        ("GB 18030-2000", "王".encode("gb18030"), "王", "gb18030", ""),
        ("~ISO IR87", "山田".encode("iso2022_jp"), "山田", "iso2022_jp", None),
        ("ISO IR87", "山田".encode("iso2022_jp"), "山田", "iso2022_jp", ""),
        ("8859/1", "“quoted”".encode("cp1252"), "“quoted”", "cp1252", "the bytes are not what MSH-18"),
        ("", "“quoted”".encode("cp1252"), "“quoted”", "cp1252", "MSH-18 is empty; read as cp1252"),
        ("8859/1", "Müller".encode(), "Müller", "utf-8", "the bytes are not what MSH-18"),
        ("UNICODE UTF-8", "Müller".encode("latin-1"), "Müller", "latin-1", "the bytes are not what MSH-18"),
        ("ASCII", "Müller".encode("latin-1"), "Müller", "latin-1", "the bytes are not what MSH-18"),
        ("KLINGON", "Müller".encode("latin-1"), "Müller", "latin-1", "the bytes are not what MSH-18"),
        ("utf-7", b"a+AHw-b\xe9", "a+AHw-b\xe9", "latin-1", "the bytes are not what MSH-18"),  # not just any codec
        ("8859/1", b"\x81", "\x81", "latin-1", ""),  # a byte that Windows-1252 does not know
    ],
)
def test_the_name_is_read(declared: str, name: bytes, text: str, codec: str, note: str | None) -> None:
    if note is None:
        declared = declared[1:]
    message = parse(raw(declared, name))
    assert message.get("PID-5") == text
    assert message.charset == codec
    assert message.encode() == raw(declared, name)
    assert (message.notes[0].startswith(note)) if note else message.notes == ()


def test_the_source_says_what_an_empty_field_means() -> None:
    assert parse(raw("", "Łódź".encode("iso8859-2")), charset="8859/2").get("PID-5") == "Łódź"
    assert parse(raw("8859/1", "Müller".encode("latin-1")), charset="8859/2").charset == "latin-1"
    assert parse(raw("", "Łódź".encode("cp1250")), charset="cp1250").get("PID-5") == "Łódź"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_wide_characters_are_seen_at_the_start(codec: str) -> None:
    wide = raw("UNICODE UTF-16", b"Muller").decode().replace("Muller", "Müller").encode(codec)
    message = parse(wide)
    assert message.get("PID-5") == "Müller"
    assert message.encode() == wide


@given(st.binary(max_size=60), st.sampled_from(["", "8859/1", "ISO IR87", "GB 18030-2000", "UNICODE UTF-16", "Ω"]))
def test_any_bytes_are_text_in_the_end(name: bytes, declared: str) -> None:
    whole = raw(declared, name.translate(None, b"\r\n\x0bMm"))
    message = parse(whole)
    assert message.encode() == whole
    assert message.segment("PID") is not None
