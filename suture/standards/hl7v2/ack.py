"""Acknowledgements: original and enhanced mode, MSA and ERR that names the place (HL7 v2.9 chapter 2, section 2.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from suture.errors import InvalidMessage, SutureError
from suture.standards.hl7v2.escapes import STANDARD, Separators, escape
from suture.standards.hl7v2.message import Message, Segment, parse
from suture.standards.hl7v2.place import FORM

NOTHING = [""] * 19  # a header of which nothing is known
MOST_TEXT = 200  # characters of an error text, so that an answer stays small
MESSAGE_ERROR = {  # HL7 table 0357
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}


class Outcome(StrEnum):
    """What became of a message; the second letter of every acknowledgement code."""

    ACCEPT = "A"
    ERROR = "E"  # wrong or not possible just now: the sender may mend or try again
    REJECT = "R"  # will never be taken as it is


# HL7 table 0155: which outcomes a sender wants to hear of
WANTED: dict[str, frozenset[Outcome]] = {
    "AL": frozenset(Outcome),
    "NE": frozenset(),
    "ER": frozenset({Outcome.ERROR, Outcome.REJECT}),
    "SU": frozenset({Outcome.ACCEPT}),
}


def code(message: Message | None, outcome: Outcome) -> str:
    """AA, AE, AR; CA, CE, CR in enhanced mode; empty when the sender wants no answer to this outcome.

    Enhanced mode is there as soon as MSH-15 or MSH-16 is valued; one that stays empty then means NE. Where both are
    wanted the accept acknowledgement answers on the line. An acknowledgement is not acknowledged in original mode.
    """
    if message is None:
        return f"A{outcome.value}"
    header = message.header
    accept, application = header.get(15), header.get(16)
    if not accept and not application:
        return "" if is_ack(message) else f"A{outcome.value}"
    if outcome in WANTED.get(accept, WANTED["AL"] if accept else WANTED["NE"]):
        return f"C{outcome.value}"
    if is_ack(message):
        return ""
    if outcome in WANTED.get(application, WANTED["AL"] if application else WANTED["NE"]):
        return f"A{outcome.value}"
    return ""


def is_ack(message: Message) -> bool:
    """Whether it only acknowledges another one (answers to queries carry MSA too, but are data)."""
    return message.header.get(9, 1) in {"ACK", "MCF"}


def build(
    message: Message | None,
    code: str,
    *,
    now: datetime,
    control_id: str,
    text: str = "",
    error: SutureError | None = None,
) -> bytes:
    """The acknowledgement of a message (None: not even its header could be read) as bytes in its own charset."""
    header = message.header if message else None
    separators = message.separators if message else STANDARD
    segments = [_msh(header, separators, now, control_id), _msa(header, separators, code, text or _text(error))]
    if error is not None and code[-1:] != Outcome.ACCEPT.value:
        segments.append(_err(header, separators, error))
    return ("\r".join(segments) + "\r").encode(message.charset if message else "ascii", "replace")


def header_of(raw: bytes) -> Message | None:
    """The first segment of a message that is broken further on; None when that is broken too."""
    start = max(raw.upper().find(b"MSH"), 0)
    lines = raw[start : start + 8192].splitlines()
    try:
        return parse(lines[0] if lines else b"")
    except InvalidMessage:
        return None


def outcome_of(error: SutureError) -> Outcome:
    """How an error is answered: what may pass later or mended is an error, the rest a reject."""
    if isinstance(error, InvalidMessage):
        return Outcome(error.ack[-1:]) if error.ack[-1:] in {"E", "R"} else Outcome.ERROR
    return Outcome.ERROR if error.retry or error.status < 400 else Outcome.REJECT


def _msh(header: Segment | None, separators: Separators, now: datetime, control_id: str) -> str:
    """MSH with sender and receiver changed places; the sender's own way of writing version and charset."""
    its = [*header.fields, *NOTHING] if header else NOTHING
    if header and "\n" in header.text:
        its = [field.partition("\n")[0] for field in its]  # line breaks that strayed into the header
    version = its[12] or "2.5.1"
    fields = ["MSH", separators.encoding, its[5], its[6], its[3], its[4], _stamp(now), ""]
    fields += [_type(header, separators, version), control_id, its[11] or "P", version]
    if its[18]:
        fields += ["", "", "", "", "", its[18]]
    return separators.field.join(fields)


def _stamp(now: datetime) -> str:
    date = f"{now.year:04d}{now.month:02d}{now.day:02d}{now.hour:02d}{now.minute:02d}{now.second:02d}"
    return date + ("+0000" if now.tzinfo is UTC else now.strftime("%z")[:5])


def _written(header: Segment | None, number: int) -> str:
    """A header field as the sender wrote it, without line breaks that strayed into it."""
    return header.field(number).partition("\n")[0] if header else ""


def _type(header: Segment | None, separators: Separators, version: str) -> str:
    """`ACK^A01^ACK`; the event from 2.3 on, the structure from 2.4 on."""
    parts = ["ACK"]
    event = header.get(9, 2) if header else ""
    number = _number(version)
    if event.isalnum() and separators.component == "^" and number >= (2, 4):
        return f"ACK^{event}^ACK"
    if separators.component and event and number >= (2, 3):
        parts.append(escape(event, separators))
        if number >= (2, 4):
            parts.append("ACK")
    return separators.component.join(parts)


def _msa(header: Segment | None, separators: Separators, code: str, text: str) -> str:
    acknowledged = _written(header, 10)
    fields = ["MSA", code, acknowledged, escape(text[:MOST_TEXT], separators)] if text else ["MSA", code, acknowledged]
    return separators.field.join(fields)


def _err(header: Segment | None, separators: Separators, error: SutureError) -> str:
    """ERR-2 place, ERR-3 code, ERR-4 severity, ERR-8 text from 2.5 on; ERR-1 before."""
    number = error.error_code if isinstance(error, InvalidMessage) else "207"
    part, sub = separators.component, separators.subcomponent or " "
    place = _place(error.where, part)
    name = MESSAGE_ERROR.get(number, MESSAGE_ERROR["207"])
    if _number(header.field(12) if header else "2.5.1") < (2, 5):
        before = (place or part * 2).split(part)[:3] if part else [place]
        return separators.field.join(["ERR", part.join([*before, sub.join([number, name, "HL70357"])])])
    coded = part.join([number, name, "HL70357"]) if part else number
    text = escape(_text(error)[:MOST_TEXT], separators)
    return separators.field.join(["ERR", "", place, coded, "E", "", "", "", text])


def _place(where: str, mark: str) -> str:
    """`OBX[2]-5[1].2` as ERL: segment, its sequence, field, repetition, component; empty when it is no such place."""
    found = FORM.fullmatch(where)
    if not found or not mark:
        return ""
    parts = [found["segment"], found["nth"] or "1"]
    if found["field"]:
        parts += [found["field"], found["repetition"] or "1", found["component"] or "", found["subcomponent"] or ""]
    return mark.join(parts).rstrip(mark)


def _text(error: SutureError | None) -> str:
    return f"{error.where}: {error.text}" if error and error.where else error.text if error else ""


@lru_cache(64)
def _number(version: str) -> tuple[int, ...]:
    found = [int(part) for part in version.split("^")[0].split(".")[:2] if part.isascii() and part.isdigit()]
    return tuple(found) if len(found) == 2 else (2, 5)
