"""An HL7 v2 message: its text is kept and split only where somebody looks (HL7 v2.9 chapter 2, section 2.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from suture.errors import InvalidMessage, TooLarge
from suture.standards.hl7v2 import place
from suture.standards.hl7v2.charset import decode
from suture.standards.hl7v2.escapes import STANDARD, Separators, unescape
from suture.standards.hl7v2.place import Place

__all__ = ["LIMITS", "Limits", "Message", "STANDARD", "Segment", "Separators", "parse"]

HEADERS = ("MSH", "FHS", "BHS")
LEADING = " \t\r\n\x00\x0b\ufeff"
TRAILING = "\r\n\x00\x1c"
BREAK = re.compile(r"\r\n|\r|\n")
NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
RESTART = re.compile(r"\x0b[ \r\n]{0,4}MSH", re.IGNORECASE)
FULL_HEAD = 10  # MSH, the field separator, five encoding characters and what ends them
SMALL = 65_536  # a shorter message cannot pass the limits that count its parts
# met every day; any other name is recognised by its form
KNOWN = frozenset(
    re.findall(
        "[A-Z0-9]{3}",
        "MSH SFT EVN PID PD1 NK1 PV1 PV2 DB1 OBX AL1 DG1 DRG PR1 ROL GT1 IN1 IN2 IN3 ACC UB1 UB2 PDA MRG ORC OBR NTE TQ1 "
        "TQ2 CTD SPM FT1 BLG RGS AIS AIG AIL AIP SCH TXA RXO RXR RXC RXE RXD RXG RXA MSA ERR QRD QRF DSC ARV PRT CON IAM",
    )
)


class Limits(NamedTuple):
    """Past these a message is refused before anything is split."""

    size: int = 64 * 1024 * 1024  # bytes
    segments: int = 100_000
    fields: int = 1_000_000  # fields, repetitions and components of the whole message


LIMITS = Limits()


class Segment:
    """One line of a message; `number` counts the segments of this name from 1."""

    __slots__ = ("_fields", "name", "number", "separators", "text")

    def __init__(self, name: str, text: str, separators: Separators, number: int = 1) -> None:
        self.name = name
        self.text = text
        self.separators = separators
        self.number = number
        self._fields: list[str] | None = None

    @property
    def fields(self) -> list[str]:
        """The fields as written, indexed by HL7's numbers: `fields[3]` is PID-3, `fields[0]` the name."""
        fields = self._fields
        if fields is None:
            fields = self.text.split(self.separators.field)
            if self.name in HEADERS:
                fields.insert(1, self.separators.field)
            self._fields = fields
        return fields

    def field(self, number: int) -> str:
        """A field as written, with its repetitions; empty when absent."""
        fields = self._fields or self.fields
        return fields[number] if number < len(fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field as written; none when it is absent."""
        text = self.field(number)
        mark = self.separators.repetition
        if not text:
            return []
        if not mark or mark not in text or (number == 2 and self.name in HEADERS):
            return [text]
        return text.split(mark)

    def get(self, number: int, component: int = 0, subcomponent: int = 0, repetition: int = 1) -> str:
        """The text at a place: unescaped at a leaf, as written where there are parts below; empty when absent."""
        found = self.repetitions(number)
        if len(found) < repetition:
            return ""
        if number < 3 and self.name in HEADERS:
            return found[0] if component < 2 and subcomponent < 2 else ""
        return part(found[repetition - 1], component, subcomponent, self.separators)

    def where(self, number: int = 0) -> str:
        """How an error names this place: `OBX[2]-5`."""
        nth = f"[{self.number}]" if self.number > 1 else ""
        return f"{self.name}{nth}-{number}" if number else f"{self.name}{nth}"

    def __repr__(self) -> str:
        return f"<Segment {self.where()}>"


def part(text: str, component: int, subcomponent: int, separators: Separators) -> str:
    """A component or subcomponent of one repetition; a value without parts is its own first part."""
    if component:
        text = _nth(text, separators.component, component)
    if subcomponent:
        text = _nth(text, separators.subcomponent, subcomponent)
    mark = separators.escape
    if not mark or mark not in text or (not subcomponent and _has_parts(text, component, separators)):
        return text
    return unescape(text, separators)


def _nth(text: str, mark: str, number: int) -> str:
    if not mark or mark not in text:
        return text if number == 1 else ""
    parts = text.split(mark, number)
    return parts[number - 1] if number <= len(parts) else ""


def _has_parts(text: str, component: int, separators: Separators) -> bool:
    below, deepest = separators.component, separators.subcomponent
    return bool((deepest and deepest in text) or (not component and below and below in text))


class Message:
    """A parsed message; `notes` says what was tolerated while reading it (nothing personal)."""

    __slots__ = ("_index", "_order", "charset", "notes", "original", "separators", "text")

    def __init__(
        self, original: bytes, text: str, separators: Separators, charset: str, notes: tuple[str, ...] = ()
    ) -> None:
        self.original = original
        self.text = text
        self.separators = separators
        self.charset = charset
        self.notes = notes
        self._order: list[str] = []
        self._index: dict[str, list[str | Segment]] = {}

    def encode(self) -> bytes:
        """The bytes it was read from."""
        return self.original

    @property
    def segments(self) -> list[Segment]:
        """All segments in their order."""
        seen: dict[str, int] = {}
        found = []
        for name in self._order:
            position = seen.get(name, 0)
            seen[name] = position + 1
            found.append(self._segment(name, position))
        return found

    @property
    def names(self) -> list[str]:
        """The names of all segments in their order."""
        return list(self._order)

    def all(self, name: str) -> list[Segment]:
        """The segments of a name."""
        return [self._segment(name, number) for number in range(len(self._index.get(name, ())))]

    def segment(self, name: str, nth: int = 1) -> Segment | None:
        """The first (or nth) segment of a name."""
        return self._segment(name, nth - 1) if nth <= len(self._index.get(name, ())) else None

    def get(self, where: str) -> str:
        """The text at `PID-3.1` (first repetition of the first PID); empty when absent."""
        at = place.read(where)
        segment = self.segment(at.segment, at.nth or 1)
        if segment is None:
            return ""
        if not at.field:
            return segment.text
        return segment.get(at.field, at.component, at.subcomponent, at.repetition or 1)

    def values(self, where: str) -> list[str]:
        """The texts at a place, over all repetitions and all segments of the name that it does not narrow."""
        at = place.read(where)
        segments = self.all(at.segment) if not at.nth else [s for s in [self.segment(at.segment, at.nth)] if s]
        if not at.field:
            return [segment.text for segment in segments]
        return [text for segment in segments for text in _values(segment, at)]

    @property
    def type(self) -> str:
        """`ADT^A01`; only the message code where there is no event."""
        header = self._segment("MSH", 0)
        code, event = header.get(9, 1), header.get(9, 2)
        return f"{code}^{event}" if event else code

    @property
    def structure(self) -> str:
        """MSH-9.3 as the sender states it; may be empty (see structure.name)."""
        return self._segment("MSH", 0).get(9, 3)

    @property
    def control_id(self) -> str:
        return self._segment("MSH", 0).get(10)

    @property
    def version(self) -> str:
        return self._segment("MSH", 0).get(12, 1)

    def _segment(self, name: str, position: int) -> Segment:
        found = self._index[name][position]
        if isinstance(found, str):
            found = self._index[name][position] = Segment(name, found, self.separators, position + 1)
        return found

    def __repr__(self) -> str:
        return f"<Message {self.type} {len(self._order)} segments>"


def _values(segment: Segment, at: Place) -> Iterator[str]:
    count = len(segment.repetitions(at.field))
    for repetition in [at.repetition] if at.repetition else range(1, count + 1):
        text = segment.get(at.field, at.component, at.subcomponent, repetition)
        if text:
            yield text


def parse(raw: bytes | str, *, charset: str | None = None, limits: Limits = LIMITS) -> Message:
    """The message in these bytes; raises InvalidMessage (TooLarge past the limits) naming the place."""
    if isinstance(raw, str):
        original, text, codec = _written(raw), raw, "utf-8"
        notes: tuple[str, ...] = ()
    else:
        original = raw
        text, codec, notes = decode(raw, charset)
    if len(original) > limits.size:
        raise TooLarge(f"the message is larger than {limits.size} bytes", where="MSH")
    if "\x0b" in text:
        _refuse_restart(text)
    body = text.strip(TRAILING) if text.startswith("MSH") else text.strip(LEADING + TRAILING)
    message = Message(original, text, _separators(body[:10]), codec, notes)
    _split(message, body, limits)
    return message


def _refuse_restart(text: str) -> None:
    """A sender that broke off and began again must not give one message the segments of two patients."""
    if RESTART.search(text.lstrip(LEADING)):
        raise InvalidMessage(
            "a second message begins inside this one", where="MSH[2]", mend="Send the whole message again.", ack="AR"
        )


def _written(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidMessage("the text holds half a character (a lone surrogate)", where="MSH") from None


def _split(message: Message, body: str, limits: Limits) -> None:
    """Fills the index: segment name -> texts. Lines that are no segment belong to the one before."""
    field, index, order = message.separators.field, message._index, message._order
    lines = BREAK.split(body) if "\n" in body else body.split("\r")
    if len(body) > SMALL:
        _limit(body, message.separators, limits)
    loose: dict[tuple[str, int], list[str]] = {}
    for line in lines:
        name = line[:3]
        if name not in KNOWN or line[3:4] != field:
            name, line = _odd(line, field)
            if not name:
                if line:
                    loose.setdefault((order[-1], len(index[order[-1]]) - 1), []).append(line)
                continue
        if name in index:
            index[name].append(line)
        else:
            index[name] = [line]
        order.append(name)
    if loose:
        _join(message, loose)
    if len(index["MSH"]) > 1:
        raise InvalidMessage(
            "a second MSH inside one message", where="MSH[2]", mend="Send each message in its own frame.", ack="AR"
        )
    if len(order) > limits.segments:
        raise TooLarge(f"the message has more than {limits.segments} segments", where="MSH")


def _odd(line: str, field: str) -> tuple[str, str]:
    """Name and text of a line that is no everyday segment; no name for a continuation, neither for a blank line."""
    text = line.strip(LEADING + TRAILING)
    name = text[:3].upper()
    end = text[3:4]
    if NAME.fullmatch(name) and (end == field or (not end and name in KNOWN)):
        return name, text
    return "", line if text else ""


def _join(message: Message, loose: dict[tuple[str, int], list[str]]) -> None:
    for (name, position), lines in loose.items():
        texts = message._index[name]
        texts[position] = "\n".join([str(texts[position]), *lines])
    count = sum(len(lines) for lines in loose.values())
    message.notes += (f"{count} lines are no segment; kept as line breaks of the segment before them",)


def _limit(body: str, separators: Separators, limits: Limits) -> None:
    """Refuses a message that would blow up when it is split."""
    marks = sum(body.count(mark) for mark in {*separators} - {""})
    if marks > limits.fields:
        raise TooLarge(f"the message has more than {limits.fields} fields and parts", where="MSH")


@lru_cache(256)
def _separators(head: str) -> Separators:
    """The delimiters that the first characters of a message declare."""
    name = head[:3].upper()
    if name in {"FHS", "BHS"}:
        raise InvalidMessage(
            "a batch, not a message", where=name, mend="Split it first (hl7v2.batch.split).", ack="AR", error_code="200"
        )
    if name != "MSH":
        text = "the message is empty" if not head else "the message does not begin with MSH"
        raise InvalidMessage(
            text, where="MSH", mend="The first segment must be MSH|^~\\&|…", ack="AR", error_code="100"
        )
    field = head[3:4]
    if not field or field.isalnum() or field.isspace() or not field.isascii():
        raise _bad("MSH-1", "the field separator is missing or not a punctuation mark")
    encoding = re.split(rf"[{re.escape(field)}\r\n]", head[4:], maxsplit=1)
    if not 1 <= len(encoding[0]) <= 5 or (len(encoding) == 1 and len(head) == FULL_HEAD):
        raise _bad("MSH-2", "the encoding characters must be one to five characters")
    marks = field + encoding[0]
    if len(set(marks)) != len(marks) or any(c.isalnum() or c.isspace() or not c.isascii() for c in marks):
        raise _bad("MSH-2", "the encoding characters must be different punctuation marks")
    return Separators(field, *encoding[0], *[""] * (5 - len(encoding[0])))


def _bad(where: str, text: str) -> InvalidMessage:
    return InvalidMessage(text, where=where, mend="The usual ones are MSH|^~\\&|", ack="AR", error_code="102")
