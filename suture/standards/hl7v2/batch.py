"""Splits files of HL7 v2 messages: batches (FHS, BHS), plain sequences, and frames of MLLP (HL7 v2.9 chapter 2, section 2.10.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from suture.errors import InvalidMessage
from suture.standards.hl7v2.charset import STARTS, WIDE

# a segment begins at the start, after a line break, a NUL, or the bytes that frame a message
HEAD = re.compile(
    rb"(?:^|(?<=[\r\n\x0b\x1c\x00]))[ \t]{0,8}(?:\xef\xbb\xbf)?(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s])", re.IGNORECASE
)
BEFORE = re.compile(rb"(?:[\r\n\x0b\x1c\x00 \t]|\xef\xbb\xbf)*")
EDGES = b"\r\n\x0b\x1c\x00 \t"


@dataclass(slots=True)
class Batch:
    """The messages of a file in their order; `notes` says where the file's own counts do not fit."""

    messages: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def split(raw: bytes) -> Batch:
    """The messages in a file; raises InvalidMessage when there is none or something stands before the first."""
    found = Batch()
    if raw[:2] in WIDE or raw[:4] in STARTS:
        found.messages.append(raw)  # UTF-16: one message, read by parse
        return found
    first = BEFORE.match(raw)
    raw = raw[first.end() :] if first else raw
    heads = list(HEAD.finditer(raw))
    if not heads or heads[0].start():
        raise InvalidMessage(
            "no HL7 v2 message at the start of the file", where="MSH", mend="The first segment must be MSH, FHS or BHS."
        )
    ends = [head.start(1) for head in heads[1:]] + [len(raw)]
    counted = 0
    for head, end in zip(heads, ends, strict=True):
        name, text = head[1].upper(), raw[head.start(1) : end].strip(EDGES.replace(b" ", b"").replace(b"\t", b""))
        if name == b"MSH":
            found.messages.append(text + b"\r")
            counted += 1
        elif name == b"BTS":
            _compare(found, text, counted)
            counted = 0
    return found


def _compare(found: Batch, text: bytes, counted: int) -> None:
    """BTS-1 is the number of messages of its batch."""
    stated = text.split(text[3:4])[1:2] or [b""]
    if stated[0].isdigit() and int(stated[0][:9]) != counted:
        found.notes.append(f"BTS-1 states {int(stated[0][:9])} messages; the batch holds {counted}")
