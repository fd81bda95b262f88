"""What real senders do to a sound message: habits that must be tolerated, and breakage that must be refused with its place."""

from __future__ import annotations

import re
from collections.abc import Callable

Change = Callable[[bytes], bytes]


def _line_feeds(raw: bytes) -> bytes:
    return raw.replace(b"\r", b"\n")


def _both_ends(raw: bytes) -> bytes:
    return raw.replace(b"\r", b"\r\n")


def _mixed_ends(raw: bytes) -> bytes:
    first, second, *rest = raw.split(b"\r")
    return first + b"\r\n" + second + b"\n" + b"\r".join(rest)


def _no_last_end(raw: bytes) -> bytes:
    return raw.rstrip(b"\r")


def _lower_case(raw: bytes) -> bytes:
    return re.sub(rb"(?<=\r)(PID|PV1|OBX)", lambda found: found[0].lower(), raw)


def _blank_lines(raw: bytes) -> bytes:
    return b"\r\n" + raw.replace(b"\rPV1", b"\r\rPV1") + b"\r\r"


def _byte_order_mark(raw: bytes) -> bytes:
    return b"\xef\xbb\xbf" + raw


def _trailing_marks(raw: bytes) -> bytes:
    return re.sub(rb"\r(?=[A-Z])", b"|||\r", raw) + b"\x1c\r"


def _old_version(raw: bytes) -> bytes:
    """2.3: no structure in MSH-9.3, no character set."""
    return re.sub(rb"\^ADT_A\d\d|\^ORU_R01", b"", raw).replace(b"|P|2.5.1||||||UNICODE UTF-8", b"|P|2.3", 1)


def _latin_1(raw: bytes) -> bytes:
    """Says UTF-8 and sends Latin-1."""
    return raw.decode().encode("latin-1", "replace")


def _windows(raw: bytes) -> bytes:
    """Says 8859/1 and sends the quotes of Windows-1252."""
    text = raw.decode().replace("UNICODE UTF-8", "8859/1").replace("|REG7^Keller", "|REG7^“Keller”")
    return text.encode("cp1252", "replace")


def _own_segments(raw: bytes) -> bytes:
    return raw.replace(b"\rPV1", b"\rZPD|1|VIP^yes|20260101\rPV1", 1) + b"ZZ1|local|data\r"


def _bare_ampersand(raw: bytes) -> bytes:
    """A street `Elm & Oak` that nobody escaped."""
    return raw.replace(b" St^", b" St & Oak^")


def _zero_dates(raw: bytes) -> bytes:
    """A birth date of which only the year is known."""
    return re.sub(rb"(\rPID(?:\|[^|\r]*){6}\|\d{4})\d{4}", rb"\g<1>0000", raw)


def _other_marks(raw: bytes) -> bytes:
    return raw.translate(bytes.maketrans(b"|^~\\&", b"$*@!%"))


def _broken_text(raw: bytes) -> bytes:
    """A line break inside a text field."""
    return raw.replace(b"|REG7^Keller^Ines", b"|REG7^Keller^Ines\r\nnight shift, see note", 1)


def _specimen_first(raw: bytes) -> bytes:
    found = re.search(rb"SPM[^\r]*\r", raw)
    return raw if not found else raw.replace(found[0], b"").replace(b"\rOBX", b"\r" + found[0] + b"OBX", 1)


def _disorder(raw: bytes) -> bytes:
    """Insurance before the visit."""
    found = re.search(rb"IN1[^\r]*\r(?:IN2[^\r]*\r)?", raw)
    return raw if not found else raw.replace(found[0], b"").replace(b"\rPV1", b"\r" + found[0] + b"PV1", 1)


def _no_authority(raw: bytes) -> bytes:
    """PID-3 with the bare number."""
    return re.sub(rb"(\rPID\|1\|\|[^\^|\r]+)[^|\r]*", rb"\g<1>", raw)


VARIANTS: dict[str, Change] = {
    "line feeds": _line_feeds,
    "carriage return and line feed": _both_ends,
    "mixed line ends": _mixed_ends,
    "no last line end": _no_last_end,
    "lower-case segment names": _lower_case,
    "blank lines": _blank_lines,
    "byte order mark": _byte_order_mark,
    "trailing separators and end byte": _trailing_marks,
    "version 2.3": _old_version,
    "latin-1 that calls itself utf-8": _latin_1,
    "windows-1252 that calls itself 8859/1": _windows,
    "own segments": _own_segments,
    "bare ampersand": _bare_ampersand,
    "dates padded with zeros": _zero_dates,
    "other separators": _other_marks,
    "line break in a text": _broken_text,
    "specimen before the results": _specimen_first,
    "segments in disorder": _disorder,
    "no assigning authority": _no_authority,
}

BROKEN: dict[str, Change] = {
    "no header": lambda raw: raw[raw.index(b"\r") + 1 :],
    "two messages in one frame": lambda raw: raw + raw,
    "begun again in the middle": lambda raw: raw[: len(raw) // 2] + b"\x0b" + raw,
    "encoding characters twice the same": lambda raw: raw.replace(b"MSH|^~\\&|", b"MSH|^^\\&|", 1),
    "no encoding characters": lambda raw: raw.replace(b"MSH|^~\\&|", b"MSH||", 1),
    "empty": lambda raw: b"",
}
