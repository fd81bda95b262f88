"""An HL7 v2 message: its text is kept and split only where somebody looks (HL7 v2.9 chapter 2, section 2.5)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from suture.errors import InvalidMessage, TooLarge
from suture.standards.hl7v2.charset import decode
from suture.standards.hl7v2.escapes import STANDARD, Separators, unescape
from suture.standards.hl7v2.place import Place
from suture.standards.hl7v2.place import read as read_place

__all__ = ["LIMITS", "Limits", "Message", "STANDARD", "Segment", "Separators", "parse"]

HEADERS = ("MSH", "FHS", "BHS")
LEADING = " \t\r\n\x00\x0b\ufeff"
TRAILING = "\r\n\x00\x1c"
BREAK = re.compile(r"\r\n|\r|\n")
NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
RESTART = re.compile(r"\x0b[ \r\n]{0,4}MSH", re.IGNORECASE)
FULL_HEAD = 10  # MSH, the field separator, five encoding characters and what ends them
FEW = 100  # segments that are searched faster than indexed
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
        fields = self._fields or self.fields
        if number >= len(fields):
            return ""
        text = fields[number]
        if not text:
            return ""
        if number < 3 and self.name in HEADERS:
            return text if component < 2 and subcomponent < 2 and repetition == 1 else ""
        _, mark, repeat, escape, _, _ = self.separators
        if repetition != 1 or (repeat and repeat in text):
            found = text.split(repeat) if repeat else [text]
            if repetition > len(found):
                return ""
            text = found[repetition - 1]
        if component == 1 and not subcomponent and not (escape and escape in text):
            return text.partition(mark)[0] if mark else text
        return part(text, component, subcomponent, self.separators)

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

    __slots__ = (
        *("_header", "_keys", "_lines", "_made", "_mark", "_positions"),
        *("charset", "notes", "original", "separators", "text"),
    )

    def __init__(
        self, original: bytes, text: str, separators: Separators, charset: str, notes: tuple[str, ...] = ()
    ) -> None:
        self.original = original
        self.text = text
        self.separators = separators
        self.charset = charset
        self.notes = notes
        self._mark = separators.field
        self._lines: list[str] = []  # the segments' texts
        self._keys: list[str] = []  # name and field separator of each, as the lines begin
        self._made: dict[int, Segment] = {}
        self._positions: dict[str, list[int]] | None = None  # key -> its lines, once somebody asks for more than one
        self._header: Segment | None = None

    def encode(self) -> bytes:
        """The bytes it was read from."""
        return self.original

    @property
    def segments(self) -> list[Segment]:
        """All segments in their order."""
        counts = dict.fromkeys(self._keys, 0)
        found = []
        for position, key in enumerate(self._keys):
            counts[key] += 1
            found.append(self._segment(position, counts[key]))
        return found

    @property
    def names(self) -> list[str]:
        """The names of all segments in their order."""
        return [key[:3] for key in self._keys]

    def all(self, name: str) -> list[Segment]:
        """The segments of a name."""
        return [self._segment(position, nth) for nth, position in enumerate(self._where(name), 1)]

    def segment(self, name: str, nth: int = 1) -> Segment | None:
        """The first (or nth) segment of a name."""
        if nth == 1:
            key = name + self._mark
            return self._segment(self._keys.index(key), 1) if key in self._keys else None
        positions = self._where(name)
        return self._segment(positions[nth - 1], nth) if nth <= len(positions) else None

    def get(self, where: str) -> str:
        """The text at `PID-3.1` (first repetition of the first PID); empty when absent."""
        name, nth, field, repetition, component, subcomponent = read_place(where)
        segment = self.segment(name, nth or 1)
        if segment is None:
            return ""
        if not field:
            return segment.text
        return segment.get(field, component, subcomponent, repetition or 1)

    def values(self, where: str) -> list[str]:
        """The texts at a place, over all repetitions and all segments of the name that it does not narrow."""
        at = read_place(where)
        if at.nth:
            one = self.segment(at.segment, at.nth)
            segments = [one] if one else []
        else:
            segments = self.all(at.segment)
        if not at.field:
            return [segment.text for segment in segments]
        return [text for segment in segments for text in _values(segment, at)]

    @property
    def header(self) -> Segment:
        """MSH."""
        found = self._header
        if found is None:
            found = self._header = self._segment(0, 1)
        return found

    @property
    def type(self) -> str:
        """`ADT^A01`; only the message code where there is no event."""
        header = self._header or self.header
        text = header.field(9)
        if self.separators.escape not in text and self.separators.repetition not in text:  # "" is in every text
            parts = text.split(self.separators.component, 2)
            return f"{parts[0]}^{parts[1]}" if len(parts) > 1 and parts[1] else parts[0]
        code, event = header.get(9, 1), header.get(9, 2)
        return f"{code}^{event}" if event else code

    @property
    def structure(self) -> str:
        """MSH-9.3 as the sender states it; may be empty (see structure.name)."""
        return self.header.get(9, 3)

    @property
    def control_id(self) -> str:
        return self.header.get(10)

    @property
    def version(self) -> str:
        return self.header.get(12, 1)

    def _where(self, name: str) -> list[int]:
        if len(self._keys) < FEW:
            wanted = name + self._mark
            return [position for position, key in enumerate(self._keys) if key == wanted]
        if self._positions is None:
            self._positions = {}
            for position, key in enumerate(self._keys):
                self._positions.setdefault(key, []).append(position)
        return self._positions.get(name + self._mark, [])

    def _segment(self, position: int, nth: int) -> Segment:
        found = self._made.get(position)
        if found is None:
            key = self._keys[position]
            found = self._made[position] = Segment(key[:3], self._lines[position], self.separators, nth)
        return found

    def __repr__(self) -> str:
        return f"<Message {self.type} {len(self._keys)} segments>"


def _values(segment: Segment, at: Place) -> list[str]:
    repetitions = segment.repetitions(at.field)
    if at.repetition:
        repetitions = repetitions[at.repetition - 1 : at.repetition]
    if at.field < 3 and segment.name in HEADERS:
        return repetitions
    found = (part(text, at.component, at.subcomponent, segment.separators) for text in repetitions)
    return [text for text in found if text]


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
    """Fills lines and keys. A line that is no plain segment sends the whole message the careful way."""
    field = message._mark
    lines = BREAK.split(body) if "\n" in body else body.split("\r")
    if len(body) > SMALL:
        _limit(body, message.separators, limits)
        if len(lines) > limits.fields:
            raise TooLarge(f"the message has more than {limits.fields} lines", where="MSH")
    keys = [line[:4] for line in lines]
    if not _known(field).issuperset(keys) and not all(_plain(key, field) for key in keys):
        lines, keys = _split_odd(message, lines)
    message._lines = lines
    message._keys = keys
    if keys.count("MSH" + field) > 1:
        raise InvalidMessage(
            "a second MSH inside one message", where="MSH[2]", mend="Send each message in its own frame.", ack="AR"
        )
    if len(lines) > limits.segments:
        raise TooLarge(f"the message has more than {limits.segments} segments", where="MSH")


@lru_cache(64)
def _known(field: str) -> frozenset[str]:
    return frozenset(name + field for name in KNOWN)


def _plain(key: str, field: str) -> bool:
    return key[3:] == field and bool(NAME.fullmatch(key, 0, 3))


def _split_odd(message: Message, lines: list[str]) -> tuple[list[str], list[str]]:
    """Texts and keys with blank lines, blanks and lower case before names, and lines that continue the one before."""
    segments: list[list[str]] = []
    keys: list[str] = []
    blank = 0  # blank lines count only inside a text
    for line in lines:
        name, text = _odd(line, message._mark)
        if name:
            keys.append(name + message._mark)
            segments.append([text])
        elif text:
            segments[-1] += [""] * blank + [text]
        blank = blank + 1 if not text else 0
    loose = sum(1 for parts in segments for part in parts[1:] if part)
    if loose:
        message.notes += (f"{loose} lines are no segment; kept as line breaks of the segment before them",)
    return ["\n".join(parts) for parts in segments], keys


def _odd(line: str, field: str) -> tuple[str, str]:
    """Name and text of a line that is no everyday segment; no name for a continuation, neither for a blank line."""
    text = line.strip(TRAILING).lstrip(LEADING)
    name = text[:3].upper()
    end = text[3:4]
    if NAME.fullmatch(name) and (end == field or (not end and name in KNOWN)):
        return name, text
    return "", line if text.strip() else ""


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
